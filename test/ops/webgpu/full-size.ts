/** A model of any size on a device that counts and computes nothing, and passes over it as the engine runs them. */
import type { Architecture } from '../../../src/architecture/architecture.ts'
import { cacheSpec } from '../../../src/model/cache-spec.ts'
import { forward } from '../../../src/model/transformer.ts'
import { leaves, mapWeights, type Weights, weightSpecs } from '../../../src/model/weights.ts'
import type { KeptDraw, KvCache, WeightSpec } from '../../../src/ops/backend.ts'
import type { Draw } from '../../../src/ops/draw.ts'
import type { Batch } from '../../../src/ops/ops.ts'
import type { Tensor } from '../../../src/ops/tensor.ts'
import { createWebgpuBackend, type WebgpuBackend } from '../../../src/ops/webgpu/webgpu.ts'
import { type Counts, count, fakeGpu, GIB } from './counting.ts'

export const GREEDY: Draw = { temperature: 0, topK: 0, topP: 1, minP: 0, noise: 0 }

export interface Model {
  architecture: Architecture
  specs: WeightSpec[]
  weights: Weights
  backend: WebgpuBackend
  cache: KvCache
  counts: Counts
}

/** Bytes of a buffer that `slim` leaves as it is. */
const SMALL = 1 << 16
/** Shared buffers of the backend, by label. */
const SHARED = ['temporaries', 'vectors', 'words of a pass', 'parameters', 'readback', 'counters']

/**
 * The null backend holds half a GiB, binds 128 MiB, and its groups of invocations are of any size up to 128. Here it seems to be an adapter that
 * can hold such a model: it binds 1 GiB and has subgroups of 32. Buffers of weights and caches are cut to 64 KiB; nothing is written to them.
 */
export function slim(gpu: GPU): GPU {
  const requestAdapter = async (options?: GPURequestAdapterOptions) => {
    const adapter = (await gpu.requestAdapter(options))!
    Object.defineProperty(adapter, 'info', { value: seeming(adapter.info, { subgroupMinSize: 32, subgroupMaxSize: 32 }) })
    const request = adapter.requestDevice.bind(adapter)
    adapter.requestDevice = async (descriptor) => {
      const device = await request(descriptor)
      Object.defineProperty(device, 'limits', { value: seeming(device.limits, { maxBufferSize: GIB, maxStorageBufferBindingSize: GIB }) })
      const create = device.createBuffer.bind(device)
      const write = device.queue.writeBuffer.bind(device.queue)
      const cut = new Set<GPUBuffer>()
      device.createBuffer = (wanted) => {
        const whole = wanted.size <= SMALL || SHARED.includes(wanted.label ?? '')
        const buffer = create(whole ? wanted : { ...wanted, size: SMALL })
        if (!whole) cut.add(buffer)
        return buffer
      }
      device.queue.writeBuffer = (...args: Parameters<GPUQueue['writeBuffer']>) => {
        if (!cut.has(args[0])) write(...args)
      }
      return device
    }
    return adapter
  }
  return { requestAdapter, wgslLanguageFeatures: gpu.wgslLanguageFeatures } as unknown as GPU
}

/** An object of WebGPU with some values changed. */
const seeming = <T extends object>(object: T, values: Partial<T>): T =>
  new Proxy(object, { get: (target, name) => (name in values ? values[name as keyof T] : Reflect.get(target, name, target)) })

/** A model of full size on a device that computes nothing. Weights are zeros. */
export async function modelOf(
  architecture: Architecture,
  slots: number,
  capacity: number,
  features: readonly string[] = ['subgroups'],
): Promise<Model> {
  const { gpu, counts } = count(fakeGpu({ features }))
  return { ...(await modelOn(gpu, architecture, slots, capacity)), counts }
}

/** The same on a given device. */
export async function modelOn(gpu: GPU, architecture: Architecture, slots: number, capacity: number): Promise<Omit<Model, 'counts'>> {
  const backend = await createWebgpuBackend({ gpu })
  const made = new Map<WeightSpec, Tensor>()
  const tree = weightSpecs(architecture)
  const specs = leaves(tree)
  for (const spec of specs) made.set(spec, await backend.weight(spec, async () => {}))
  const cache = await backend.cache(cacheSpec(architecture, slots, capacity, 512))
  return { architecture, specs, weights: mapWeights(tree, (spec: WeightSpec) => made.get(spec)!), backend, cache }
}

/** One pass that decodes a row of each slot at a position, and draws. */
export async function decode(
  { backend, architecture, weights, cache }: Omit<Model, 'counts'>,
  position: number,
  slots = 1,
  draw = GREEDY,
): Promise<void> {
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

/** Decodes `count` rows one after another. Each pass is enqueued before the id of the one before is known, as by an engine that runs ahead. */
export async function decodeAhead(
  { backend, architecture, weights, cache }: Omit<Model, 'counts' | 'specs'>,
  position: number,
  count: number,
): Promise<void> {
  let before: KeptDraw | undefined
  for (let n = 0; n < count; n++) {
    const drawn = before && { drawn: before.drawn, rows: Int32Array.of(0) }
    const batch = { ids: Int32Array.of(1), slots: Int32Array.of(0), positions: Int32Array.of(position + n) }
    const kept = backend.scope('step', () => {
      const logits = backend.scope('pass', () => forward(backend, architecture, weights, batch, { cache, drawn }))
      before?.release()
      return backend.drawAndKeep!(logits, [GREEDY])
    })
    await before?.ids
    before = kept
  }
  before?.release()
  await before?.ids
}
