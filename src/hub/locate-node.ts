/**
 * Finds the checkpoint directory of a model name: a path, a model of this package, a Hugging Face id or
 * a preset's name, in this order. Reads the disk only; the caller decides whether to pull a missing model.
 */
import { stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { findPreset } from '../architecture/presets.ts'
import { checkModelId, findCachedModel, isLoadable, ModelIdError } from './cache-node.ts'

/** A directory to load, or the id of a model that can be pulled. */
export type Located = { readonly directory: string } | { readonly id: string }

/**
 * @throws ModelIdError when the name is neither an existing path nor a model id
 */
export async function locateModel(name: string, options: { cache?: string; revision?: string } = {}): Promise<Located> {
  if (await stat(name).catch(() => undefined)) return { directory: name }
  const packaged = await packagedModel(name)
  if (packaged) return { directory: packaged }
  if (/^[./~]|\.safetensors$|\.json$/.test(name) || name.includes('\\')) {
    throw new ModelIdError(`${name}: no such file or directory. Give a directory with config.json and safetensors files, or a model id.`)
  }
  const ids = [name, ...(findPreset(name)?.repositories ?? [])].filter(isModelId)
  for (const id of ids) {
    const directory = await findCachedModel(id, options)
    if (directory) return { directory }
  }
  // The name of a preset means its published repository.
  const id = name.includes('/') ? name : (findPreset(name)?.repositories[0] ?? name)
  return { id: checkModelId(id) }
}

/** The directory of a model of this package (models/NAME), if it exists. */
export async function packagedModel(name: string): Promise<string | undefined> {
  if (!/^[\w.-]+$/.test(name)) return undefined
  const directory = fileURLToPath(new URL(`../../models/${name}`, import.meta.url))
  return (await isLoadable(directory)) ? directory : undefined
}

function isModelId(name: string): boolean {
  try {
    checkModelId(name)
    return true
  } catch {
    return false
  }
}
