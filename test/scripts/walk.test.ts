/** The walk: ten stops, those that exist within the budget. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { BUDGET_LINES, measure, STOPS } from '../../scripts/walk.ts'

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
