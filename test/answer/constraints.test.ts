/** Compiled schemas are shared and cached; work that no request waits for is cancelled. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { cachedCompile } from '../../src/answer/constraints.ts'
import type { JsonSchema } from '../../src/chat/messages.ts'
import type { Constraint } from '../../src/structured/structured.ts'
import { byteTokenizer } from '../chat/byte-tokenizer.ts'

const tokenizer = byteTokenizer(['<|endoftext|>'])
const made: Constraint = { matcher: () => assert.fail('not asked for') }

/** A compiler under the test's control. */
function scripted() {
  const started: { signal: AbortSignal; finish(): void; fail(error: Error): void }[] = []
  const compile = cachedCompile(
    (_schema, _tokenizer, signal) =>
      new Promise((resolve, reject) => {
        signal!.addEventListener('abort', () => reject(signal!.reason))
        started.push({ signal: signal!, finish: () => resolve(made), fail: reject })
      }),
    2,
  )
  return { started, compile: (schema: JsonSchema, signal?: AbortSignal) => Promise.resolve(compile({ schema }, tokenizer, signal)) }
}
const turn = () => new Promise((resolve) => setTimeout(resolve))

test('equal schemas are compiled once, also at the same time', async () => {
  const { started, compile } = scripted()
  const both = [compile({ type: 'null' }), compile({ type: 'null' })]
  await turn()
  assert.equal(started.length, 1)
  started[0]!.finish()
  assert.deepEqual(await Promise.all(both), [made, made])
  assert.equal(await compile({ type: 'null' }), made)
  assert.equal(started.length, 1)
})

test('a cancelled request does not stop the work for another; the last cancellation does', async () => {
  const { started, compile } = scripted()
  const [a, b] = [new AbortController(), new AbortController()]
  const [first, second] = [compile({ type: 'null' }, a.signal), compile({ type: 'null' }, b.signal)]
  await turn()
  a.abort(new Error('a left'))
  await assert.rejects(first, /a left/)
  assert.equal(started[0]!.signal.aborted, false)
  b.abort(new Error('b left'))
  const third = compile({ type: 'null' }) // comes before the work has noticed
  await assert.rejects(second, /b left/)
  await turn()
  assert.equal(started[0]!.signal.aborted, false) // the third one still wants it
  started[0]!.finish()
  assert.equal(await third, made)

  const c = new AbortController()
  const fourth = compile({ type: 'string' }, c.signal)
  await turn()
  c.abort(new Error('c left'))
  await assert.rejects(fourth, /c left/)
  assert.equal(started[1]!.signal.aborted, true)
  const fifth = compile({ type: 'string' })
  await turn()
  assert.equal(started.length, 3)
  started[2]!.finish()
  assert.equal(await fifth, made)
})

test('a failure is not cached, and the oldest schema is dropped', async () => {
  const { started, compile } = scripted()
  const first = compile({ type: 'null' })
  await turn()
  started[0]!.fail(new Error('no'))
  await assert.rejects(first, /no/)
  for (const type of ['null', 'string', 'number', 'null']) {
    const compiling = compile({ type })
    await turn()
    started.at(-1)!.finish()
    await compiling
  }
  assert.equal(started.length, 5)
})
