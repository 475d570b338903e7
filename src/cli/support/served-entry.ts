/** A model on disk as the server's registry wants it: what it costs is known before it is loaded. */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { readArchitecture } from '../../checkpoint/load.ts'
import { fileFolder, type WeightFile, weightFilesAt } from '../../checkpoint/source-node.ts'
import { asObject, parsed } from '../../json/json.ts'
import { cacheBytes, loadModel, type Model, withAdapter } from '../../load-model-node.ts'
import type { ModelEntry, Purpose, ServedModel } from '../../server/models/model.ts'
import { modelDirectory, type RunOptions } from './model.ts'
import { UsageError } from './terminal.ts'

/** For models whose files and names do not say it. */
export interface Purposes {
  embeddings?: boolean
  reranking?: boolean
}

/**
 * The model, and each of its adapters as a model of its own. All of them share one loaded model: it is loaded for the first that is asked
 * for, and freed with the last.
 * @param name a path, a name that comes with the package, or a model in the cache; clients use it as
 * it is, or its last part
 */
export async function servedEntries(name: string, options: RunOptions & Purposes & { parallel: number }): Promise<ModelEntry[]> {
  const directory = await modelDirectory(name)
  const short = basename(name.replace(/\/+$/, ''), '.gguf')
  const isPath = /^[./~]|\\/.test(name)
  const { parallel, adapter = {}, ...rest } = options
  const onBackend = (choice: string) => process.stderr.write(`lineage: ${short}: ${choice}\n`)
  const loadOptions = { ...rest, slots: parallel, adapters: adapter, onBackend }
  const architecture = await readArchitecture(await fileFolder(directory))
  const longest = architecture.maxPositionEmbeddings
  if (options.context !== undefined && options.context > longest)
    throw new UsageError(`--context ${options.context}: the longest context of ${name} is ${longest}`)
  const cache = await cacheBytes(architecture, loadOptions)
  const id = isPath ? short : name
  const base = await weightFilesAt(directory)
  const shared = new Shared(() => loadModel(directory, loadOptions))
  const entry = (files: readonly WeightFile[], adapterName?: string) => ({
    created: Math.floor(Math.max(0, ...files.map(({ modified }) => modified)) / 1000),
    bytes: base.reduce((sum, { bytes }) => sum + bytes, 0),
    cacheBytes: cache,
    purpose: purposeOf(directory, id, options),
    fingerprint: createHash('sha256')
      .update(JSON.stringify(architecture))
      .update(JSON.stringify([base, options.precision, options.backend, ...(adapterName === undefined ? [] : files)]))
      .digest('hex')
      .slice(0, 12),
    inMemory: () => shared.inMemory,
    load: () => shared.take(adapterName),
  })
  const adapted = await Promise.all(
    Object.entries(adapter).map(async ([adapterName, place]) => ({
      id: adapterName,
      parent: id,
      ...entry(await weightFilesAt(place), adapterName),
    })),
  )
  return [{ id, aliases: [short], ...entry(base) }, ...adapted]
}

/**
 * Embedding models say how they pool in a file of their own. Reranking models say it in their names only, since their files are those of
 * a chat model.
 */
function purposeOf(directory: string, id: string, { embeddings, reranking }: Purposes): Purpose | undefined {
  if (reranking || /rerank/i.test(id)) return 'reranking'
  const pooling = asObject(parsed(readIfThere(join(directory, '1_Pooling', 'config.json')) ?? ''))
  return embeddings || pooling.pooling_mode_lasttoken === true || /qwen3-embedding/i.test(id) ? 'embedding' : undefined
}

function readIfThere(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined
}

/** One loaded model behind several entries of the registry. */
class Shared {
  readonly #load: () => Promise<Model>
  /** The model and the entries that use it; the first of them answers for its memory. */
  #current: { loading: Promise<Model>; users: Set<object>; loaded: boolean } | undefined

  constructor(load: () => Promise<Model>) {
    this.#load = load
  }

  get inMemory(): boolean {
    return this.#current?.loaded === true
  }

  async take(adapter: string | undefined): Promise<ServedModel> {
    const current = (this.#current ??= { loading: this.#load(), users: new Set(), loaded: false })
    const { loading, users } = current
    const user = {}
    users.add(user)
    const forget = () => {
      if (this.#current === current) this.#current = undefined
    }
    try {
      const model = await loading
      current.loaded = true
      void model.failed.then(forget)
      const own = adapter === undefined ? model : withAdapter(model, adapter)
      return {
        ...own,
        engine: { ...own.engine, close: async () => {} },
        memoryBytes: () => {
          const { weights, caches } = model.backend.memory()
          return [...users][0] === user ? weights + caches : 0
        },
        async dispose() {
          if (!users.delete(user) || users.size > 0) return
          forget()
          await model.dispose()
        },
      }
    } catch (error) {
      forget()
      throw error
    }
  }
}
