/**
 * An architecture in words, slot by slot in the order of the forward pass, and the slots in which architectures differ.
 * No counts that depend on other fields, so one changed size is one difference.
 */
import type {
  Architecture,
  Attention,
  FeedForward,
  Gated,
  Layer,
  Mixture,
  MultiHead,
  Norm,
  Placement,
  StateSpace,
} from '../architecture/architecture.ts'
import { hasHeads, isStateSpace, unpublishedOf, type WithHeads, windowOf } from '../architecture/slots.ts'
import { embeddingScale } from '../model/parts.ts'
import { dtypeName } from '../ops/dtype.ts'

export const GROUPS = ['size', 'embedding', 'norm', 'attention', 'feed-forward', 'output', 'storage', 'training'] as const
export type Group = (typeof GROUPS)[number]

export interface Feature {
  /** Stable name for programs: 'kvHeads'. */
  key: string
  group: Group
  label: string
  /** '–' where the slot does not exist. */
  value: string
}

export interface Difference extends Omit<Feature, 'value'> {
  /** One per architecture. */
  values: string[]
}

const NONE = '–'
const UNKNOWN = 'unknown'
const count = (n: number): string => n.toLocaleString('en-US')

type Say<Slot> = (slot: Slot) => string

const perLayer = (say: Say<Layer>) => (architecture: Architecture) => overLayers(architecture.layers, say)
/** Over the layers that are attention; a slot of a state-space layer is no value of theirs. */
const attention = (say: Say<WithHeads>) => overSlots(hasHeads, say)
const stateSpace = (say: Say<StateSpace>) => overSlots(isStateSpace, say)
const overSlots =
  <Slot extends Attention>(is: (slot: Attention) => slot is Slot, say: Say<Slot>) =>
  ({ layers }: Architecture) =>
    overLayers(layers.map((layer) => layer.attention).filter(is), say)
const multiHead = (say: Say<MultiHead>) => attention((slot) => (slot.kind === 'multiHead' ? say(slot) : NONE))
const feed = (say: Say<FeedForward>) => perLayer((layer) => say(layer.feedForward))
/** Over the layers that are mixtures. */
const moe = (say: Say<Mixture>) => (architecture: Architecture) => overLayers(mixtures(architecture), say)
const mixtures = ({ layers }: Architecture) => layers.map(({ feedForward }) => feedForward).filter((slot) => slot.kind === 'moe')
const optional = (value: number | null): string => (value === null ? NONE : String(value))

/** Everything that makes the architecture what it is, in the order of the forward pass. */
const FEATURES: readonly (readonly [group: Group, key: string, label: string, say: Say<Architecture>])[] = [
  ['size', 'layers', 'layers', ({ layers }) => count(layers.length)],
  ['size', 'hiddenSize', 'width', ({ hiddenSize }) => count(hiddenSize)],
  ['size', 'vocabSize', 'vocabulary', ({ vocabSize }) => count(vocabSize)],
  ['size', 'maxPositionEmbeddings', 'context', (architecture) => count(architecture.maxPositionEmbeddings)],
  ['embedding', 'position', 'positions', positions],
  ['embedding', 'embeddingScale', 'embedding scale', (a) => (a.embedding.scale === 1 ? NONE : `× ${rounded(embeddingScale(a))}`)],
  ['embedding', 'residualScale', 'branch scale', ({ residualScale }) => (residualScale === 1 ? NONE : `× ${rounded(residualScale)}`)],
  ['norm', 'norm', 'norm', perLayer((layer) => norm(layer.norm))],
  ['norm', 'normPlacement', 'norm placement', perLayer((layer) => PLACEMENTS[layer.placement])],
  ['attention', 'heads', 'query heads', attention(heads)],
  ['attention', 'kvHeads', 'key/value heads', multiHead((slot) => (slot.unpublished?.heads ? UNKNOWN : count(slot.kvHeads)))],
  ['attention', 'latent', 'latent of keys and values', attention(latent)],
  ['attention', 'headDim', 'head size', attention(headSize)],
  ['attention', 'scale', 'score scale', attention(scale)],
  ['attention', 'slidingWindow', 'window', windows],
  ['attention', 'qkNorm', 'QK-norm', multiHead((slot) => QK_NORMS[slot.qkNorm.kind])],
  ['attention', 'sinks', 'sinks', multiHead((slot) => (slot.sinks ? 'one per head' : NONE))],
  ['attention', 'attentionBias', 'attention biases', attention(biases)],
  ['attention', 'logitSoftcap', 'score soft cap', multiHead((slot) => optional(slot.logitSoftcap))],
  ['attention', 'qkvClip', 'clipping of q, k, v', multiHead((slot) => (slot.qkvClip === undefined ? NONE : `to ±${slot.qkvClip}`))],
  ['attention', 'stateSpace', 'state-space layers', stateSpaceLayers],
  ['attention', 'channels', 'channels', stateSpace(({ innerSize }) => count(innerSize))],
  ['attention', 'stateSize', 'state of a channel', stateSpace(({ stateSize }) => count(stateSize))],
  ['attention', 'convolution', 'convolution', stateSpace(({ convolutionSize }) => `over ${count(convolutionSize)} positions`)],
  ['attention', 'stepRank', 'rank of the step size', stateSpace(({ stepRank }) => count(stepRank))],
  ['attention', 'stateNorm', 'norms of step, input, output', stateSpace(({ normEps }) => (normEps === null ? NONE : 'RMSNorm'))],
  ['attention', 'stateSpaceBias', 'state-space biases', stateSpace(stateSpaceBiases)],
  ['feed-forward', 'feedForward', 'feed-forward', feed((slot) => FEEDS[slot.kind])],
  ['feed-forward', 'activation', 'activation', feed(activation)],
  ['feed-forward', 'intermediateSize', 'inner width', feed((slot) => (slot.kind === 'none' ? NONE : count(slot.intermediateSize)))],
  ['feed-forward', 'feedForwardBias', 'feed-forward biases', feed((slot) => (slot.bias ? 'all' : NONE))],
  ['feed-forward', 'experts', 'experts', moe((slot) => count(slot.experts))],
  ['feed-forward', 'expertsPerToken', 'experts per token', moe((slot) => count(slot.expertsPerToken))],
  ['feed-forward', 'router', 'router', moe(router)],
  ['feed-forward', 'sharedExpert', 'shared expert', moe(({ shared }) => (shared ? `${count(shared.intermediateSize)} wide` : NONE))],
  ['output', 'finalNorm', 'final norm', finalNorm],
  ['output', 'tieWordEmbeddings', 'output matrix', ({ tieWordEmbeddings }) => (tieWordEmbeddings ? 'the embedding' : 'its own')],
  ['output', 'logitDivisor', 'logit divisor', ({ logitDivisor }) => (logitDivisor === 1 ? NONE : String(logitDivisor))],
  ['output', 'finalLogitSoftcap', 'logit soft cap', ({ finalLogitSoftcap }) => optional(finalLogitSoftcap)],
  ['storage', 'dtype', 'weights', weights],
  ['storage', 'expertDtype', 'expert weights', expertWeights],
  ['training', 'dropout', 'dropout', dropout],
]

/** The architecture in words; the same keys in the same order for all architectures. */
export const describe = (architecture: Architecture): Feature[] =>
  FEATURES.map(([group, key, label, say]) => ({ key, group, label, value: say(architecture) }))

/** The slots in which the architectures are not all alike, in the order of `describe`. */
export function difference(architectures: Architecture[]): Difference[] {
  return sideBySide(architectures).filter(({ values }) => values.some((value) => value !== values[0]))
}

/** Every slot of every architecture. */
export function sideBySide(architectures: Architecture[]): Difference[] {
  return FEATURES.map(([group, key, label, say]) => ({ key, group, label, values: architectures.map(say) }))
}

const PLACEMENTS: Record<Placement, string> = {
  pre: 'before each branch',
  post: 'after each branch',
  sandwich: 'before and after each branch',
  parallel: 'before each of two parallel branches',
  alone: 'before the one branch',
}
const QK_NORMS: Record<MultiHead['qkNorm']['kind'], string> = { none: NONE, perHead: 'per head', fullWidth: 'over the full width' }
const FEEDS: Record<FeedForward['kind'], string> = { mlp: 'two matrices', gated: 'gated', moe: 'mixture of experts', none: NONE }

/** One value for all layers, or the values of one period: '128, all' for alternating windows. */
function overLayers<T>(layers: readonly T[], say: (layer: T) => string): string {
  const values = layers.map(say)
  const period = periodOf(values)
  if (period === 1) return values[0] ?? NONE
  return runs(values.slice(0, period))
    .map(({ value, length }) => (length === 1 ? value : `${length} × ${value}`))
    .join(', ')
}

/** '128 and full, 1 : 1' for alternating layers, '4,096 in every layer' for one kind. */
function windows({ layers }: Architecture): string {
  const values = layers
    .filter(({ attention }) => hasHeads(attention))
    .map((layer) => {
      if (unpublishedOf(layer)?.window) return 'band of unknown width'
      const window = windowOf(layer)
      return window === null ? 'full' : count(window)
    })
  const period = periodOf(values)
  if (period === 1) return (values[0] ?? 'full') === 'full' ? NONE : `${values[0]} in every layer`
  const parts = runs(values.slice(0, period))
  return `${parts.map(({ value }) => value).join(' and ')}, ${parts.map(({ length }) => length).join(' : ')}`
}

function periodOf(values: string[]): number {
  let period = 1
  while (period < values.length && values.some((value, index) => value !== values[index % period])) period++
  return period
}

function runs(values: string[]): { value: string; length: number }[] {
  const found: { value: string; length: number }[] = []
  for (const value of values) {
    const last = found.at(-1)
    if (last?.value === value) last.length++
    else found.push({ value, length: 1 })
  }
  return found
}

function positions({ embedding, layers }: Architecture): string {
  const learned = embedding.position.kind === 'learned' ? 'learned' : null
  const rotary = overLayers(layers.map(({ attention }) => attention).filter(hasHeads), rotation)
  if (learned) return rotary === NONE ? learned : `${learned}, ${rotary}`
  return rotary === NONE ? NONE : rotary.replaceAll(NONE, 'none')
}

function rotation(slot: WithHeads): string {
  const { position } = slot
  if (position.kind === 'none') return NONE
  const { scaling, rotaryDim, pairing } = position
  const headDim = slot.kind === 'latent' ? slot.qkNopeHeadDim + slot.qkRopeHeadDim : slot.headDim
  const part = rotaryDim === headDim ? '' : ` over ${rotaryDim} of ${headDim}`
  const plain = `RoPE θ ${count(position.ropeTheta)}${part}${pairing === 'interleaved' ? ', interleaved' : ''}`
  switch (scaling.kind) {
    case 'none':
      return plain
    case 'linear':
      return `${plain} / ${scaling.factor}`
    case 'yarn':
      return `${plain}, YaRN × ${scaling.factor} from ${count(scaling.originalMaxPositionEmbeddings)}`
    case 'longrope':
      return `${plain}, LongRoPE beyond ${count(scaling.originalMaxPositionEmbeddings)}`
    case 'llama3':
      return `${plain}, smoothed × ${scaling.factor} from ${count(scaling.originalMaxPositionEmbeddings)}`
  }
}

const NORMS: Record<Norm['kind'], string> = {
  layerNorm: 'LayerNorm',
  plainLayerNorm: 'LayerNorm without gain and bias',
  rmsNorm: 'RMSNorm',
  none: NONE,
}

/** A number that went through 32 bits, as it was written before. */
function shortest(value: number): number {
  if (Math.fround(value) !== value) return value
  for (let digits = 1; digits < 9; digits++) {
    const written = Number(value.toPrecision(digits))
    if (Math.fround(written) === value) return written
  }
  return value
}

function norm(slot: Norm): string {
  if (slot.kind === 'none') return NONE
  return `${NORMS[slot.kind]}${slot.kind === 'rmsNorm' && slot.unitOffset ? ', 1 + gain' : ''}, eps ${shortest(slot.eps).toExponential()}`
}

function finalNorm({ finalNorm: last, layers }: Architecture): string {
  return layers.every((layer) => norm(layer.norm) === norm(last)) ? 'as in the layers' : norm(last)
}

/** Printed numbers that contradict the width are named, not used. */
function heads(slot: WithHeads): string {
  const printed = slot.kind === 'multiHead' ? slot.unpublished?.heads?.printed : undefined
  return printed === undefined ? count(slot.heads) : `${UNKNOWN} (${printed} printed)`
}

/** '512, rotated key of 64, queries from 1,536'. */
function latent(slot: WithHeads): string {
  if (slot.kind !== 'latent') return NONE
  const queries = slot.qLoraRank === null ? '' : `, queries from ${count(slot.qLoraRank)}`
  return `${count(slot.kvLoraRank)}, rotated key of ${count(slot.qkRopeHeadDim)}${queries}`
}

function headSize(slot: WithHeads): string {
  if (slot.kind === 'multiHead') {
    const { heads } = slot.unpublished ?? {}
    return heads ? `${UNKNOWN} (${heads.size} printed)` : count(slot.headDim)
  }
  const { qkNopeHeadDim, qkRopeHeadDim, vHeadDim } = slot
  return `${count(qkNopeHeadDim)} + ${count(qkRopeHeadDim)}, values ${count(vHeadDim)}`
}

function scale(slot: WithHeads): string {
  const factor = slot.scale
  const headDim = slot.kind === 'latent' ? slot.qkNopeHeadDim + slot.qkRopeHeadDim : slot.headDim
  if (Math.abs(factor * Math.sqrt(headDim) - 1) < 1e-9) return '1/√head size'
  return factor === 1 ? NONE : `1/√${rounded(factor ** -2)}`
}

function biases(slot: WithHeads): string {
  if (slot.kind === 'latent') return slot.bias ? 'latents, o' : NONE
  const { qkvBias, outBias } = slot
  if (qkvBias) return outBias ? 'q, k, v, o' : 'q, k, v'
  return outBias ? 'o' : NONE
}

/** 'in every layer', or where in a period: '4 × yes, –, 3 × yes' reads '4, then 1 attention, 3'. */
function stateSpaceLayers({ layers }: Architecture): string {
  const kinds = layers.map(({ attention }) => (isStateSpace(attention) ? 'state space' : 'attention'))
  if (!kinds.includes('state space')) return NONE
  return kinds.includes('attention') ? overLayers(kinds, (kind) => kind) : 'in every layer'
}

function stateSpaceBiases({ projectionBias, convolutionBias }: StateSpace): string {
  const found = [...(convolutionBias ? ['convolution'] : []), ...(projectionBias ? ['in, out'] : []), 'step']
  return found.join(', ')
}

function activation(feedForward: FeedForward): string {
  if (feedForward.kind === 'none') return NONE
  const { activation: slot } = feedForward
  if (slot.kind === 'gelu') return slot.approximation === 'tanh' ? 'GELU (tanh)' : 'GELU'
  return gate(slot)
}

function gate(slot: Gated): string {
  switch (slot.kind) {
    case 'swiglu':
      return 'SwiGLU'
    case 'clampedSwiglu':
      return `SwiGLU clamped at ${slot.limit}`
    case 'geglu':
      return slot.approximation === 'tanh' ? 'GeGLU (tanh)' : 'GeGLU'
  }
}

function router({ router: slot }: Mixture): string {
  if (slot.kind === 'topkSoftmax') return slot.bias ? 'top k, then softmax; bias' : 'top k, then softmax'
  const { groups, scale: factor = 1 } = slot
  const score = slot.kind === 'softmaxTopk' ? 'softmax' : slot.correction ? 'sigmoid, corrected' : 'sigmoid'
  const within = groups ? ` within the best ${groups.chosen} of ${groups.count} groups` : ''
  const weights = `${slot.normalize ? ', normalised' : ''}${factor === 1 ? '' : `, × ${rounded(factor)}`}`
  return `${score}, then top k${within}${weights}${slot.bias ? '; bias' : ''}`
}

function weights({ layers, dtype }: Architecture): string {
  return layers.some(unpublishedOf) ? UNKNOWN : dtypeName(dtype)
}

function expertWeights({ layers, expertDtype }: Architecture): string {
  return layers.some(({ feedForward }) => feedForward.kind === 'moe') ? dtypeName(expertDtype) : NONE
}

function dropout({ layers, dropout: { embedding, attention, residual } }: Architecture): string {
  if (layers.some(unpublishedOf)) return UNKNOWN
  if (!embedding && !attention && !residual) return NONE
  return embedding === attention && attention === residual ? String(embedding) : `${embedding} / ${attention} / ${residual}`
}

const rounded = (x: number): string => String(Number(x.toPrecision(6)))
