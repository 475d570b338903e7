/** Completions, tokenisation and the Ollama endpoints on scripted ids. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { analysis, call, eventsOf, final, type Json, jsonOf, scripted } from './scripted-app.ts'

test('completions: text, several prompts, n, stop, echo', async () => {
  const { post, engine } = scripted((prompt, n) => `${prompt.toUpperCase()} END ${n}`, 'plain')
  const one = await jsonOf(post('/v1/completions', { model: 'scripted', prompt: 'abc', max_tokens: 50, stop: ' END' }))
  assert.deepEqual([one.object, one.choices[0].text, one.choices[0].finish_reason], ['text_completion', 'ABC', 'stop'])
  const many = await jsonOf(post('/v1/completions', { model: 'scripted', prompt: ['a', 'b'], n: 2, max_tokens: 1 }))
  assert.deepEqual(
    many.choices.map((choice: Json) => [choice.index, choice.text, choice.finish_reason]),
    [
      [0, 'A', 'length'],
      [1, 'A', 'length'],
      [2, 'B', 'length'],
      [3, 'B', 'length'],
    ],
  )
  assert.equal(many.usage.prompt_tokens, 2)
  assert.equal(many.usage.completion_tokens, 4)
  const ids = await jsonOf(post('/v1/completions', { model: 'scripted', prompt: [104, 105], max_tokens: 2, echo: true }))
  assert.equal(ids.choices[0].text, 'hiHI')
  assert.equal(engine.prompts.at(-1), 'hi')
})

test('completions: scoring as lm-eval does it', async () => {
  const { post } = scripted(() => '!', 'plain')
  const body = await jsonOf(
    post('/v1/completions', {
      model: 'scripted',
      prompt: [[104, 105, 106]],
      max_tokens: 1,
      logprobs: 1,
      echo: true,
      temperature: 0,
      seed: 1234,
    }),
  )
  const { tokens, token_logprobs, top_logprobs, text_offset } = body.choices[0].logprobs
  assert.deepEqual(tokens, ['h', 'i', 'j', '!'])
  assert.equal(token_logprobs[0], null)
  assert.ok(token_logprobs.slice(1).every((value: number) => value <= 0))
  assert.equal(Object.keys(top_logprobs[1]).length, 1)
  assert.deepEqual(text_offset, [0, 1, 2, 3])
})

test('completions: a stream', async () => {
  const { post } = scripted(() => 'né', 'plain')
  const events = await eventsOf(
    await post('/v1/completions', { model: 'scripted', prompt: 'a', max_tokens: 3, stream: true, stream_options: { include_usage: true } }),
  )
  assert.equal(events.at(-1)!.data, '[DONE]')
  assert.equal(
    events
      .slice(0, -1)
      .map(({ data }) => data.choices[0]?.text ?? '')
      .join(''),
    'né',
  )
  assert.equal(events.at(-2)!.data.usage.completion_tokens, 3)
})

test('a base model has no tools, and says so', async () => {
  const { post } = scripted(() => 'x', 'plain')
  const response = await post('/v1/chat/completions', {
    model: 'scripted',
    messages: [{ role: 'user', content: 'Hi' }],
    tools: [{ type: 'function', function: { name: 'f' } }],
  })
  assert.equal(response.status, 400)
  assert.equal((await jsonOf(response)).error.code, 'tools_not_supported')
})

test('tokenize, detokenize, apply-template', async () => {
  const { post } = scripted(() => final('ok'))
  const { tokens } = await jsonOf(post('/tokenize', { content: 'é<|end|>' }))
  assert.deepEqual(tokens, [...Buffer.from('é<|end|>')])
  assert.equal((await jsonOf(post('/detokenize', { tokens }))).content, 'é<|end|>')
  assert.equal((await post('/detokenize', { tokens: [100_000] })).status, 400)
  const { prompt } = await jsonOf(post('/apply-template', { messages: [{ role: 'user', content: 'Hi' }] }))
  assert.match(prompt, /<\|start\|>user<\|message\|>Hi<\|end\|><\|start\|>assistant$/)
  assert.equal((await post('/v1/embeddings', { model: 'scripted', input: 'x' })).status, 400)
})

async function linesOf(response: Response): Promise<Json[]> {
  assert.equal(response.headers.get('content-type'), 'application/x-ndjson')
  return (await response.text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

test('Ollama: chat streams lines, thinks, calls tools with objects, ends with durations', async () => {
  const { post, engine } = scripted((prompt) =>
    /to=assistant/.test(prompt) ? final('Sunny.') : analysis('Hm.') + call('w', '{"city":"Rome"}'),
  )
  const tools = [{ type: 'function', function: { name: 'w', parameters: { type: 'object', properties: { city: { type: 'string' } } } } }]
  const question = { role: 'user', content: 'Weather?' }
  const lines = await linesOf(await post('/api/chat', { model: 'scripted:latest', messages: [question], tools }))
  assert.equal(lines.map(({ message }) => message.thinking ?? '').join(''), 'Hm.')
  const called = lines.find(({ message }) => message.tool_calls)!.message
  assert.deepEqual(called.tool_calls[0].function, { name: 'w', arguments: { city: 'Rome' } })
  const last = lines.at(-1)!
  assert.ok(last.done && last.done_reason === 'stop' && last.eval_count > 0 && Number.isInteger(last.total_duration))
  const again = await jsonOf(
    post('/api/chat', {
      model: 'scripted',
      stream: false,
      tools,
      messages: [
        question,
        { role: 'assistant', content: '', thinking: 'Hm.', tool_calls: [{ function: called.tool_calls[0].function }] },
        { role: 'tool', content: 'sun', tool_name: 'w' },
      ],
    }),
  )
  assert.equal(again.message.content, 'Sunny.')
  assert.match(engine.prompts.at(-1)!, /analysis<\|message\|>Hm\.<.*functions\.w to=assistant.*sun/s)
})

test('Ollama: generate, raw, think levels, probes, load and unload', async () => {
  const { post, get, engine } = scripted(() => final('ok'))
  const whole = await jsonOf(
    post('/api/generate', {
      model: 'scripted',
      prompt: 'Hi',
      system: 'Be brief.',
      think: 'high',
      stream: false,
      options: { num_predict: 50, temperature: 0, seed: 1 },
    }),
  )
  assert.equal(whole.response, 'ok')
  assert.match(engine.prompts[0]!, /Reasoning: high.*Be brief\./s)
  assert.equal(engine.options[0]!.sampling!.temperature, 0)
  await post('/api/generate', { model: 'scripted', prompt: 'Once', raw: true, stream: false })
  assert.equal(engine.prompts[1], 'Once')
  assert.match((await jsonOf(get('/api/version'))).version, /^\d/)
  assert.equal((await jsonOf(get('/api/tags'))).models[0].name, 'scripted')
  assert.deepEqual((await jsonOf(post('/api/show', { model: 'scripted' }))).capabilities, ['completion', 'tools', 'thinking'])
  assert.equal((await jsonOf(get('/api/ps'))).models.length, 1)
  assert.equal((await jsonOf(post('/api/chat', { model: 'scripted', messages: [], keep_alive: 0 }))).done_reason, 'unload')
  assert.equal((await jsonOf(get('/api/ps'))).models.length, 0)
  assert.equal((await jsonOf(post('/api/generate', { model: 'scripted' }))).done_reason, 'load')
  const missing = await post('/api/chat', { model: 'x', messages: [] })
  assert.equal(missing.status, 404)
  assert.equal(typeof (await jsonOf(missing)).error, 'string')
})

test('Ollama: a list as arguments becomes an object, which the server reads again', async () => {
  const { post } = scripted((_, n) => (n === 0 ? call('w', '[1]') : final('ok')))
  const asked = { model: 'scripted', stream: false, tools: [{ type: 'function', function: { name: 'w', parameters: { type: 'object' } } }] }
  const question = { role: 'user', content: 'Weather?' }
  const { message } = await jsonOf(post('/api/chat', { ...asked, messages: [question] }))
  assert.deepEqual(message.tool_calls[0].function.arguments, { input: '[1]' })
  const again = await post('/api/chat', { ...asked, messages: [question, message, { role: 'tool', tool_name: 'w', content: 'r' }] })
  assert.equal(again.status, 200)
})

test('Ollama: keep_alive 0 unloads after a request, or when the answers that run have ended', async () => {
  const messages = [{ role: 'user', content: 'Hi' }]
  const loaded = async ({ get }: ReturnType<typeof scripted>) => (await jsonOf(get('/api/ps'))).models.length
  for (const keep_alive of [0, '0', '0s', '0m', '0h', '0h0m']) {
    for (const [path, body] of [
      ['/api/chat', { messages }],
      ['/api/chat', { messages, stream: false }],
      ['/api/generate', { prompt: 'Hi' }],
      ['/api/generate', {}],
    ] as const) {
      const server = scripted(() => final('ok'))
      await (await server.post(path, { model: 'scripted', ...body })).text()
      assert.equal(await loaded(server), 1)
      await (await server.post(path, { model: 'scripted', ...body, keep_alive })).text()
      assert.equal(await loaded(server), 0, `${path} ${keep_alive}`)
    }
  }
  for (const keep_alive of ['5m', -1, 30, '0.5h', '10s']) {
    const server = scripted(() => final('ok'))
    await (await server.post('/api/chat', { model: 'scripted', messages, keep_alive })).text()
    assert.equal(await loaded(server), 1, String(keep_alive))
  }
  for (const [isAskedAgain, wanted] of [
    [false, 0],
    [true, 1],
  ] as const) {
    const server = scripted(() => final('0123456789'), 'harmony', { delayMs: 3 })
    const running = server.post('/api/chat', { model: 'scripted', messages, stream: false })
    while (server.engine.running === 0) await new Promise((resolve) => setTimeout(resolve, 2))
    assert.equal((await jsonOf(server.post('/api/generate', { model: 'scripted', keep_alive: 0 }))).done_reason, 'unload')
    assert.equal(await loaded(server), 1, 'an answer runs')
    if (isAskedAgain) await (await server.post('/api/chat', { model: 'scripted', messages, stream: false })).text()
    assert.equal((await jsonOf(running)).message.content, '0123456789')
    assert.equal(await loaded(server), wanted)
  }
})
