/**
 * What a MODEL argument of `inspect` and `compare` can be: the name or Hugging Face id of a published model, a config.json, or a
 * directory with config.json and safetensors, whose headers are then checked against the architecture. Loads no weights.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Architecture } from '../architecture/architecture.ts'
import { configFromJson } from '../architecture/config-json.ts'
import { findPreset, nearestNames, type Preset, preset, presetNames } from '../architecture/presets.ts'
import { openModel } from '../checkpoint/load.ts'
import { fileFolder } from '../checkpoint/source-node.ts'
import { UsageError } from './terminal.ts'

export interface Described {
  architecture: Architecture
  /** Where the description comes from, for people. */
  origin: string
  preset?: Preset
  /** Tensor bytes of the files, where files were read. */
  storedBytes?: number
}

/** Models that come with the package: models/NAME. */
const MODELS = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'models')

export async function describeModel(model: string): Promise<Described> {
  const path = [model, join(MODELS, model)].find((candidate) => /^[^\0]+$/.test(candidate) && existsSync(candidate))
  const known = findPreset(model)
  if (known && !path?.endsWith('.json') && !(path && existsSync(join(path, 'config.json'))))
    return { architecture: preset(model)!, origin: known.source, preset: known }
  if (!path) throw new UsageError(`unknown model "${model}"; closest: ${nearestNames(model).join(', ')}. ${HINT}`)
  return statSync(path).isDirectory() ? fromDirectory(path) : fromConfig(path)
}

const HINT = `Known are ${presetNames().length} published models (lineage inspect --list), directories and config.json files`

async function fromDirectory(path: string): Promise<Described> {
  if (!existsSync(join(path, 'config.json'))) throw new UsageError(`${path}: expected a config.json in the directory, found none`)
  const opened = await openModel(await fileFolder(path))
  try {
    const { architecture, checkpoint } = opened
    const origin = `${shown(path)}: config.json and the headers of ${checkpoint.sources.length} safetensors file${checkpoint.sources.length === 1 ? '' : 's'}`
    return { architecture: { ...architecture, name: basename(resolve(path)) }, origin, storedBytes: checkpoint.tensorBytes }
  } finally {
    await opened.checkpoint.close()
  }
}

/** As short as it can be said from here. */
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

/** The model's folder; OpenAI's own layout lies in a folder `original` below it. */
function folderName(file: string): string {
  const folder = dirname(resolve(file))
  return basename(folder) === 'original' ? basename(dirname(folder)) : basename(folder)
}
