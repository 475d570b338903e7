/** A weight tree with adapters beside some of its weights. The tree shares all other tensors with the one that it is made of. */
import type { Architecture } from '../architecture/architecture.ts'
import type { Tensor } from '../ops/tensor.ts'
import { type Adapter, type Weights, weightSpecs } from './weights.ts'

export interface Change {
  /** By inner name of the weight that is changed. */
  readonly adapters: ReadonlyMap<string, Adapter>
  /** Tensors in place of those of the base, by inner name. */
  readonly replaced: ReadonlyMap<string, Tensor>
}

/** The tree of `weightSpecs(architecture)` with the change. A tied output matrix stays that of the base unless it is replaced itself. */
export function adaptWeights(architecture: Architecture, weights: Weights, { adapters, replaced }: Change): Weights {
  const adapt = (spec: unknown, node: unknown): unknown => {
    if (typeof spec !== 'object' || spec === null || typeof node !== 'object' || node === null) return node
    if ('shape' in spec) return replaced.get((spec as unknown as { name: string }).name) ?? node
    if (Array.isArray(spec)) return spec.map((child, i) => adapt(child, (node as unknown[])[i]))
    const entries = Object.entries(node).map(([key, child]) => [
      key,
      key === 'slot' ? child : adapt((spec as Record<string, unknown>)[key], child),
    ])
    const adapter = 'weight' in spec ? adapters.get((spec.weight as { name: string }).name) : undefined
    return Object.fromEntries(adapter ? [...entries, ['adapter', adapter]] : entries)
  }
  const changed = adapt(weightSpecs(architecture), weights) as Weights
  const unembed = replaced.get('unembed') ?? weights.unembed ?? (replaced.has('embed') ? weights.embed : undefined)
  return { ...changed, unembed, embedAdapter: adapters.get('embed'), unembedAdapter: adapters.get('unembed') }
}
