/**
 * Loads an adapter beside its base: tensors of low rank, and the few weights that it replaces. Nothing of the base is copied but its routers
 * where an adapter changes them: the op that chooses experts takes one matrix.
 */
import type { Architecture } from '../architecture/architecture.ts'
import { adaptWeights } from '../model/adapt.ts'
import { type Adapter, leaves, type Weights } from '../model/weights.ts'
import type { WeightSpec } from '../ops/backend.ts'
import type { Tensor } from '../ops/tensor.ts'
import { type AdapterPlan, type LowRank, openAdapter } from './adapter.ts'
import type { LoadOptions, WeightSink } from './load.ts'
import { openModel } from './load.ts'
import { mergedValues } from './merge.ts'
import type { Folder } from './source.ts'

export interface LoadedAdapter {
  readonly weights: Weights
  /** Bytes that it takes beside the base. */
  readonly bytes: number
}

/**
 * The weight tree of the base with this adapter.
 * @param base the folder that `weights` were loaded from
 * @throws AdapterError and what reading throws
 */
export async function loadAdapter(
  folder: Folder,
  base: Folder,
  architecture: Architecture,
  weights: Weights,
  backend: WeightSink,
  { signal }: Pick<LoadOptions, 'signal'> = {},
): Promise<LoadedAdapter> {
  const plan = await openAdapter(folder, architecture, signal)
  try {
    const upload = (spec: WeightSpec, values: Float32Array): Promise<Tensor> => {
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
      return backend.weight({ ...spec, dtype: 'f32', exact: true }, async (_, offset, into) =>
        into.set(bytes.subarray(offset, offset + into.byteLength)),
      )
    }
    const replaced = new Map<string, Tensor>()
    for (const { fill, ...spec } of plan.replaced.values()) replaced.set(spec.name, await backend.weight(spec, fill(signal)))
    const adapters = new Map<string, Adapter>()
    for (const change of plan.lowRank.values()) {
      const { spec } = change
      if (spec.name.endsWith('.router')) replaced.set(spec.name, await upload(spec, await mergedRouter(base, plan, change, signal)))
      else adapters.set(spec.name, await load(plan.name, change, upload, signal))
    }
    return { weights: adaptWeights(architecture, weights, { adapters, replaced }), bytes: plan.bytes }
  } finally {
    await plan.close()
  }
}

async function load(
  adapter: string,
  { spec, rank, scale, read }: LowRank,
  upload: (spec: WeightSpec, values: Float32Array) => Promise<Tensor>,
  signal: AbortSignal | undefined,
): Promise<Adapter> {
  const { a, b } = await read(signal)
  const table = spec.name === 'embed'
  const [O, I] = [spec.shape.at(-2)!, spec.shape.at(-1)!]
  const experts = spec.shape.slice(0, -2)
  const use = spec.use === 'experts' ? 'experts' : 'matrix'
  const name = `${adapter}: ${spec.name}`
  const low = table ? { shape: [O, rank], use: 'table' as const } : { shape: [...experts, rank, I], use }
  const high = table ? { shape: [I, rank], use } : { shape: [...experts, O, rank], use }
  return {
    a: await upload({ ...spec, ...low, name: `${name}.a` } as WeightSpec, a),
    b: await upload({ ...spec, ...high, name: `${name}.b` } as WeightSpec, b),
    scale,
  }
}

async function mergedRouter(base: Folder, plan: AdapterPlan, change: LowRank, signal: AbortSignal | undefined): Promise<Float32Array> {
  const { checkpoint, tree } = await openModel(base, signal)
  try {
    return await mergedValues(leaves(tree).find(({ name }) => name === change.spec.name)!, { ...plan, replaced: new Map() }, signal)
  } finally {
    await checkpoint.close()
  }
}
