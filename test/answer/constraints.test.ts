/** Compiled schemas are shared and remembered; work that nobody waits for is given up. */
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
  return { started, compile: (schema: JsonSchema, signal?: AbortSignal) => Promise.resolve(compile(schema, tokenizer, signal)) }
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

test('one who leaves does not take the work from the other; the last one ends it', async () => {
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

test('a failure is not remembered, and the oldest schema is forgotten', async () => {
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
