/**
 * Softmax(q·kᵀ·scale)·v for one row and head after the other: causal, grouped heads, window, sink, soft cap.
 * Plain loops in the order of the formula; no tiles, no online softmax. Stop 7 of the walk.
 * Vaswani et al. 2017; grouped heads: Ainslie et al. 2023; windows: Child et al. 2019; sinks: gpt-oss model card.
 */
import { dropoutKeeps } from '../../random/hash.ts'
import type { AttentionOptions, Batch } from '../ops.ts'
import type { Tensor } from '../tensor.ts'
import type { HostLayerCache } from './cache.ts'
import { type Allocate, type HostTensor, type Values, values } from './values.ts'

/** q [T, H·K], k and v [T, G·K] -> [T, H·K] */
export function attention(
  allocate: Allocate,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  batch: Batch,
  options: AttentionOptions,
  seed: number,
): HostTensor {
  const { heads: H, headDim: K, dropout = 0 } = options
  const T = batch.ids.length
  const y = allocate([T, H * K])
  if (options.cache) store(options.cache as HostLayerCache, values(k), values(v), batch)
  for (let t = 0; t < T; t++) {
    for (let h = 0; h < H; h++) {
      const { keys, probabilities } = attend(q, k, batch, options, t, h)
      const memory = options.cache ? (options.cache as HostLayerCache).v : values(v)
      probabilities.forEach((p, s) => {
        const kept = dropoutKeeps(seed, (t * H + h) * T + s, dropout) ? p / (1 - dropout) : 0
        for (let i = 0; i < K; i++) y.data[(t * H + h) * K + i]! += kept * memory[keys[s]! + i]!
      })
    }
  }
  return y
}

/** Where the visible keys of row t and head h lie, and the probability of each (their sum is below 1 with a sink). */
export function attend(
  q: Tensor,
  k: Tensor,
  batch: Batch,
  options: AttentionOptions,
  t: number,
  h: number,
): { keys: number[]; probabilities: number[] } {
  const { heads: H, kvHeads: G, headDim: K, scale, softcap } = options
  const cache = options.cache as HostLayerCache | undefined
  const head = Math.floor((h * G) / H) * K
  const keys = visible(batch, options, t).map((row) => row * G * K + head)
  const query = values(q).subarray((t * H + h) * K, (t * H + h + 1) * K)
  const memory = cache ? cache.k : values(k)
  const scores = keys.map((at) => {
    let score = 0
    for (let i = 0; i < K; i++) score += query[i]! * memory[at + i]!
    score *= scale
    return softcap === null ? score : softcap * Math.tanh(score / softcap)
  })
  const sink = options.sinks ? values(options.sinks)[h]! : Number.NEGATIVE_INFINITY // neither scaled nor rotated
  const largest = Math.max(sink, ...scores)
  let sum = Math.exp(sink - largest)
  for (const score of scores) sum += Math.exp(score - largest)
  return { keys, probabilities: scores.map((score) => Math.exp(score - largest) / sum) }
}

/** Rows of k and v (of the cache, or of this batch) that row t may see, oldest first. */
export function visible(batch: Batch, { window, cache }: AttentionOptions, t: number): number[] {
  const position = batch.positions[t]!
  const slot = batch.slots[t]!
  const oldest = window === null ? 0 : Math.max(0, position - window + 1)
  const rows: number[] = []
  if (cache) {
    const { ring } = cache as HostLayerCache
    for (let p = oldest; p <= position; p++) rows.push(slot * ring + (p % ring))
  } else {
    let first = t
    while (first > 0 && batch.slots[first - 1] === slot && batch.positions[first - 1]! >= oldest) first--
    for (let row = first; row <= t; row++) rows.push(row)
  }
  return rows
}

function store(cache: HostLayerCache, k: Values, v: Values, { slots, positions }: Batch): void {
  const width = cache.kvHeads * cache.headDim
  slots.forEach((slot, t) => {
    const at = (slot * cache.ring + (positions[t]! % cache.ring)) * width
    cache.k.set(k.subarray(t * width, (t + 1) * width), at)
    cache.v.set(v.subarray(t * width, (t + 1) * width), at)
  })
}
