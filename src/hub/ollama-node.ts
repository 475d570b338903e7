/**
 * Finds the GGUF file of a model that Ollama has on this machine: `ollama:NAME[:TAG]`. Reads its manifests and writes nothing there.
 * Layout: manifests/HOST/NAMESPACE/NAME/TAG is JSON that names blobs by their hashes, and blobs/sha256-HASH holds them.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expandPath } from '../files/path-node.ts'
import { asObject, isObject, parsed } from '../json/json.ts'
import { ModelIdError } from './cache-node.ts'
import type { Environment } from './environment-node.ts'

const PREFIX = 'ollama:'
const HOST = 'registry.ollama.ai'
const NAMESPACE = 'library'
const WEIGHTS = 'application/vnd.ollama.image.model'

export const isOllamaName = (name: string): boolean => name.startsWith(PREFIX)

/** OLLAMA_MODELS, else where Ollama keeps models for the user, else for its service on Linux. */
const folders = (env: Environment): string[] =>
  env.OLLAMA_MODELS ? [expandPath(env.OLLAMA_MODELS, env)] : [expandPath('~/.ollama/models', env), '/usr/share/ollama/.ollama/models']

/**
 * The path of the model's GGUF file.
 * @param name `ollama:NAME[:TAG]`; NAME may have a namespace and a host in front, as Ollama writes them
 * @throws ModelIdError when there is no such model, or its manifest is not of the known form
 */
export async function locateOllama(name: string, env: Environment = process.env): Promise<string> {
  const [, path, tag = 'latest'] = /^(.+?)(?::([^:/]+))?$/.exec(name.slice(PREFIX.length)) ?? []
  const parts = path?.split('/') ?? []
  const fit = parts.length >= 1 && parts.length <= 3 && [...parts, tag].every((part) => /^[\w][\w.:-]*$/.test(part) && !part.includes('..'))
  if (!fit) throw new ModelIdError(`"${name.slice(0, 100)}": expected ollama:NAME or ollama:NAME:TAG, such as ollama:llama3.2:1b.`)
  const [model, namespace = NAMESPACE, host = HOST] = parts.reverse() as [string, string?, string?]
  for (const folder of folders(env)) {
    const manifest = join(folder, 'manifests', host, namespace, model, tag)
    const text = await readFile(manifest, 'utf8').catch(() => undefined)
    if (text !== undefined) return blobOf(folder, manifest, text)
  }
  const known = (await Promise.all(folders(env).map(installed))).flat()
  const have = known.length > 0 ? `; it has ${known.slice(0, 12).join(', ')}${known.length > 12 ? ', …' : ''}` : ''
  throw new ModelIdError(
    `${name}: Ollama has no such model in ${folders(env).join(' or ')}${have}. Fetch it with: ollama pull ${name.slice(PREFIX.length)}`,
  )
}

async function blobOf(folder: string, manifest: string, text: string): Promise<string> {
  const { layers } = asObject(parsed(text))
  const layer = Array.isArray(layers) ? layers.find((one) => isObject(one) && one.mediaType === WEIGHTS) : undefined
  const hash = /^sha256[:-]([0-9a-f]{64})$/.exec(String(asObject(layer).digest))?.[1]
  if (hash === undefined)
    throw new ModelIdError(
      `${manifest}: expected a layer of the type ${WEIGHTS} with a sha256 digest. Fetch the model again with: ollama pull`,
    )
  const blob = join(folder, 'blobs', `sha256-${hash}`)
  if (await stat(blob).catch(() => undefined)) return blob
  throw new ModelIdError(`${manifest}: its file ${blob} is not there. Fetch the model again with: ollama pull`)
}

/** The names of the models that have a manifest, shortened as Ollama shows them. */
async function installed(folder: string): Promise<string[]> {
  const root = join(folder, 'manifests')
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(root.length + 1)
        .split(/[\\/]/),
    )
    .filter((parts) => parts.length === 4)
    .map(([host, namespace, model, tag]) => {
      const place = host === HOST ? (namespace === NAMESPACE ? [] : [namespace]) : [host, namespace]
      return `${PREFIX}${[...place, model].join('/')}:${tag}`
    })
    .sort()
}
