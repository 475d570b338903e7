/**
 * Logits to one id: temperature, top-k, top-p and min-p in this order, then a draw; greedy is exact. Nothing is sorted but the
 * edge of what is kept: probabilities are summed in buckets of nearly equal logits, best first. Changes no logit (penalties.ts does).
 * Top-p: Holtzman et al. 2020; min-p: Nguyen et al. 2024. Stop 9 of the walk.
 */
import { uniform } from './random.ts'
import type { SamplingOptions } from './sampling-options.ts'

const BUCKETS = 1024
const PER_UNIT = 16 // buckets per unit of (largest logit - logit) / temperature; ids beyond 64 units weigh e^-64 and are never drawn
const CENTRE = Float64Array.from({ length: BUCKETS }, (_, b) => Math.exp(-(b + 0.5) / PER_UNIT))
const BLOCK = 512

/** The id to go on with. logits [V], already adjusted; `index` counts the draws of one seed. Throws RangeError when no id is left. */
export function sample(logits: Float32Array, options: SamplingOptions, seed: number, index: number): number {
  const { temperature = 0, topK = 0, topP = 1, minP = 0 } = options
  const blockMaxima = new Float32Array(Math.ceil(logits.length / BLOCK))
  const best = argmax(logits, blockMaxima)
  if (best < 0) throw new RangeError('no id can be drawn: the mask and bias forbid all, or the logits are not numbers')
  const max = logits[best]!
  if (temperature === 0 || topK === 1 || max === Number.POSITIVE_INFINITY) return best

  const scale = PER_UNIT / temperature
  const distance = (id: number) => (max - logits[id]!) * scale // in buckets
  const weightOf = (id: number) => weight(distance(id), distance(id) | 0)
  const idsOf = (bucket: number) => idsBetween(logits, blockMaxima, max, scale, bucket)
  const mass = new Float64Array(BUCKETS) // sum of weights per bucket
  const bestFirst = (ids: number[]) => ids.sort((a, b) => logits[b]! - logits[a]! || a - b)

  // Kept: buckets below `full`, and the ids of `edge`, best first.
  let full = BUCKETS
  let edge: number[] = []
  const total = () =>
    edge.reduce(
      (sum, id) => sum + weightOf(id),
      mass.subarray(0, full).reduce((sum, m) => sum + m, 0),
    )
  /** Keeps the best ids until `gain`, summed over them, reaches `target`. */
  const keep = (perBucket: Float64Array | Int32Array, gain: (id: number) => number, target: number) => {
    let sum = 0
    for (let bucket = 0; bucket < full; bucket++) {
      if (sum + perBucket[bucket]! >= target) {
        full = bucket
        edge = bestFirst(idsOf(bucket))
        break
      }
      sum += perBucket[bucket]!
    }
    const last = edge.findIndex((id) => (sum += gain(id)) >= target)
    if (last >= 0) edge.length = last + 1
  }
  if (topK > 0) keep(countPerBucket(logits, max, scale), () => 1, topK)
  addWeights(mass, logits, max, scale, full)
  if (topP < 1) keep(mass, weightOf, topP * total())
  if (minP > 0) {
    const limit = -Math.log(minP) * PER_UNIT
    if (limit < full) {
      full = Math.floor(limit)
      edge = idsOf(full)
    }
    edge = edge.filter((id) => distance(id) <= limit)
  }

  let rest = uniform(seed, index) * total()
  for (let bucket = 0; bucket < full; bucket++) {
    if (rest >= mass[bucket]!) rest -= mass[bucket]!
    else return pick(idsOf(bucket), weightOf, rest)
  }
  return edge.length > 0 ? pick(edge, weightOf, rest) : best // rounding may leave a crumb
}

/** e^(-at / PER_UNIT) by the bucket's centre and four terms of the series: 4e-8 off at most, and the same on every machine. */
function weight(at: number, bucket: number): number {
  const r = (bucket - at + 0.5) / PER_UNIT
  return CENTRE[bucket]! * (1 + r * (1 + r * (1 / 2 + r * (1 / 6))))
}

// The loops over the vocabulary are functions of their own: V8 compiles them best without a closure.

function countPerBucket(logits: Float32Array, max: number, scale: number): Int32Array {
  const count = new Int32Array(BUCKETS)
  for (let id = 0; id < logits.length; id++) {
    const at = (max - logits[id]!) * scale
    if (at < BUCKETS) count[at | 0]!++
  }
  return count
}

/** Adds the weights of the ids in buckets below `limit`. */
function addWeights(mass: Float64Array, logits: Float32Array, max: number, scale: number, limit: number): void {
  for (let id = 0; id < logits.length; id++) {
    const at = (max - logits[id]!) * scale
    if (at < limit) mass[at | 0]! += weight(at, at | 0)
  }
}

/** The ids of a bucket in ascending order; blocks that cannot contain one are skipped. */
function idsBetween(logits: Float32Array, blockMaxima: Float32Array, max: number, scale: number, bucket: number): number[] {
  const ids: number[] = []
  for (let block = 0; block < blockMaxima.length; block++) {
    if ((max - blockMaxima[block]!) * scale >= bucket + 1) continue
    const end = Math.min(logits.length, (block + 1) * BLOCK)
    for (let id = block * BLOCK; id < end; id++) {
      const at = (max - logits[id]!) * scale
      if (at >= bucket && at < bucket + 1) ids.push(id)
    }
  }
  return ids
}

/** The first id at which the running sum passes `rest`; the last one if rounding left too much. */
function pick(ids: number[], weightOf: (id: number) => number, rest: number): number {
  for (const id of ids) if ((rest -= weightOf(id)) < 0) return id
  return ids.at(-1)!
}

/** The likeliest id, on ties the lowest; -1 when there is none. Also the largest logit of every block. */
function argmax(logits: Float32Array, blockMaxima: Float32Array): number {
  let [best, max] = [-1, Number.NEGATIVE_INFINITY]
  for (let block = 0; block < blockMaxima.length; block++) {
    let largest = Number.NEGATIVE_INFINITY
    const end = Math.min(logits.length, (block + 1) * BLOCK)
    for (let id = block * BLOCK; id < end; id++) if (logits[id]! > largest) largest = logits[id]!
    blockMaxima[block] = largest
    if (largest > max) {
      max = largest
      best = logits.indexOf(largest, block * BLOCK)
    }
  }
  return best
}
