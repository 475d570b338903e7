/**
 * Finds the checkpoint directory of a model name: a path, a model of Ollama, a model of this package, a Hugging
 * Face id or a preset's name, in this order. Reads the disk only; the caller decides whether to pull a missing model.
 */
import { stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { findPreset, nearestNames, unpublished } from '../architecture/presets.ts'
import { expandPath, isPathLike } from '../files/path-node.ts'
import { checkModelId, findSnapshot, isLoadable, ModelIdError } from './cache-node.ts'
import { isOllamaName, locateOllama } from './ollama-node.ts'
import { parseReference } from './reference.ts'

/** A directory or a GGUF file to load; of a model in the cache also its id, and why this snapshot was chosen. */
export interface LocatedDirectory {
  readonly directory: string
  readonly id?: string
  readonly note?: string
}

/** The id of a model that can be pulled. `problem`: why what is in the cache cannot be loaded. */
export interface LocatedId {
  readonly id: string
  readonly problem?: Error
}

export type Located = LocatedDirectory | LocatedId

/**
 * @throws ModelIdError when the name is neither an existing path, nor a known name, nor a model id
 */
export async function locateModel(name: string, options: { cache?: string; revision?: string } = {}): Promise<Located> {
  if (isOllamaName(name)) return { directory: await locateOllama(name) }
  const path = expandPath(name)
  if (await stat(path).catch(() => undefined)) return { directory: path }
  const packaged = await packagedModel(name)
  if (packaged) return { directory: packaged }
  const { id: plain, gguf } = parseReference(name)
  if (isPathLike(plain)) {
    throw new ModelIdError(
      `${name}: no such file or directory. Give a directory with config.json and safetensors files, a GGUF file, or a model id.`,
    )
  }
  const asked = gguf === undefined ? plain : `${plain}:${gguf}`
  const ids = [asked, ...(findPreset(name)?.repositories ?? [])].filter(isModelId)
  let incomplete: LocatedId | undefined
  for (const id of ids) {
    const snapshot = await findSnapshot(id, options)
    if (snapshot && !snapshot.problem) return { id, directory: snapshot.directory, note: snapshot.note }
    if (snapshot) incomplete ??= { id, problem: snapshot.problem }
  }
  if (incomplete) return incomplete
  if (checkModelId(plain).includes('/')) return { id: asked }
  // The name of a preset means its published repository.
  const id = findPreset(name)?.repositories[0]
  if (id !== undefined) return { id }
  checkModelId(name)
  throw new ModelIdError(
    unpublished(name) ??
      `unknown model "${name}"; closest: ${nearestNames(name, 3, PACKAGED).join(', ')}. Give a directory, one of these names, or the id of a model on the hub (ORG/NAME).`,
  )
}

/** The models of this package. */
export const PACKAGED: readonly string[] = ['abacus']

/** The directory of a model of this package (models/NAME), if it exists. */
export async function packagedModel(name: string): Promise<string | undefined> {
  if (!/^[\w.-]+$/.test(name)) return undefined
  const directory = fileURLToPath(new URL(`../../models/${name}`, import.meta.url))
  return (await isLoadable(directory)) ? directory : undefined
}

function isModelId(name: string): boolean {
  try {
    checkModelId(parseReference(name).id)
    return true
  } catch {
    return false
  }
}
