/** What load-model.ts does, from a path of the file system and with a backend by name: the form that the command line and the server use. */
import type { Architecture } from './architecture/architecture.ts'
import { openModel } from './checkpoint/load.ts'
import type { Folder } from './checkpoint/source.ts'
import { fileFolder } from './checkpoint/source-node.ts'
import type { IdsModel, Model } from './load-model.ts'
import * as anywhere from './load-model.ts'
import { engineCacheSpec } from './model/cache-spec.ts'
import { leaves } from './model/weights.ts'
import type { Backend } from './ops/backend.ts'
import { cacheBytes as plainCacheBytes } from './ops/cache-size.ts'
import { createReferenceBackend } from './ops/reference/reference.ts'
import type { Formats } from './ops/webgpu/self-check.ts'

export { type IdsModel, type Model, withAdapter } from './load-model.ts'

export const BACKENDS = ['wasm', 'webgpu', 'webgpu:software', 'auto', 'reference'] as const
const PRECISIONS = ['faithful', 'fast']
export type BackendName = (typeof BACKENDS)[number]

export interface BackendOptions {
  /**
   * Default wasm, the CPU. `webgpu`: the GPU, by the optional package `webgpu`; `webgpu:software` also takes an adapter that computes
   * on the CPU, for tests. `auto`: the GPU where there is one and the model fits, else wasm. The reference is slow: it is there to
   * compare with.
   */
  backend?: BackendName
  /** Told which backend `auto` has taken, and why; and what a GPU does without, because its results with it were wrong. */
  onBackend?: (choice: string) => void
  /** Of wasm. `faithful` (default): dense weights as published, activations of mxfp4 experts in 16 bits per block. `fast`: 8 bits. */
  precision?: 'faithful' | 'fast'
  /** Compute threads; default: the number of cores, which is also the most that is started. */
  threads?: number
}

interface Places extends BackendOptions {
  /** LoRA directories of PEFT (paths or folders) by the names they are used under; each shares the weights of the base. */
  adapters?: Readonly<Record<string, string | Folder>>
}
export interface LoadIdsOptions extends Places, Omit<anywhere.LoadIdsOptions, 'adapters'> {}
export interface LoadModelOptions extends Places, Omit<anywhere.LoadModelOptions, 'adapters'> {}

/** What a GPU must know of the model that it will run. */
interface Wanted {
  /** Of the weights and of the cache. */
  readonly bytes: number
  readonly formats: Formats
}

/**
 * @param wanted by the model, for a GPU: its results are checked for these formats, and `auto` asks whether there is memory
 * @throws RangeError for a backend or precision that does not exist; Error where `webgpu` finds no GPU, WrongResultsError where it is wrong
 */
export async function createBackend(options: BackendOptions = {}, wanted?: () => Promise<Wanted>): Promise<Backend> {
  const { backend = 'wasm', precision, threads, onBackend = () => {} } = options
  checkName('backend', backend, BACKENDS)
  checkName('precision', precision ?? 'faithful', PRECISIONS)
  let told: Promise<Wanted> | undefined
  const ask = wanted && (() => (told ??= wanted()))
  const formats = ask && (async () => (await ask()).formats)
  switch (backend) {
    case 'wasm': {
      const [{ createWasmBackend }, { coreCount }] = await Promise.all([import('./ops/wasm/wasm.ts'), import('./ops/wasm/host.ts')])
      return createWasmBackend({ precision, threads: threads && Math.min(threads, coreCount()) })
    }
    case 'webgpu':
    case 'webgpu:software': {
      const { createGpuBackend } = await import('./gpu-node.ts')
      const gpu = await createGpuBackend({ software: backend === 'webgpu:software', formats })
      if (gpu.dropped !== undefined) onBackend((await import('./gpu.ts')).choiceOf(gpu))
      return gpu
    }
    case 'auto': {
      const { createGpuBackend, mustHaveFree } = await import('./gpu-node.ts')
      let gpu: Awaited<ReturnType<typeof createGpuBackend>> | undefined
      try {
        gpu = await createGpuBackend({ formats })
        await mustHaveFree(gpu, (await ask?.())?.bytes ?? 0)
        onBackend((await import('./gpu.ts')).choiceOf(gpu))
        return gpu
      } catch (error) {
        await gpu?.dispose()
        onBackend(`backend wasm: ${(error as Error).message}`)
        return createBackend({ ...options, backend: 'wasm' })
      }
    }
    case 'reference':
      return createReferenceBackend()
  }
}

function checkName(option: string, name: string, names: readonly string[]): void {
  if (!names.includes(name)) throw new RangeError(`${option}: expected ${names.join(' or ')}, got ${JSON.stringify(name)}`)
}

/** Bytes of the KV cache that a model will reserve when it is loaded with these options. */
export async function cacheBytes(architecture: Architecture, { backend = 'wasm', precision, ...options }: LoadIdsOptions): Promise<number> {
  const spec = engineCacheSpec(architecture, options)
  if (backend !== 'wasm') return plainCacheBytes(spec)
  return (await import('./ops/wasm/kv-cache.ts')).cacheBytes(spec, precision)
}

async function wantedBy(folder: Folder, options: LoadIdsOptions): Promise<Wanted> {
  const { formatsOf } = await import('./ops/webgpu/self-check.ts')
  const { checkpoint, weightBytes, architecture, tree } = await openModel(folder, options.signal)
  await checkpoint.close()
  return { bytes: weightBytes + (await cacheBytes(architecture, options)), formats: formatsOf(leaves(tree)) }
}

/** `loadIds` of load-model.ts for the path of a directory or of a `.safetensors` file, or for a folder. */
export async function loadIds(place: string | Folder, options: LoadIdsOptions = {}): Promise<IdsModel> {
  const folder = await folderAt(place)
  const adapters = await folders(options.adapters)
  return anywhere.loadIds(folder, await createBackend(options, () => wantedBy(folder, options)), { ...options, adapters })
}

/** `loadModel` of load-model.ts for the path of a directory or of a `.safetensors` file, or for a folder. */
export async function loadModel(place: string | Folder, options: LoadModelOptions = {}): Promise<Model> {
  const folder = await folderAt(place)
  const adapters = await folders(options.adapters)
  return anywhere.loadModel(
    folder,
    createBackend(options, () => wantedBy(folder, options)),
    { ...options, adapters },
  )
}

const folders = async (places: LoadIdsOptions['adapters'] = {}): Promise<Record<string, Folder>> =>
  Object.fromEntries(await Promise.all(Object.entries(places).map(async ([name, place]) => [name, await folderAt(place)])))

const folderAt = async (place: string | Folder): Promise<Folder> => (typeof place === 'string' ? fileFolder(place) : place)
