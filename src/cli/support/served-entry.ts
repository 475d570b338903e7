/** A model on disk as the server's registry wants it: what it costs is known before it is loaded. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { configFromJson } from '../../architecture/config-json.ts'
import { loadModel } from '../../load-model-node.ts'
import { cacheSpec } from '../../model/cache-spec.ts'
import type { ModelEntry } from '../../server/models/model.ts'
import { modelDirectory, type RunOptions } from './model.ts'

/** Defaults of the engine. */
const DEFAULT_CONTEXT = 8192
const DEFAULT_CHUNK = 512

/** @param name a path, a name that comes with the package, or a model in the cache; clients use it as it is, or its last part */
export async function servedEntry(name: string, options: RunOptions & { parallel: number }): Promise<ModelEntry> {
  const directory = await modelDirectory(name)
  const short = basename(name.replace(/\/+$/, ''))
  const isPath = /^[./~]|\\/.test(name)
  const files = readdirSync(directory)
    .filter((file) => file.endsWith('.safetensors'))
    .map((file) => ({ file, ...sizeOf(join(directory, file)) }))
  const config = readFileSync(join(directory, 'config.json'))
  const fingerprint = createHash('sha256')
    .update(config)
    .update(JSON.stringify([files, options.precision, options.backend]))
    .digest('hex')
  return {
    id: isPath ? short : name,
    aliases: [short],
    created: Math.floor(Math.max(0, ...files.map(({ modified }) => modified)) / 1000),
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    fingerprint: fingerprint.slice(0, 12),
    cacheBytes: cacheBytes(JSON.parse(config.toString()), name, options),
    load: async () => {
      const { backend, precision, threads, context, lowMemory, parallel } = options
      const model = await loadModel(directory, { backend, precision, threads, context, lowMemory, slots: parallel })
      return {
        ...model,
        memoryBytes() {
          const { weights, caches } = model.backend.memory()
          return weights + caches
        },
      }
    },
  }
}

/** The KV cache that the engine will reserve (f32, bf16 in fast precision on wasm), with rings for sliding windows; what it did reserve is known when it is loaded. */
function cacheBytes(
  config: unknown,
  name: string,
  { context, parallel, backend, precision }: Pick<RunOptions, 'context' | 'backend' | 'precision'> & { parallel: number },
): number {
  const bytes = precision === 'fast' && backend !== 'reference' ? 2 : 4
  const architecture = configFromJson(config, name)
  const positions = context ?? Math.min(architecture.maxPositionEmbeddings, DEFAULT_CONTEXT)
  const { layers, capacity, maxRows } = cacheSpec(architecture, parallel, positions, DEFAULT_CHUNK)
  return layers.reduce((sum, { kvHeads, keyDim, valueDim, window }) => {
    const ring = window === null ? capacity : Math.min(capacity, window - 1 + maxRows)
    return sum + bytes * parallel * kvHeads * (keyDim + valueDim) * ring
  }, 0)
}

function sizeOf(path: string): { bytes: number; modified: number } {
  const { size, mtimeMs } = statSync(path)
  return { bytes: size, modified: Math.floor(mtimeMs) }
}
