/** Questions about slots that several folders ask, whatever member of a union stands there. */
import type { Architecture, Attention, Layer, MultiHead, StateSpace, Unpublished } from './architecture.ts'

/** The number of keys that a token of this layer sees, itself included; null: all. */
export const windowOf = ({ attention }: Layer): number | null => (attention.kind === 'multiHead' ? attention.slidingWindow : null)

/** What was never published of a layer's attention; undefined for models with weights. */
export const unpublishedOf = ({ attention }: Layer): Unpublished | undefined =>
  attention.kind === 'multiHead' ? attention.unpublished : undefined

/** The members of Attention in which queries see keys. */
export type WithHeads = Exclude<Attention, StateSpace>
export const hasHeads = (slot: Attention): slot is WithHeads => slot.kind !== 'stateSpace'
export const isStateSpace = (slot: Attention): slot is StateSpace => slot.kind === 'stateSpace'

/** Width of the heads that are rotated: in latent attention these are parts of the heads. */
export const rotatedHeadDim = (slot: WithHeads): number => (slot.kind === 'latent' ? slot.qkRopeHeadDim : slot.headDim)

/** The multi-head attention of a layer. @throws RangeError where the layer has another kind */
export function multiHeadOf({ layers }: Architecture, index = 0): MultiHead {
  const { attention } = layers[index]!
  if (attention.kind !== 'multiHead') throw new RangeError(`layer ${index}: expected multi-head attention, got ${attention.kind} attention`)
  return attention
}
