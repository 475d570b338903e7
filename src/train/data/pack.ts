/** Joins sequences of ids into the examples of a training step. Does not decide what the sequences are. */
import { mixSeeds } from '../../random/hash.ts'
import { type Random, random } from '../../random/stream.ts'
import type { Example } from '../shard.ts'

/** The first `rows` ids are read; a row for which `counts` is true learns to predict the id after it. */
export interface Packable {
  ids: ArrayLike<number>
  rows: number
  counts(row: number): unknown
}

/** A prompt and the answer to it, of which the answer is learned. */
export function promptAndAnswer(prompt: readonly number[], answer: readonly number[]): Packable {
  const ids = [...prompt, ...answer]
  return { ids, rows: ids.length - 1, counts: (row) => row + 1 >= prompt.length }
}

/** One example of sequences one after another, each with a slot and positions of its own. */
export function pack(sequences: readonly Packable[]): Example {
  const T = sequences.reduce((sum, { rows }) => sum + rows, 0)
  const batch = { ids: new Int32Array(T), slots: new Int32Array(T), positions: new Int32Array(T) }
  const counted: number[] = []
  const targets: number[] = []
  let t = 0
  sequences.forEach(({ ids, rows, counts }, slot) => {
    for (let i = 0; i < rows; i++, t++) {
      batch.ids[t] = ids[i]!
      batch.slots[t] = slot
      batch.positions[t] = i
      if (!counts(i)) continue
      counted.push(t)
      targets.push(ids[i + 1]!)
    }
  })
  return { batch, rows: Int32Array.from(counted), targets: Int32Array.from(targets) }
}

/** `batch` sequences of a step in `parts` examples of about equal size, each with random numbers of its own. */
export function drawParts(
  { batch, parts, seed }: { batch: number; parts: number; seed: number },
  step: number,
  draw: (next: Random, count: number) => Example,
): Example[] {
  const examples = Array.from({ length: parts }, (_, part) => {
    const count = Math.floor(((part + 1) * batch) / parts) - Math.floor((part * batch) / parts)
    return draw(random(mixSeeds(seed, step, part)), count)
  })
  return examples.filter(({ rows }) => rows.length > 0)
}
