/**
 * From the files of a checkpoint and a backend to something that answers: weights, engine, and for models that speak text a tokenizer
 * and a chat format. Composition only. Nothing here needs Node.js: a page brings a folder of its own (web.ts), and
 * load-model-node.ts adds paths.
 */
import type { Architecture } from './architecture/architecture.ts'
import { type FormatName, formatFor } from './chat/formats/format.ts'
import { formatFiles } from './chat/formats/format-files.ts'
import type { ChatFormat } from './chat/messages.ts'
import { type LoadProgress, loadFolder, openModel } from './checkpoint/load.ts'
import { type LoadedAdapter, loadAdapter } from './checkpoint/load-adapter.ts'
import { cancellable, type Folder, readText as readSource } from './checkpoint/source.ts'
import { createEngine, type Engine, type EngineOptions } from './engine/engine.ts'
import type { Weights } from './model/weights.ts'
import type { Backend, BackendFailedError } from './ops/backend.ts'
import { tokenizerFileNames, tokenizerFiles } from './tokenizer/files.ts'
import type { Tokenizer } from './tokenizer/tokenizer.ts'

export interface LoadIdsOptions extends Pick<EngineOptions, 'context' | 'slots' | 'chunk' | 'maxStallMs' | 'maxWaiting'> {
  /** Leaves the embedding table in its file and reads rows as they are needed: less memory, a few small reads per token. */
  lowMemory?: boolean
  /** LoRA directories of PEFT by the names they are used under; each shares the weights of the base. */
  adapters?: Readonly<Record<string, Folder>>
  signal?: AbortSignal
  onProgress?: (progress: LoadProgress) => void
}

export interface LoadModelOptions extends LoadIdsOptions {
  /** Default: what the checkpoint's files say. */
  format?: FormatName
  /** Describe tools in the system message, and read calls as JSON, where the chat template of the model knows no tools. Default false. */
  genericTools?: boolean
}

/** Their names, to find misspelt ones. */
export const LOAD_OPTIONS: Readonly<Record<keyof LoadModelOptions, true>> = {
  context: true,
  slots: true,
  chunk: true,
  maxStallMs: true,
  maxWaiting: true,
  lowMemory: true,
  adapters: true,
  format: true,
  genericTools: true,
  signal: true,
  onProgress: true,
}

/** A model that speaks ids. */
export interface IdsModel {
  readonly architecture: Architecture
  readonly weights: Weights
  readonly backend: Backend
  readonly engine: Engine
  /** The loaded adapters by name; `withAdapter` runs with one. */
  readonly adapters: Readonly<Record<string, LoadedAdapter>>
  /** Resolves when the backend is dead (a compute thread ended). Running answers end with this error; dispose of the model and load it again. */
  readonly failed: Promise<BackendFailedError>
  /** Ends running generations, stops threads, frees memory. */
  dispose(): Promise<void>
}

/** A model that speaks text: what `chat`, the server and `load` of the public API use. */
export interface Model extends IdsModel {
  readonly tokenizer: Tokenizer
  readonly format: ChatFormat
}

/**
 * Loads the weights of a checkpoint into the backend and reserves the KV cache; needs no tokenizer files.
 * The backend belongs to the model from here on: it is disposed of with the model, and also when loading fails.
 * @throws CheckpointError, ConfigError, MemoryError and RangeError (context), or the signal's reason; nothing stays behind.
 */
export async function loadIds(folder: Folder, backend: Backend, options: LoadIdsOptions = {}): Promise<IdsModel> {
  let close = async () => {}
  try {
    const { signal, onProgress, lowMemory } = options
    const loaded = await loadFolder(folder, backend, { signal, onProgress, lowMemory })
    const { architecture, weights } = loaded
    close = loaded.close
    const adapters: Record<string, LoadedAdapter> = {}
    for (const [name, adapter] of Object.entries(options.adapters ?? {}))
      adapters[name] = await loadAdapter(cancellable(adapter, signal), folder, architecture, weights, backend, { signal })
    const trees = Object.fromEntries(Object.entries(adapters).map(([name, adapter]) => [name, adapter.weights]))
    const engine = await createEngine({ ...options, backend, architecture, weights, adapters: trees })
    return {
      architecture,
      weights,
      backend,
      engine,
      adapters,
      failed: backend.failed,
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
 * The model with one of its adapters. All else is shared; `dispose` is that of the model, for both.
 * @throws RangeError for an unknown name
 */
export const withAdapter = <M extends IdsModel>(model: M, name: string): M => {
  const engine = model.engine.withAdapter(name)
  return { ...model, engine, weights: model.adapters[name]!.weights }
}

/**
 * Loads a checkpoint with its tokenizer and chat format.
 * @param backend may be a promise: its threads start while the tokenizer is read. It belongs to the model from here on.
 * @throws what `loadIds` throws; Error and ChatError about tokenizer or format files, before any weight is read. Then the backend was disposed of
 */
export async function loadModel(folder: Folder, backend: Backend | Promise<Backend>, options: LoadModelOptions = {}): Promise<Model> {
  const [started, spoken] = await Promise.allSettled([backend, readText(folder, options)])
  if (started.status === 'rejected') throw started.reason
  if (spoken.status === 'rejected') {
    await started.value.dispose()
    throw spoken.reason
  }
  return { ...(await loadIds(folder, started.value, options)), ...spoken.value }
}

/** The tokenizer of a folder; needs no weights. */
export const readTokenizer = (folder: Folder): Promise<Tokenizer> => tokenizerFiles((file) => readFile(folder, file))

/** Tokenizer and chat format of a folder. */
export async function readText(
  folder: Folder,
  { format, genericTools, signal }: LoadModelOptions = {},
): Promise<Pick<Model, 'tokenizer' | 'format'>> {
  const files = cancellable(folder, signal)
  const read = (file: string) => readFile(files, file)
  const tokenizer = await readTokenizer(files)
  return { tokenizer, format: formatFor({ ...(await formatFiles(read, tokenizer)), genericTools }, format) }
}

async function readFile(folder: Folder, name: string): Promise<Uint8Array | undefined> {
  const source = await folder.open(name)
  if (!source) return undefined
  try {
    return new TextEncoder().encode(await readSource(source))
  } finally {
    await source.close()
  }
}

/**
 * Judges a folder as `loadModel` would, without reading weights: configuration, headers, and tokenizer and chat format if there are
 * any. A folder without a tokenizer passes: it can be run with ids.
 * @returns the bytes of its weights in memory
 * @throws what `loadModel` throws
 */
export async function checkModel(folder: Folder): Promise<number> {
  const { checkpoint, weightBytes } = await openModel(folder)
  await checkpoint.close()
  const hasTokenizer = await Promise.all(
    tokenizerFileNames.map(async (name) => name !== 'tokenizer_config.json' && (await exists(folder, name))),
  )
  if (hasTokenizer.includes(true)) await readText(folder)
  return weightBytes
}

async function exists(folder: Folder, name: string): Promise<boolean> {
  const source = await folder.open(name)
  await source?.close()
  return source !== undefined
}
