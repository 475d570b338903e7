/**
 * The attention slot: project, norm, rotate, attend, project back. Which of these steps exist is read from the slot;
 * the softmax, its window and its sinks are one op. Stop 6 of the walk.
 */
import type { Attention } from '../architecture/architecture.ts'
import type { Batch, LayerCache, Ops, Rotation } from '../ops/ops.ts'
import type { Tensor } from '../ops/tensor.ts'
import type { AttentionWeights } from './weights.ts'

export interface AttentionContext {
  /** Present exactly where the slot's position is rotary. */
  rotation: Rotation | undefined
  cache: LayerCache | undefined
  dropout: number | undefined
  name: string
}

/** x [T, D] -> [T, D] */
export function attentionBlock(
  ops: Ops,
  slot: Attention,
  weights: AttentionWeights,
  x: Tensor,
  batch: Batch,
  context: AttentionContext,
): Tensor {
  const { heads, kvHeads, headDim, scale, slidingWindow, logitSoftcap } = slot
  const { rotation, cache, dropout, name } = context
  return ops.scope(name, () => {
    const place = (projected: Tensor, gain: Tensor | undefined) => {
      let y = projected
      if (slot.qkNorm.kind !== 'none') y = ops.rmsNorm(y, gain!, slot.qkNorm.eps, slot.qkNorm.unitOffset ? 1 : 0)
      return rotation ? ops.rope(y, rotation, batch) : y
    }
    const q = place(ops.linear(x, weights.q, weights.qBias), weights.qNorm) // [T, H·K]
    const k = place(ops.linear(x, weights.k, weights.kBias), weights.kNorm) // [T, G·K]
    const v = ops.linear(x, weights.v, weights.vBias) // [T, G·K]
    const mixed = ops.attention(q, k, v, batch, {
      heads,
      kvHeads,
      keyDim: headDim,
      valueDim: headDim,
      scale,
      window: slidingWindow,
      sinks: weights.sinks,
      softcap: logitSoftcap,
      cache,
      dropout,
    }) // [T, H·K]
    return ops.linear(mixed, weights.o, weights.oBias) // [T, D]
  })
}
