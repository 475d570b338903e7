/** Many users at once: queue, limits, cancellation, pings, slow readers, drain, models on demand, the store, metrics. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createApp } from '../../src/server/http/app.ts'
import { defaultLimits } from '../../src/server/http/limits.ts'
import { listen, nodeDirectory } from '../../src/server/node.ts'
import { DirectoryStore } from '../../src/server/responses/store-directory.ts'
import { analysis, counting, eventsOf, final, type Json, jsonOf, scripted, scriptedModel } from './scripted-app.ts'

const hi = { model: 'scripted', messages: [{ role: 'user', content: 'Hi' }] }
const chat = '/v1/chat/completions'
const long = () => final(counting(1_000))
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function idle(engine: { running: number }): Promise<void> {
  for (let i = 0; i < 200 && engine.running > 0; i++) await pause(5)
  assert.equal(engine.running, 0, 'no generation is left')
}

test('a full queue is 503 with Retry-After, the limit of a key 429, and every admitted request is answered', async () => {
  const { post, engine } = scripted(() => final('ok'), 'harmony', {
    slots: 1,
    delayMs: 1,
    limits: { queueLength: 2, concurrencyPerKey: 5 },
  })
  const responses = await Promise.all(Array.from({ length: 6 }, () => post(chat, hi)))
  const statuses = responses.map(({ status }) => status).sort()
  assert.deepEqual(statuses, [200, 200, 200, 429, 503, 503])
  for (const response of responses) if (response.status !== 200) assert.ok(Number(response.headers.get('retry-after')) >= 1)
  await idle(engine)
})

test('a queued stream begins at once and reports its position', async () => {
  const { post } = scripted(() => final('ok'), 'harmony', { slots: 1, delayMs: 2 })
  const first = post(chat, hi)
  await pause(5)
  const queued = await post(chat, { ...hi, stream: true })
  const text = await queued.text()
  assert.ok(text.startsWith('data: {'), 'the role comes before the wait')
  assert.match(text, /\n: queued 1\n\n/)
  assert.match(text, /data: \[DONE\]/)
  assert.equal((await first).status, 200)
})

test('the wait for a slot is bounded', async () => {
  const { post, engine } = scripted(long, 'harmony', { slots: 1, delayMs: 5, limits: { queueWaitMs: 30 } })
  const leave = new AbortController()
  const first = post(chat, hi, {}, leave.signal)
  await pause(5)
  const second = await post(chat, hi)
  assert.equal(second.status, 503)
  assert.equal((await jsonOf(second)).error.code, 'queue_timeout')
  leave.abort()
  await first
  await idle(engine)
})

test('a disconnect stops the work: of a stream, a whole answer, and in the queue', async () => {
  const { app, engine } = scripted(long, 'harmony', { slots: 1, delayMs: 2 })
  const listening = await listen(app, { port: 0 })
  const { hostname, port } = new URL(listening.url)
  const start = (body: object) => {
    const text = JSON.stringify(body)
    const socket = connect(Number(port), hostname, () =>
      socket.write(
        `POST ${chat} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
      ),
    )
    socket.on('error', () => {})
    return socket
  }
  try {
    for (const body of [{ ...hi, stream: true }, hi]) {
      const [running, waiting] = [start(body), start(body)]
      for (let i = 0; i < 100 && engine.running === 0; i++) await pause(5)
      await pause(20)
      assert.equal(engine.running, 1)
      const started = engine.prompts.length
      waiting.destroy()
      await pause(20)
      running.destroy()
      await idle(engine)
      await pause(20)
      assert.equal(engine.prompts.length, started, 'the one in the queue never started')
    }
  } finally {
    await listening.close(0)
  }
})

test('a client that does not read is dropped, and others do not notice', async () => {
  const { app, engine } = scripted((prompt) => final(counting(prompt.includes('much') ? 20_000 : 10)), 'harmony', {
    limits: { slowReaderMs: 200 },
  })
  const much = { ...hi, messages: [{ role: 'user', content: 'much' }], stream: true }
  const response = await app.fetch(
    new Request(`http://localhost${chat}`, { method: 'POST', body: JSON.stringify(much), headers: { 'content-type': 'application/json' } }),
  )
  await pause(20)
  const other = await app.fetch(
    new Request(`http://localhost${chat}`, { method: 'POST', body: JSON.stringify(hi), headers: { 'content-type': 'application/json' } }),
  )
  assert.equal((await jsonOf(other)).choices[0].message.content, counting(10))
  let generated = -1
  for (let i = 0; i < 200 && engine.generated !== generated; i++) {
    generated = engine.generated
    await pause(40)
  }
  assert.ok(generated < 20_000, 'generation waits for the reader')
  await pause(200)
  await idle(engine)
  await response.body!.cancel().catch(() => {})
  const metrics = await (await app.fetch(new Request('http://localhost/metrics'))).text()
  assert.match(metrics, /lineage_slow_reader_total 1/)
})

test('silence is broken by comments', async () => {
  const { post } = scripted(() => final('ok'), 'harmony', { delayMs: 30, limits: { pingMs: 40 } })
  const text = await (await post('/v1/responses', { model: 'scripted', input: 'Hi', stream: true, max_output_tokens: 8 })).text()
  assert.match(text, /\n: ping\n\n/)
})

test('drain: running streams finish, new work is 503, health says so; after the grace period the rest is ended', async () => {
  const { app, post, get, engine } = scripted((prompt) => final(counting(prompt.includes('long') ? 4_000 : 10)), 'harmony', {
    delayMs: 1,
  })
  const short = post(chat, { ...hi, stream: true })
  const endless = post('/v1/responses', { model: 'scripted', input: 'long', stream: true })
  await Promise.all([short, endless])
  const closing = app.close(1_500)
  const refused = await post(chat, hi)
  assert.equal(refused.status, 503)
  assert.ok(refused.headers.get('retry-after'))
  assert.equal((await get('/readyz')).status, 503)
  assert.equal((await get('/livez')).status, 200)
  const chunks = await eventsOf(await short)
  assert.equal(chunks.at(-2)!.data.choices[0].finish_reason, 'stop')
  const events = await eventsOf(await endless)
  assert.equal(events.at(-2)!.event, 'response.incomplete')
  assert.equal(events.at(-1)!.data, '[DONE]')
  await closing
  await idle(engine)
})

test('health while loading; models on demand within a memory budget; unknown and broken ones', async () => {
  const loads: string[] = []
  const disposed: string[] = []
  const entry = (id: string, bytes: number) => ({
    id,
    bytes,
    load: async () => {
      loads.push(id)
      await pause(20)
      return { ...scriptedModel(() => final(id)).model, dispose: () => void disposed.push(id) }
    },
  })
  const broken = { id: 'broken', bytes: 1, load: () => Promise.reject(new Error('config.json: secret path')) }
  const app = createApp({ models: [entry('org/a', 60), entry('b', 60), entry('huge', 200), broken], memoryBytes: 100, preload: ['org/a'] })
  const get = (path: string) => app.fetch(new Request(`http://localhost${path}`))
  const ask = (model: string) =>
    app.fetch(
      new Request(`http://localhost${chat}`, {
        method: 'POST',
        body: JSON.stringify({ ...hi, model }),
        headers: { 'content-type': 'application/json' },
      }),
    )
  const loading = await get('/health')
  assert.equal(loading.status, 503)
  assert.deepEqual(await jsonOf(loading), { error: { code: 503, message: 'Loading model', type: 'unavailable_error' } })
  const answers = await Promise.all([ask('org/a'), ask('org/a')])
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200],
  )
  assert.deepEqual(loads, ['org/a'], 'loaded once for all')
  assert.equal((await get('/health')).status, 200)
  assert.equal((await jsonOf(ask('b'))).choices[0].message.content, 'b')
  assert.deepEqual(disposed, ['org/a'])
  assert.equal((await ask('huge')).status, 503)
  await assert.rejects(createApp({ models: [broken], preload: ['broken'] }).ready, /secret path/)
  const failed = await ask('broken')
  assert.equal(failed.status, 503)
  assert.ok(!(await failed.text()).includes('secret'))
  assert.equal((await jsonOf(get('/v1/models/org%2Fa'))).id, 'org/a')
  assert.equal((await jsonOf(get('/v1/models/org/a'))).id, 'org/a')
  await app.close(0)
})

test('the memory budget counts KV caches: expected ones before loading, real ones after', async () => {
  const disposed: string[] = []
  const entry = (id: string, bytes: number, cacheBytes: number, real?: number) => ({
    id,
    bytes,
    cacheBytes,
    load: async () => ({
      ...scriptedModel(() => final(id)).model,
      ...(real === undefined ? {} : { memoryBytes: () => real }),
      dispose: () => void disposed.push(id),
    }),
  })
  const app = createApp({
    models: [entry('a', 30, 30), entry('b', 30, 20), entry('c', 10, 5, 70), entry('d', 20, 5), entry('e', 60, 60)],
    memoryBytes: 100,
  })
  const ask = async (model: string) => {
    const response = await app.fetch(
      new Request(`http://localhost${chat}`, {
        method: 'POST',
        body: JSON.stringify({ ...hi, model }),
        headers: { 'content-type': 'application/json' },
      }),
    )
    return { status: response.status, body: await response.text() }
  }
  assert.equal((await ask('a')).status, 200) // 60 of 100
  assert.equal((await ask('b')).status, 200) // weights alone would fit beside it: 60 + 50 do not
  assert.deepEqual(disposed, ['a'])
  assert.equal((await ask('c')).status, 200) // 50 + 15 expected: fits, but it took 70
  assert.deepEqual(disposed, ['a'])
  assert.equal((await ask('d')).status, 200) // 50 + 70 + 25: the longest idle one goes, and 95 fit
  assert.deepEqual(disposed, ['a', 'b'])
  const tooLarge = await ask('e')
  assert.equal(tooLarge.status, 503)
  assert.match(tooLarge.body, /needs 120 bytes for weights and KV cache; the memory budget of this server is 100/)
  assert.deepEqual(disposed, ['a', 'b'], 'nothing is unloaded for a model that can never fit')
  await app.close(0)
})

test('a store on disk survives a new process, ignores half-written files, forgets what is deleted', async () => {
  const path = await mkdtemp(join(tmpdir(), 'lineage-store-'))
  try {
    const open = async () =>
      scripted(() => analysis('Think.') + final('ok'), 'harmony', {
        store: await DirectoryStore.open(await nodeDirectory(path), defaultLimits),
      })
    const first = await open()
    const a = await jsonOf(first.post('/v1/responses', { model: 'scripted', input: 'one' }))
    const b = await jsonOf(first.post('/v1/responses', { model: 'scripted', input: 'two', previous_response_id: a.id }))
    await writeFile(join(path, 'resp_x.json.tmp'), '{"half')
    await writeFile(join(path, `resp_${'0'.repeat(32)}.json`), '{"half')
    const second = await open()
    assert.equal((await jsonOf(second.get(`/v1/responses/${a.id}`))).output[1].content[0].text, 'ok')
    await second.post('/v1/responses', { model: 'scripted', input: 'three', previous_response_id: b.id })
    assert.match(second.engine.prompts[0]!, /one.*two.*three/s)
    await second.app.fetch(new Request(`http://localhost/v1/responses/${a.id}`, { method: 'DELETE' }))
    assert.ok(!(await readdir(path)).includes(`${a.id}.json`))
    const third = await open()
    assert.equal((await third.get(`/v1/responses/${a.id}`)).status, 404)
    assert.equal((await third.post('/v1/responses', { model: 'scripted', input: 'x', previous_response_id: b.id })).status, 400)
  } finally {
    await rm(path, { recursive: true })
  }
})

test('metrics: the names that routers read, in valid text', async () => {
  const { post, get } = scripted(() => final('ok'))
  await post(chat, hi)
  await post(chat, { ...hi, temperature: -1 })
  const text = await (await get('/metrics')).text()
  for (const name of [
    'num_requests_running',
    'num_requests_waiting',
    'kv_cache_usage_perc',
    'cache_config_info',
    'prompt_tokens_total',
    'generation_tokens_total',
    'request_success_total',
    'prefix_cache_queries_total',
    'prefix_cache_hits_total',
    'time_to_first_token_seconds',
    'inter_token_latency_seconds',
    'e2e_request_latency_seconds',
    'request_queue_time_seconds',
    'request_prefill_time_seconds',
    'request_decode_time_seconds',
    'request_prompt_tokens',
    'request_generation_tokens',
  ])
    assert.match(text, new RegExp(`^# TYPE vllm:${name} `, 'm'), name)
  assert.match(text, /^vllm:request_success_total\{model_name="scripted",finished_reason="stop"\} 1$/m)
  assert.match(text, /^lineage_rejected_total\{reason="invalid_request_error"\} 1$/m)
  assert.match(text, /^vllm:e2e_request_latency_seconds_bucket\{model_name="scripted",le="\+Inf"\} 1$/m)
  for (const line of text.split('\n'))
    assert.match(line, /^(# (HELP|TYPE) [a-z0-9_:]+ .*|[a-z0-9_:]+(\{([a-z_]+="[^"]*",?)+\})? [-+0-9.e]+(Inf)?|)$/)
})

test('the OpenAPI document describes every path', async () => {
  const { get } = scripted(() => final('ok'))
  const document = await jsonOf(get('/openapi.json'))
  assert.equal(document.openapi, '3.1.0')
  for (const path of [
    '/v1/chat/completions',
    '/v1/responses',
    '/v1/responses/{id}',
    '/v1/completions',
    '/v1/models/{id}',
    '/api/chat',
    '/metrics',
  ])
    assert.ok(document.paths[path], path)
  const { schema } = document.paths['/v1/chat/completions'].post.requestBody.content['application/json']
  assert.deepEqual(schema.required, ['model', 'messages'])
  assert.ok((schema.properties as Json).temperature)
})

test('retries and equal idempotency keys join the running request; it ends when the last client disconnects', async () => {
  const { post, engine } = scripted((prompt) => final(counting(prompt.includes('long') ? 2_000 : 20)), 'harmony', { delayMs: 1 })
  const retry = { 'x-stainless-retry-count': '1' }
  const [first, again, keyed, keyedAgain, other] = [
    post(chat, hi),
    post(chat, hi, retry),
    post(chat, hi, { 'idempotency-key': 'k' }),
    post(chat, hi, { 'idempotency-key': 'k' }),
    post(chat, { ...hi, seed: 1 }, retry),
  ].map(async (response) => (await jsonOf(response)).id) as [Promise<string>, ...Promise<string>[]]
  assert.equal(await first, await again)
  assert.equal(await keyed, await keyedAgain)
  assert.notEqual(await first, await other)
  assert.equal(engine.prompts.length, 3)

  const [a, b] = [new AbortController(), new AbortController()]
  const endless = { ...hi, messages: [{ role: 'user', content: 'long' }], n: 1 }
  const both = [post(chat, endless, {}, a.signal), post(chat, endless, retry, b.signal)]
  await pause(10)
  a.abort()
  await pause(5)
  assert.equal(engine.running, 1, 'one is still waiting')
  b.abort()
  await Promise.all(both)
  await idle(engine)
})

test('a retry does not join work that ends because its last client has left', async () => {
  const requests: [path: string, body: object, textOf: (answer: Json) => string][] = [
    [chat, hi, (answer) => answer.choices[0].message.content],
    ['/v1/responses', { model: 'scripted', input: 'Hi' }, (answer) => answer.output[0].content[0].text],
  ]
  for (const [path, body, textOf] of requests) {
    const { post, engine } = scripted(() => final('ABC'), 'harmony', { delayMs: 30 })
    const client = new AbortController()
    const first = post(path, body, { 'idempotency-key': 'k' }, client.signal)
    await pause(100)
    client.abort()
    assert.equal(engine.running, 1, 'the work has not ended yet')
    const again = await post(path, body, { 'idempotency-key': 'k' })
    assert.deepEqual([again.status, textOf(await jsonOf(again))], [200, 'ABC'])
    assert.equal(engine.prompts.length, 2)
    await first
  }
})

test('memory is flat over many requests', { timeout: 60_000 }, async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const { post, engine } = scripted(() => final('ok'), 'harmony', { log: () => {} })
  const batch = async () => {
    for (let i = 0; i < 600; i++) await (await post(chat, { ...hi, stream: i % 2 === 0 })).text()
    engine.prompts.length = 0
    engine.options.length = 0
    await pause(20)
    collect()
    return process.memoryUsage().heapUsed
  }
  await batch()
  const before = await batch()
  // Several batches: what the collector frees now or later, about 0.4 MB, is small beside the bound.
  for (let i = 0; i < 3; i++) await batch()
  const after = await batch()
  assert.ok(after - before < 2400 * 500, `${after - before} bytes more after 2400 requests`)
})

test('a client that waits past the time limit gets 503 in the form of its API', async () => {
  const limits = { requestMs: 60 }
  const requests: [path: string, body: object, codeOf: (answer: Json) => unknown][] = [
    [chat, hi, ({ error }) => error.code],
    ['/completion', { prompt: 'Hi' }, ({ error }) => error.code],
    ['/api/chat', { ...hi, stream: false }, ({ error }) => (/longer than this server allows/.test(error) ? 'request_timeout' : error)],
    ['/v1/messages', { ...hi, max_tokens: 10 }, ({ error }) => (error.type === 'overloaded_error' ? 'request_timeout' : error)],
  ]
  for (const [path, body, codeOf] of requests) {
    const { post, engine } = scripted(long, 'harmony', { slots: 1, limits })
    engine.generate([1]) // takes the slot and keeps it
    const waiting = await post(path, body)
    assert.equal(waiting.status, 503, path)
    assert.equal(codeOf(await jsonOf(waiting)), 'request_timeout', path)
  }
  const { model, engine } = scriptedModel(long)
  const embed = (_: unknown, { signal }: { signal?: AbortSignal } = {}) =>
    new Promise<never>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
  Object.assign(engine, { embed })
  const { post } = scripted(long, 'harmony', { models: [{ id: 'scripted', purpose: 'embedding', load: async () => model }], limits })
  const late = await post('/v1/embeddings', { model: 'scripted', input: 'x' })
  assert.deepEqual([late.status, (await jsonOf(late)).error.code], [503, 'request_timeout'])
})

test('a request of many choices is answered by an idle server, whatever its queue', async () => {
  const batch = { model: 'scripted', prompt: Array(64).fill('a'), n: 8, max_tokens: 1 }
  for (const limits of [{}, { queueLength: 4 }, { queueLength: 0 }]) {
    const { post, engine } = scripted(() => 'x', 'plain', { slots: 1, limits })
    const whole = await post('/v1/completions', batch)
    assert.equal(whole.status, 200, JSON.stringify(limits))
    const { choices } = await jsonOf(whole)
    assert.deepEqual(
      choices.map(({ index, text }: Json) => `${index}${text}`),
      Array.from({ length: 512 }, (_, i) => `${i}x`),
    )
    const events = await eventsOf(await post('/v1/completions', { ...batch, stream: true }))
    assert.equal(events.filter(({ data }) => data.choices?.[0]?.finish_reason).length, 512)
    const scored = await post('/v1/completions', { ...batch, n: 1, prompt: Array(16).fill('ab'), echo: true, logprobs: 1, max_tokens: 0 })
    assert.equal(scored.status, 200)
    const answers = await post(chat, { ...hi, n: 8 })
    assert.equal((await jsonOf(answers)).choices.length, 8)
    await idle(engine)
  }
})

test('a request of many choices keeps its places while others come, and gives them back', async () => {
  const { post, engine } = scripted(() => 'x', 'plain', { slots: 1, delayMs: 2, limits: { queueLength: 2 } })
  const one = { model: 'scripted', prompt: 'a', max_tokens: 1 }
  const batch = post('/v1/completions', { ...one, prompt: Array(20).fill('a') })
  const others: number[] = []
  while (engine.prompts.length < 10) others.push((await post('/v1/completions', one)).status)
  const responses = await Promise.all([one, one].map((body) => post('/v1/completions', body)))
  assert.deepEqual(responses.map(({ status }) => status).sort(), [200, 503], 'two places are taken, one is free')
  assert.equal((await batch).status, 200)
  assert.ok(others.every((status) => status === 200))
  assert.deepEqual(
    (await Promise.all([one, one, one].map((body) => post('/v1/completions', body)))).map(({ status }) => status),
    [200, 200, 200],
  )
  await idle(engine)
})
