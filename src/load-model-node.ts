/**
 * From a checkpoint directory to something that answers: backend, weights, engine, and for those who speak text a tokenizer and a
 * chat format. Composition only: here, and nowhere below, a backend is chosen.
 */
import type { Architecture } from './architecture/architecture.ts'
import { type FormatName, formatFor } from './chat/formats/format.ts'
import { formatFiles } from './chat/formats/format-files.ts'
import type { ChatFormat } from './chat/messages.ts'
import { type LoadProgress, loadFolder } from './checkpoint/load.ts'
import { type Folder, readText } from './checkpoint/source.ts'
import { fileFolder } from './checkpoint/source-node.ts'
import { createEngine, type Engine, type EngineOptions } from './engine/engine.ts'
import type { Weights } from './model/weights.ts'
import type { Backend } from './ops/backend.ts'
import { createReferenceBackend } from './ops/reference/reference.ts'
import { tokenizerFiles } from './tokenizer/files.ts'
import type { Tokenizer } from './tokenizer/tokenizer.ts'

export const BACKENDS = ['wasm', 'reference'] as const
export type BackendName = (typeof BACKENDS)[number]

export interface BackendOptions {
  /** Default wasm. The reference is the slow judge. */
  backend?: BackendName
  /** `faithful` (default): dense weights as published, activations of mxfp4 experts in 16 bits per block. `fast`: 8 bits. */
  precision?: 'faithful' | 'fast'
  /** Compute threads; default: the number of cores. */
  threads?: number
}

export interface LoadIdsOptions extends BackendOptions, Pick<EngineOptions, 'context' | 'slots' | 'chunk' | 'maxStallMs' | 'maxWaiting'> {
  /** Leaves the embedding table in its file and reads rows as they are needed: less memory, a few small reads per token. */
  lowMemory?: boolean
  signal?: AbortSignal
  onProgress?: (progress: LoadProgress) => void
}

/** A model that speaks ids. */
export interface IdsModel {
  readonly architecture: Architecture
  readonly weights: Weights
  readonly backend: Backend
  readonly engine: Engine
  /** Ends running generations, stops threads, frees memory. */
  dispose(): Promise<void>
}

export interface LoadModelOptions extends LoadIdsOptions {
  /** Default: what the checkpoint's files say. */
  format?: FormatName
}

/** A model that speaks text: what `chat`, the server and `load` of the public API hand out. */
export interface Model extends IdsModel {
  readonly tokenizer: Tokenizer
  readonly format: ChatFormat
}

export async function createBackend({ backend = 'wasm', precision, threads }: BackendOptions = {}): Promise<Backend> {
  switch (backend) {
    case 'wasm': {
      const { createWasmBackend } = await import('./ops/wasm/wasm.ts')
      return createWasmBackend({ precision, threads })
    }
    case 'reference':
      return createReferenceBackend()
  }
}

/**
 * Loads the checkpoint of a directory and reserves the KV cache; needs no tokenizer files.
 * @throws CheckpointError, ConfigError, MemoryError and RangeError (context), or the signal's reason; nothing stays behind.
 */
export async function loadIds(directory: string | Folder, options: LoadIdsOptions = {}): Promise<IdsModel> {
  const folder = typeof directory === 'string' ? await fileFolder(directory) : directory
  return loadInto(await createBackend(options), folder, options)
}

/** Owns the backend from here on. */
async function loadInto(backend: Backend, folder: Folder, options: LoadIdsOptions): Promise<IdsModel> {
  let close = async () => {}
  try {
    const { signal, onProgress, lowMemory } = options
    const loaded = await loadFolder(folder, backend, { signal, onProgress, lowMemory })
    const { architecture, weights } = loaded
    close = loaded.close
    const engine = createEngine({ ...options, backend, architecture, weights })
    return {
      architecture,
      weights,
      backend,
      engine,
      async dispose() {
        await engine.close()
        await backend.dispose()
        await close()
      },
    }
  } catch (error) {
    await backend.dispose()
    await close()
    throw error
  }
}

/**
 * Loads the checkpoint of a directory with its tokenizer and chat format.
 * @throws what `loadIds` throws; Error and ChatError about tokenizer or format files, before any weight is read
 */
export async function loadModel(directory: string | Folder, options: LoadModelOptions = {}): Promise<Model> {
  const folder = typeof directory === 'string' ? await fileFolder(directory) : directory
  const read = async (name: string) => {
    const source = await folder.open(name)
    if (!source) return undefined
    try {
      return new TextEncoder().encode(await readText(source))
    } finally {
      await source.close()
    }
  }
  const starting = createBackend(options) // its threads start while the tokenizer is read
  const text = async () => {
    const tokenizer = await tokenizerFiles(read)
    return { tokenizer, format: formatFor(await formatFiles(read, tokenizer), options.format) }
  }
  const [backend, spoken] = await Promise.allSettled([starting, text()])
  if (backend.status === 'rejected') throw backend.reason
  if (spoken.status === 'rejected') {
    await backend.value.dispose()
    throw spoken.reason
  }
  return { ...(await loadInto(backend.value, folder, options)), ...spoken.value }
}
