/** Weights with an adapter merged into them: W + scale·b·a in f32. */
import { MXFP4_BLOCK, MXFP4_BLOCK_BYTES, storedBytes, unpackMxfp4Block } from '../ops/dtype.ts'
import { size } from '../ops/tensor.ts'
import type { AdapterPlan } from './adapter.ts'
import { decode } from './encode.ts'
import { PUBLISHED_DTYPE } from './published.ts'
import type { PlannedWeight } from './weights.ts'

/** The values of one inner weight of the base with the adapter's change. -> [(E,) O, I] */
export async function mergedValues(
  weight: PlannedWeight,
  { lowRank, replaced }: Pick<AdapterPlan, 'lowRank' | 'replaced'>,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const other = replaced.get(weight.name)
  const values = await valuesOf(other ? { ...weight, ...other } : weight, signal)
  const change = lowRank.get(weight.name)
  if (!change) return values
  const { rank, scale, spec } = change
  const { a, b } = await change.read(signal)
  const [O, I] = [spec.shape.at(-2)!, spec.shape.at(-1)!]
  const table = spec.name === 'embed'
  const sum = new Float64Array(I)
  for (let row = 0; row < values.length / I; row++) {
    const expert = Math.floor(row / O)
    sum.fill(0)
    for (let r = 0; r < rank; r++) {
      // Of a table a is [V, n] and b [I, n]; of a matrix a is [n, I] and b [O, n].
      const left = table ? a[row * rank + r]! : b[row * rank + r]!
      if (left === 0) continue
      for (let i = 0; i < I; i++) sum[i]! += left * (table ? b[i * rank + r]! : a[(expert * rank + r) * I + i]!)
    }
    for (let i = 0; i < I; i++) values[row * I + i]! += scale * sum[i]!
  }
  return values
}

/** The stored values of a weight as f32. */
async function valuesOf(weight: Pick<PlannedWeight, 'shape' | 'dtype' | 'fill'>, signal?: AbortSignal): Promise<Float32Array> {
  const count = size(weight.shape)
  const fill = weight.fill(signal)
  if (weight.dtype !== 'mxfp4') {
    const bytes = new Uint8Array(storedBytes(weight.dtype, count))
    await fill('data', 0, bytes)
    return decode(bytes, PUBLISHED_DTYPE[weight.dtype]!)
  }
  const blocks = new Uint8Array((count / MXFP4_BLOCK) * MXFP4_BLOCK_BYTES)
  const scales = new Uint8Array(count / MXFP4_BLOCK)
  await fill('blocks', 0, blocks)
  await fill('scales', 0, scales)
  const values = new Float32Array(count)
  for (let n = 0; n < scales.length; n++) unpackMxfp4Block(blocks, n * MXFP4_BLOCK_BYTES, scales[n]!, values, n * MXFP4_BLOCK)
  return values
}
