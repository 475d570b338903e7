/** Probes, metrics, traces and the end of a replica: what load balancers, kubelets and scrapers ask of a server. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import test from 'node:test'
import { createApp } from '../../src/server/http/app.ts'
import { type Listening, listen } from '../../src/server/node.ts'
import { counting, final, scripted } from './scripted-app.ts'

const chat = '/v1/chat/completions'
const hi = { model: 'scripted', messages: [{ role: 'user', content: 'Hi' }] }
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Sends bytes and gives what comes back until the connection ends. */
function raw(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect(Number(port), hostname, () => socket.write(text))
    socket.on('data', (data) => (answer += data)).on('close', () => resolve(answer))
    socket.on('error', () => {})
    setTimeout(() => socket.destroy(), 2000)
  })
}

const statusOf = (answer: string) => Number(/^HTTP\/1\.\d (\d{3})/.exec(answer)?.[1])

const PROBES = ['/health', '/v1/health', '/livez', '/readyz']
const HOSTS = ['10.1.2.3:8080', 'lineage.svc', 'lineage.prod.svc.cluster.local:80', '[fd00::1]:8080', 'replica_1', 'evil.example']

test('probes and metrics answer every Host, and HTTP/1.0 without one; nothing else does', async () => {
  const { app } = scripted(() => final('ok'), 'harmony', { apiKeys: ['key'] })
  const listening = await listen(app, { port: 0 })
  try {
    const key = 'Authorization: Bearer key\r\n'
    for (const path of [...PROBES, '/metrics']) {
      const auth = path === '/metrics' ? key : ''
      for (const host of HOSTS)
        assert.equal(
          statusOf(await raw(listening.url, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${auth}Connection: close\r\n\r\n`)),
          200,
          path + host,
        )
      for (const method of ['GET', 'HEAD', 'OPTIONS'])
        assert.ok(statusOf(await raw(listening.url, `${method} ${path} HTTP/1.0\r\n${auth}\r\n`)) < 300, `${method} ${path}`)
    }
    assert.equal(statusOf(await raw(listening.url, 'GET /metrics HTTP/1.0\r\n\r\n')), 401)
    for (const path of ['/', '/v1/models', '/props', '/slots', '/openapi.json', '/healthz'])
      for (const start of [
        `GET ${path} HTTP/1.0\r\n${key}\r\n`,
        `GET ${path} HTTP/1.1\r\nHost: evil.example\r\n${key}Connection: close\r\n\r\n`,
      ])
        assert.equal(statusOf(await raw(listening.url, start)), 403, start)
    assert.equal(statusOf(await raw(listening.url, 'GET /livez HTTP/1.1\r\n\r\n')), 400) // HTTP/1.1 demands a Host
  } finally {
    await listening.close(0)
  }
})

test('metrics have a port of their own, without keys and with nothing else', async () => {
  const { app } = scripted(() => final('ok'), 'harmony', { apiKeys: ['key'] })
  const listening = await listen(app, { port: 0, metricsPort: 0 })
  try {
    for (const path of ['/metrics', '/livez', '/readyz', '/health'])
      assert.equal((await fetch(`${listening.metricsUrl}${path}`)).status, 200, path)
    assert.match(await (await fetch(`${listening.metricsUrl}/metrics`)).text(), /^# HELP lineage_http_requests_total /)
    for (const path of ['/', '/v1/models', '/slots', '/props', '/constructor'])
      assert.equal((await fetch(`${listening.metricsUrl}${path}`)).status, 404)
    assert.equal((await fetch(`${listening.url}/metrics`)).status, 401)
  } finally {
    await listening.close(0)
  }
})

test('every counter is named as Prometheus names counters', async () => {
  const { get, post } = scripted(() => final('ok'))
  await post(chat, hi)
  const text = await (await get('/metrics')).text()
  const counters = [...text.matchAll(/^# TYPE (\S+) counter$/gm)].map(([, name]) => name!)
  assert.ok(counters.includes('vllm:prefix_cache_queries_total') && counters.includes('vllm:prefix_cache_hits_total'))
  for (const name of counters) assert.match(name, /_total$/)
})

test('the ids of a proxy or client are kept: x-request-id, traceparent', async () => {
  const { get, post, log } = scripted(() => final('ok'))
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
  const traceparent = `00-${trace}-00f067aa0ba902b7-01`
  const response = await post(chat, hi, { 'x-request-id': 'abc-123', traceparent })
  assert.equal(response.headers.get('x-request-id'), 'abc-123')
  assert.equal(response.headers.get('traceparent'), traceparent)
  assert.deepEqual([log[0]!.request, log[0]!.trace], ['abc-123', trace])
  for (const id of ['', 'two words', 'x'.repeat(129), 'é', '<script>', 'a"b'])
    assert.match((await get('/v1/models', { 'x-request-id': id })).headers.get('x-request-id')!, /^req_[0-9a-f]{32}$/, id)
  for (const wrong of ['', '00-1-2-01', `00-${'G'.repeat(32)}-00f067aa0ba902b7-01`, `${traceparent}-more`])
    assert.equal((await get('/v1/models', { traceparent: wrong })).headers.get('traceparent'), null, wrong)
})

test('before the end readiness fails and work is still taken; then new work is refused and connections end', async () => {
  const { app } = scripted(() => final('ok'))
  const listening = await listen(app, { port: 0 })
  const ask = () =>
    fetch(`${listening.url}${chat}`, { method: 'POST', body: JSON.stringify(hi), headers: { 'content-type': 'application/json' } })
  assert.equal((await fetch(`${listening.url}/readyz`)).status, 200)
  const closed = listening.close(1000, 600)
  assert.equal((await fetch(`${listening.url}/readyz`)).status, 503)
  assert.equal((await fetch(`${listening.url}/livez`)).status, 200)
  for (let i = 0; i < 5; i++) {
    const response = await ask()
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('connection'), 'close')
    await response.text()
  }
  await closed
  await assert.rejects(fetch(`${listening.url}/livez`))
})

test('answers that run through the drain delay end whole', async () => {
  const { app } = scripted(() => final(counting(200)), 'harmony', { delayMs: 1 })
  const listening = await listen(app, { port: 0 })
  const response = await fetch(`${listening.url}${chat}`, {
    method: 'POST',
    body: JSON.stringify({ ...hi, stream: true }),
    headers: { 'content-type': 'application/json' },
  })
  const closed = listening.close(10_000, 50)
  assert.match(await response.text(), /"finish_reason":"stop"[\s\S]*data: \[DONE\]/)
  await closed
})

test('a taken port is found before a model is loaded', async () => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  const { port } = taken.address() as AddressInfo
  let loads = 0
  const load = async () => {
    loads++
    throw new Error('loaded')
  }
  const make = () => createApp({ models: [{ id: 'm', load }], preload: ['m'] })
  try {
    for (const ports of [{ port }, { port: 0, metricsPort: port }]) {
      await assert.rejects(listen(make, ports), { code: 'EADDRINUSE' })
      await pause(20)
      assert.equal(loads, 0)
    }
    const listening: Listening = await listen(make, { port: 0 })
    await assert.rejects(listening.app.ready, /loaded/)
    assert.equal(loads, 1)
    await listening.close(0)
  } finally {
    taken.close()
  }
})

test('a page of an allowed origin may ask before it sends a key; others may not', async () => {
  const { app } = scripted(() => final('ok'), 'harmony', { apiKeys: ['key'], origins: ['http://app.example'] })
  const preflight = (origin: string) =>
    app.fetch(new Request(`http://localhost${chat}`, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } }))
  for (const origin of ['http://app.example', 'http://localhost:3000']) {
    const response = await preflight(origin)
    assert.deepEqual([response.status, response.headers.get('access-control-allow-origin')], [204, origin])
  }
  for (const origin of ['http://evil.example', 'null']) assert.equal((await preflight(origin)).status, 403)
})

test('a stream to a client of HTTP/1.0 has no chunks and ends with the connection', async () => {
  const { app } = scripted(() => final(counting(20)))
  const listening = await listen(app, { port: 0 })
  try {
    const body = JSON.stringify({ ...hi, stream: true })
    for (const [version, isChunked] of [
      ['1.0', false],
      ['1.1', true],
    ] as const) {
      const answer = await raw(
        listening.url,
        `POST ${chat} HTTP/${version}\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      )
      assert.equal(/transfer-encoding: chunked/i.test(answer), isChunked, version)
      if (!isChunked) assert.match(answer, /\r\n\r\ndata: .*\n\ndata: \[DONE\]\n\n$/s)
    }
  } finally {
    await listening.close(0)
  }
})
