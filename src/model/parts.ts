/** The two parts that every block of a model is made of: projections and norms. */
import type { Ops } from '../ops/ops.ts'
import type { Tensor } from '../ops/tensor.ts'
import type { NormWeights, Projection } from './weights.ts'

/** x [T, I] -> [T, O]: W·x + bias, and scale·b·a·x with an adapter (Hu et al. 2021). */
export function project(ops: Ops, x: Tensor, { weight, bias, adapter }: Projection): Tensor {
  const y = ops.linear(x, weight, bias)
  return adapter ? ops.add(y, ops.linear(ops.linear(x, adapter.a), adapter.b), adapter.scale) : y
}

/** Shape unchanged. */
export function normalize(ops: Ops, norm: NormWeights, x: Tensor): Tensor {
  switch (norm.kind) {
    case 'layerNorm':
      return ops.layerNorm(x, norm.gain, norm.bias, norm.slot.eps)
    case 'rmsNorm':
      return ops.rmsNorm(x, norm.gain, norm.slot.eps, norm.slot.unitOffset ? 1 : 0)
  }
}
