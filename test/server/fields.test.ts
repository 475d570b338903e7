/**
 * Fields that no endpoint reads: one that would change the answer is refused by name, unless it asks for what happens
 * anyway; a harmless one passes; an unknown one is named in a header.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { HARMLESS, REFUSED } from '../../src/server/schemas/fields.ts'
import { analysis, final, type Json, scripted } from './scripted-app.ts'

const messages = [{ role: 'user', content: 'Who?' }]
const bodies: Record<string, object> = {
  '/v1/chat/completions': { messages },
  '/v1/completions': { prompt: 'Who?' },
  '/v1/responses': { input: 'Who?' },
  '/api/chat': { messages, stream: false },
  '/api/generate': { prompt: 'Who?', stream: false },
}

async function send(path: string, fields: object): Promise<{ status: number; error: string; param?: string; ignored: string | null }> {
  const { post } = scripted(() => analysis('Hm.') + final('Ada.'))
  const response = await post(path, { model: 'scripted', ...bodies[path], ...fields })
  const { error = '' } = (await response.json()) as Json
  const ignored = response.headers.get('x-ignored-fields')
  return { status: response.status, error: error?.message ?? error ?? '', param: error?.param, ignored }
}

const [chat, completions, responses, ollamaChat, ollamaGenerate] = Object.keys(bodies) as [string, string, string, string, string]

/** Refused, with the name of the field in the message. */
const changing: [path: string, fields: object, field: string][] = [
  [chat, { use_beam_search: true }, 'use_beam_search'],
  [chat, { stop_token_ids: [1] }, 'stop_token_ids'],
  [chat, { bad_words: ['x'] }, 'bad_words'],
  [chat, { chat_template: '{{ messages }}' }, 'chat_template'],
  [chat, { chat_template_kwargs: { persona: 'pirate' } }, 'persona'],
  [chat, { documents: [{ title: 'a' }] }, 'documents'],
  [chat, { guided_whitespace_pattern: '[ ]' }, 'guided_whitespace_pattern'],
  [chat, { guided_something_new: 'x' }, 'guided_something_new'],
  [chat, { format: 'json' }, 'format'],
  [chat, { modalities: ['text', 'audio'] }, 'modalities'],
  [chat, { web_search_options: { search_context_size: 'low' } }, 'web_search_options'],
  [chat, { mirostat: 2 }, 'mirostat'],
  [chat, { dry_multiplier: 0.8 }, 'dry_multiplier'],
  [chat, { typical_p: 0.5 }, 'typical_p'],
  [chat, { n_predict: 12 }, 'n_predict'],
  [chat, { grammar_lazy: true }, 'grammar_lazy'],
  [chat, { system: 'Be a pirate.' }, 'system'],
  [chat, { thinking: { type: 'disabled' } }, 'thinking'],
  [chat, { reasoning: { effort: 'low', max_tokens: 5 } }, 'reasoning.max_tokens'],
  [chat, { some_new_penalty: 1.5 }, 'some_new_penalty'],
  [chat, { temperature_last: 2 }, 'temperature_last'],
  [chat, { prompt: 'Who?' }, 'prompt'],
  [completions, { suffix: ' end' }, 'suffix'], // this model was not trained to fill in
  [completions, { best_of: 3 }, 'best_of'],
  [completions, { prompt_embeds: 'AAAA' }, 'prompt_embeds'],
  [completions, { messages }, 'messages'],
  [completions, { allowed_token_ids: [4] }, 'allowed_token_ids'],
  [chat, { conversation: 'conv_1' }, 'conversation'],
  [responses, { prompt: { id: 'pmpt_1' } }, 'prompt'],
  [responses, { response_format: { type: 'json_object' } }, 'response_format'],
  [responses, { stop: ['x'] }, 'stop'],
  [responses, { text: { verbosity: 'low' } }, 'text.verbosity'],
  [responses, { reasoning: { context: 'all_turns' } }, 'reasoning.context'],
  [responses, { image: { context_compression: 'most' } }, 'image.context_compression'],
  [chat, { image: 'data:image/png;base64,AAAA' }, 'image'],
  [ollamaChat, { options: { mirostat: 1 } }, 'options.mirostat'],
  [ollamaChat, { options: { typical_p: 0.2 } }, 'options.typical_p'],
  [ollamaChat, { options: { repeat_last_n: 0 } }, 'options.repeat_last_n'],
  [ollamaGenerate, { context: [1, 2] }, 'context'],
  [ollamaGenerate, { template: '{{ .Prompt }}' }, 'template'],
  [ollamaGenerate, { suffix: 'x' }, 'suffix'],
  [ollamaGenerate, { raw: true, system: 'Be brief.' }, 'system'],
]
for (const [path, fields, field] of changing)
  test(`${path} refuses ${JSON.stringify(fields).slice(0, 60)}`, async () => {
    const { status, error, param } = await send(path, fields)
    assert.equal(status, 400)
    assert.ok(error.includes(field), error)
    if (!path.startsWith('/api/'))
      assert.ok(param && (param === field || field.startsWith(param) || param === 'chat_template_kwargs'), String(param))
  })

/** They ask for what happens anyway, or for nothing that the answer shows. */
const harmless: [path: string, fields: object][] = [
  [chat, { use_beam_search: false, min_tokens: 0, length_penalty: 1, ignore_eos: false, stop_token_ids: [], bad_words: null }],
  [chat, { skip_special_tokens: true, spaces_between_special_tokens: true, add_generation_prompt: true, truncate_prompt_tokens: null }],
  [chat, { guided_json: null, guided_regex: null, guided_choice: null, guided_grammar: null, guided_decoding_backend: 'outlines' }],
  [chat, { structured_outputs: null, response_format: null, functions: null, function_call: null, grammar: '' }],
  [chat, { cache_prompt: true, id_slot: 2, timings_per_token: true, mirostat: 0, xtc_probability: 0, dry_multiplier: 0, typical_p: 1 }],
  [chat, { service_tier: 'auto', safety_identifier: 'u', prompt_cache_key: 'k', modalities: ['text'], verbosity: 'medium', audio: null }],
  [chat, { stream_options: null, priority: 1, request_id: 'r', return_token_ids: false, provider: { order: ['x'] } }],
  [completions, { best_of: 1, suffix: null, add_special_tokens: true, metadata: { a: 'b' } }],
  [responses, { client_metadata: { a: 'b' }, conversation: null, prompt: null, text: { verbosity: 'medium' } }],
  [chat, { prompt_cache_options: { mode: 'explicit', ttl: '30m' }, prompt_cache_key: 'k' }],
  [responses, { prompt_cache_options: { ttl: '30m' }, reasoning: { context: 'auto' }, image: { context_compression: 'auto' } }],
  [ollamaChat, { logprobs: false, options: { num_ctx: 4096, num_gpu: 1, num_thread: 4, mirostat: 0, repeat_last_n: -1, num_keep: 4 } }],
  [ollamaGenerate, { context: [], template: '', suffix: '', shift: true, truncate: true, keep_alive: '5m' }],
]
for (const [path, fields] of harmless)
  test(`${path} accepts ${JSON.stringify(fields).slice(0, 60)}`, async () => {
    const { status, error, ignored } = await send(path, fields)
    assert.deepEqual([status, ignored], [200, null], error)
  })

test('an unknown field is named in a header and in the log', async () => {
  const { post, log } = scripted(() => final('Ada.'))
  const body = { model: 'scripted', messages, colour: 'red', stream_options: { flush: 1 }, 'x-"ä': 1 }
  const response = await post(chat, body)
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('x-ignored-fields'), 'colour, x-??, stream_options.flush')
  assert.equal(log.at(-1)!.ignored_fields, 'colour, x-??, stream_options.flush')
})

test('no field is both refused and harmless, and every refusal says what to do', () => {
  for (const [field, [instead]] of Object.entries(REFUSED)) assert.ok(instead.length > 4 && !HARMLESS.has(field), field)
})
