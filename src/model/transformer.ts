/**
 * The forward pass, written once: every model of the house, in training, prefill, decode and batched serving.
 * It decides what flows where; the arithmetic belongs to `Ops`, the sizes to `Architecture`. No backend, no text,
 * no sampling. Stop 5 of the walk.
 */
import type { Architecture, Norm } from '../architecture/architecture.ts'
import type { KvCache } from '../ops/backend.ts'
import type { Batch, Ops } from '../ops/ops.ts'
import type { Tensor } from '../ops/tensor.ts'
import { attentionBlock } from './attention.ts'
import { feedForwardBlock } from './feed-forward.ts'
import { rotations } from './rope.ts'
import type { NormWeights, Weights } from './weights.ts'

export interface ForwardOptions {
  /** Keys and values of earlier positions; without it the rows see only this batch. */
  cache?: KvCache
  /** Rows whose logits are wanted, in that order; all rows if absent. */
  logitRows?: Int32Array
  /** Given by a trainer and nobody else: drops values at random with these probabilities. Needs ops that have `dropout`. */
  dropout?: Architecture['dropout']
}

/**
 * Token ids to logits. batch of T rows -> [R, V], R = logitRows.length or T; [0, D] where no logits are wanted. Returns at once; `Backend.read` waits for
 * the values. The caller guarantees ids < V and positions within the context.
 * @throws TypeError if `dropout` is asked for and the ops do not have it
 */
export function forward(ops: Ops, architecture: Architecture, weights: Weights, batch: Batch, options: ForwardOptions = {}): Tensor {
  const { embedding } = architecture
  const { dropout } = options
  if (dropout && !ops.dropout)
    throw new TypeError('forward: expected ops with dropout, because options.dropout is given; train with ops/training')
  const drop = (x: Tensor, p: number | undefined) => (p ? ops.dropout!(x, p) : x)
  const rotation = rotations(architecture)
  let x = ops.scope('embedding', () => {
    let rows = ops.embed(weights.embed, batch.ids, embedding.scale) // [T, D]
    if (weights.position) rows = ops.add(rows, ops.embed(weights.position, batch.positions, 1))
    return drop(rows, dropout?.embedding)
  })
  architecture.layers.forEach((layer, index) => {
    const own = weights.layers[index]!
    x = ops.scope(`layers.${index}`, () => {
      const branch = (before: NormWeights | undefined, block: (x: Tensor) => Tensor, after: NormWeights | undefined) => (input: Tensor) => {
        let y = block(before ? norm(ops, layer.norm, before, input) : input)
        if (after) y = norm(ops, layer.norm, after, y)
        return ops.add(input, drop(y, dropout?.residual)) // [T, D]
      }
      const attend = (input: Tensor) =>
        attentionBlock(ops, layer.attention, own.attention, input, batch, {
          rotation: rotation[index],
          cache: options.cache?.layers[index],
          dropout: dropout?.attention,
          name: `layers.${index}.attention`,
        })
      const feed = (input: Tensor) => feedForwardBlock(ops, layer.feedForward, own.feedForward, input, `layers.${index}.feedForward`)
      const afterAttention = branch(own.attentionNorm, attend, own.attentionPostNorm)(x)
      return branch(own.feedForwardNorm, feed, own.feedForwardPostNorm)(afterAttention)
    })
  })
  return ops.scope('logits', () => {
    if (options.logitRows) x = ops.select(x, options.logitRows) // [R, D]
    if (options.logitRows?.length === 0) return x // the output matrix is not read for nothing
    const normed = ops.scope('finalNorm', () => norm(ops, architecture.finalNorm, weights.finalNorm, x))
    const logits = ops.linear(normed, weights.unembed ?? weights.embed) // [R, V]
    return architecture.finalLogitSoftcap === null ? logits : ops.softcap(logits, architecture.finalLogitSoftcap)
  })
}

function norm(ops: Ops, slot: Norm, { gain, bias }: NormWeights, x: Tensor): Tensor {
  switch (slot.kind) {
    case 'layerNorm':
      return ops.layerNorm(x, gain, bias!, slot.eps)
    case 'rmsNorm':
      return ops.rmsNorm(x, gain, slot.eps, slot.unitOffset ? 1 : 0)
  }
}
