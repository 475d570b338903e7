/** What shaders need to know of a batch, as words of the pass: slots, positions, runs of rows. */
import type { Batch } from '../ops.ts'
import { runsOf } from '../state.ts'
import { type Split, splitForm, splitRows } from './rows.ts'

export interface BatchWords {
  readonly batch: Batch
  readonly rows: number
  /** First words: per row its slot, its position, and the first row of its run. */
  readonly slots: number
  readonly positions: number
  readonly firsts: number
  /** The first row of the run of each row. */
  readonly runOf: Int32Array
  readonly split: Split
  /** Four words per run: slot, first row, rows, first position. */
  readonly runs: number
  readonly runCount: number
  /** Runs of one row, as of sequences that are decoded: the first word of their rows, and how many there are. */
  readonly singles: number
  readonly singleCount: number
  /** First word: per row whether its run is longer. */
  readonly longer: number
  /** The most positions that a row of the batch, and that a row by itself, may see. */
  readonly longest: number
  readonly longestSingle: number
  /** What the dispatches of a pass depend on. */
  readonly form: readonly number[]
}

export function describeBatch(batch: Batch, words: (values: Int32Array) => number): BatchWords {
  const runs = runsOf(batch)
  const rows = batch.slots.length
  const firsts = new Int32Array(rows)
  for (const { first, rows } of runs) firsts.fill(first, first, first + rows)
  const single = runs.filter((run) => run.rows === 1)
  const longer = new Int32Array(rows).fill(1)
  for (const { first } of single) longer[first] = 0
  const split = splitRows(firsts, words)
  return {
    batch,
    rows,
    slots: words(batch.slots),
    positions: words(batch.positions),
    firsts: words(firsts),
    runOf: firsts,
    split,
    runs: words(Int32Array.from(runs.flatMap(({ slot, first, rows, position }) => [slot, first, rows, position]))),
    runCount: runs.length,
    singles: words(Int32Array.from(single, ({ first }) => first)),
    singleCount: single.length,
    longer: words(longer),
    longest: batch.positions.reduce((a, b) => Math.max(a, b), 0) + 1,
    longestSingle: single.reduce((most, { position }) => Math.max(most, position), 0) + 1,
    form: [rows, runs.length, single.length, ...splitForm(split)],
  }
}
