/** A model on disk as the server's registry wants it: what it costs is known before it is loaded. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { configFromJson } from '../../architecture/config-json.ts'
import { cacheBytes, loadModel } from '../../load-model-node.ts'
import type { ModelEntry } from '../../server/models/model.ts'
import { modelDirectory, type RunOptions } from './model.ts'

/**
 * @param name a path, a name that comes with the package, or a model in the cache; clients use it as
 * it is, or its last part
 */
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
  const { parallel, ...rest } = options
  const loadOptions = { ...rest, slots: parallel }
  return {
    id: isPath ? short : name,
    aliases: [short],
    created: Math.floor(Math.max(0, ...files.map(({ modified }) => modified)) / 1000),
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    fingerprint: fingerprint.slice(0, 12),
    cacheBytes: await cacheBytes(configFromJson(JSON.parse(config.toString()), name), loadOptions),
    load: async () => {
      const model = await loadModel(directory, loadOptions)
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

function sizeOf(path: string): { bytes: number; modified: number } {
  const { size, mtimeMs } = statSync(path)
  return { bytes: size, modified: Math.floor(mtimeMs) }
}
