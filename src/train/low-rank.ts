/**
 * LoRA: a base whose weights stay as published, and products of low rank beside some of its matrices, which are all that is trained.
 * Hu et al. 2021; rsLoRA (scale alpha / sqrt(rank)): Kalajdzievski 2023. Fresh values as PEFT: a uniform within 1 / sqrt(I), b zero.
 */
import type { Architecture } from '../architecture/architecture.ts'
import { adaptWeights } from '../model/adapt.ts'
import { leaves, mapWeights, type Weights, weightSpecs } from '../model/weights.ts'
import type { WeightSpec } from '../ops/backend.ts'
import { decodeStored, type StoredWeight } from '../ops/decode.ts'
import { size, type Tensor } from '../ops/tensor.ts'
import type { TrainingBackend } from '../ops/training/backend.ts'
import { fnv1a } from '../random/hash.ts'
import { random } from '../random/stream.ts'

/** The change of one inner weight [(E,) O, I]. */
export interface AdapterSpec {
  readonly spec: WeightSpec
  readonly rank: number
  readonly scale: number
}

export interface LowRankOptions {
  rank: number
  alpha: number
  /** Scale alpha / sqrt(rank) instead of alpha / rank. */
  rankStabilized: boolean
  /** Names of matrices: q, k, v, o, gate, up, down, experts; `attention` and `feedForward` for all of a kind. */
  targets: readonly string[]
}

/** What is trained and what stays. Plain data over shared memory, so threads can have it. */
export interface LowRankTraining {
  readonly base: readonly { spec: WeightSpec; stored: StoredWeight }[]
  readonly adapters: readonly AdapterSpec[]
}

/** The matrices that can be named. */
const WITHIN = { attention: ['q', 'k', 'v', 'o'], feedForward: ['gate', 'up', 'down'] }
/** Latent attention: its parts by the names of what they make. Keys and values of the heads come from one module, and stay as they are. */
const OF_LATENTS: Record<string, string> = { qDown: 'q', qRope: 'q', kvDown: 'k', kRope: 'k' }
export const TARGETS: readonly string[] = [...Object.values(WITHIN).flat(), 'experts', ...Object.keys(WITHIN)]
export const DEFAULT_TARGETS: readonly string[] = ['attention', 'feedForward']

/** What PEFT can name too, and why it has no adapter here. */
const UNTRAINED: Record<string, string> = {
  kv_b_proj: 'its weights are two matrices for each head',
  router: 'the choice of experts stays as published',
  embed_tokens: 'embeddings stay as published',
  lm_head: 'the output matrix stays as published',
}

/** A name as PEFT writes it is that of the same matrix here. */
const targetOf = (name: string): string => {
  const inner = name.replace(/_proj$/, '')
  return TARGETS.includes(inner) ? inner : name
}

/**
 * The adapters of a model, in the order of its weights.
 * @throws RangeError for a name that is no target, or one of which the model has none
 */
export function adapterSpecs(architecture: Architecture, { rank, alpha, rankStabilized, targets }: LowRankOptions): AdapterSpec[] {
  const scale = alpha / (rankStabilized ? Math.sqrt(rank) : rank)
  const names = targets.map(targetOf)
  const unknown = names.find((name) => !TARGETS.includes(name))
  if (unknown !== undefined) {
    const why = UNTRAINED[unknown] === undefined ? '' : ` (${UNTRAINED[unknown]})`
    throw new RangeError(`"${unknown}" is no target of LoRA${why}: expected some of ${TARGETS.join(', ')}`)
  }
  const wanted = new Set(names.flatMap((target) => WITHIN[target as keyof typeof WITHIN] ?? [target]))
  const kindOf = ({ name, use }: WeightSpec) => {
    if (use === 'experts') return 'experts'
    const inner = name.slice(name.lastIndexOf('.') + 1)
    const last = OF_LATENTS[inner] ?? inner
    return use === 'matrix' && name.startsWith('layers.') && TARGETS.includes(last) ? last : undefined
  }
  const specs = leaves(weightSpecs(architecture)).filter((spec) => wanted.has(kindOf(spec) ?? ''))
  if (specs.length === 0) throw new RangeError(`the model has no matrices called ${[...wanted].join(', ')}`)
  return specs.map((spec) => ({ spec, rank, scale }))
}

/** Without the load-balancing loss: the routers of a published model are balanced already, and other trainers leave it out of fine-tuning. */
export const withoutBalance = (architecture: Architecture): Architecture => ({
  ...architecture,
  layers: architecture.layers.map((layer) => {
    const { feedForward } = layer
    return feedForward.kind === 'moe'
      ? { ...layer, feedForward: { ...feedForward, router: { ...feedForward.router, auxLossCoef: 0 } } }
      : layer
  }),
})

/** The two trained tensors of an adapter: a [(E,) n, I], b [(E,) O, n]. */
export function adapterParts({ spec, rank }: AdapterSpec): [a: WeightSpec, b: WeightSpec] {
  const { name, shape } = spec
  const [O, I] = shape.slice(-2) as [number, number]
  const part = (tail: string, own: number[]): WeightSpec => {
    return { name: `${name}.${tail}`, shape: [...shape.slice(0, -2), ...own], dtype: 'f32', use: 'matrix' }
  }
  return [part('a', [rank, I]), part('b', [O, rank])]
}

/** The first values of `a` or `b`. */
export function initialAdapter({ name, shape }: WeightSpec, seed: number): Float32Array {
  const values = new Float32Array(size(shape))
  if (name.endsWith('.b')) return values
  const bound = 1 / Math.sqrt(shape.at(-1)!)
  const next = random(fnv1a(name) ^ Math.imul(seed + 1, 0x9e3779b1))
  return values.map(() => bound * (2 * next() - 1))
}

/** Values that vectors of the base take in the memory of the workers, where kernels read them. */
export const vectorLength = ({ base }: LowRankTraining): number =>
  base.reduce((sum, { spec }) => sum + (spec.use === 'vector' ? padded(spec) : 0), 0)

const padded = ({ shape }: WeightSpec): number => Math.ceil(size(shape) / 4) * 4

/** Decodes the vectors of the base, one after the other. */
export function fillVectors({ base }: LowRankTraining, into: Float32Array): void {
  let at = 0
  for (const { spec, stored } of base) {
    if (spec.use !== 'vector') continue
    decodeStored(stored, 0, size(spec.shape), into, at)
    at += padded(spec)
  }
}

/** The weight tree: vectors and frozen matrices of the base, with adapters made by `trained`. */
export function lowRankTree(
  architecture: Architecture,
  { base, adapters }: LowRankTraining,
  backend: TrainingBackend,
  vectors: Float32Array,
  trained: (part: WeightSpec) => Tensor,
): Weights<Tensor> {
  const made = new Map<string, Tensor>()
  let at = 0
  for (const { spec, stored } of base) {
    const { name, shape } = spec
    if (spec.use === 'vector') {
      made.set(name, backend.tensor(shape, vectors.subarray(at, at + size(shape)), undefined, name))
      at += padded(spec)
    } else made.set(name, backend.frozen(shape, stored, name))
  }
  const weights = mapWeights(weightSpecs(architecture), ({ name }) => made.get(name)!)
  const changes = adapters.map((adapter) => {
    const [a, b] = adapterParts(adapter)
    return [adapter.spec.name, { a: trained(a), b: trained(b), scale: adapter.scale }] as const
  })
  return adaptWeights(architecture, weights, { adapters: new Map(changes), replaced: new Map() })
}
