/** The claims: complete, each decided by a run or by saying what it would take, and every run as expected. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { above, below, exactly, noise, rounded } from '../../src/verify/claim.ts'
import { claims, verify } from '../../src/verify/verify.ts'
import { lineage } from '../cli/run.ts'

test('C1 to C58 and two figures, each once, in order', () => {
  assert.deepEqual(
    claims.map(({ id }) => id),
    [...Array.from({ length: 58 }, (_, index) => `C${index + 1}`), 'F1', 'F2'],
  )
})

test('a claim has a check or says what it would take; a verdict other than holds has a reason', () => {
  for (const { id, check, instead, verdict, note, kind, says } of claims) {
    assert.ok((check === undefined) !== (instead === undefined), id)
    assert.match(says, /[.]$/, id)
    if (kind === 'arithmetic' || kind === 'measurement') assert.ok(check, id)
    if (check && verdict !== 'holds') assert.ok(note, id)
  }
})

for (const claim of claims.filter(({ check }) => check)) {
  test(`${claim.id}: ${claim.says}`, async () => {
    for await (const { measurements, agrees } of verify(createReferenceBackend(), [claim])) {
      assert.ok(measurements.length)
      for (const { what, expected, measured, agrees: fits } of measurements) assert.ok(fits, `${what}: ${measured}, expected ${expected}`)
      assert.equal(agrees, true)
    }
  })
}

test('a measurement can miss', () => {
  assert.equal(exactly('x', 1, 2).agrees, false)
  assert.equal(exactly('x', 'a', 'b').agrees, false)
  assert.equal(rounded('x', 1.2351, 1.234, 3).agrees, false)
  assert.equal(rounded('x', 1.2344, 1.234, 3).agrees, true)
  assert.equal(below('x', 1, 1).agrees, false)
  assert.equal(below('x', Number.NaN, 1).agrees, false)
  assert.equal(above('x', 1, 1).agrees, false)
})

test('noise is the same everywhere and not constant', () => {
  assert.deepEqual(noise(3, 8), noise(3, 8))
  assert.notDeepEqual(noise(3, 8), noise(4, 8))
  assert.ok(new Set(noise(3, 100)).size > 95)
  assert.ok(noise(3, 1000).every((value) => Math.abs(value) <= 1))
})

test('the command: chosen claims, JSON, unknown claims', () => {
  const { code, out } = lineage(['verify', 'c44', 'C35', '--json'])
  assert.equal(code, 0)
  const outcomes = JSON.parse(out) as { id: string; agrees: boolean | null; measurements: unknown[] }[]
  assert.deepEqual(
    outcomes.map(({ id, agrees }) => [id, agrees]),
    [
      ['C35', null],
      ['C44', true],
    ],
  )
  assert.match(
    lineage(['verify', 'C39']).out,
    /✓ differing slots {2}layers, experts\n {4}holds\n\n1 claims checked with 1 measurements, 0 missed\n$/,
  )
  const unknown = lineage(['verify', 'C59'])
  assert.deepEqual(
    [unknown.code, unknown.err],
    [2, 'lineage: unknown claim "C59"; expected C1 to C58 or F1 to F24 (lineage verify --all lists the claims)\n'],
  )
})
