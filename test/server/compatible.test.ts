/** What other servers' clients send and ask, and what they must get: one table for each kind of difference. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { routedPath } from '../../src/server/http/routes.ts'
import { analysis, counting, eventsOf, final, type Json, jsonOf, scripted } from './scripted-app.ts'

const messages = [{ role: 'user', content: 'Hi' }]
const chat = { model: 'scripted', messages }
const paths: Record<string, object> = {
  '/v1/chat/completions': { messages },
  '/v1/completions': { prompt: 'Hi' },
  '/v1/responses': { input: 'Hi' },
  '/v1/messages': { messages, max_tokens: 50 },
  '/api/chat': { messages, stream: false },
  '/api/generate': { prompt: 'Hi', stream: false },
}

/** Bytes, so that no content type is added. */
const bytes = (body: object) => new TextEncoder().encode(JSON.stringify(body))

for (const [path, body] of Object.entries(paths))
  test(`${path}: a body without a content type is JSON, but not from a page`, async () => {
    const { app } = scripted(() => final('ok'))
    const send = (headers: Record<string, string>) =>
      app.fetch(new Request(`http://localhost${path}`, { method: 'POST', body: bytes({ model: 'scripted', ...body }), headers }))
    assert.equal((await send({})).status, 200)
    for (const headers of [
      { 'content-type': 'text/plain' },
      { 'content-type': 'application/x-www-form-urlencoded' },
      { 'content-type': 'multipart/form-data; boundary=x' },
      { origin: 'http://localhost:3000' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-mode': 'no-cors' },
    ] as Record<string, string>[])
      assert.equal((await send(headers)).status, 415, JSON.stringify(headers))
  })

/** Phrases by which clients recognise a prompt that is too long, as their sources have them. */
const OVERFLOW = [/this model's maximum context length is/i, /maximum context length/, /prompt is too long/, /context_length_exceeded/]
for (const [path, body] of Object.entries(paths))
  test(`${path}: a prompt that is too long is recognised`, async () => {
    const { post } = scripted(() => final('ok'), 'harmony', { context: 300 })
    for (const length of [400, 300 * 24 + 1]) {
      const text = 'x'.repeat(length)
      const long = JSON.parse(JSON.stringify(body).replaceAll('"Hi"', JSON.stringify(text)))
      const response = await post(path, { model: 'scripted', ...long })
      const answer = await response.text()
      assert.equal(response.status, 400)
      for (const phrase of OVERFLOW) assert.match(answer, phrase)
      assert.equal(/at least/.test(answer), length > 400, 'an estimate is called one')
    }
  })

const many = [...Array.from({ length: 40 }, (_, i) => `stop${i}`), ' two', '']
const stops: [string, object, (answer: Json) => string][] = [
  ['/v1/chat/completions', { messages, stop: many }, (body) => body.choices[0].message.content],
  ['/v1/completions', { prompt: 'Hi', stop: many, max_tokens: 50 }, (body) => body.choices[0].text],
  ['/v1/messages', { messages, max_tokens: 50, stop_sequences: many }, (body) => body.content[0].text],
  ['/api/chat', { messages, stream: false, options: { stop: many } }, (body) => body.message.content],
  ['/api/generate', { prompt: 'Hi', stream: false, options: { stop: many } }, (body) => body.response],
]
for (const [path, body, textOf] of stops)
  test(`${path}: ${many.length} stop texts`, async () => {
    const { post } = scripted(() => (path === '/v1/completions' ? 'one two three' : final('one two three')))
    assert.equal(textOf(await jsonOf(post(path, { model: 'scripted', ...body }))), 'one')
  })

const called = { role: 'assistant', content: null, tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }] }
const nulls: [string, string, object][] = [
  ['a tool', '/v1/chat/completions', { messages: [...messages, called, { role: 'tool', tool_call_id: 'c', content: null }] }],
  ['a user', '/v1/chat/completions', { messages: [{ role: 'user', content: null }] }],
  ['a system', '/v1/chat/completions', { messages: [{ role: 'system', content: null }, ...messages] }],
  ['a developer', '/v1/chat/completions', { messages: [{ role: 'developer', content: null }, ...messages] }],
  ['an assistant', '/v1/chat/completions', { messages: [...messages, { role: 'assistant', content: null }, ...messages] }],
  [
    'a function',
    '/v1/chat/completions',
    {
      messages: [
        { role: 'assistant', function_call: { name: 'f', arguments: '{}' } },
        { role: 'function', name: 'f', content: null },
      ],
    },
  ],
  ['a message', '/v1/responses', { input: [{ type: 'message', role: 'user', content: null }] }],
  [
    'an output',
    '/v1/responses',
    {
      input: [
        { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c', output: null },
      ],
    },
  ],
  ['a tool of Ollama', '/api/chat', { stream: false, messages: [...messages, called, { role: 'tool', content: null }] }],
  [
    'a result',
    '/v1/messages',
    {
      max_tokens: 50,
      messages: [
        ...messages,
        { role: 'assistant', content: [{ type: 'tool_use', id: 'c', name: 'f', input: {} }] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c', content: null }] },
      ],
    },
  ],
]
for (const [who, path, body] of nulls)
  test(`${path}: the content of ${who} may be null`, async () => {
    const { post } = scripted(() => final('ok'))
    const response = await post(path, { model: 'scripted', ...body })
    assert.equal(response.status, 200, await response.text())
  })

test('a content that fits nothing is refused with what is expected', async () => {
  const { post } = scripted(() => final('ok'))
  const error = async (content: unknown) =>
    (await jsonOf(post('/v1/chat/completions', { ...chat, messages: [{ role: 'user', content }] }))).error.message
  assert.equal(await error(5), 'messages[0].content: expected string or array, received number.')
  assert.match(await error(undefined), /messages\[0\]\.content: expected string or array, received undefined/)
})

const unlimited: [string, object][] = [
  ['/v1/chat/completions', { messages, max_tokens: -1 }],
  ['/v1/chat/completions', { messages, max_tokens: 0 }],
  ['/v1/chat/completions', { messages, max_completion_tokens: -1, top_p: 0 }],
  ['/v1/completions', { prompt: 'Hi', max_tokens: -1, top_p: 0 }],
  ['/v1/responses', { input: 'Hi', max_output_tokens: -1, top_p: 0 }],
  ['/api/chat', { messages, stream: false, options: { num_predict: -1, top_p: 0 } }],
  ['/api/generate', { prompt: 'Hi', stream: false, options: { num_predict: -2, top_p: 0 } }],
]
for (const [path, body] of unlimited)
  test(`${path} ${JSON.stringify(body).slice(1, -1)}: no limit, the likeliest token`, async () => {
    const { post } = scripted(() => (path === '/v1/completions' ? counting(30) + '<|return|>' : final(counting(30))))
    const response = await post(path, { model: 'scripted', ...body })
    assert.equal(response.status, 200, await response.clone().text())
    assert.match(await response.text(), / 28 29/)
  })

const lengths: [string, object, (answer: Json) => number][] = [
  ['/v1/chat/completions', { messages, max_tokens: 40 }, (body) => body.usage.completion_tokens],
  ['/v1/completions', { prompt: 'Hi', max_tokens: 40 }, (body) => body.usage.completion_tokens],
  ['/v1/responses', { input: 'Hi', max_output_tokens: 40 }, (body) => body.usage.output_tokens],
  ['/v1/messages', { messages, max_tokens: 40 }, (body) => body.usage.output_tokens],
  ['/api/chat', { messages, stream: false, options: { num_predict: 40 } }, (body) => body.eval_count],
]
for (const [path, body, count] of lengths)
  for (const format of ['qwen', 'plain'] as const)
    test(`${path} on ${format}: min_tokens and ignore_eos`, async () => {
      const end = format === 'qwen' ? '<|im_end|>' : '<|endoftext|>'
      const { post } = scripted(() => `Hello.${end}`, format)
      const given = (fields: object) =>
        'options' in body ? { ...body, options: { ...(body.options as object), ...fields } } : { ...body, ...fields }
      const tokens = async (fields: object) => count(await jsonOf(post(path, { model: 'scripted', ...given(fields) })))
      const plain = await tokens({})
      assert.ok(plain < 15, String(plain))
      assert.equal(await tokens({ ignore_eos: true }), 40)
      const least = await tokens({ min_tokens: 20 })
      assert.ok(least >= 20 && least <= 40, String(least))
    })

test('a form that is complete ends an answer also under ignore_eos', async () => {
  const { post } = scripted(() => final('yes'))
  const body = await jsonOf(post('/v1/chat/completions', { ...chat, ignore_eos: true, structured_outputs: { choice: ['yes', 'no'] } }))
  assert.deepEqual([body.choices[0].message.content, body.choices[0].finish_reason], ['yes', 'stop'])
})

const discovered: [string, RegExp][] = [
  ['/version', /"version"/],
  ['/api/version', /"version":"0\.(1[3-9]|[2-9]\d)\.\d+"/],
  ['/server_info', /"served_model_name":"scripted"/],
  ['/get_server_info', /"max_running_requests":4/],
  ['/model_info', /"is_generation":true/],
  ['/get_model_info', /"max_model_len":65536/],
  ['/v1/loads', /"num_waiting_reqs":0/],
  ['/loads', /"max_total_num_tokens":262144/],
  ['/get_load', /"loads"/],
  ['/load', /"server_load":0/],
  ['/ping', /"ok"/],
  ['/tokenizer_info', /"eos_token":"<\|endoftext\|>"/],
  ['/v1/models', /"max_model_len":65536/],
  ['/v1/models', /"type":"model".*"has_more":false/],
]
for (const [path, wanted] of discovered)
  test(`GET ${path} answers`, async () => {
    const { post, get } = scripted(() => final('ok'))
    await post('/v1/chat/completions', chat) // loads the model
    const response = await get(path)
    assert.equal(response.status, 200)
    assert.match(await response.text(), wanted)
  })

const spellings: [string, string, string][] = [
  ['/v1/models', '', '/v1/models'],
  ['/v1/models/', '', '/v1/models'],
  ['/models', '', '/v1/models'],
  ['/models/a/b', '', '/v1/models/a/b'],
  ['/chat/completions', '', '/v1/chat/completions'],
  ['/v1/v1/messages', '', '/v1/messages'],
  ['//v1//chat/completions/', '', '/v1/chat/completions'],
  ['/responses/resp_1', '', '/v1/responses/resp_1'],
  ['/completions', '', '/v1/completions'],
  ['/', '', '/'],
  ['/health/', '', '/health'],
  ['/api/chat/', '', '/api/chat'],
  ['/nothing', '', '/nothing'],
  ['/llm/v1/models', '/llm', '/v1/models'],
  ['/llm', '/llm', '/'],
  ['/llm/', '/llm', '/'],
  ['/llm/api/tags', '/llm', '/api/tags'],
  ['/v1/models', '/llm', ''],
  ['/llmx/v1/models', '/llm', ''],
  ['/health', '/llm', '/health'],
]
for (const [path, prefix, wanted] of spellings)
  test(`the path ${path} under "${prefix}"`, () => assert.equal(routedPath(path, prefix), wanted))

test('paths are answered in their other spellings, and only under a prefix where there is one', async () => {
  const { post, get } = scripted(() => final('ok'))
  for (const path of ['/chat/completions', '/v1/chat/completions/', '/v1/v1/chat/completions'])
    assert.equal((await post(path, chat)).status, 200, path)
  assert.equal((await get('/v1/models/scripted/')).status, 200)
  const under = scripted(() => final('ok'), 'harmony', { prefix: '/llm' })
  assert.equal((await under.post('/llm/v1/chat/completions', chat)).status, 200)
  assert.equal((await under.post('/v1/chat/completions', chat)).status, 404)
  assert.equal((await under.get('/health')).status, 200)
})

test('a page may ask before it sends a key, with the headers that it names', async () => {
  const { app } = scripted(() => final('ok'), 'harmony', { apiKeys: ['k'], origins: ['http://app.example', 'vscode-webview://*'] })
  const preflight = (origin: string) =>
    app.fetch(
      new Request('http://localhost/v1/chat/completions', {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,x-title,user-agent' },
      }),
    )
  for (const origin of ['http://localhost:3000', 'http://app.example', 'vscode-webview://1a2b']) {
    const response = await preflight(origin)
    assert.equal(response.status, 204, origin)
    assert.equal(response.headers.get('access-control-allow-origin'), origin)
    assert.equal(response.headers.get('access-control-allow-headers'), 'authorization,x-title,user-agent')
  }
  for (const origin of ['http://evil.example', 'http://app.example.evil', 'null', 'vscode-webviewx://1'])
    assert.equal((await preflight(origin)).status, 403, origin)
  const unkeyed = new Request('http://localhost/v1/models', { headers: { origin: 'http://app.example' } })
  assert.equal((await app.fetch(unkeyed)).status, 401)
})

test('chunks before the last have a usage of null where usage was asked for', async () => {
  const { post } = scripted(() => analysis('Hm.') + final('ok'))
  const events = await eventsOf(await post('/v1/chat/completions', { ...chat, stream: true, stream_options: { include_usage: true } }))
  const usages = events.slice(0, -1).map(({ data }) => data.usage)
  assert.ok(usages.at(-1).total_tokens > 0)
  assert.ok(usages.slice(0, -1).every((usage) => usage === null))
  const without = await eventsOf(await post('/v1/chat/completions', { ...chat, stream: true }))
  assert.ok(without.slice(0, -1).every(({ data }) => !('usage' in data)))
})

test('listed aliases are models to clients', async () => {
  const { model } = (await import('./scripted-app.ts')).scriptedModel(() => final('ok'))
  const entry = { id: 'org/name', aliases: ['name'], listedAliases: ['gpt-4o'], load: async () => model }
  const { post, get } = scripted(() => '', 'harmony', { models: [entry] })
  assert.deepEqual(
    (await jsonOf(get('/v1/models'))).data.map(({ id }: Json) => id),
    ['org/name', 'gpt-4o'],
  )
  assert.equal((await jsonOf(get('/v1/models/gpt-4o'))).parent, 'org/name')
  for (const name of ['org/name', 'name', 'gpt-4o', 'gpt-4o:latest']) {
    const answer = await jsonOf(post('/v1/chat/completions', { ...chat, model: name }))
    assert.equal(answer.model, name)
  }
})

test('embeddings are refused with a status that clients do not retry', async () => {
  const { post } = scripted(() => final('ok'))
  for (const path of ['/v1/embeddings', '/api/embed', '/api/embeddings'])
    assert.equal((await post(path, { model: 'scripted', input: 'x', prompt: 'x' })).status, 400, path)
})

test('a client that leaves while it sends its body is no error of the server', async () => {
  const { app, log } = scripted(() => final('ok'))
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('{"model":'))
      setTimeout(() => controller.error(new Error('aborted')), 5)
    },
  })
  const headers = { 'content-type': 'application/json' }
  const request = new Request('http://localhost/v1/chat/completions', { method: 'POST', body, headers, duplex: 'half' } as RequestInit)
  const { status } = await app.fetch(request)
  assert.ok(status >= 400 && status < 500, String(status))
  assert.ok(
    log.every(({ level }) => level === 'info'),
    JSON.stringify(log),
  )
})

test('the thinking of a running answer is ended by its id, and by no other key', async () => {
  const server = scripted(() => analysis(counting(3_000)) + final('Done.'), 'harmony', { delayMs: 1, apiKeys: ['alice', 'bob'] })
  const as = (key: string) => ({ authorization: `Bearer ${key}` })
  const response = await server.post('/v1/chat/completions', { ...chat, stream: true, reasoning_control: true }, as('alice'))
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  while (!text.includes('"reasoning":"')) text += (await reader.read()).value
  const id = /"id":"(chatcmpl-[^"]+)"/.exec(text)![1]
  const end = async (key: string, of = id) =>
    (await jsonOf(server.post('/v1/chat/completions/control', { id: of, action: 'reasoning_end' }, as(key)))).success
  assert.deepEqual([await end('bob'), await end('alice', 'chatcmpl-none'), await end('alice')], [false, false, true])
  for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value
  assert.ok(!text.includes('2999'))
  assert.match(text, /"content":"[^"]+"/)
  assert.equal(await end('alice'), false)
  assert.equal((await server.post('/v1/chat/completions/control', { id, action: 'other' }, as('alice'))).status, 400)
})

test('a default of thinking holds where a request says nothing of it', async () => {
  const { post, engine } = scripted(() => analysis('Hm.') + final('ok'), 'harmony', { thinking: 'low' })
  await post('/v1/chat/completions', chat)
  await post('/v1/chat/completions', { ...chat, reasoning_effort: 'high' })
  assert.deepEqual(
    engine.prompts.map((prompt) => /Reasoning: (\w+)/.exec(prompt)![1]),
    ['low', 'high'],
  )
})
