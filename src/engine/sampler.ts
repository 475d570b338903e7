/**
 * Logits to one id: temperature, top-k, top-p and min-p in this order, then a draw; greedy is exact. Only
 * the bucket at the border of the kept ids is sorted (buckets.ts). Changes no logit; penalties.ts does.
 * Top-p: Holtzman et al. 2020; min-p: Nguyen et al. 2024. Stop 9 of the walk.
 */
import { uniform } from '../random/counter.ts'
import { Buckets } from './buckets.ts'
import type { SamplingOptions } from './sampling-options.ts'

/** The next id. logits [V], adjusted; `index` counts the draws of a seed. Throws RangeError when no id is allowed. */
export function sample(logits: Float32Array, options: SamplingOptions, seed: number, index: number): number {
  const { temperature = 0, topK = 0, topP = 1, minP = 0 } = options
  const buckets = new Buckets(logits, temperature || 1)
  const { best } = buckets
  if (best < 0) throw new RangeError('no id can be drawn: the mask and bias forbid all, or the logits are not numbers')
  if (temperature === 0 || topK === 1 || logits[best] === Number.POSITIVE_INFINITY) return best

  // Kept are the buckets below `full`, and the ids of `edge`, likeliest first.
  let full = Buckets.count
  let edge: number[] = []
  const weight = (id: number) => buckets.weight(id)
  /** Keeps the likeliest ids until `gain`, summed over them, reaches `target`. */
  const keep = (gains: ArrayLike<number>, gain: (id: number) => number, target: number) => {
    let sum = 0
    for (let bucket = 0; bucket < full; bucket++) {
      if (sum + gains[bucket]! >= target) {
        full = bucket
        edge = buckets.ranked(bucket)
        break
      }
      sum += gains[bucket]!
    }
    const last = edge.findIndex((id) => (sum += gain(id)) >= target)
    if (last >= 0) edge.length = last + 1
  }

  if (topK > 0) keep(buckets.counts(), () => 1, topK)
  const masses = buckets.masses(full)
  const total = () => {
    let sum = 0
    for (let bucket = 0; bucket < full; bucket++) sum += masses[bucket]!
    for (const id of edge) sum += weight(id)
    return sum
  }
  if (topP < 1) keep(masses, weight, topP * total())
  if (minP > 0) {
    const limit = Buckets.distanceOf(minP)
    if (limit < full) {
      full = Math.floor(limit)
      edge = buckets.ids(full)
    }
    edge = edge.filter((id) => buckets.distance(id) <= limit)
  }

  let rest = uniform(seed, index) * total()
  for (let bucket = 0; bucket < full; bucket++) {
    if (rest < masses[bucket]!) return buckets.draw(bucket, rest)
    rest -= masses[bucket]!
  }
  for (const id of edge) if ((rest -= weight(id)) < 0) return id
  return edge.at(-1) ?? best // rounding can leave a small remainder
}
