/**
 * Sampling options and the ids seen so far -> how the next id is drawn. The rule of the draw itself is
 * `ops/draw.ts`. Repetition penalty: Keskar et al. 2019 (CTRL); presence and frequency penalty as in
 * the OpenAI API. Stop 9 of the walk.
 */
import type { Draw } from '../ops/draw.ts'
import { philox } from '../random/counter.ts'
import type { SamplingOptions } from './sampling-options.ts'

/** Ids are kept in 32 bits, where a larger one would be another id; no vocabulary has it. */
const LARGEST_ID = 2 ** 31 - 1

/** What penalties look at: how often each id occurs in the answer, and which ids occur at all. */
export interface Seen {
  readonly counts: ReadonlyMap<number, number>
  readonly all: ReadonlySet<number>
}

/** The draw number `index` of a seed. `mask`: the allowed ids. */
export function drawOf(options: SamplingOptions, seed: number, index: number, seen: Seen, mask: Uint32Array | undefined): Draw {
  const { temperature = 0, topK = 0, topP = 1, minP = 0 } = options
  const noise = temperature === 0 ? 0 : philox(index, Math.floor(seed / 2 ** 32), seed % 2 ** 32)[0]
  return { temperature, topK, topP, minP, noise, mask, changes: changesOf(options, seen) }
}

function changesOf(options: SamplingOptions, { counts, all }: Seen): Draw['changes'] {
  const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0, logitBias } = options
  if (repetitionPenalty === 1 && presencePenalty === 0 && frequencyPenalty === 0 && !logitBias) return undefined
  const added = new Map<number, number>()
  if (presencePenalty !== 0 || frequencyPenalty !== 0)
    for (const [id, count] of counts) added.set(id, -(presencePenalty + frequencyPenalty * count))
  for (const [id, bias] of logitBias ?? []) if (id <= LARGEST_ID) added.set(id, (added.get(id) ?? 0) + bias)
  const repeated = repetitionPenalty === 1 ? new Set<number>() : all
  if (added.size + repeated.size === 0) return undefined
  const ids = Int32Array.from(new Set([...repeated, ...added.keys()]))
  return {
    ids,
    factor: Float32Array.from(ids, (id) => (repeated.has(id) ? repetitionPenalty : 1)),
    add: Float32Array.from(ids, (id) => added.get(id) ?? 0),
  }
}
