/**
 * Resolves the MODEL argument of `inspect` and `compare`: the name or Hugging Face id of a published
 * model, a config.json, or a directory (also of this package or the cache) with config.json and
 * safetensors, whose headers are checked against the architecture. Loads no weights.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import type { Architecture } from '../../architecture/architecture.ts'
import { configFromJson } from '../../architecture/config-json.ts'
import { findPreset, nearestNames, type Preset, preset, presetNames } from '../../architecture/presets.ts'
import { openModel } from '../../checkpoint/load.ts'
import { fileFolder } from '../../checkpoint/source-node.ts'
import { findCachedModel } from '../../hub/cache-node.ts'
import { packagedModel } from '../../hub/locate-node.ts'
import { UsageError } from './terminal.ts'

export interface Described {
  architecture: Architecture
  /** Source of the description, for people. */
  origin: string
  preset?: Preset
  /** Tensor bytes of the files, if files were read. */
  storedBytes?: number
}

/** Tries a path, then published models, then models of this package, then the cache. */
export async function describeModel(model: string): Promise<Described> {
  const exists = !model.includes('\0') && existsSync(model)
  const known = findPreset(model)
  // A folder without a model does not hide a published model of the same name.
  if (exists && !(known && !isModel(model))) return isModelFolder(model) ? fromFolder(model, basename(resolve(model))) : fromConfig(model)
  if (known) return { architecture: preset(model)!, origin: known.source, preset: known }
  const directory = (await packagedModel(model)) ?? (/^[\w.-]+\/[\w.-]+$/.test(model) ? await findCachedModel(model) : undefined)
  if (directory) return fromFolder(directory, model)
  throw new UsageError(`unknown model "${model}"; closest: ${nearestNames(model).join(', ')}. ${HINT}`)
}

const HINT = `Known are ${presetNames().length} published models (lineage inspect --list), pulled models, directories and config.json files`
const isModelFolder = (path: string): boolean => statSync(path).isDirectory() || path.endsWith('.safetensors')
const isModel = (path: string): boolean => !statSync(path).isDirectory() || existsSync(join(path, 'config.json'))

async function fromFolder(path: string, name: string): Promise<Described> {
  if (!isModel(path)) throw new UsageError(`${path}: expected a config.json in the directory, found none`)
  const opened = await openModel(await fileFolder(path))
  try {
    const { architecture, checkpoint } = opened
    const origin = `${shown(path)}: config.json and the headers of ${checkpoint.sources.length} safetensors file${checkpoint.sources.length === 1 ? '' : 's'}`
    return { architecture: { ...architecture, name }, origin, storedBytes: checkpoint.tensorBytes }
  } finally {
    await opened.checkpoint.close()
  }
}

/** The shortest path from the current directory. */
function shown(path: string): string {
  const short = relative('', path) || '.'
  return short.length < path.length ? short : path
}

function fromConfig(path: string): Described {
  let json: unknown
  try {
    json = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new Error(`${path}: expected JSON: ${(error as Error).message}`)
  }
  return { architecture: { ...configFromJson(json, path), name: folderName(path) }, origin: shown(path) }
}

/** The name of the model's folder. OpenAI's own layout is in a subfolder `original`. */
function folderName(file: string): string {
  const folder = dirname(resolve(file))
  return basename(folder) === 'original' ? basename(dirname(folder)) : basename(folder)
}
