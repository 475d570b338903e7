/** Long compilations let other work run, can be cancelled, and give the same result as without pauses. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { finish, inSlices, SliceTimeoutError, type Steps } from '../../src/structured/cooperative.ts'
import { compileConstraint, compileSchema, constraint, UnsupportedSchemaError } from '../../src/structured/structured.ts'
import { byteTokenizer } from '../chat/byte-tokenizer.ts'
import { allowedIds } from './validator.ts'

const tokenizer = byteTokenizer(['<|endoftext|>'])
/** Half a second of automata. */
const heavy = {
  type: 'object',
  properties: Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`p${i}`, { type: 'string', pattern: `^(x|[ab]*a[ab]{10}${i})$` }])),
  required: ['p0'],
}

function* counting(steps: number): Steps<number> {
  for (let i = 0; i < steps; i++) yield
  return steps
}

function* busy(ms: number): Steps<void> {
  for (const until = performance.now() + ms; performance.now() < until; ) yield
}

test('at once and in slices the result is the same', async () => {
  assert.equal(finish(counting(1000)), 1000)
  assert.equal(await inSlices(counting(1000)), 1000)
  const [one, other] = [
    constraint({ schema: heavy }, tokenizer).matcher(),
    (await compileConstraint({ schema: heavy }, tokenizer)).matcher(),
  ]
  for (const byte of new TextEncoder().encode('{"p0":"abab')) {
    assert.deepEqual(allowedIds(one.mask()), allowedIds(other.mask()))
    assert.ok(one.accept(byte) && other.accept(byte))
  }
})

test('a schema that takes long is compiled between other work', async () => {
  const before = performance.now()
  compileSchema(heavy)
  const atOnceMs = performance.now() - before
  assert.ok(atOnceMs > 50, `${atOnceMs} ms is not long`)
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  await compileConstraint({ schema: heavy }, tokenizer)
  clearInterval(timer)
  // Other work runs at least every 10 ms. A busy machine does not allow a stricter check.
  assert.ok(turns > atOnceMs / 20, `${turns} turns while ${atOnceMs} ms of work were done`)
})

test('several take turns: a short one does not wait for a long one', async () => {
  const order: string[] = []
  await Promise.all([inSlices(busy(150)).then(() => order.push('long')), inSlices(counting(10)).then(() => order.push('short'))])
  assert.deepEqual(order, ['short', 'long'])
})

test('is given up with the reason of its signal', async () => {
  const stop = new AbortController()
  const compiling = compileConstraint({ schema: heavy }, tokenizer, { signal: stop.signal })
  compiling.catch(() => {})
  await pause(10)
  stop.abort(new Error('left'))
  await assert.rejects(compiling, /left/)
  assert.equal(await inSlices(counting(3)), 3) // the next ones go on
})

test('is given up when it takes too long', async () => {
  await assert.rejects(inSlices(busy(10_000), { limitMs: 30 }), SliceTimeoutError)
})

test('errors are the same, and others go on', async () => {
  const bad = { type: 'object', properties: { a: { type: 'string', pattern: '(?<=a)' } } }
  const [failed, fine] = await Promise.allSettled([compileConstraint({ schema: bad }, tokenizer), inSlices(counting(5))])
  assert.ok(failed.status === 'rejected' && failed.reason instanceof UnsupportedSchemaError)
  assert.equal(failed.reason.path, '/properties/a/pattern')
  assert.equal(fine.status, 'fulfilled')
  assert.throws(() => constraint({ schema: bad }, tokenizer), { message: failed.reason.message })
})
