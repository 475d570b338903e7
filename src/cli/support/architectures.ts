/**
 * Resolves the MODEL argument of `inspect` and `compare`: the name or Hugging Face id of a published model, a config.json, a directory
 * with or without safetensors (also of this package or the cache), or an id of which the hub sends only configuration and headers.
 * Headers are checked against the architecture. Loads no weights.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, relative, resolve } from 'node:path'
import type { Architecture } from '../../architecture/architecture.ts'
import { configFromJson, quantizationFromJson } from '../../architecture/config-json.ts'
import { findPreset, nearestNames, type Preset, preset, presetNames } from '../../architecture/presets.ts'
import type { Quantization } from '../../architecture/quantization.ts'
import { WrongFormatError } from '../../checkpoint/errors.ts'
import { ggufFiles, ggufFolder, withGguf } from '../../checkpoint/gguf/folder.ts'
import { openModel, readConfig } from '../../checkpoint/load.ts'
import { missingFrom } from '../../checkpoint/other-formats.ts'
import type { Folder } from '../../checkpoint/source.ts'
import { fileFolder, isModelPath } from '../../checkpoint/source-node.ts'
import { expandPath, isPathLike } from '../../files/path-node.ts'
import { findCachedModel } from '../../hub/cache-node.ts'
import { hubEndpoint, isOn } from '../../hub/environment-node.ts'
import { HubNotFoundError, HubUnreachableError } from '../../hub/http.ts'
import { PACKAGED, packagedModel } from '../../hub/locate-node.ts'
import { isOllamaName, locateOllama } from '../../hub/ollama-node.ts'
import { chooseGguf, parseReference } from '../../hub/reference.ts'
import { withHubFolder } from '../../hub/repository-node.ts'
import { parsePythonJson } from '../../json/python.ts'
import { UsageError } from './terminal.ts'

export interface Described {
  architecture: Architecture
  /** Source of the description, for people. */
  origin: string
  preset?: Preset
  /** How another program packed the matrices. */
  quantization?: Quantization | undefined
  /** Tensor bytes of the files, if files were read. */
  storedBytes?: number
}

/** Tries a path, then published models, then models of this package, then the cache, then the hub. */
export async function describeModel(model: string): Promise<Described> {
  const path = expandPath(model)
  const exists = !model.includes('\0') && existsSync(path)
  const known = findPreset(model)
  // A folder without a model does not hide a published model of the same name.
  if (exists && !(known && !isModel(path))) return (await isModelPath(path)) ? fromPath(path, basename(resolve(path))) : fromConfig(path)
  if (known)
    return {
      architecture: preset(model)!,
      origin: known.source,
      preset: known,
      quantization: quantizationFromJson(known.config, known.name),
    }
  const { id, gguf } = parseReference(model)
  if (isPathLike(id)) throw new UsageError(`${model}: no such file or directory. ${HINT}`)
  const isId = /^[\w.-]+\/[\w.-]+$/.test(id)
  const ollama = isOllamaName(model) ? await locateOllama(model) : undefined
  const directory = ollama ?? (await packagedModel(model)) ?? (isId ? await findCachedModel(model) : undefined)
  if (directory) return fromPath(directory, model)
  const near = nearestNames(model, 3, PACKAGED)
  const family = preset(near[0]!)?.modelType
  const unknown = `unknown model "${model}"; closest: ${near.join(', ')}${family ? ` (${near[0]} is of the family ${family})` : ''}. ${HINT}`
  if (!isId || isOn(process.env.HF_HUB_OFFLINE)) throw new UsageError(unknown)
  try {
    const host = new URL(hubEndpoint()).host
    return await withHubFolder(id, 'main', { http: { tries: 2 } }, async (folder) => {
      return fromFolder(await hubModel(folder, gguf), model, `${model} on ${host}`)
    })
  } catch (error) {
    if (error instanceof HubNotFoundError || error instanceof HubUnreachableError) throw new UsageError(`${unknown} ${error.message}`)
    throw error
  }
}

const HINT = `Known are ${presetNames().length} published models (lineage inspect --list), ids of models on the hub, directories and config.json files.`
const isModel = (path: string): boolean => !statSync(path).isDirectory() || hasModel(readdirSync(path))
const hasModel = (names: readonly string[]): boolean => names.includes('config.json') || ggufFiles(names).length > 0

async function fromPath(path: string, name: string): Promise<Described> {
  const folder = await fileFolder(path)
  if (isModel(path) || folder.checkpoint) return fromFolder(folder, name, shown(path))
  const error = await missingFrom(folder, 'config.json')
  throw error instanceof WrongFormatError ? error : new UsageError(`${path}: expected a config.json in the directory, found none`)
}

/** The folder itself, or the GGUF model in it that is asked for, or the only one. */
async function hubModel(folder: Folder, gguf: string | undefined): Promise<Folder> {
  if (gguf === undefined) return withGguf(folder)
  const chosen = chooseGguf((await folder.list()) ?? [], gguf)
  if ('files' in chosen) return ggufFolder(folder, chosen.files[0]!)
  throw new UsageError(`${folder.name}: expected a GGUF file for "${gguf}"; it has ${chosen.choices.join(', ') || 'none'}`)
}

/** The configuration, and the headers of the weight files if there are any. */
async function fromFolder(folder: Folder, name: string, place: string): Promise<Described> {
  const files = await folder.list()
  if (!folder.checkpoint && !files?.some((file) => /\.safetensors(\.index\.json)?$/.test(file))) {
    const origin = `${place}: config.json; there are no safetensors files beside it`
    const { architecture, quantization } = await readConfig(folder)
    return { architecture: { ...architecture, name }, origin, quantization }
  }
  const { architecture, checkpoint, quantization } = await openModel(folder)
  await checkpoint.close()
  const count = checkpoint.sources.length
  const described = folder.checkpoint ? 'metadata and headers of' : 'config.json and the headers of'
  const origin = `${place}: ${described} ${count} ${folder.checkpoint ? 'GGUF' : 'safetensors'} file${count === 1 ? '' : 's'}`
  return { architecture: { ...architecture, name }, origin, quantization, storedBytes: checkpoint.tensorBytes }
}

/** The shortest path from the current directory. */
function shown(path: string): string {
  const short = relative('', path) || '.'
  return short.length < path.length ? short : path
}

function fromConfig(path: string): Described {
  let json: unknown
  try {
    json = parsePythonJson(readFileSync(path, 'utf8').replace(/^\ufeff/, ''))
  } catch (error) {
    throw new Error(`${path}: expected JSON: ${(error as Error).message}`)
  }
  const quantization = quantizationFromJson(json, path)
  return { architecture: { ...configFromJson(json, path), name: folderName(path) }, origin: shown(path), quantization }
}

/** The name of the model's folder. OpenAI's own layout is in a subfolder `original`. */
function folderName(file: string): string {
  const folder = dirname(resolve(file))
  return basename(folder) === 'original' ? basename(dirname(folder)) : basename(folder)
}
