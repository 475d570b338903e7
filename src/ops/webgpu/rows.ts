/**
 * Which rows of a pass are computed in tiles. A row of a long run (of a prompt) shares what is read of the weights with its run; a row of a
 * short run (of a sequence that is decoded) keeps the sums that it has alone. The length of its own run decides, never the other rows of
 * the pass. Experts alone ask for enough rows of all long runs together (grouped.ts).
 */
import { reads } from './fuse.ts'
import type { Node } from './record.ts'
import type { Temporary } from './tensor.ts'

/** Rows of a run from which on it is computed in tiles: those of the smallest tile, below which tiles would compute rows that nobody wants. */
export const LEAST_TILED = 32

export interface Rows {
  readonly count: number
  /** First word of their numbers; undefined: they are all rows of the pass, in order. */
  readonly list: number | undefined
}

export interface Split {
  /** Rows of both together. */
  readonly rows: number
  readonly few: Rows
  readonly tiled: Rows
}

export const allRows = (count: number): Rows => ({ count, list: undefined })
export const NO_ROWS: Rows = allRows(0)
export const allFew = (rows: number): Split => ({ rows, few: allRows(rows), tiled: NO_ROWS })

/** One run, or rows of which nothing is known. */
export const oneRun = (rows: number): Split => (rows < LEAST_TILED ? allFew(rows) : { rows, few: NO_ROWS, tiled: allRows(rows) })

/**
 * @param runs for each row a number that it shares with the rows of its run
 * @param words puts numbers among the words of the pass
 */
export function splitRows(runs: Int32Array, words: (values: Int32Array) => number): Split {
  if (runs.length < LEAST_TILED) return allFew(runs.length)
  const lengths = new Map<number, number>()
  for (const run of runs) lengths.set(run, (lengths.get(run) ?? 0) + 1)
  const rows = runs.length
  const few: number[] = []
  const tiled: number[] = []
  for (const [row, run] of runs.entries()) (lengths.get(run)! < LEAST_TILED ? few : tiled).push(row)
  if (tiled.length === 0) return allFew(rows)
  if (few.length === 0) return { rows, few: NO_ROWS, tiled: allRows(rows) }
  const listed = (numbers: number[]): Rows => ({ count: numbers.length, list: words(Int32Array.from(numbers)) })
  return { rows, few: listed(few), tiled: listed(tiled) }
}

/** What a plan depends on. */
export const splitForm = ({ few, tiled }: Split): readonly number[] => [few.count, few.list ?? -1, tiled.count, tiled.list ?? -1]

/** The split of each temporary that has the rows of a batch or of a selection: nodes keep the rows of what they read. */
export function splitsOf(nodes: readonly Node[]): Map<Temporary, Split> {
  const splits = new Map<Temporary, Split>()
  const own = (node: Node): Split | undefined => ('batch' in node ? node.batch.split : node.op === 'select' ? node.split : undefined)
  for (const node of nodes) {
    const split = own(node) ?? reads(node).reduce<Split | undefined>((found, x) => found ?? splits.get(x), undefined)
    if (split) splits.set(node.y, split)
  }
  for (const node of nodes.toReversed()) {
    const split = splits.get(node.y)
    if (split && node.op !== 'select' && node.op !== 'other') for (const x of reads(node)) if (!splits.has(x)) splits.set(x, split)
  }
  return splits
}
