/** Texts between two texts, llama-server's own endpoints, Ollama's log-probabilities, and the count of a conversation's tokens. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { plainFormat } from '../../src/chat/formats/plain.ts'
import { createApp } from '../../src/server/http/app.ts'
import { byteTokenizer } from './byte-tokenizer.ts'
import { analysis, eventsOf, final, type Json, jsonOf, scripted, scriptedModel } from './scripted-app.ts'
import { scriptedEngine } from './scripted-engine.ts'

const QWEN = ['<|fim_prefix|>', '<|fim_suffix|>', '<|fim_middle|>', '<|file_sep|>', '<|fim_pad|>']

function coder(markers: readonly string[], script = ' + b<|endoftext|>') {
  const tokenizer = byteTokenizer(markers)
  const engine = scriptedEngine(tokenizer, () => script)
  const { model } = scriptedModel(() => '')
  const load = async () => ({
    ...model,
    architecture: { ...model.architecture, vocabSize: tokenizer.vocabSize },
    tokenizer,
    engine,
    format: plainFormat(tokenizer, {}),
  })
  const app = createApp({ models: [{ id: 'scripted', load }] })
  const post = (path: string, body: object) =>
    app.fetch(
      new Request(`http://localhost${path}`, {
        method: 'POST',
        body: JSON.stringify({ model: 'scripted', ...body }),
        headers: { 'content-type': 'application/json' },
      }),
    )
  return { post, engine }
}

const kinds: [string, string[], string][] = [
  ['Qwen', QWEN, '<|fim_prefix|>return a<|fim_suffix|>;<|fim_middle|>'],
  ['StarCoder', ['<fim_prefix>', '<fim_suffix>', '<fim_middle>'], '<fim_prefix>return a<fim_suffix>;<fim_middle>'],
  ['DeepSeek', ['<｜fim▁begin｜>', '<｜fim▁hole｜>', '<｜fim▁end｜>'], '<｜fim▁begin｜>return a<｜fim▁hole｜>;<｜fim▁end｜>'],
  ['CodeLlama', ['▁<PRE>', '▁<SUF>', '▁<MID>'], '▁<PRE>return a▁<SUF>;▁<MID>'],
  ['Codestral', ['[PREFIX]', '[SUFFIX]'], '[SUFFIX];[PREFIX]return a'],
]
const requests: [string, object, (body: Json) => string][] = [
  ['/infill', { input_prefix: 'return a', input_suffix: ';', n_predict: 20 }, (body) => body.content],
  ['/v1/completions', { prompt: 'return a', suffix: ';', max_tokens: 20 }, (body) => body.choices[0].text],
  ['/api/generate', { prompt: 'return a', suffix: ';', stream: false }, (body) => body.response],
]
for (const [name, markers, prompt] of kinds)
  for (const [path, body, textOf] of requests)
    test(`${path} asks a model of the kind of ${name} for what stands between`, async () => {
      const { post, engine } = coder(markers)
      assert.equal(textOf(await jsonOf(post(path, body))), ' + b')
      assert.equal(engine.prompts.at(-1), prompt)
    })

test('/infill: other files, a beginning, markers in texts, an end at the next file, a stream', async () => {
  const { post, engine } = coder(QWEN, ' + b<|file_sep|>other')
  const body = { input_prefix: '<|fim_middle|>', input_suffix: 'S', prompt: 'B', input_extra: [{ filename: 'x.ts', text: 'X' }] }
  const answer = await jsonOf(post('/infill', body))
  assert.deepEqual([answer.content, answer.stop, answer.stop_type], [' + b', true, 'word'])
  assert.equal(
    engine.prompts.at(-1),
    '<|file_sep|>x.ts\nX\n<|file_sep|>filename\n<|fim_prefix|><|fim_middle|><|fim_suffix|>S<|fim_middle|>B',
  )
  const events = await eventsOf(await post('/infill', { ...body, stream: true }))
  assert.equal(events.map(({ data }) => data.content).join(''), ' + b')
  assert.equal(events.at(-1)!.data.stop, true)
})

test('a model without markers refuses by name', async () => {
  const { post } = coder([])
  for (const [path, body] of requests) {
    const response = await post(path, body)
    assert.equal(response.status, 400)
    assert.match(await response.text(), /suffix: this model was not trained to fill in/)
  }
})

test('/completion continues a text', async () => {
  const { post } = scripted(() => 'one two three<|return|>')
  const answer = await jsonOf(post('/completion', { prompt: 'Hi', n_predict: -1, stop: [' three'], temperature: 0 }))
  assert.deepEqual([answer.content, answer.stop_type, answer.stopping_word, answer.tokens_evaluated], ['one two', 'word', ' three', 2])
  assert.equal((await jsonOf(post('/completion', { prompt: 'Hi', grammar: 'root ::= "yes"' }))).content, 'yes')
  assert.equal((await post('/completion', { prompt: [99_999] })).status, 400)
  assert.equal((await post('/completion', { prompt: 'Hi', mirostat: 2 })).status, 400)
})

test('what llama.vim sends', async () => {
  const { post, engine } = coder(QWEN)
  const asked = {
    input_prefix: 'return a',
    input_suffix: ';',
    input_extra: [],
    prompt: '',
    n_predict: 64,
    n_indent: 4,
    top_k: 40,
    top_p: 0.9,
    stream: false,
    samplers: ['top_k', 'top_p', 'infill'],
    cache_prompt: true,
    t_max_prompt_ms: 500,
    t_max_predict_ms: 1000,
  }
  const whole = await post('/infill', asked)
  assert.equal(whole.headers.get('x-ignored-fields'), null)
  const { content, timings } = await jsonOf(whole)
  assert.equal(content, ' + b')
  const named = { ...asked, response_fields: ['content', 'timings/predicted_n', 'generation_settings/top_k', 'none'] }
  assert.deepEqual(await jsonOf(post('/infill', named)), { content, 'timings/predicted_n': timings.predicted_n })
  // Before it asks, the editor has the other files read.
  const warming = { ...asked, n_predict: 0, samplers: [], t_max_prompt_ms: 1, response_fields: [''] }
  assert.deepEqual(await jsonOf(post('/infill', warming)), {})
  assert.equal(engine.prompts.length, 3)
})

test('n_predict 0 reads the prompt and generates nothing', async () => {
  const { post, engine } = scripted(() => 'one two<|return|>')
  for (const limit of [{ n_predict: 0 }, { max_tokens: 0 }]) {
    const { content, stop, stop_type, tokens_predicted, tokens_evaluated, timings } = await jsonOf(
      post('/completion', { prompt: 'Hi', ...limit }),
    )
    assert.deepEqual([content, stop, stop_type, tokens_predicted, tokens_evaluated], ['', true, 'limit', 0, 2])
    assert.deepEqual([timings.predicted_n, timings.predicted_ms, timings.predicted_per_second], [0, 0, 0])
    assert.deepEqual([engine.prompts.at(-1), engine.options.at(-1)!.maxTokens], ['Hi', 1])
  }
  const events = await eventsOf(await post('/completion', { prompt: 'Hi', n_predict: 0, stream: true }))
  assert.deepEqual(
    events.map(({ data }) => [data.content, data.stop, data.tokens_predicted]),
    [['', true, 0]],
  )
  assert.equal((await post('/completion', { prompt: 'x'.repeat(70_000), n_predict: 0 })).status, 400)
})

test('a seed of -1 is none for llama-server and Ollama, and one like any other elsewhere', async () => {
  const { post, engine } = scripted(() => final('ok'))
  const seedFor = async (path: string, body: object) => {
    assert.equal((await post(path, { model: 'scripted', stream: false, ...body })).status, 200, path)
    return engine.options.at(-1)!.sampling!.seed
  }
  const messages = [{ role: 'user', content: 'Hi' }]
  const endpoints: [path: string, body: (seed: number) => object][] = [
    ['/completion', (seed) => ({ prompt: 'Hi', seed })],
    ['/api/chat', (seed) => ({ messages, options: { seed } })],
    ['/api/generate', (seed) => ({ prompt: 'Hi', options: { seed } })],
    ['/api/generate', (seed) => ({ prompt: 'Hi', raw: true, options: { seed } })],
    ['/v1/chat/completions', (seed) => ({ messages, seed })],
    ['/v1/completions', (seed) => ({ prompt: 'Hi', seed })],
    ['/v1/responses', (seed) => ({ input: 'Hi', seed })],
    ['/v1/messages', (seed) => ({ messages, max_tokens: 9, seed })],
  ]
  for (const [path, body] of endpoints) {
    assert.equal(await seedFor(path, body(5)), 5)
    assert.equal(await seedFor(path, body(-1)), path.startsWith('/v1/') ? 2 ** 53 - 8 : undefined, path)
    assert.equal(await seedFor(path, body(-2)), 2 ** 53 - 9, path)
    assert.equal(await seedFor(path, body(-(2 ** 53 - 8))), 1, path)
  }
})

test("Ollama's log-probabilities, whole and streamed", async () => {
  const { post } = scripted(() => analysis('Hm.') + final('Hello'))
  const body = { model: 'scripted', messages: [{ role: 'user', content: 'Hi' }], logprobs: true, top_logprobs: 2 }
  const whole = await jsonOf(post('/api/chat', { ...body, stream: false }))
  assert.equal(
    whole.logprobs
      .map(({ token }: Json) => token)
      .join('')
      .startsWith('Hello'),
    true,
  )
  assert.ok(whole.logprobs.every(({ logprob, top_logprobs }: Json) => typeof logprob === 'number' && top_logprobs.length <= 2))
  const lines = (await (await post('/api/chat', body)).text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    lines.flatMap(({ logprobs = [] }) => logprobs.map(({ token }: Json) => token)),
    whole.logprobs.map(({ token }: Json) => token),
  )
  const without = await jsonOf(post('/api/chat', { ...body, logprobs: false, stream: false }))
  assert.equal('logprobs' in without, false)
  const generated = await jsonOf(post('/api/generate', { model: 'scripted', prompt: 'Hi', logprobs: true, stream: false }))
  assert.ok(generated.logprobs.length > 0)
})

test('/v1/chat/completions/input_tokens counts what the answer counts', async () => {
  const { post } = scripted(() => final('ok'))
  const body = { model: 'scripted', messages: [{ role: 'user', content: 'Hi' }], tools: [{ type: 'function', function: { name: 'f' } }] }
  const { input_tokens } = await jsonOf(post('/v1/chat/completions/input_tokens', body))
  assert.equal(input_tokens, (await jsonOf(post('/v1/chat/completions', body))).usage.prompt_tokens)
})
