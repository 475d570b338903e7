/**
 * The attention slot: project, norm, rotate, attend, project back. Which of these steps exist is read
 * from the slot. The softmax, its window and its sinks are one op. Stop 6 of the walk.
 */
import type { Batch, LayerCache, LayerState, Ops, Rotation } from '../ops/ops.ts'
import type { Tensor } from '../ops/tensor.ts'
import { normalize, project } from './parts.ts'
import type { AttentionWeights, NormWeights, Projection } from './weights.ts'

export interface AttentionContext {
  /** Present exactly where the slot's position is rotary. */
  rotation: Rotation | undefined
  cache: LayerCache | LayerState | undefined
  dropout: number | undefined
  name: string
}

/** x [T, D] -> [T, D] */
export function attentionBlock(ops: Ops, block: AttentionWeights, x: Tensor, batch: Batch, context: AttentionContext): Tensor {
  const { rotation, cache, dropout, name } = context
  return ops.scope(name, () => {
    switch (block.kind) {
      case 'multiHead': {
        const { heads, kvHeads, headDim, scale, slidingWindow, logitSoftcap, qkvClip } = block.slot
        const projected = (projection: Projection) => {
          const y = project(ops, x, projection)
          return qkvClip === undefined ? y : ops.clamp(y, qkvClip)
        }
        const place = (projection: Projection, norm: NormWeights | undefined) => {
          const y = norm ? normalize(ops, norm, projected(projection)) : projected(projection)
          return rotation ? ops.rope(y, rotation, batch) : y
        }
        const q = place(block.q, block.qNorm) // [T, H·K]
        const k = place(block.k, block.kNorm) // [T, G·K]
        const v = projected(block.v) // [T, G·K]
        const mixed = ops.attention(q, k, v, batch, {
          heads,
          kvHeads,
          keyDim: headDim,
          valueDim: headDim,
          scale,
          window: slidingWindow,
          sinks: block.sinks,
          softcap: logitSoftcap,
          cache: cache as LayerCache | undefined,
          dropout,
        }) // [T, H·K]
        return project(ops, mixed, block.o) // [T, D]
      }
    }
  })
}
