/** A model of any size on a device that counts and computes nothing, and passes over it as the engine runs them. */
import type { Architecture } from '../../../src/architecture/architecture.ts'
import { cacheSpec } from '../../../src/model/cache-spec.ts'
import { forward } from '../../../src/model/transformer.ts'
import { leaves, mapWeights, type Weights, weightSpecs } from '../../../src/model/weights.ts'
import type { KvCache, WeightSpec } from '../../../src/ops/backend.ts'
import type { Draw } from '../../../src/ops/draw.ts'
import type { Batch } from '../../../src/ops/ops.ts'
import type { Tensor } from '../../../src/ops/tensor.ts'
import { createWebgpuBackend, type WebgpuBackend } from '../../../src/ops/webgpu/webgpu.ts'
import { type Counts, count, fakeGpu } from './counting.ts'

export const GREEDY: Draw = { temperature: 0, topK: 0, topP: 1, minP: 0, noise: 0 }

export interface Model {
  architecture: Architecture
  specs: WeightSpec[]
  weights: Weights
  backend: WebgpuBackend
  cache: KvCache
  counts: Counts
}

/** A model of full size on a device that computes nothing. Weights are zeros. */
export async function modelOf(
  architecture: Architecture,
  slots: number,
  capacity: number,
  features: readonly string[] = ['subgroups'],
): Promise<Model> {
  const { gpu, counts } = count(fakeGpu({ features }))
  const backend = await createWebgpuBackend({ gpu })
  const made = new Map<WeightSpec, Tensor>()
  const tree = weightSpecs(architecture)
  const specs = leaves(tree)
  for (const spec of specs) made.set(spec, await backend.weight(spec, async () => {}))
  const cache = await backend.cache(cacheSpec(architecture, slots, capacity, 512))
  return { architecture, specs, weights: mapWeights(tree, (spec: WeightSpec) => made.get(spec)!), backend, cache, counts }
}

/** One pass that decodes a row of each slot at a position, and draws. */
export async function decode({ backend, architecture, weights, cache }: Model, position: number, slots = 1, draw = GREEDY): Promise<void> {
  const row = Array.from({ length: slots }, (_, slot) => slot)
  const batch = { ids: Int32Array.from(row, () => 1), slots: Int32Array.from(row), positions: Int32Array.from(row, () => position) }
  await pass(
    { backend, architecture, weights, cache },
    batch,
    undefined,
    row.map(() => draw),
  )
}

/** A pass as the engine runs it. */
export const pass = (
  { backend, architecture, weights, cache }: Omit<Model, 'counts' | 'specs'>,
  batch: Batch,
  logitRows: Int32Array | undefined,
  draws: Draw[],
) =>
  backend.scope('step', () => {
    const logits = backend.scope('pass', () => forward(backend, architecture, weights, batch, { cache, logitRows }))
    return backend.draw!(logits, draws)
  })
