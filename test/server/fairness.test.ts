/** One client must not keep others away: readers beside those that do not read, half-sent bodies, bytes in flight, queues and stores by key. */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import test from 'node:test'
import { type Listening, listen } from '../../src/server/node.ts'
import { counting, final, type Json, jsonOf, scripted } from './scripted-app.ts'

const chat = '/v1/chat/completions'
const ask = (content: string, more: object = {}) => ({ model: 'scripted', messages: [{ role: 'user', content }], ...more })
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const script = (prompt: string) => final(prompt.includes('much') ? counting(20_000) : 'ok')
const keyed = (key: string) => ({ authorization: `Bearer ${key}` })

async function post(
  listening: Listening,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; json: Json; ms: number }> {
  const started = performance.now()
  const response = await fetch(`${listening.url}${chat}`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  })
  return { status: response.status, json: await response.json(), ms: performance.now() - started }
}

/** Sends headers that announce `length` bytes, and these bytes of the body. */
function send(listening: Listening, length: number, bytes: string, headers: Record<string, string> = {}): Socket {
  const { hostname, port } = new URL(listening.url)
  const all = { host: 'localhost', 'content-type': 'application/json', 'content-length': length, ...headers }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  const socket = connect(Number(port), hostname, () => socket.write(`POST ${chat} HTTP/1.1\r\n${lines.join('')}\r\n${bytes}`))
  socket.on('error', () => {})
  return socket
}

async function serving(app: Parameters<typeof listen>[0], use: (listening: Listening, sockets: Socket[]) => Promise<void>, limits = {}) {
  const listening = await listen(app, { port: 0, limits })
  const sockets: Socket[] = []
  try {
    await use(listening, sockets)
  } finally {
    for (const socket of sockets) socket.destroy()
    await listening.close(0)
  }
}

for (const [slots, more] of [
  [8, { logprobs: true, top_logprobs: 20 }],
  [2, {}],
] as const)
  test(`${slots} clients that do not read their streams do not hold the ${slots} slots`, async () => {
    const { app, engine } = scripted(script, 'harmony', { slots, context: 4_000_000 })
    await serving(app, async (listening, sockets) => {
      const body = JSON.stringify(ask('much', { stream: true, ...more }))
      for (let i = 0; i < slots; i++) sockets.push(send(listening, body.length, body).pause())
      while (engine.running < slots) await pause(5)
      for (let seen = -1; engine.generated > seen; await pause(100)) seen = engine.generated // until their buffers are full
      const { status, json, ms } = await post(listening, ask('few'))
      assert.deepEqual([status, json.choices[0].message.content], [200, 'ok'])
      assert.ok(ms < 2000, `${ms} ms`)
    })
  })

test('half-sent bodies hinder nobody: without keys, and of another key', async () => {
  for (const apiKeys of [[], ['alice', 'bob']]) {
    const { app } = scripted(script, 'harmony', { apiKeys })
    const headers = apiKeys.length > 0 ? keyed('alice') : {}
    await serving(app, async (listening, sockets) => {
      for (let i = 0; i < 300; i++) sockets.push(send(listening, 1000, '{', headers))
      await pause(300)
      for (const key of apiKeys.length > 0 ? apiKeys : ['']) {
        const { status, ms } = await post(listening, ask('few'), key ? keyed(key) : {})
        assert.equal(status, 200)
        assert.ok(ms < 2000, `${ms} ms`)
      }
    })
  }
})

test('more connections than are allowed: those without a whole request make room, answers go on', async () => {
  const { app } = scripted((prompt) => final(prompt.includes('long') ? counting(300) : 'ok'), 'harmony', { delayMs: 2 })
  await serving(
    app,
    async (listening, sockets) => {
      const running = post(listening, ask('long'))
      await pause(100)
      for (let i = 0; i < 30; i++) sockets.push(send(listening, 1000, i % 2 === 0 ? '{' : '{"model":'))
      await pause(100)
      assert.equal((await post(listening, ask('few'))).status, 200)
      assert.equal((await running).json.choices[0].message.content, counting(300))
    },
    { connections: 10 },
  )
})

test('the bytes of all bodies are bounded: silent ones make room, busy ones are refused with the time to come back', async () => {
  const limits = { bodyBytes: 1000, bodyBytesPerKey: 2500, bodyBytesInAll: 3300, bodyIdleMs: 60_000 }
  const { app, log } = scripted(script, 'harmony', { apiKeys: ['alice', 'bob', 'carol'], limits, delayMs: 20 })
  await serving(app, async (listening, sockets) => {
    for (const key of ['alice', 'alice', 'bob', 'bob']) sockets.push(send(listening, 1000, `{"model":"${'x'.repeat(800)}`, keyed(key)))
    await pause(1800)
    assert.equal((await post(listening, ask('few'), keyed('alice'))).status, 200)
    assert.equal(log.filter(({ status }) => status === 408).length, 1) // one of them made room
    const many = await Promise.all(Array.from({ length: 6 }, () => post(listening, ask('few', { user: 'x'.repeat(500) }), keyed('bob'))))
    const statuses = many.map(({ status }) => status)
    assert.ok(statuses.includes(200) && statuses.includes(429), statuses.join())
  })
})

test('a body that stops arriving is given up, one that is cut is a 400, a client that leaves is no error of the server', async () => {
  const { app, log } = scripted(script, 'harmony', { limits: { bodyIdleMs: 100 } })
  await serving(app, async (listening, sockets) => {
    const silent = send(listening, 1000, '{"model":')
    sockets.push(silent)
    const answer = await new Promise<string>((resolve) => {
      let text = ''
      silent.on('data', (data) => (text += data)).on('close', () => resolve(text))
    })
    assert.match(answer, /^(HTTP\/1\.1 408 |$)/)
    send(listening, 1000, '{"model":').on('connect', function (this: Socket) {
      setTimeout(() => this.destroy(), 20)
    })
    await pause(300)
    assert.deepEqual(
      log.map(({ level, status }) => [level, status]),
      [
        ['info', 408],
        ['info', 499],
      ],
    )
  })
})

test('a full queue of one key does not refuse another key', async () => {
  const { post: ofAlice, app } = scripted(script, 'harmony', {
    slots: 1,
    delayMs: 5,
    apiKeys: ['alice', 'bob'],
    limits: { queueLength: 2 },
  })
  const leave = new AbortController()
  const flood = Array.from({ length: 6 }, () => ofAlice(chat, ask('much'), keyed('alice'), leave.signal))
  await pause(30)
  const bob = app.fetch(
    new Request(`http://localhost${chat}`, {
      method: 'POST',
      body: JSON.stringify(ask('few', { stream: true })),
      headers: { 'content-type': 'application/json', ...keyed('bob') },
    }),
  )
  assert.equal((await bob).status, 200)
  leave.abort()
  assert.equal((await Promise.all(flood)).filter(({ status }) => status === 503).length, 3)
  assert.match(await (await bob).text(), /"finish_reason":"stop"/)
})

test('long bodies do not stop the event loop', async () => {
  const { post: local, engine } = scripted(script)
  const bodies = {
    detokenize: ['/detokenize', { tokens: Array.from({ length: 2 ** 20 }, (_, i) => i % 250) }],
    objects: [chat, ask('few', { user: undefined, metadata: Array.from({ length: 300_000 }, (_, i) => ({ a: i })) })],
    numbers: ['/detokenize', `{"tokens":[1],"x":[${'1.0,'.repeat(500_000)}1]}`],
  } as const
  for (const [name, [path, body]] of Object.entries(bodies)) {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    let last = performance.now()
    let longest = 0
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - last)
      last = performance.now()
    }, 5)
    const response = await local(path, text)
    clearInterval(timer)
    assert.ok(response.status === 200 || response.status === 400, `${name}: ${response.status}`)
    if (name === 'detokenize') assert.equal((await jsonOf(response)).content.length, 2 ** 20)
    assert.ok(longest < 1000, `${name}: ${longest} ms`)
  }
  assert.equal(engine.running, 0)
  const tooMany = await local('/detokenize', `{"tokens":[${'1,'.repeat(1_300_000)}1]}`)
  assert.match((await jsonOf(tooMany)).error.message, /more than 1200000 values/)
})

test('prompts that are too long are refused without stopping the event loop; those that fit are answered', async () => {
  const { post: local, engine } = scripted(script, 'harmony', { context: 40_000 })
  for (const [path, body] of [
    [chat, (text: string) => ask(text)],
    ['/v1/completions', (text: string) => ({ model: 'scripted', prompt: text, max_tokens: 1 })],
    ['/v1/responses', (text: string) => ({ model: 'scripted', input: text })],
    ['/api/generate', (text: string) => ({ model: 'scripted', prompt: text, raw: true, stream: false })],
  ] as const) {
    const refused = await local(path, body('word '.repeat(150_000)))
    assert.equal(refused.status, 400, path)
    assert.match(await refused.text(), /maximum context length is 40000|context_length_exceeded/, path)
    assert.equal((await local(path, body('word '.repeat(100)))).status, 200, path)
  }
  assert.equal(engine.running, 0)
})
