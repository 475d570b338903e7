/**
 * Causal attention over the rows of each slot, forward and backward: windows, sinks, grouped heads, soft cap, dropout. Matrix products per
 * sequence and head compute the scores and their gradients. All probabilities are kept for the backward pass: O(T²) memory, acceptable for
 * training only.
 */
import { dropoutKeeps } from '../../random/hash.ts'
import type { AttentionOptions, Batch } from '../ops.ts'
import type { Floats } from './matmul.ts'
import { address, gradientOf, outputGradient, result, type TrainingContext, type Value, value } from './values.ts'

/** What the backward pass needs. */
export interface AttentionMemory {
  segments: readonly { from: number; length: number }[]
  /** Per segment and head [n, m], rows t, columns s, m the next multiple of 4. */
  probabilities: Floats[]
  /** d cap / d score, only with a soft cap. */
  slopes: Floats[]
  seed: number
}

/** The probabilities of every sequence and head: rows t of `n`, `stride` values apart, columns s. */
export function attentionSquares({ segments, probabilities }: AttentionMemory): { n: number; stride: number; values: Floats }[] {
  const heads = probabilities.length / segments.length
  return probabilities.map((values, i) => {
    const n = segments[Math.floor(i / heads)]!.length
    return { n, stride: padded(n), values }
  })
}

/** Runs of rows of one slot. */
function segmentsOf({ slots, positions }: Batch): { from: number; length: number }[] {
  const segments: { from: number; length: number }[] = []
  for (let t = 0; t < slots.length; t++) {
    const last = segments.at(-1)
    if (last && slots[t] === slots[t - 1] && positions[t] === positions[t - 1]! + 1) last.length++
    else segments.push({ from: t, length: 1 })
  }
  return segments
}

export function attention(
  context: TrainingContext,
  q: Value,
  k: Value,
  v: Value | undefined,
  batch: Batch,
  options: AttentionOptions,
  seed: number,
): { y: Value; memory: AttentionMemory } {
  const { heads: H, kvHeads: G, keyDim: K, valueDim: U, scale, window, sinks, softcap, dropout = 0 } = options
  if (options.cache) throw new Error('attention while training takes no cache: give whole sequences in one batch')
  const segments = segmentsOf(batch)
  const [values, V] = v ? [v.data, U] : [k.data, K]
  const y = result(context, [q.shape[0]!, H * U])
  const memory: AttentionMemory = { segments, probabilities: [], slopes: [], seed }
  for (const { from, length: n } of segments)
    for (let h = 0; h < H; h++) {
      const g = Math.floor((h * G) / H)
      const m = padded(n)
      const p = context.arena.take(n * m)
      const slopes = softcap === null ? null : context.arena.take(n * m)
      context.matmul(false, true, n, n, K, q.data, from * H * K + h * K, H * K, k.data, from * G * K + g * K, G * K, p, 0, m, false)
      if (softcap !== null) capScores(p, slopes!, scale, softcap)
      normalise(context, p, n, window ?? n, softcap === null ? scale : 1, sinks ? value(sinks).data[h]! : null)
      let used = p
      if (dropout > 0) {
        used = context.arena.take(n * m)
        masked(p, used, dropout, seed, memory.probabilities.length)
      }
      context.matmul(false, false, n, U, n, used, 0, m, values, from * G * V + g * V, G * V, y.data, from * H * U + h * U, H * U, false)
      memory.probabilities.push(p)
      if (slopes) memory.slopes.push(slopes)
    }
  return { y, memory }
}

/** Row length of a square of scores: whole vectors of four. */
const padded = (n: number): number => (n + 3) & ~3

/** Raw dot products -> capped scores, and the slope of that step. */
function capScores(p: Floats, slopes: Floats, scale: number, cap: number): void {
  for (let i = 0; i < p.length; i++) {
    const u = Math.tanh((p[i]! * scale) / cap)
    p[i] = cap * u
    slopes[i] = 1 - u * u
  }
}

/** Scores -> probabilities in place; columns outside of the window become 0. */
function normalise(context: TrainingContext, p: Floats, n: number, window: number, scale: number, sink: number | null): void {
  const m = padded(n)
  if (context.kernels) {
    context.kernels.softmaxCausal(address(p), n, m, window, scale, sink ?? 0, sink === null ? 0 : 1)
    return
  }
  for (let t = 0; t < n; t++) {
    const row = t * m
    const low = Math.max(0, t - window + 1)
    let largest = sink ?? Number.NEGATIVE_INFINITY
    for (let s = low; s <= t; s++) {
      const score = p[row + s]! * scale
      if (score > largest) largest = score
    }
    let sum = sink === null ? 0 : Math.exp(sink - largest)
    for (let s = low; s <= t; s++) {
      const e = Math.exp(p[row + s]! * scale - largest)
      p[row + s] = e
      sum += e
    }
    const inverse = 1 / sum
    for (let s = 0; s < low; s++) p[row + s] = 0
    for (let s = low; s <= t; s++) p[row + s]! *= inverse
    for (let s = t + 1; s < m; s++) p[row + s] = 0
  }
}

function masked(from: Floats, into: Floats, p: number, seed: number, stream: number): void {
  const keep = 1 / (1 - p)
  for (let i = 0; i < from.length; i++) into[i] = dropoutKeeps(seed + Math.imul(stream, 0x2545f491), i, p) ? from[i]! * keep : 0
}

export function attentionBackward(
  context: TrainingContext,
  y: Value,
  q: Value,
  k: Value,
  v: Value | undefined,
  options: AttentionOptions,
  memory: AttentionMemory,
): void {
  const dy = outputGradient(y)
  if (!dy) return
  const { heads: H, kvHeads: G, keyDim: K, valueDim: U, scale, sinks, softcap, dropout = 0 } = options
  const dq = gradientOf(context, q)!
  const dk = gradientOf(context, k)!
  const [values, dv, V] = v ? [v.data, gradientOf(context, v)!, U] : [k.data, dk, K]
  const dSinks = sinks && gradientOf(context, sinks)
  const longest = Math.max(...memory.segments.map(({ length }) => length))
  const slope = context.arena.take(longest * padded(longest))
  const used = dropout > 0 ? context.arena.take(longest * padded(longest)) : null
  let index = 0
  for (const { from, length: n } of memory.segments)
    for (let h = 0; h < H; h++) {
      const g = Math.floor((h * G) / H)
      const p = memory.probabilities[index]!
      const qAt = from * H * K + h * K
      const kAt = from * G * K + g * K
      const vAt = from * G * V + g * V
      const yAt = from * H * U + h * U
      const m = padded(n)
      const d = slope.subarray(0, n * m)
      let forward = p
      if (used) {
        forward = used.subarray(0, n * m)
        masked(p, forward, dropout, memory.seed, index)
      }
      context.matmul(true, false, n, U, n, forward, 0, m, dy, yAt, H * U, dv, vAt, G * V, true)
      context.matmul(false, true, n, n, U, dy, yAt, H * U, values, vAt, G * V, d, 0, m, false)
      if (used) masked(d, d, dropout, memory.seed, index)
      const sink = softmaxBackward(context, p, d, n, scale)
      if (softcap !== null) {
        const slopes = memory.slopes[index]!
        for (let i = 0; i < d.length; i++) d[i]! *= slopes[i]!
      }
      if (dSinks) dSinks[h]! -= sink
      context.matmul(false, false, n, K, n, d, 0, m, k.data, kAt, G * K, dq, qAt, H * K, true)
      context.matmul(true, false, n, K, n, d, 0, m, q.data, qAt, H * K, dk, kAt, G * K, true)
      index++
    }
}

/** d p -> d (q·k) in place; returns Σ_t p_sink·Σ_s p·d p, the negative gradient of the sink logit. */
function softmaxBackward(context: TrainingContext, p: Floats, d: Floats, n: number, scale: number): number {
  const m = padded(n)
  if (context.kernels) return context.kernels.softmaxCausalBackward(address(p), address(d), n, m, scale)
  let sink = 0
  for (let t = 0; t < n; t++) {
    const row = t * m
    let dot = 0
    let mass = 0
    for (let s = 0; s <= t; s++) {
      dot += p[row + s]! * d[row + s]!
      mass += p[row + s]!
    }
    sink += (1 - mass) * dot
    for (let s = 0; s <= t; s++) d[row + s] = p[row + s]! * (d[row + s]! - dot) * scale
    for (let s = t + 1; s < m; s++) d[row + s] = 0
  }
  return sink
}
