/**
 * The attention slot: project, norm, rotate, attend, project back. Which of these steps exist is read
 * from the slot. The softmax, its window and its sinks are one op. Stop 6 of the walk.
 */
import type { Batch, LayerCache, LayerState, Ops, Rotation } from '../ops/ops.ts'
import type { Tensor } from '../ops/tensor.ts'
import { normalize, project } from './parts.ts'
import { stateSpace } from './state-space.ts'
import type { AttentionWeights, LatentWeights, NormWeights, Projection } from './weights.ts'

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
      case 'latent':
        return project(ops, latentAttention(ops, block, x, batch, context), block.o) // [T, D]
      case 'stateSpace':
        return project(ops, stateSpace(ops, block, x, batch, cache as LayerState | undefined), block.o) // [T, D]
    }
  })
}

/**
 * Attention of all heads over one latent per position: the projection of keys goes into the queries, that of values comes after the sum
 * ("absorbed"), so that neither is ever made per head and position. x [T, D] -> [T, H·U]
 */
function latentAttention(ops: Ops, block: LatentWeights, x: Tensor, batch: Batch, { rotation, cache, dropout }: AttentionContext): Tensor {
  const { heads, kvLoraRank: R, qkRopeHeadDim: P, scale } = block.slot
  const rotated = (input: Tensor, projection: Projection) => {
    const y = project(ops, input, projection)
    return rotation ? ops.rope(y, rotation, batch) : y
  }
  const low = block.qDown && block.qNorm ? normalize(ops, block.qNorm, project(ops, x, block.qDown)) : x
  const intoLatent = project(ops, project(ops, low, block.q), block.kUp) // [T, H·R]
  const q = ops.join(intoLatent, rotated(low, block.qRope), heads) // [T, H·(R + P)]
  const latent = normalize(ops, block.kvNorm, project(ops, x, block.kvDown)) // [T, R]
  const k = ops.join(latent, rotated(x, block.kRope), 1) // [T, R + P]
  const shape = { heads, kvHeads: 1, keyDim: R + P, valueDim: R }
  const options = { ...shape, scale, window: null, softcap: null, cache: cache as LayerCache | undefined, dropout }
  const mixed = ops.attention(q, k, undefined, batch, options) // [T, H·R]
  return project(ops, mixed, block.vUp)
}
