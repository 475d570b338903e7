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

/** q [T, H·K], k [T, G·K], v [T, G·U] or the first U values of every key -> [T, H·U] */
export function attention(
  allocate: Allocate,
  q: Tensor,
  k: Tensor,
  v: Tensor | undefined,
  batch: Batch,
  options: AttentionOptions,
  seed: number,
): HostTensor {
  const { heads: H, kvHeads: G, keyDim: K, valueDim: U, dropout = 0 } = options
  const T = batch.ids.length
  const y = allocate([T, H * U])
  const cache = options.cache as HostLayerCache | undefined
  if (cache) store(cache, values(k), v && values(v), batch)
  const keys = cache ? cache.k : values(k)
  const [memory, width] = v ? [cache ? cache.v : values(v), U] : [keys, K]
  for (let t = 0; t < T; t++) {
    for (let h = 0; h < H; h++) {
      const { rows, probabilities } = attend(q, k, batch, options, t, h)
      probabilities.forEach((p, s) => {
        const kept = dropoutKeeps(seed, (t * H + h) * T + s, dropout) ? p / (1 - dropout) : 0
        const at = (rows[s]! * G + Math.floor((h * G) / H)) * width
        for (let i = 0; i < U; i++) y.data[(t * H + h) * U + i]! += kept * memory[at + i]!
      })
    }
  }
  return y
}

/** The rows whose keys row t and head h may see, and the probability of each (their sum is below 1 with a sink). */
export function attend(
  q: Tensor,
  k: Tensor,
  batch: Batch,
  options: AttentionOptions,
  t: number,
  h: number,
): { rows: number[]; probabilities: number[] } {
  const { heads: H, kvHeads: G, keyDim: K, scale, softcap } = options
  const cache = options.cache as HostLayerCache | undefined
  const head = Math.floor((h * G) / H) * K
  const rows = visible(batch, options, t)
  const query = values(q).subarray((t * H + h) * K, (t * H + h + 1) * K)
  const memory = cache ? cache.k : values(k)
  const scores = rows.map((row) => {
    let score = 0
    for (let i = 0; i < K; i++) score += query[i]! * memory[row * G * K + head + i]!
    score *= scale
    return softcap === null ? score : softcap * Math.tanh(score / softcap)
  })
  const sink = options.sinks ? values(options.sinks)[h]! : Number.NEGATIVE_INFINITY // neither scaled nor rotated
  const largest = Math.max(sink, ...scores)
  let sum = Math.exp(sink - largest)
  for (const score of scores) sum += Math.exp(score - largest)
  return { rows, probabilities: scores.map((score) => Math.exp(score - largest) / sum) }
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

function store(cache: HostLayerCache, k: Values, v: Values | undefined, { slots, positions }: Batch): void {
  const [K, U] = [cache.kvHeads * cache.keyDim, cache.kvHeads * cache.valueDim]
  slots.forEach((slot, t) => {
    const row = slot * cache.ring + (positions[t]! % cache.ring)
    cache.k.set(k.subarray(t * K, (t + 1) * K), row * K)
    if (v) cache.v.set(v.subarray(t * U, (t + 1) * U), row * U)
  })
}
