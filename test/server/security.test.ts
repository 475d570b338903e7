/** Access and input checks: one test per class of published vulnerabilities of similar servers. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import test from 'node:test'
import { listen } from '../../src/server/node.ts'
import { final, jsonOf, scripted } from './scripted-app.ts'

const ok = () => final('ok')
const hi = { model: 'scripted', messages: [{ role: 'user', content: 'Hi' }] }
const chat = '/v1/chat/completions'

/** Sends raw bytes and returns all that comes back. */
function raw(url: string, text: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    let received = ''
    const socket = connect(Number(port), hostname, () => socket.write(text))
    socket.setTimeout(5_000, () => socket.destroy())
    socket.on('data', (data) => (received += data))
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve(received) : reject(error),
    )
    socket.on('close', () => resolve(received))
  })
}

test('DNS rebinding (CVE-2024-28224, CVE-2025-66414, CVE-2026-34742): a foreign Host is refused on every route and transport', async () => {
  const { post, get } = scripted(ok)
  for (const host of ['evil.example', 'evil.example:8080', 'localhost.evil.example', '127.0.0.1.evil.example', '2130706433', 'a b', '']) {
    for (const response of [
      await post(chat, hi, { host }),
      await post(chat, { ...hi, stream: true }, { host }),
      await post('/v1/responses', { model: 'scripted', input: 'Hi', stream: true }, { host }),
      await get('/v1/models', { host }),
      await get('/', { host }),
      await get('/slots', { host }),
    ])
      assert.equal(response.status, 403, host)
  }
  for (const host of ['localhost', 'LOCALHOST:1234', '127.0.0.1', '127.8.8.8:80', '[::1]:80', 'x.localhost', 'svc.internal'])
    assert.equal((await get('/v1/models', { host })).status, 200, host)
  // Neighbours on the network may answer for names under .local (multicast DNS).
  assert.equal((await get('/v1/models', { host: 'box.local' })).status, 403)
  const listed = scripted(ok, 'harmony', { hosts: ['my.example', '*.local', '*.Svc.example'] })
  for (const host of ['my.example:80', 'box.local', 'BOX.local:8080', 'a.b.local', 'x.svc.example'])
    assert.equal((await listed.get('/v1/models', { host })).status, 200, host)
  for (const host of ['local', 'notlocal', 'svc.example', 'box.local.evil.example', 'x.my.example'])
    assert.equal((await listed.get('/v1/models', { host })).status, 403, host)
})

test('cross-site requests: a foreign Origin is refused and gets no allow header; the body must be JSON', async () => {
  const { post, app } = scripted(ok)
  for (const origin of ['https://evil.example', 'null', 'http://localhost.evil.example', 'file://', 'http://box.local']) {
    const response = await post(chat, hi, { origin })
    assert.equal(response.status, 403, origin)
    assert.equal(response.headers.get('access-control-allow-origin'), null)
  }
  const own = await post(chat, hi, { origin: 'http://localhost:3000' })
  assert.equal(own.status, 200)
  assert.equal(own.headers.get('access-control-allow-origin'), 'http://localhost:3000')
  assert.equal(own.headers.get('access-control-allow-credentials'), null)
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', ''])
    assert.equal((await post(chat, hi, { 'content-type': type })).status, 415, type)
  const preflight = await app.fetch(
    new Request(`http://localhost${chat}`, { method: 'OPTIONS', headers: { origin: 'http://localhost:3000' } }),
  )
  assert.equal(preflight.status, 204)
})

test('keys (CVE-2025-59425): every route but health asks, in constant time, and one wrong letter is as wrong as none', async () => {
  const { post, get } = scripted(ok, 'harmony', { apiKeys: ['correct-horse', 'battery'] })
  const wrong: Record<string, string>[] = [
    {},
    { authorization: 'Bearer wrong' },
    { authorization: 'Bearer correct-hors' },
    { authorization: 'Bearer correct-horse2' },
    { authorization: 'Basic correct-horse' },
    { 'x-api-key': '' },
  ]
  for (const headers of wrong) {
    for (const path of [
      '/v1/models',
      '/v1/models/scripted',
      '/metrics',
      '/slots',
      '/props',
      '/openapi.json',
      '/api/tags',
      '/api/ps',
      '/v1/responses/resp_1',
    ]) {
      const response = await get(path, headers)
      assert.equal(response.status, 401, path)
      const { error } = await jsonOf(response)
      if (!path.startsWith('/api/')) assert.equal(error.type, 'authentication_error')
    }
    for (const path of [chat, '/v1/responses', '/v1/completions', '/api/chat', '/api/generate', '/tokenize', '/nowhere'])
      assert.equal((await post(path, hi, headers)).status, 401, path)
  }
  assert.equal((await post(chat, hi, { authorization: 'Bearer correct-horse' })).status, 200)
  assert.equal((await post(chat, hi, { 'x-api-key': 'battery' })).status, 200)
  for (const path of ['/', '/health', '/v1/health', '/livez', '/readyz']) assert.equal((await get(path)).status, 200, path)
})

test('sizes (CVE-2025-48956, CVE-2024-12886): headers, bodies and compressed bodies are bounded before they are buffered', async () => {
  const { app } = scripted(ok)
  const listening = await listen(app, { port: 0 })
  try {
    const header = await raw(listening.url, `GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX-Big: ${'a'.repeat(17 * 1024)}\r\n\r\n`)
    assert.match(header, /^HTTP\/1\.1 431 .*"invalid_request_error"/s)
    const before = process.memoryUsage.rss()
    const announced = await raw(
      listening.url,
      `POST ${chat} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n{`,
    )
    assert.match(announced, /^HTTP\/1\.1 413 /)
    const chunk = `100000\r\n${'a'.repeat(0x100000)}\r\n`
    const streamed = await raw(
      listening.url,
      `POST ${chat} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(40)}0\r\n\r\n`,
    )
    assert.match(streamed, /^HTTP\/1\.1 413 /)
    assert.ok(process.memoryUsage.rss() - before < 200 * 2 ** 20)
  } finally {
    await listening.close(0)
  }
  assert.equal((await scripted(ok).post(chat, hi, { 'content-encoding': 'gzip' })).status, 415)
})

test('ranges (CVE-2026-21869, CVE-2025-48944, GHSA-7rxv-5jhh-j6xx): every number is checked before the engine', async () => {
  const { post, engine } = scripted(ok)
  const bad: [string, string][] = [
    ['max_tokens', '-2'],
    ['max_tokens', '1.5'],
    ['max_tokens', '1e309'],
    ['max_completion_tokens', '9007199254740993'],
    ['temperature', '-0.1'],
    ['temperature', '1e309'],
    ['temperature', '"hot"'],
    ['top_p', '-0.1'],
    ['top_p', '2'],
    ['n', '9'],
    ['n', '0'],
    ['top_logprobs', '21'],
    ['top_k', '-2'],
    ['seed', '1.5'],
    ['frequency_penalty', '3'],
    ['stop', JSON.stringify(Array.from({ length: 257 }, String))],
    ['stop', JSON.stringify('x'.repeat(1025))],
    ['min_tokens', '-1'],
    ['ignore_eos', '1'],
    ['logit_bias', '{"-1":1}'],
    ['logit_bias', '{"1":1e309}'],
    ['logit_bias', '{"__proto__":{"x":1}}'],
    ['stream', '"yes"'],
    ['tools', '[{"type":"function","function":{"name":1}}]'],
    ['tools', '[{"type":"function","function":{"name":"f","parameters":"x"}}]'],
    ['tools', '{"pattern":1}'],
    ['response_format', '{"type":"json_schema"}'],
    ['response_format', '{"type":"xml"}'],
    ['tool_choice', '"required"'],
    ['tool_choice', '{"type":"function","function":{"name":"f"}}'],
  ]
  for (const [field, value] of bad) {
    const response = await post(chat, `{"model":"scripted","messages":[{"role":"user","content":"Hi"}],"${field}":${value}}`)
    if (field === 'logit_bias' && value.includes('__proto__')) assert.equal(response.status, 200)
    else assert.equal(response.status, 400, `${field} ${value}`)
    const body = await jsonOf(response)
    if (response.status === 400) assert.deepEqual(Object.keys(body.error).sort(), ['code', 'message', 'param', 'type'])
  }
  for (const messages of [
    'null',
    '"Hi"',
    '[]',
    '[123]',
    '[{}]',
    '[{"role":"user"}]',
    '[{"role":123,"content":"x"}]',
    '[{"role":"user","content":123}]',
    '[{"role":"tool","content":"x"}]',
  ])
    assert.equal((await post(chat, `{"model":"scripted","messages":${messages}}`)).status, 400, messages)
  for (const prompt of ['[]', '[-1]', '[1e9]', '[1.5]', '[[]]', '[["a"]]', 'null', '[999999]'])
    assert.equal((await post('/v1/completions', `{"model":"scripted","prompt":${prompt}}`)).status, 400, prompt)
  assert.equal(engine.prompts.length, 1)
})

test('JSON bombs: nesting, prototypes, invalid UTF-8 and duplicate keys are harmless', async () => {
  const { post, app } = scripted(ok)
  for (const deep of ['['.repeat(100_000), `${'{"a":'.repeat(70)}1${'}'.repeat(70)}`]) assert.equal((await post(chat, deep)).status, 400)
  const polluted = await post(
    chat,
    '{"model":"scripted","messages":[{"role":"user","content":"Hi","__proto__":{"polluted":1}}],"__proto__":{"polluted":1},"\\u005f_proto__":{"polluted":1}}',
  )
  assert.equal(polluted.status, 200)
  assert.equal(({} as { polluted?: number }).polluted, undefined)
  const invalid = new Request(`http://localhost${chat}`, {
    method: 'POST',
    body: Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d),
    headers: { 'content-type': 'application/json' },
  })
  assert.equal((await app.fetch(invalid)).status, 400)
  assert.equal((await post(chat, '')).status, 400)
  assert.equal((await post(chat, '{"model":"scripted","messages":')).status, 400)
})

test('a seed that the engine refuses is a 400 that names the field, on every route', async () => {
  const { post } = scripted(ok)
  const messages = hi.messages
  const routes: [path: string, field: string, body: (seed: number) => object][] = [
    [chat, 'seed', (seed) => ({ messages, seed })],
    ['/v1/completions', 'seed', (seed) => ({ prompt: 'Hi', seed })],
    ['/v1/responses', 'seed', (seed) => ({ input: 'Hi', seed })],
    ['/v1/responses/compact', 'seed', (seed) => ({ input: 'Hi', seed })],
    ['/api/chat', 'options.seed', (seed) => ({ messages, options: { seed } })],
    ['/api/generate', 'options.seed', (seed) => ({ prompt: 'Hi', options: { seed } })],
    ['/api/generate', 'options.seed', (seed) => ({ prompt: 'Hi', raw: true, options: { seed } })],
  ]
  for (const [path, field, body] of routes) {
    for (const seed of [1.5, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, 2 ** 63, -(2 ** 63), 1e300]) {
      const response = await post(path, { model: 'scripted', ...body(seed) })
      assert.equal(response.status, 400, `${path} ${seed}`)
      const { error } = await jsonOf(response)
      assert.match(
        path.startsWith('/api/') ? error : error.message,
        new RegExp(`^${field}: Expected an integer from -9007199254740984 to 9007199254740984`),
      )
      if (!path.startsWith('/api/')) assert.equal(error.param, field)
    }
    for (const seed of [0, -1, Number.MAX_SAFE_INTEGER - 7, 7 - Number.MAX_SAFE_INTEGER])
      assert.equal((await post(path, { model: 'scripted', ...body(seed) })).status, 200, `${path} ${seed}`)
  }
  // The seeds of several answers count on from the one that was given.
  const most = { seed: Number.MAX_SAFE_INTEGER - 7, n: 8, temperature: 1 }
  assert.equal((await post(chat, { ...hi, ...most })).status, 200)
  assert.equal((await post(chat, { ...hi, ...most, seed: -1 })).status, 200)
  assert.equal((await post('/v1/completions', { model: 'scripted', prompt: ['a', 'b'], ...most })).status, 200)
  assert.equal((await post(chat, { ...hi, repetition_penalty: 1e-9 })).status, 400)
})

test('templates (CVE-2024-34359, CVE-2025-61620, CVE-2025-62426): nothing of a request is evaluated or steers a template', async () => {
  const { post, engine } = scripted(ok)
  const attack = '{{ cycler.__init__.__globals__.os.popen("id").read() }}'
  const asked = { ...hi, messages: [{ role: 'user', content: attack }] }
  for (const fields of [{ chat_template: attack }, { chat_template_kwargs: { chat_template: attack, tokenize: false, messages: [] } }])
    assert.equal((await post(chat, { ...asked, ...fields })).status, 400)
  assert.equal((await post(chat, { ...asked, chat_template_kwargs: { enable_thinking: true } })).status, 200)
  assert.ok(engine.prompts[0]!.includes(`user<|message|>${attack}<|end|>`))
  assert.equal((await post('/api/generate', { model: 'scripted', prompt: 'x', template: attack })).status, 400)
})

test('names and paths (CVE-2024-37032, CVE-2026-7020): a model is a name in the registry and never a path or a download', async () => {
  const { post, get } = scripted(ok)
  for (const model of [
    '../../etc/passwd',
    '/etc/passwd',
    '..\\..\\x',
    'C:\\x',
    'scripted\u0000',
    'http://evil.example/x',
    'openai/gpt-oss-20b',
    '__proto__',
    'constructor',
  ]) {
    const response = await post(chat, { ...hi, model })
    assert.equal(response.status, 404, model)
    assert.equal((await jsonOf(response)).error.code, 'model_not_found')
    assert.equal((await post('/api/chat', { ...hi, model })).status, 404)
    assert.equal((await get(`/v1/models/${encodeURIComponent(model)}`)).status, 404)
  }
  // Models are managed only where the server was started for it.
  for (const [path, status] of [
    ['/api/pull', 403],
    ['/api/copy', 403],
    ['/api/push', 400],
    ['/api/create', 400],
    ['/api/delete', 405],
    ['/api/blobs/sha256:0', 404],
    ['/v1/files', 404],
  ] as const)
    assert.equal((await post(path, { model: 'x', source: 'scripted', destination: 'y' })).status, status, path)
  for (const id of ['resp_../../x', '..%2f..%2fx', 'x'.repeat(300), '%00', '%ff'])
    assert.ok([400, 404].includes((await get(`/v1/responses/${id}`)).status), id)
})

test('outbound requests (CVE-2025-6242): no address in a request is ever fetched', async () => {
  const { post, engine } = scripted(ok)
  for (const url of ['http://169.254.169.254/', 'file:///etc/passwd', 'data:image/png;base64,AAAA']) {
    const part = { type: 'image_url', image_url: { url } }
    assert.equal((await post(chat, { ...hi, messages: [{ role: 'user', content: [part] }] })).status, 400)
    const item = { role: 'user', content: [{ type: 'input_image', image_url: url }] }
    assert.equal((await post('/v1/responses', { model: 'scripted', input: [item] })).status, 400)
    assert.equal((await post('/api/chat', { ...hi, messages: [{ role: 'user', content: 'x', images: [url] }] })).status, 400)
  }
  assert.equal(engine.prompts.length, 0)
})

test('tool arguments and output (CVE-2025-9141): what a model writes is data, and leaves as JSON', async () => {
  const evil = `</script><script>alert(1)</script>__import__("os").system("id")`
  const { post } = scripted(() => `<|channel|>commentary to=functions.f <|constrain|>json<|message|>${evil}<|call|>`)
  const tools = [{ type: 'function', function: { name: 'f' } }]
  const response = await post(chat, { ...hi, tools })
  assert.match(response.headers.get('content-type')!, /^application\/json/)
  assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
  assert.equal((await jsonOf(response)).choices[0].message.tool_calls[0].function.arguments, evil)
})

test('logs: no prompts, no keys, no line breaks from clients', async () => {
  const { post, get, log } = scripted(ok, 'harmony', { apiKeys: ['top-secret-key'] })
  const headers = { authorization: 'Bearer top-secret-key' }
  await post(chat, { ...hi, messages: [{ role: 'user', content: 'my private words' }], user: 'private-user' }, headers)
  await get('/v1/models/x%0d%0aforged=1', headers)
  const text = JSON.stringify(log)
  assert.ok(log.length >= 2)
  for (const hidden of ['my private words', 'top-secret-key', 'private-user']) assert.ok(!text.includes(hidden), hidden)
  assert.ok(log.every((line) => Object.values(line).every((value) => !/[\r\n]/.test(String(value)) || line.level === 'error')))
})

test('wrong methods get 405 with Allow, unknown paths 404, all in one error form', async () => {
  const { app, get } = scripted(ok)
  const wrong = await get(chat)
  assert.equal(wrong.status, 405)
  assert.match(wrong.headers.get('allow')!, /POST/)
  for (const [method, path, status] of [
    ['DELETE', '/v1/models', 405],
    ['PUT', chat, 405],
    ['GET', '/v2/x', 404],
    ['PATCH', '/v1/responses/resp_1', 405],
  ] as const) {
    const response = await app.fetch(new Request(`http://localhost${path}`, { method }))
    assert.equal(response.status, status, `${method} ${path}`)
    assert.equal((await jsonOf(response)).error.type, 'invalid_request_error')
  }
  const head = await app.fetch(new Request('http://localhost/', { method: 'HEAD' }))
  assert.equal(head.status, 200)
})

test('a valid key counts beside a placeholder in the other header, and is whose request it is', async () => {
  const { post, get } = scripted(ok, 'harmony', { apiKeys: ['alice', 'bob'] })
  const { id } = await jsonOf(post('/v1/responses', { model: 'scripted', input: 'Hi' }, { authorization: 'Bearer alice' }))
  for (const [headers, status] of [
    [{ authorization: 'Bearer none', 'x-api-key': 'alice' }, 200],
    [{ authorization: 'Bearer alice', 'x-api-key': 'none' }, 200],
    [{ authorization: 'Bearer none', 'x-api-key': 'bob' }, 404],
    [{ authorization: 'Bearer none', 'x-api-key': 'none' }, 401],
  ] as const)
    assert.equal((await get(`/v1/responses/${id}`, headers)).status, status, JSON.stringify(headers))
})
