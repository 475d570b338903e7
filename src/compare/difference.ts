/**
 * An architecture in words, slot by slot in the order of the forward pass, and where two or more of them part. Words only:
 * no counts that depend on other fields, so that one changed size is one difference.
 */
import type { Architecture, Attention, DType, FeedForward, Gated, Layer, Norm, Position } from '../architecture/architecture.ts'

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

export interface Difference {
  key: string
  group: Group
  label: string
  /** One per architecture. */
  values: string[]
}

const NONE = '–'
const count = (n: number): string => n.toLocaleString('en-US')

/** Everything that makes the architecture what it is; the same keys in the same order for all architectures. */
export function describe(architecture: Architecture): Feature[] {
  const { layers } = architecture
  const attention = (say: (slot: Attention) => string) => overLayers(layers, (layer) => say(layer.attention))
  const feed = (say: (slot: FeedForward) => string) => overLayers(layers, (layer) => say(layer.feedForward))
  const moe = (say: (slot: Extract<FeedForward, { kind: 'moe' }>) => string) => feed((slot) => (slot.kind === 'moe' ? say(slot) : NONE))
  const feature = (group: Group, key: string, label: string, value: string): Feature => ({ key, group, label, value })
  return [
    feature('size', 'layers', 'layers', count(layers.length)),
    feature('size', 'hiddenSize', 'width', count(architecture.hiddenSize)),
    feature('size', 'vocabSize', 'vocabulary', count(architecture.vocabSize)),
    feature('size', 'maxPositionEmbeddings', 'context', count(architecture.maxPositionEmbeddings)),
    feature('embedding', 'position', 'positions', positions(architecture)),
    feature(
      'embedding',
      'embeddingScale',
      'embedding scale',
      architecture.embedding.scale === 1 ? NONE : `× ${rounded(architecture.embedding.scale)}`,
    ),
    feature(
      'norm',
      'norm',
      'norm',
      overLayers(layers, (layer) => norm(layer.norm)),
    ),
    feature(
      'norm',
      'normPlacement',
      'norm placement',
      overLayers(layers, (layer) => PLACEMENTS[layer.normPlacement]),
    ),
    feature(
      'attention',
      'heads',
      'query heads',
      attention(({ heads }) => count(heads)),
    ),
    feature(
      'attention',
      'kvHeads',
      'key/value heads',
      attention(({ kvHeads }) => count(kvHeads)),
    ),
    feature(
      'attention',
      'headDim',
      'head size',
      attention(({ headDim }) => count(headDim)),
    ),
    feature('attention', 'scale', 'score scale', attention(scale)),
    feature('attention', 'slidingWindow', 'window', windows(layers)),
    feature(
      'attention',
      'qkNorm',
      'QK-norm',
      attention(({ qkNorm }) => QK_NORMS[qkNorm.kind]),
    ),
    feature(
      'attention',
      'sinks',
      'sinks',
      attention(({ sinks }) => (sinks ? 'one per head' : NONE)),
    ),
    feature('attention', 'attentionBias', 'attention biases', attention(biases)),
    feature(
      'attention',
      'logitSoftcap',
      'score soft cap',
      attention(({ logitSoftcap }) => (logitSoftcap === null ? NONE : String(logitSoftcap))),
    ),
    feature(
      'feed-forward',
      'feedForward',
      'feed-forward',
      feed((slot) => FEEDS[slot.kind]),
    ),
    feature('feed-forward', 'activation', 'activation', feed(activation)),
    feature(
      'feed-forward',
      'intermediateSize',
      'inner width',
      feed(({ intermediateSize }) => count(intermediateSize)),
    ),
    feature(
      'feed-forward',
      'feedForwardBias',
      'feed-forward biases',
      feed(({ bias }) => (bias ? 'all' : NONE)),
    ),
    feature(
      'feed-forward',
      'experts',
      'experts',
      moe(({ experts }) => count(experts)),
    ),
    feature(
      'feed-forward',
      'expertsPerToken',
      'experts per token',
      moe(({ expertsPerToken }) => count(expertsPerToken)),
    ),
    feature('feed-forward', 'router', 'router', moe(router)),
    feature('output', 'finalNorm', 'final norm', finalNorm(architecture)),
    feature('output', 'tieWordEmbeddings', 'output matrix', architecture.tieWordEmbeddings ? 'the embedding' : 'its own'),
    feature(
      'output',
      'finalLogitSoftcap',
      'logit soft cap',
      architecture.finalLogitSoftcap === null ? NONE : String(architecture.finalLogitSoftcap),
    ),
    feature('storage', 'dtype', 'weights', DTYPES[architecture.dtype]),
    feature(
      'storage',
      'expertDtype',
      'expert weights',
      layers.some(({ feedForward }) => feedForward.kind === 'moe') ? DTYPES[architecture.expertDtype] : NONE,
    ),
    feature('training', 'dropout', 'dropout', dropout(architecture.dropout)),
  ]
}

/** The slots in which the architectures are not all alike, in the order of `describe`. */
export function difference(architectures: Architecture[]): Difference[] {
  return sideBySide(architectures).filter(({ values }) => values.some((value) => value !== values[0]))
}

/** Every slot of every architecture. */
export function sideBySide(architectures: Architecture[]): Difference[] {
  const described = architectures.map(describe)
  return (described[0] ?? []).map(({ key, group, label }, row) => ({
    key,
    group,
    label,
    values: described.map((features) => features[row]!.value),
  }))
}

const PLACEMENTS: Record<Layer['normPlacement'], string> = {
  pre: 'before each branch',
  post: 'after each branch',
  sandwich: 'before and after each branch',
}
const QK_NORMS: Record<Attention['qkNorm']['kind'], string> = { none: NONE, perHead: 'per head', fullWidth: 'over the full width' }
const FEEDS: Record<FeedForward['kind'], string> = { mlp: 'two matrices', gated: 'gated', moe: 'mixture of experts' }
const DTYPES: Record<DType, string> = { f32: 'F32', f16: 'F16', bf16: 'BF16', int8: 'INT8', mxfp4: 'MXFP4' }

/** One value for all layers, or the values of one period: '128, all' for alternating windows. */
function overLayers(layers: Layer[], say: (layer: Layer) => string): string {
  const values = layers.map(say)
  const period = periodOf(values)
  if (period === 1) return values[0] ?? NONE
  return runs(values.slice(0, period))
    .map(({ value, length }) => (length === 1 ? value : `${length} × ${value}`))
    .join(', ')
}

/** '128 and full, 1 : 1' for alternating layers, '4,096 in every layer' for one kind. */
function windows(layers: Layer[]): string {
  const values = layers.map(({ attention: { slidingWindow } }) => (slidingWindow === null ? 'full' : count(slidingWindow)))
  const period = periodOf(values)
  if (period === 1) return values[0] === 'full' ? NONE : `${values[0]} in every layer`
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
  const rotary = overLayers(layers, ({ attention }) => rotation(attention.position))
  return learned ? (rotary === NONE ? learned : `${learned}, ${rotary}`) : rotary
}

function rotation(position: Position): string {
  if (position.kind === 'none') return NONE
  const { scaling } = position
  const plain = `RoPE θ ${count(position.ropeTheta)}`
  switch (scaling.kind) {
    case 'none':
      return plain
    case 'linear':
      return `${plain} / ${scaling.factor}`
    case 'yarn':
      return `${plain}, YaRN × ${scaling.factor} from ${count(scaling.originalMaxPositionEmbeddings)}`
    case 'llama3':
      return `${plain}, smoothed × ${scaling.factor} from ${count(scaling.originalMaxPositionEmbeddings)}`
  }
}

function norm(slot: Norm): string {
  const name = slot.kind === 'layerNorm' ? 'LayerNorm' : slot.unitOffset ? 'RMSNorm, 1 + gain' : 'RMSNorm'
  return `${name}, eps ${slot.eps.toExponential()}`
}

function finalNorm({ finalNorm: last, layers }: Architecture): string {
  return layers.every((layer) => norm(layer.norm) === norm(last)) ? 'as in the layers' : norm(last)
}

const scale = ({ scale: factor, headDim }: Attention): string =>
  Math.abs(factor * Math.sqrt(headDim) - 1) < 1e-9 ? '1/√head size' : factor === 1 ? NONE : `1/√${rounded(factor ** -2)}`

function biases({ qkvBias, outBias }: Attention): string {
  if (qkvBias) return outBias ? 'q, k, v, o' : 'q, k, v'
  return outBias ? 'o' : NONE
}

function activation({ activation: slot }: FeedForward): string {
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

function router({ router: slot }: Extract<FeedForward, { kind: 'moe' }>): string {
  const order = slot.order === 'topkSoftmax' ? 'top k, then softmax' : `softmax, then top k${slot.normalize ? ', normalised' : ''}`
  return slot.bias ? `${order}; bias` : order
}

function dropout({ embedding, attention, residual }: Architecture['dropout']): string {
  if (!embedding && !attention && !residual) return NONE
  return embedding === attention && attention === residual ? String(embedding) : `${embedding} / ${attention} / ${residual}`
}

const rounded = (x: number): string => String(Number(x.toPrecision(6)))
