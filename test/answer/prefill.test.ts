/**
 * A last message of the assistant is continued: in every format and on every route the prompt ends inside that message, and what comes
 * back is what follows it. The prompts are written out by hand, from the published templates.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lineage } from '../../src/ai/provider.ts'
import { harmonyFormat } from '../../src/chat/formats/harmony/harmony.ts'
import { plainFormat } from '../../src/chat/formats/plain.ts'
import { qwenFormat } from '../../src/chat/formats/qwen/qwen.ts'
import { templateFormat } from '../../src/chat/formats/template.ts'
import type { ChatFormat, Message } from '../../src/chat/messages.ts'
import { ChatSession, chat } from '../../src/chat/session.ts'
import { createApp } from '../../src/server/http/app.ts'
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts'
import { byteTokenizer, harmonySpecials, qwenSpecials } from '../chat/byte-tokenizer.ts'
import { type Json, jsonOf } from '../server/scripted-app.ts'
import { scriptedEngine } from '../server/scripted-engine.ts'

const qwen = byteTokenizer(qwenSpecials)
const harmony = byteTokenizer(harmonySpecials)
const llama = byteTokenizer(['<s>', '<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>', '[INST]', '[/INST]', '</s>'])

const chatml = `{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`
const llama3 = `{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>

{{ m.content | trim }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>

{% endif %}`
const mistral = `{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}`
/** The prompt for an answer opens the thinking; in the history there is none. */
const alwaysThinks = `{% for m in messages %}<|im_start|>{{ m.role }}
{% if m.reasoning_content %}<think>
{{ m.reasoning_content }}
</think>

{% endif %}{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
<think>
{% endif %}`

const models: Record<string, { tokenizer: Tokenizer; format: ChatFormat; stop: string }> = {
  harmony: { tokenizer: harmony, format: harmonyFormat(harmony), stop: '<|return|>' },
  qwen: { tokenizer: qwen, format: qwenFormat(qwen, { thinking: 'switch', tools: 'json' }), stop: '<|im_end|>' },
  'qwen without thinking': { tokenizer: qwen, format: qwenFormat(qwen, { thinking: 'never', tools: 'json' }), stop: '<|im_end|>' },
  chatml: { tokenizer: qwen, format: templateFormat(qwen, { chatTemplate: chatml, eosToken: '<|im_end|>' }), stop: '<|im_end|>' },
  thinks: { tokenizer: qwen, format: templateFormat(qwen, { chatTemplate: alwaysThinks, eosToken: '<|im_end|>' }), stop: '<|im_end|>' },
  llama: { tokenizer: llama, format: templateFormat(llama, { chatTemplate: llama3, eosToken: '<|eot_id|>' }), stop: '<|eot_id|>' },
  mistral: { tokenizer: llama, format: templateFormat(llama, { chatTemplate: mistral, bosToken: '<s>', eosToken: '</s>' }), stop: '</s>' },
  base: { tokenizer: qwen, format: plainFormat(qwen, { eosTokenIds: [qwen.specials.get('<|im_end|>')!] }), stop: '<|im_end|>' },
}

interface Row {
  name: string
  model: string
  begun: string
  reasoning?: string
  /** How the prompt ends. */
  ends: string
  /** What the model writes. */
  rest?: string
}

const rows: Row[] = [
  {
    name: 'ChatML',
    model: 'chatml',
    begun: 'The capital of France is the city of',
    ends: 'user\nWhere?<|im_end|>\n<|im_start|>assistant\nThe capital of France is the city of',
  },
  { name: 'letters that the markup has too', model: 'chatml', begun: 'd', ends: '<|im_start|>assistant\nd' },
  { name: 'a blank at the end', model: 'chatml', begun: 'It is ', ends: '<|im_start|>assistant\nIt is ' },
  { name: 'a spelled marker', model: 'chatml', begun: 'Write <|im_end|> and', ends: '<|im_start|>assistant\nWrite <|im_end|> and' },
  { name: 'a rest that begins with newlines', model: 'chatml', begun: 'List:', ends: 'assistant\nList:', rest: '\n\n- a' },
  { name: 'Llama 3, which trims', model: 'llama', begun: ' Paris is ', ends: '<|start_header_id|>assistant<|end_header_id|>\n\nParis is' },
  { name: 'Mistral, with a blank before the answer', model: 'mistral', begun: 'Paris', ends: '[INST] Where? [/INST] Paris' },
  { name: 'a template that opens the thinking', model: 'thinks', begun: 'Paris', ends: '<|im_start|>assistant\nParis' },
  {
    name: 'a template with thinking before',
    model: 'thinks',
    begun: 'Paris',
    reasoning: 'Hm.',
    ends: '<|im_start|>assistant\n<think>\nHm.\n</think>\n\nParis',
  },
  { name: 'Qwen3', model: 'qwen', begun: 'Paris', ends: '<|im_start|>assistant\n<think>\n\n</think>\n\nParis' },
  { name: 'Qwen3 with thinking before', model: 'qwen', begun: 'Paris', reasoning: 'Hm.', ends: '<think>\nHm.\n</think>\n\nParis' },
  {
    name: 'Qwen3 Instruct',
    model: 'qwen without thinking',
    begun: '```json\n{"city": "',
    ends: 'assistant\n```json\n{"city": "',
    rest: 'Paris"}',
  },
  { name: 'harmony', model: 'harmony', begun: 'Paris', ends: 'Where?<|end|><|start|>assistant<|channel|>final<|message|>Paris' },
  {
    name: 'harmony with thinking before',
    model: 'harmony',
    begun: 'Paris',
    reasoning: 'Hm.',
    ends: '<|start|>assistant<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Paris',
  },
  { name: 'a base model', model: 'base', begun: 'Paris', ends: 'Where?\nParis' },
]

/** Runs `use` on a model that writes `text`; what the engine was given. */
function watched(name: string, text: string) {
  const { tokenizer, format, stop } = models[name]!
  const engine = scriptedEngine(tokenizer, () => text + stop)
  const model = { tokenizer, format, engine }
  const architecture = { name: 'm', modelType: 'm', vocabSize: tokenizer.vocabSize, maxPositionEmbeddings: 65536, expertDtype: 'f32' }
  const served = { tokenizer, format, engine: { ...engine, context: 65536 }, architecture, dispose() {} }
  const app = createApp({ models: [{ id: 'm', load: async () => served }] })
  const headers = { 'content-type': 'application/json' }
  const post = (path: string, body: object) =>
    app.fetch(new Request(`http://localhost${path}`, { method: 'POST', body: JSON.stringify({ model: 'm', ...body }), headers }))
  return { model, engine, post, tokenizer, architecture }
}

const question = { role: 'user', content: 'Where?' } as const

for (const { name, model: key, begun, reasoning, ends, rest = ' and more' } of rows) {
  test(`${name}: library, session, AI SDK, chat, Ollama`, async () => {
    const { model, engine, post, architecture } = watched(key, rest)
    const parts = [
      ...(reasoning === undefined ? [] : [{ type: 'reasoning' as const, text: reasoning }]),
      { type: 'text' as const, text: begun },
    ]
    const messages: Message[] = [question, { role: 'assistant', content: parts }]
    const said: string[] = []
    const events = await Array.fromAsync(chat(model, messages))
    said.push(events.map((event) => (event.type === 'text-delta' ? event.delta : '')).join(''))

    const session = new ChatSession(model, {}, messages)
    await Array.fromAsync(session.send())
    assert.deepEqual(session.messages, [
      question,
      { role: 'assistant', content: [...parts.slice(0, -1), { type: 'text', text: begun + rest }] },
    ])

    const { content } = await lineage({ ...model, architecture }).doGenerate({
      prompt: [
        { role: 'user', content: [{ type: 'text', text: 'Where?' }] },
        { role: 'assistant', content: parts },
      ],
    })
    said.push(content.map((part) => (part.type === 'text' ? part.text : '')).join(''))

    const body = { messages: [question, { role: 'assistant', content: begun, reasoning_content: reasoning, thinking: reasoning }] }
    for (const more of [{}, { continue_final_message: true }, { continue_final_message: true, add_generation_prompt: false }])
      said.push((await jsonOf(post('/v1/chat/completions', { ...body, ...more }))).choices[0].message.content)
    said.push((await jsonOf(post('/api/chat', { ...body, stream: false }))).message.content)
    assert.deepEqual(said, Array(said.length).fill(rest))
    assert.equal(engine.prompts.length, said.length + 1)
    for (const prompt of engine.prompts) assert.ok(prompt.endsWith(ends), prompt)
  })
}

test('what is not continued: a new message on request, empty messages, calls, schemas, the Responses API', async () => {
  const { post, engine } = watched('chatml', 'ok')
  const opens = '<|im_end|>\n<|im_start|>assistant\n'
  const begun = { role: 'assistant', content: 'Paris' }
  const ask = async (path: string, body: object) => {
    const response = await post(path, body)
    assert.equal(response.status, 200, await response.clone().text())
    return engine.prompts.at(-1)!
  }
  for (const more of [{ continue_final_message: false }, { add_generation_prompt: true }])
    assert.ok((await ask('/v1/chat/completions', { messages: [question, begun], ...more })).endsWith(`Paris${opens}`))
  const empty = await ask('/v1/chat/completions', { messages: [question, { role: 'assistant', content: '' }] })
  assert.ok(empty.endsWith(`Where?${opens}`) && !/assistant\n<\|im_end/.test(empty), empty)
  const format = { type: 'json_schema', json_schema: { name: 'x', schema: { enum: ['a', 'b'] } } }
  assert.ok((await ask('/v1/chat/completions', { messages: [question, begun], response_format: format })).includes(`Paris${opens}`))
  const items = [question, begun].map((item) => ({ type: 'message', ...item }))
  assert.ok((await ask('/v1/responses', { input: items })).endsWith(`Paris${opens}`))
})

test('what cannot be continued is refused by name', async () => {
  const { post } = watched('chatml', 'ok')
  const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }
  const begun = { role: 'assistant', content: 'Paris' }
  const cases: [body: object, param: string][] = [
    [{ messages: [question] }, 'messages[0]'],
    [{ messages: [question, { role: 'assistant', content: null, tool_calls: [call] }] }, 'messages[1]'],
    [{ messages: [question, { role: 'assistant', content: '', reasoning: 'Hm.' }] }, 'messages[1]'],
    [{ messages: [question, begun], add_generation_prompt: true }, 'continue_final_message'],
    [{ messages: [question], continue_final_message: undefined, add_generation_prompt: false }, 'messages[0]'],
    [{ messages: [question, begun], response_format: { type: 'json_object' } }, 'prefill'],
  ]
  for (const [body, param] of cases) {
    const response = await post('/v1/chat/completions', { continue_final_message: true, ...body })
    const { error }: Json = await response.json()
    assert.deepEqual([response.status, error.param], [400, param], error.message)
  }
})
