/**
 * What single ops of a backend give for small inputs: activations, and one attention head with other positions, biases and sinks.
 * Claims and figures both use it.
 */
import type { Rope } from '../architecture/architecture.ts'
import { rotation } from '../model/rope.ts'
import type { Backend } from '../ops/backend.ts'
import type { AttentionOptions, Batch, Rotation } from '../ops/ops.ts'
import type { Tensor } from '../ops/tensor.ts'
import { largestDifference, noise } from './claim.ts'

/** A batch of one sequence, from position 0 on. Ids are not read by single ops. */
export const sequence = (length: number): Batch => ({
  ids: new Int32Array(length),
  slots: new Int32Array(length),
  positions: Int32Array.from({ length }, (_, position) => position),
})

/** Options of one head without a window, sinks and soft cap. */
export const oneHead = (width: number, options: Partial<AttentionOptions> = {}): AttentionOptions => ({
  heads: 1,
  kvHeads: 1,
  keyDim: width,
  valueDim: width,
  scale: width ** -0.5,
  window: null,
  softcap: null,
  ...options,
})

/** Rotary positions without scaling. */
export const plainRope = (rotaryDim: number, ropeTheta = 10000): Rope => ({
  kind: 'rope',
  ropeTheta,
  rotaryDim,
  pairing: 'halves',
  scaling: { kind: 'none' },
})

export const row = (values: Float32Array, index: number, width: number): Float32Array => values.subarray(index * width, (index + 1) * width)

/** Values of activations at the places x. */
export async function activations(ops: Backend, grid: Float32Array) {
  const x = () => ops.upload(grid, [1, grid.length])
  const constant = (value: number) => ops.upload(new Float32Array(grid.length).fill(value), [1, grid.length])
  return {
    gelu: await ops.run(() => ops.gelu(x(), { kind: 'gelu', approximation: 'erf' })),
    tanh: await ops.run(() => ops.gelu(x(), { kind: 'gelu', approximation: 'tanh' })),
    silu: await ops.run(() => ops.gated(x(), constant(1), { kind: 'swiglu' })),
    // With up = 0 the clamped gate is g·sigmoid(1.702·g) alone.
    quick: await ops.run(() => ops.gated(x(), constant(0), { kind: 'clampedSwiglu', alpha: 1.702, limit: 1e6 })),
  }
}

/** The place x and the value where a curve is lowest. */
export function lowest(grid: Float32Array, curve: Float32Array): { at: number; value: number } {
  const index = curve.reduce((best, value, i) => (value < curve[best]! ? i : best), 0)
  return { at: grid[index]!, value: curve[index]! }
}

/** Six tokens of which the earlier ones change places; the last one stays. */
const ORDER = [3, 0, 4, 1, 2, 5]

/**
 * Largest change of the last output of attention over six random tokens of width 8 when the earlier ones change places.
 * `added` [6, 8]: positions that are added to the input; `turn`: positions that rotate queries and keys.
 */
export async function changeByOrder(
  ops: Backend,
  { seed, layers, added, turn }: { seed: number; layers: number; added?: Float32Array; turn?: Rotation },
): Promise<number> {
  const [T, K] = [ORDER.length, 8]
  const tokens = noise(seed, T * K).map((value) => 2 * value)
  const permuted = Float32Array.from(ORDER.flatMap((from) => [...row(tokens, from, K)]))
  const last = async (data: Float32Array): Promise<Float32Array> => {
    const result = await ops.run(() => {
      let x: Tensor = ops.upload(data, [T, K])
      if (added) x = ops.add(x, ops.upload(added, [T, K]))
      for (let layer = 0; layer < layers; layer++) {
        const placed = turn ? ops.rope(x, turn, sequence(T)) : x
        x = ops.attention(placed, placed, x, sequence(T), oneHead(K))
      }
      return x
    })
    return row(result, T - 1, K)
  }
  return largestDifference(await last(tokens), await last(permuted))
}

/** Largest change of one attention head's output when all positions move by 1000, with queries and keys or queries and values rotated. */
export async function shiftChange(ops: Backend, rotated: 'keys' | 'values'): Promise<number> {
  const [T, K] = [6, 8]
  const turn = rotation(K, plainRope(K))
  const [q, k, v] = [51, 52, 53].map((seed) => noise(seed, T * K).map((value) => 2 * value))
  const from = (start: number) =>
    ops.run(() => {
      const batch = { ...sequence(T), positions: Int32Array.from({ length: T }, (_, t) => start + t) }
      const plain = (data: Float32Array) => ops.upload(data, [T, K])
      const placed = (data: Float32Array) => ops.rope(plain(data), turn, batch)
      return ops.attention(
        placed(q!),
        rotated === 'keys' ? placed(k!) : plain(k!),
        rotated === 'values' ? placed(v!) : plain(v!),
        sequence(T),
        oneHead(K),
      )
    })
  return largestDifference(await from(0), await from(1000))
}

/** What a key bias and a value bias change in the output of one attention head. */
export async function biasEffects(ops: Backend, rotary: boolean, sink: boolean): Promise<{ key: number; value: number }> {
  const [T, K] = [6, 8]
  const batch = sequence(T)
  const turn = rotation(K, plainRope(K))
  const [q, k, v, bias] = [1, 2, 3, 4].map((seed) => noise(seed, seed === 4 ? K : T * K).map((value) => 2 * value))
  const plus = (values: Float32Array) => values.map((value, index) => value + bias![index % K]!)
  const run = (keys: Float32Array, values: Float32Array) =>
    ops.run(() => {
      const place = (data: Float32Array) => {
        const x = ops.upload(data, [T, K])
        return rotary ? ops.rope(x, turn, batch) : x
      }
      const sinks = sink ? ops.upload(Float32Array.of(0.5), [1]) : undefined
      return ops.attention(place(q!), place(keys), ops.upload(values, [T, K]), batch, oneHead(K, { sinks }))
    })
  const plain = await run(k!, v!)
  const withKeyBias = await run(plus(k!), v!)
  const withValueBias = await run(k!, plus(v!))
  // Where each row of probabilities sums to one, a bias of the values equals the same bias of the output.
  return { key: largestDifference(plain, withKeyBias), value: largestDifference(plus(plain), withValueBias) }
}

/** Probabilities of one query over keys with these scores, up to four, with a sink logit or without. */
export async function sinkProbabilities(ops: Backend, scores: readonly number[], sink?: number): Promise<Float32Array> {
  // The values are unit vectors, so the output of the last row is the row of probabilities.
  const [T, K] = [scores.length, 4]
  const [q, k, v] = [new Float32Array(T * K), new Float32Array(T * K), new Float32Array(T * K)]
  for (const [t, score] of scores.entries()) {
    q[t * K] = 1
    k[t * K] = score
    v[t * K + t] = 1
  }
  const y = await ops.run(() => {
    const sinks = sink === undefined ? undefined : ops.upload(Float32Array.of(sink), [1])
    return ops.attention(ops.upload(q, [T, K]), ops.upload(k, [T, K]), ops.upload(v, [T, K]), sequence(T), oneHead(K, { scale: 1, sinks }))
  })
  return row(y, T - 1, K).subarray(0, T)
}
