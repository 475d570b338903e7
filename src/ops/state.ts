/**
 * The rule of states, for every backend: a run of rows begins at position 0 with a state of zeros, or at the position where the
 * state of its slot stands. A state cannot be cut back like keys and values, so a row anywhere else would be computed from a wrong past.
 */
import type { Batch, StatePart } from './ops.ts'

/** Moves the states of a batch's slots on. @throws RangeError for a run that begins where no state stands */
export function advance({ next }: StatePart, { slots, positions }: Batch): void {
  slots.forEach((slot, t) => {
    const position = positions[t]!
    if (position !== 0 && position !== next[slot])
      throw new RangeError(
        `the state of slot ${slot} stands at position ${next[slot]}, got a row at position ${position}; begin at 0 or restore a snapshot`,
      )
    next[slot] = position + 1
  })
}

/** Rows of one slot that follow one another: the slot, the first row, how many, and the position of the first. */
export interface Run {
  readonly slot: number
  readonly first: number
  rows: number
  readonly position: number
}

/** The runs of a batch, in order. */
export function runsOf({ slots, positions }: Batch): Run[] {
  const runs: Run[] = []
  slots.forEach((slot, t) => {
    const last = runs.at(-1)
    if (last?.slot === slot && last.position + last.rows === positions[t]) last.rows++
    else runs.push({ slot, first: t, rows: 1, position: positions[t]! })
  })
  return runs
}

/** @throws RangeError where the state of the slot does not stand at this position */
export function mustStandAt({ next }: StatePart, slot: number, position: number): void {
  if (next[slot] !== position)
    throw new RangeError(`snapshot: the state of slot ${slot} stands at position ${next[slot]}, not at ${position}`)
}
