/**
 * What a model costs: parameters and their bytes from the weight tree, cache and work from the metered forward pass.
 * There is no formula for any family. `active` leaves out the input embedding and the position table, as the gpt-oss
 * model card does. `activeWithEmbeddings` counts them, as the names of Qwen3 and Mixtral do. A tied matrix counts once, as the output.
 */
import type { Architecture, DType } from '../architecture/architecture.ts'
import type { Quantization } from '../architecture/quantization.ts'
import { isStateSpace, windowOf } from '../architecture/slots.ts'
import { cacheSpec } from '../model/cache-spec.ts'
import { forward } from '../model/transformer.ts'
import { leaves, mapWeights, weightSpecs } from '../model/weights.ts'
import type { WeightSpec } from '../ops/backend.ts'
import { storedBytes } from '../ops/dtype.ts'
import type { Batch } from '../ops/ops.ts'
import { size, type Tensor } from '../ops/tensor.ts'
import { createMeter, type Meter, meterCache } from './meter.ts'

export const COMPONENTS = [
  'embedding',
  'position',
  'attention',
  'stateSpace',
  'norm',
  'feedForward',
  'sharedExperts',
  'router',
  'experts',
  'expertBias',
  'unembedding',
] as const
export type Component = (typeof COMPONENTS)[number]

export interface Account {
  parameters: {
    total: number
    active: number
    activeWithEmbeddings: number
    byComponent: Record<Component, number>
    /** Routed experts with their biases, as a share of the total. */
    expertShare: number
  }
  weightBytes: {
    /** In the dtypes of the checkpoint, each parameter once. */
    published: number
    byDtype: Partial<Record<DType, number>>
    f32: number
    bf16: number
  }
  /** One sequence, at `cacheBytesPerValue`. */
  kvCache: {
    bytesPerTokenWithinWindow: number
    bytesPerTokenBeyondWindow: number
    bytes: number
    bytesWithoutWindows: number
  }
  /** What the state-space layers keep of one sequence, whatever its length; in f32. */
  state: {
    values: number
    bytes: number
  }
  work: {
    /** Tokens of the prompt, or position of the decoded token plus one. */
    context: number
    /** Multiply-adds per token of a prompt of `context` tokens whose last row asks for logits. */
    promptMultiplyAdds: number
    /** Multiply-adds of the token at the end of the context. */
    decodeMultiplyAdds: number
    /** Bytes touched to decode that token alone: weights, cache, and states, which are read and written. */
    decodeWeightBytes: number
    decodeCacheBytes: number
    decodeStateBytes: number
  }
}

export interface AccountOptions {
  /** Tokens; the longest published context if absent. */
  context?: number
  /** 2 (bf16) if absent. */
  cacheBytesPerValue?: number
  /** How another program packed the matrices that the checkpoint publishes. */
  quantization?: Quantization | undefined
}

/** @throws RangeError for a context that learned positions do not cover */
export function account(architecture: Architecture, options: AccountOptions = {}): Account {
  const context = options.context ?? architecture.maxPositionEmbeddings
  const { position } = architecture.embedding
  if (position.kind === 'learned' && context > position.length)
    throw new RangeError(
      `${architecture.name}: expected a context of at most ${position.length} tokens (its learned positions end there), got ${context}`,
    )
  const specs = leaves(weightSpecs(architecture))
  const byComponent = Object.fromEntries(COMPONENTS.map((name) => [name, 0])) as Record<Component, number>
  const byDtype: Partial<Record<DType, number>> = {}
  let idle = 0 // parameters of experts that a token does not visit
  for (const spec of specs) {
    const count = size(spec.shape)
    byComponent[componentOf(architecture, spec)] += count
    const [dtype, bytes] = publishedForm(spec, options.quantization)
    byDtype[dtype] = (byDtype[dtype] ?? 0) + bytes
    idle += idleCount(architecture, spec, count)
  }
  const total = sum(Object.values(byComponent))
  const inputOnly = byComponent.position + (architecture.tieWordEmbeddings ? 0 : byComponent.embedding)
  const decode = meterDecode(architecture, context, options.cacheBytesPerValue, options.quantization).total()
  const kv = (tokens: number, slot: Architecture = architecture) => cacheBytes(slot, tokens, options.cacheBytesPerValue)
  // A window as long as the context never cuts anything.
  const cutting = architecture.layers.flatMap((layer) => {
    const window = windowOf(layer)
    return window !== null && window < architecture.maxPositionEmbeddings ? [window] : []
  })
  const beyond = Math.max(0, ...cutting) + 1
  return {
    parameters: {
      total,
      active: total - idle - inputOnly,
      activeWithEmbeddings: total - idle,
      byComponent,
      expertShare: (byComponent.experts + byComponent.expertBias) / total,
    },
    weightBytes: { published: sum(Object.values(byDtype)), byDtype, f32: 4 * total, bf16: 2 * total },
    kvCache: {
      bytesPerTokenWithinWindow: kv(1),
      bytesPerTokenBeyondWindow: kv(beyond + 1) - kv(beyond),
      bytes: kv(context),
      bytesWithoutWindows: kv(context, withoutWindows(architecture)),
    },
    state: { values: decode.stateBytes / 4, bytes: decode.stateBytes },
    work: {
      context,
      promptMultiplyAdds: meterPrompt(architecture, context).total().multiplyAdds / context,
      decodeMultiplyAdds: decode.multiplyAdds,
      decodeWeightBytes: decode.weightBytes,
      decodeCacheBytes: decode.cacheReadBytes,
      decodeStateBytes: 2 * decode.stateBytes,
    },
  }
}

/**
 * Dtype and bytes of a weight in the files, with the scales that belong to it. Packed are the matrices in layers but for routers. Parts of a
 * fused matrix count as matrices: a block of scales across two of them counts twice.
 */
function publishedForm(spec: WeightSpec, quantization: Quantization | undefined): [dtype: DType, bytes: number] {
  const { name, shape, dtype, use } = spec
  const count = size(shape)
  const isPacked = shape.length > 1 && (use === 'experts' || (use === 'matrix' && name.startsWith('layers.') && !name.endsWith('.router')))
  if (!quantization || !isPacked) return [dtype, storedBytes(dtype, count)]
  const [rows, columns] = shape.slice(-2) as [number, number]
  const matrices = count / rows / columns
  if (quantization.kind === 'fp8') {
    const [blockRows, blockColumns] = quantization.block ?? [rows, columns]
    return ['fp8', count + 4 * matrices * Math.ceil(rows / blockRows) * Math.ceil(columns / blockColumns)]
  }
  const { bits, groupSize, kind } = quantization
  const groups = Math.ceil(columns / (groupSize ?? columns))
  const perGroup = rows * (2 + bits / 8) // f16 scales and zero points
  const listed = kind === 'gptq' ? 4 * columns : 0
  return [bits === 4 ? 'int4_groups' : 'int8_groups', (count * bits) / 8 + matrices * (groups * perGroup + listed)]
}

/** Bytes of keys and values that a sequence of `tokens` keeps. */
export function cacheBytes(architecture: Architecture, tokens: number, bytesPerValue = 2): number {
  return meterDecode(architecture, tokens, bytesPerValue).total().cacheKeptBytes
}

/** Weights, cache and states of `sequences` sequences in so many bytes: the longest context that fits, or null where the weights do not. */
export function fittingContext(architecture: Architecture, memoryBytes: number, weightBytes: number, sequences = 1): number | null {
  const available = (memoryBytes - weightBytes) / sequences - meterDecode(architecture, 1).total().stateBytes
  if (available < 0) return null
  // The cache never shrinks as the context grows, so halving the interval finds the last length that fits.
  let fits = 0
  let fails = architecture.maxPositionEmbeddings + 1
  while (fails - fits > 1) {
    const middle = Math.floor((fits + fails) / 2)
    if (cacheBytes(architecture, middle) <= available) fits = middle
    else fails = middle
  }
  return fits
}

/** The readings of the one token that ends a context of `context` tokens. */
export function meterDecode(
  architecture: Architecture,
  context: number,
  cacheBytesPerValue = 2,
  quantization: Quantization | undefined = undefined,
): Meter {
  return meter(architecture, [context - 1], cacheBytesPerValue, quantization)
}

/** The readings of a whole prompt in one call. */
export function meterPrompt(architecture: Architecture, tokens: number, cacheBytesPerValue = 2): Meter {
  return meter(
    architecture,
    Array.from({ length: tokens }, (_, position) => position),
    cacheBytesPerValue,
  )
}

function meter(architecture: Architecture, positions: number[], cacheBytesPerValue: number, quantization?: Quantization): Meter {
  const weights = mapWeights(weightSpecs(architecture), (spec: WeightSpec) => spec)
  const bytes = new Map<Tensor, number>(leaves(weights).map((spec) => [spec, publishedForm(spec, quantization)[1]]))
  const ops = createMeter(cacheBytesPerValue, (weight) => bytes.get(weight)!)
  const rows = positions.length
  const batch: Batch = { ids: new Int32Array(rows), slots: new Int32Array(rows), positions: Int32Array.from(positions) }
  const cache = meterCache(cacheSpec(architecture, 1, positions.at(-1)! + 1, rows))
  forward(ops, architecture, weights, batch, { cache, logitRows: Int32Array.of(rows - 1) })
  return ops
}

const withoutWindows = (architecture: Architecture): Architecture => ({
  ...architecture,
  layers: architecture.layers.map((layer) => {
    const { attention } = layer
    return attention.kind === 'multiHead' ? { ...layer, attention: { ...attention, slidingWindow: null } } : layer
  }),
})

function componentOf({ layers }: Architecture, { name, use, shape }: WeightSpec): Component {
  if (name === 'embed') return 'embedding'
  if (name === 'position') return 'position'
  if (name === 'unembed') return 'unembedding'
  if (/^finalNorm|Norm\.(gain|bias)$/.test(name)) return 'norm'
  const [, layer] = /^layers\.(\d+)\.attention\./.exec(name) ?? []
  if (layer !== undefined) return isStateSpace(layers[Number(layer)]!.attention) ? 'stateSpace' : 'attention'
  if (/\.router(Bias|Correction)?$/.test(name)) return 'router'
  if (name.includes('.shared.')) return 'sharedExperts'
  if (use === 'experts') return 'experts'
  return use === 'vector' && shape.length === 2 ? 'expertBias' : 'feedForward' // one bias row per expert
}

// A tensor of a mixture has the experts on its first axis. A token uses the chosen ones only.
function idleCount(architecture: Architecture, { name, shape }: WeightSpec, count: number): number {
  const [, index, part] = /^layers\.(\d+)\.feedForward\.(gateUp|gateUpBias|down|downBias)$/.exec(name) ?? []
  if (part === undefined) return 0
  const slot = architecture.layers[Number(index)]!.feedForward
  if (slot.kind !== 'moe' || shape[0] !== slot.experts) return 0
  return (count / slot.experts) * (slot.experts - slot.expertsPerToken)
}

const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0)
