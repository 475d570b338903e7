/** A compute thread that ends in the middle of an answer: every caller gets the error, none waits for ever, a new model answers. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { servedEntries } from '../src/cli/support/served-entry.ts'
import { BackendFailedError, load } from '../src/index.ts'
import { createApp } from '../src/server/http/app.ts'
import type { LogLine } from '../src/server/http/context.ts'

/** All threads that were started, the newest last: `host.ts` takes the class from here when it starts one. */
const threads = process.getBuiltinModule('node:worker_threads')
const { Worker } = threads
const started: InstanceType<typeof Worker>[] = []
threads.Worker = class extends Worker {
  constructor(...options: ConstructorParameters<typeof Worker>) {
    super(...options)
    started.push(this)
  }
}
afterEach(() => void (started.length = 0))

const QUESTION = [{ role: 'user', content: 'What is 47 + 85?' }] as const
const DEAD = /the wasm backend has failed: a compute thread ended with code 1; load the model again/

test('library: the answer, later answers and model.failed say so; a new model answers', async () => {
  const model = await load('abacus', { threads: 2 })
  const greedy = { sampling: { temperature: 0 } }
  let text = ''
  for await (const event of model.chat(QUESTION, greedy)) if (event.type === 'text-delta') text += event.delta
  assert.match(text, /132/)

  const running = model.engine.generate([1, 2, 3], { stopIds: [] })
  const waiting = model.engine.score([1, 2, 3, 4])
  waiting.catch(() => {})
  const answer = async () => {
    for await (const event of model.chat(QUESTION, greedy)) if (event.type === 'text-delta') void started[0]!.terminate()
  }
  await assert.rejects(answer(), (error: Error) => error instanceof BackendFailedError && DEAD.test(error.message))
  assert.match((await model.failed).message, DEAD)
  await assert.rejects(running.result, BackendFailedError)
  assert.throws(() => model.engine.generate([1, 2, 3]), BackendFailedError)
  await assert.rejects(model.backend.settled(), BackendFailedError)
  assert.throws(() => model.backend.upload(new Float32Array(1), [1]), BackendFailedError)
  await model.dispose()

  await using again = await load('abacus', { threads: 2 })
  let repeated = ''
  for await (const event of again.chat(QUESTION, greedy)) if (event.type === 'text-delta') repeated += event.delta
  assert.equal(repeated, text)
})

test('server: a stream ends with the error, an answer in one piece is a 503, the next request loads the model again', async () => {
  const entry = (await servedEntries(join(import.meta.dirname, '../models/abacus'), { parallel: 2, threads: 2 }))[0]!
  let loads = 0
  const log: LogLine[] = []
  const app = createApp({
    models: [{ ...entry, load: () => entry.load().finally(() => loads++) }],
    log: (line) => log.push(line),
  })
  const ask = (body: object) =>
    app.fetch(
      new Request('http://localhost/v1/chat/completions', {
        method: 'POST',
        body: JSON.stringify({ model: 'abacus', messages: QUESTION, temperature: 0, ...body }),
        headers: { 'content-type': 'application/json' },
      }),
    )
  const content = async (response: Response) => (await response.json()).choices[0].message.content
  const first = await content(await ask({}))
  assert.match(first, /132/)

  const stream = await ask({ stream: true })
  const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader()
  let received = (await reader.read()).value ?? ''
  const whole = ask({ seed: 7 })
  await new Promise((resolve) => setTimeout(resolve, 1))
  void started[1]!.terminate()
  for (let part = await reader.read(); !part.done; part = await reader.read()) received += part.value
  assert.match(received, /"code":"model_failed"/)
  assert.doesNotMatch(received, /\[DONE\]/)
  const refused = await whole
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1'])
  assert.equal((await refused.json()).error.code, 'model_failed')
  assert.ok(log.some(({ error }) => DEAD.test(String(error))))

  assert.equal(await content(await ask({})), first)
  assert.equal(loads, 2)
  await app.close(0)
})
