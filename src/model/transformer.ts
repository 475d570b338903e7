/**
 * The forward pass, written once for every model, in training, prefill, decode and batched serving.
 * It decides what flows where. The arithmetic belongs to `Ops`; sizes and slots stand in the weight
 * tree beside the weights. No backend, no text, no sampling. Stop 5 of the walk.
 */
import type { Architecture } from '../architecture/architecture.ts'
import type { KvCache } from '../ops/backend.ts'
import type { Batch, DrawnIds, Ops } from '../ops/ops.ts'
import type { Tensor } from '../ops/tensor.ts'
import { attentionBlock } from './attention.ts'
import { feedForwardBlock } from './feed-forward.ts'
import { adapt, embeddingScale, normalize, project } from './parts.ts'
import { rotations } from './rope.ts'
import type { NormWeights, Weights } from './weights.ts'

export interface ForwardOptions {
  /** Keys and values of earlier positions; without it the rows see only this batch. */
  cache?: KvCache
  /** Rows whose logits are wanted, in that order; all rows if absent. */
  logitRows?: Int32Array
  /** `hidden`: the rows after the final norm in place of their logits. `stream`: before it, for those who make `logits` piece by piece. */
  output?: 'hidden' | 'stream'
  /** The ids of the rows, in place of `batch.ids`: those of an earlier draw, which are not known on the host yet. Needs ops that have `embedDrawn`. */
  drawn?: DrawnIds
  /** For trainers only: drops values at random with these probabilities. Needs ops that have `dropout`. */
  dropout?: Architecture['dropout']
}

/**
 * Token ids to logits. batch of T rows -> [R, V], R = logitRows.length or T; [R, D] under `output`, [0, D] where no
 * logits are wanted. Returns at once; `Backend.read` waits for the values. The caller guarantees ids < V and
 * positions within the context. `weights` is a tree of `weightSpecs(architecture)`.
 * @throws TypeError if `dropout` is asked for and the ops do not have it
 */
export function forward(ops: Ops, architecture: Architecture, weights: Weights, batch: Batch, options: ForwardOptions = {}): Tensor {
  const { residualScale } = architecture
  const { drawn, dropout } = options
  if (dropout && !ops.dropout)
    throw new TypeError('forward: expected ops with dropout, because options.dropout is given; train with ops/training')
  const drop = (x: Tensor, p: number | undefined) => (p ? ops.dropout!(x, p) : x)
  const rotation = rotations(architecture, () => options.cache?.spec.capacity ?? batch.positions.reduce((a, b) => Math.max(a, b), 0) + 1)
  let x = ops.scope('embedding', () => {
    const { embed, embedAdapter } = weights
    const scale = embeddingScale(architecture)
    const lookUp = (table: Tensor) => (drawn ? ops.embedDrawn!(table, drawn, scale) : ops.embed(table, batch.ids, scale))
    let rows = lookUp(embed) // [T, D]
    if (embedAdapter) rows = adapt(ops, rows, lookUp(embedAdapter.a), embedAdapter)
    if (weights.position) rows = ops.add(rows, ops.embed(weights.position, batch.positions, 1))
    return drop(rows, dropout?.embedding)
  })
  weights.layers.forEach((layer, index) => {
    const attend = (input: Tensor) =>
      attentionBlock(ops, layer.attention, input, batch, {
        rotation: rotation[index],
        cache: options.cache?.layers[index],
        dropout: dropout?.attention,
        name: `layers.${index}.attention`,
      })
    const join = (stream: Tensor, branch: Tensor) => ops.add(stream, drop(branch, dropout?.residual), residualScale) // [T, D]
    const postNorm = (of: 'attention' | 'feedForward', norm: NormWeights, branch: Tensor) =>
      ops.scope(`layers.${index}.${of}PostNorm`, () => normalize(ops, norm, branch))
    const stream = x // of its own for each layer: trainers may run the body again later
    x = ops.scope(`layers.${index}`, () => {
      if (layer.placement === 'alone') return join(stream, attend(normalize(ops, layer.attentionNorm, stream)))
      const feed = (input: Tensor) => feedForwardBlock(ops, layer.feedForward, input, `layers.${index}.feedForward`)
      switch (layer.placement) {
        case 'pre': {
          const y = join(stream, attend(normalize(ops, layer.attentionNorm, stream)))
          return join(y, feed(normalize(ops, layer.feedForwardNorm, y)))
        }
        case 'post': {
          const y = join(stream, postNorm('attention', layer.attentionPostNorm, attend(stream)))
          return join(y, postNorm('feedForward', layer.feedForwardPostNorm, feed(y)))
        }
        case 'sandwich': {
          const attended = attend(normalize(ops, layer.attentionNorm, stream))
          const y = join(stream, postNorm('attention', layer.attentionPostNorm, attended))
          const fed = feed(normalize(ops, layer.feedForwardNorm, y))
          return join(y, postNorm('feedForward', layer.feedForwardPostNorm, fed))
        }
        case 'parallel': {
          const y = join(stream, attend(normalize(ops, layer.attentionNorm, stream)))
          return join(y, feed(normalize(ops, layer.feedForwardNorm, stream)))
        }
      }
    })
  })
  return ops.scope('logits', () => {
    if (options.logitRows) x = ops.select(x, options.logitRows) // [R, D]
    // Where no logits are wanted, the output matrix is not read.
    if (options.output === 'stream' || options.logitRows?.length === 0) return x
    return options.output === 'hidden' ? normalize(ops, weights.finalNorm, x) : logits(ops, architecture, weights, x)
  })
}

/** Logits of rows of the residual stream: final norm, output matrix, divisor, soft cap. x [R, D] -> [R, V] */
export function logits(ops: Ops, { logitDivisor, finalLogitSoftcap }: Architecture, weights: Weights, x: Tensor): Tensor {
  const normed = ops.scope('finalNorm', () => normalize(ops, weights.finalNorm, x))
  const projected = project(ops, normed, { weight: weights.unembed ?? weights.embed, adapter: weights.unembedAdapter })
  const y = logitDivisor === 1 ? projected : ops.scale(projected, 1 / logitDivisor)
  return finalLogitSoftcap === null ? y : ops.softcap(y, finalLogitSoftcap)
}
