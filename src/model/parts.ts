/** What the blocks of a model are made of: projections and norms, and the factor on embeddings. */
import type { Architecture } from '../architecture/architecture.ts'
import { fromBf16, toBf16 } from '../numbers/bf16.ts'
import type { Ops } from '../ops/ops.ts'
import type { Tensor } from '../ops/tensor.ts'
import type { Adapter, NormWeights, Projection } from './weights.ts'

/** x [T, I] -> [T, O]: W·x + bias, and scale·b·a·x with an adapter. */
export function project(ops: Ops, x: Tensor, { weight, bias, adapter }: Projection): Tensor {
  const y = ops.linear(x, weight, bias)
  return adapter ? adapt(ops, y, ops.linear(x, adapter.a), adapter) : y
}

/** y + scale·b·low. y [T, O], low [T, n] -> [T, O] */
export const adapt = (ops: Ops, y: Tensor, low: Tensor, { b, scale }: Adapter): Tensor => ops.add(y, ops.linear(low, b), scale)

/** Shape unchanged. */
export function normalize(ops: Ops, norm: NormWeights, x: Tensor): Tensor {
  switch (norm.kind) {
    case 'layerNorm':
      return ops.layerNorm(x, norm.gain, norm.bias, norm.slot.eps)
    case 'plainLayerNorm':
      return ops.layerNorm(x, undefined, undefined, norm.slot.eps)
    case 'none':
      return x
    case 'rmsNorm':
      return ops.rmsNorm(x, norm.gain, norm.slot.eps, norm.slot.unitOffset ? 1 : 0)
  }
}

/** The factor on embedded rows; where the published code holds it in the dtype of the weights, rounded to that. */
export function embeddingScale({ embedding: { scale, roundScale }, dtype }: Architecture): number {
  if (!roundScale) return scale
  return dtype === 'bf16' ? fromBf16(toBf16(scale)) : dtype === 'f16' ? Math.f16round(scale) : Math.fround(scale)
}
