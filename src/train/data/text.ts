/**
 * Training data from text: ids cut into windows at seeded places for training, at fixed places for evaluation.
 * The end of the text is held out, a tenth by default.
 */
import type { Example } from '../shard.ts'
import type { TrainingData } from '../trainer.ts'
import { drawParts, pack } from './pack.ts'

export interface TextOptions {
  /** Ids per window. */
  block: number
  /** Windows per step. */
  batch: number
  /** Examples that share the windows of a step: a multiple of the number of shards. */
  parts: number
  seed: number
  /** Share of the text kept for evaluation. */
  heldOut?: number
  /** Most windows of an evaluation. */
  evaluationWindows?: number
  /** Ids in front of each window, see `windows`. */
  prefix?: readonly number[]
}

export interface TextData extends TrainingData {
  readonly training: Int32Array
  readonly heldOut: Int32Array
}

/**
 * Windows of `block` rows that begin at `starts`, each a slot of its own; every id of the text counts.
 * @param prefix ids in front of each window (a BOS), which are read and not predicted
 */
export function windows(ids: Int32Array, starts: readonly number[], block: number, prefix: readonly number[] = []): Example {
  const cut = (start: number) => ids.subarray(start, start + block + 1 - prefix.length)
  return pack(
    starts.map((start) => ({
      ids: prefix.length === 0 ? cut(start) : [...prefix, ...cut(start)],
      rows: block,
      counts: (row) => row >= prefix.length - 1,
    })),
  )
}

export function textData(ids: Int32Array, options: TextOptions): TextData {
  const { block, heldOut = 0.1, evaluationWindows = 400, prefix } = options
  const cut = Math.floor(ids.length * (1 - heldOut))
  const training = ids.subarray(0, cut)
  const kept = ids.subarray(cut)
  for (const [name, part] of [
    ['training', training],
    ['held-out', kept],
  ] as const)
    if (part.length < block + 2)
      throw new RangeError(
        `the ${name} text has ${part.length} tokens, fewer than one window of ${block} needs: use a longer text or a shorter --block`,
      )
  const evaluation = cutEvaluation(kept, block, evaluationWindows, prefix)
  return {
    training,
    heldOut: kept,
    examples: (step) =>
      drawParts(options, step, (next, count) => {
        const starts = Array.from({ length: count }, () => Math.floor(next() * (training.length - block - 1)))
        return windows(training, starts, block, prefix)
      }),
    evaluation: () => evaluation,
  }
}

/**
 * Where the windows of an evaluation begin: at most `most`, at equal distances over the whole text. A window predicts from `block` ids.
 * @param prefix so many of them stand in front of the text (a BOS); with one, all `block` ids that a window predicts are of the text
 */
export function evaluationStarts(length: number, block: number, most: number, prefix = 0): number[] {
  const own = block + 1 - prefix // ids of the text in a window; without a prefix the last one is the first of the next
  const stride = Math.min(block, own)
  const possible = Math.floor((length - Math.max(0, own - block)) / stride)
  const count = Math.min(most, possible)
  return Array.from({ length: count }, (_, i) => Math.floor((i * possible) / count) * stride)
}

/** The windows of an evaluation in examples of about 2,000 tokens. */
function cutEvaluation(ids: Int32Array, block: number, most: number, prefix: readonly number[] = []): Example[] {
  const starts = evaluationStarts(ids.length, block, most, prefix.length)
  const perExample = Math.max(1, Math.floor(2048 / block))
  const examples: Example[] = []
  for (let i = 0; i < starts.length; i += perExample) examples.push(windows(ids, starts.slice(i, i + perExample), block, prefix))
  return examples
}
