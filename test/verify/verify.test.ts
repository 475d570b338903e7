/** The claims: complete, each decided by a run or by saying what it would take, and every run as expected. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { experiments } from '../../src/train/experiments.ts'
import { above, below, exactly, KINDS, noise, rounded } from '../../src/verify/claim.ts'
import { recorded } from '../../src/verify/evidence.ts'
import * as releases from '../../src/verify/published/releases.ts'
import { cite, type From, SOURCES } from '../../src/verify/published/sources.ts'
import * as tables from '../../src/verify/published/tables.ts'
import { TRAININGS } from '../../src/verify/recorded/trainings.ts'
import { measureTimes } from '../../src/verify/times.ts'
import { claims, verify } from '../../src/verify/verify.ts'
import { lineage } from '../cli/run.ts'

test('C1 to C58 and two figures, each once, in order', () => {
  assert.deepEqual(
    claims.map(({ id }) => id),
    [...Array.from({ length: 58 }, (_, index) => `C${index + 1}`), 'F1', 'F2'],
  )
})

test('57 of 58 claims are decided, and the other says why; a verdict other than holds has a reason', () => {
  const undecided = claims.filter(({ check }) => !check)
  assert.deepEqual(
    undecided.map(({ id, kind, verdict }) => [id, kind, verdict]),
    [['C31', 'opinion', 'opinion']],
  )
  for (const { id, check, instead, verdict, note, kind, says } of claims) {
    assert.ok((check === undefined) !== (instead === undefined), id)
    assert.ok(KINDS[kind], id)
    assert.notEqual(verdict, 'open', id)
    assert.match(says, /[.]$/, id)
    if (check && verdict !== 'holds') assert.ok(note, id)
  }
})

test('claims of a training name experiments that exist, and what they rest on is recorded with date and seeds', async () => {
  const names = experiments({ ids: new Int32Array(0), vocabSize: 1 }).map(({ name }) => name)
  for (const { id, kind, experiments: needed } of claims) {
    if (kind === 'training') assert.ok(needed?.length, id)
    for (const name of needed ?? []) assert.ok(names.includes(name), `${id}: ${name}`)
  }
  for (const { experiment, command, date, seeds, runs } of TRAININGS) {
    assert.ok(names.includes(experiment), experiment)
    assert.match(command, new RegExp(`^lineage experiment ${experiment} --seeds ${seeds}( --scale [\\d.]+)?$`))
    assert.match(date, /^2\d{3}-\d\d-\d\d$/)
    const labels = new Set(runs.map(([label]) => label))
    assert.equal(runs.length, labels.size * seeds, experiment)
    const read = await recorded.training(experiment)
    assert.deepEqual([read.runs[0]!.label, read.runs[0]!.loss], [runs[0]![0], runs[0]![3]])
  }
  assert.deepEqual((await recorded.training('nothing')).runs, [])
})

test('every published number has a source with address and date, a place and a condition', () => {
  const found = sourced([releases, tables])
  assert.ok(found.length > 30)
  for (const from of found) {
    assert.ok(SOURCES[from.source], JSON.stringify(from).slice(0, 80))
    assert.match(cite(from), /^.+ \(2\d{3}-\d\d(-\d\d)?\), .+; .+; https:\/\/\S+$/)
    assert.ok(from.place && from.condition)
  }
  // Scores name their source row by row; the condition is whether tools were allowed.
  for (const { source, tools, score, model } of tables.SCORES) {
    assert.ok(SOURCES[source] && ['tools', 'no tools', 'own'].includes(tools), model)
    assert.ok(score >= 0 && score <= 100, model)
  }
})

/** Everything in the modules that names a source and is not a single score. */
function sourced(value: unknown): From[] {
  if (typeof value !== 'object' || value === null) return []
  const own = 'source' in value && !('bench' in value) ? [value as From] : []
  return [...own, ...Object.values(value).flatMap(sourced)]
}

test('a published row that is changed is seen, and a claim reads what the evidence says', async () => {
  const claim = claims.find(({ id }) => id === 'C7')!
  const training = await recorded.training('gate')
  const same = training.runs
    .filter(({ label }) => label === 'SwiGLU')
    .flatMap((run) =>
      ['one pass, p = 0', 'one pass, p = 0.2', 'many passes, p = 0', 'many passes, p = 0.2'].map((label) => ({ ...run, label })),
    )
  const flat = { ...recorded, training: () => ({ ...training, runs: same }) }
  for await (const { agrees, measurements } of verify(createReferenceBackend(), [claim], flat)) {
    assert.equal(agrees, false, 'without any difference between the variants the claim is missed')
    assert.ok(measurements.some(({ measured }) => measured === '+0.000 ± 0.000'))
  }
})

test('times are positive, and of both shapes with as many parameters', async () => {
  const { ops, wide, deep } = await measureTimes(createReferenceBackend(), 6)
  for (const seconds of [...Object.values(ops), wide.prompt, wide.token, deep.prompt, deep.token])
    assert.ok(seconds > 0 && Number.isFinite(seconds))
  assert.ok(Math.abs(deep.parameters / wide.parameters - 1) < 0.02)
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
  const { code, out } = lineage(['verify', 'c44', 'C31', '--json'])
  assert.equal(code, 0)
  const outcomes = JSON.parse(out) as { id: string; agrees: boolean | null; measurements: unknown[] }[]
  assert.deepEqual(
    outcomes.map(({ id, agrees }) => [id, agrees]),
    [
      ['C31', null],
      ['C44', true],
    ],
  )
  assert.match(
    lineage(['verify', 'C39']).out,
    /✓ differing slots {2}layers, experts\n {4}holds \(computed from published configurations\)\n\n1 claims checked with 1 measurements, 0 missed\n$/,
  )
  const rests = lineage(['verify', '--train', 'C39'])
  assert.equal(rests.code, 2)
  assert.match(rests.err, /--train: none of C39 rests on a training; those that do are .*C7, .*C26/)
  const unknown = lineage(['verify', 'C59'])
  assert.deepEqual(
    [unknown.code, unknown.err],
    [2, 'lineage: unknown claim "C59"; expected C1 to C58 or F1 to F24 (lineage verify --all lists the claims)\n'],
  )
})
