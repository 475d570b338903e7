/** The walk: ten stops, those that exist within the budget. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { trip } from '../../scripts/trip.ts'
import { BUDGET_LINES, delegated, extent, measure, STOPS } from '../../scripts/walk.ts'

test('ten stops within a thousand lines', () => {
  assert.equal(STOPS.length, 10)
  assert.equal(BUDGET_LINES, 1000)
  const { total } = measure()
  assert.ok(total <= BUDGET_LINES, `${total} lines`)
})

test('missing stops are counted as missing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'walk-'))
  try {
    const path = join(folder, STOPS[3]!.file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, 'one\ntwo\nthree\n')
    const { stops, total, missing } = measure(folder)
    assert.deepEqual([total, missing, stops[3]!.lines, stops[0]!.lines], [3, 9, 3, null])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a file belongs to the stop whose name for it is the longest', () => {
  const ran = new Map([
    ['src/chat/formats/harmony/harmony.ts', 40],
    ['src/chat/formats/harmony/reader.ts', 30],
    ['src/chat/formats/tool-names.ts', 5],
    ['src/chat/session.ts', 60],
    ['src/checkpoint/load.ts', 100],
    ['src/ops/wasm/pool.ts', 200],
  ])
  const { stops, others } = delegated(ran)
  assert.deepEqual(
    [stops[0], stops[1], stops[6], stops[9]],
    [['src/chat/session.ts'], ['src/chat/formats/tool-names.ts'], ['src/ops/wasm/pool.ts'], ['src/chat/formats/harmony/reader.ts']],
  )
  assert.deepEqual(others, ['src/checkpoint/load.ts'])
  assert.deepEqual(extent(ran), { files: 6, lines: 435, onTheWay: 4, linesOnTheWay: 135 })
})

test('a question runs every stop except the arithmetic of the reference, and each stop delegates to some files', () => {
  const ran = trip()
  for (const [index, { file, delegates }] of STOPS.entries()) {
    if (index !== 6 && file !== 'src/tokenizer/tokenizer.ts') assert.ok(ran.has(file), file)
    if (delegates) assert.ok(delegated(ran).stops[index]!.length > 0, `${file} delegates to nobody`)
  }
  assert.ok(!ran.has('src/ops/reference/attention.ts'))
  assert.ok(!ran.has('src/train/trainer.ts'))
})
