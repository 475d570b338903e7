/**
 * All tensors of one checkpoint, in one file or in shards, or in another container that its folder reads. Finds the files, reads only their headers,
 * and checks that index, numbering and headers agree. Knows published names; weights.ts interprets them.
 */
import type { Architecture } from '../architecture/architecture.ts'
import type { TensorNames } from '../architecture/tensor-names.ts'
import { abbreviate, describe, isObject } from '../json/json.ts'
import {
  CorruptIndexError,
  DuplicateTensorError,
  MissingFileError,
  MissingShardError,
  MissingTensorError,
  UnsafePathError,
  WrongFormatError,
} from './errors.ts'
import { missingFrom } from './other-formats.ts'
import { readHeader, type TensorEntry } from './safetensors.ts'
import { type Folder, readText, type Source } from './source.ts'

/** The tensors of a checkpoint and the open files behind them. */
export interface Checkpoint {
  readonly name: string
  readonly tensors: ReadonlyMap<string, TensorEntry>
  readonly sources: readonly Source[]
  /** Sum of the tensors' bytes, headers not counted: the `total_size` of an index. */
  readonly tensorBytes: number
  /** The names of weights in this container, where they are not those that the family publishes. */
  names?(architecture: Architecture, has: (tensor: string) => boolean): TensorNames
  /** 'FP8', 'AWQ' or 'GPTQ' where another program packed the matrices. */
  readonly packed?: string
  close(): Promise<void>
}

const SINGLE = 'model.safetensors'
/** The file that says which shard holds a tensor. */
export const INDEX = 'model.safetensors.index.json'
/** Published forms: model-00001-of-00002, model--00001-of-00007, model-00001-of-000002. Counting starts at 0 or 1. */
const NUMBERED = /^(.*-)(\d+)-of-(\d+)\.safetensors$/

/**
 * Refuses a container that is no set of safetensors files, and packed matrices, for what copies published tensors.
 * @throws WrongFormatError
 */
export function requirePublished({ name, names, packed }: Checkpoint): void {
  if (!names && !packed) return
  const remedy = 'Take the safetensors files of the same model: lineage pull ID'
  throw new WrongFormatError({
    file: name,
    expected: 'safetensors files with weights as published',
    came: packed ? `weights packed as ${packed}` : 'a GGUF file, whose tensors have other names and forms',
    remedy,
  })
}

/** Opens the checkpoint in a folder and reads its headers. The caller closes it. */
export async function openCheckpoint(folder: Folder, signal?: AbortSignal): Promise<Checkpoint> {
  if (folder.checkpoint) return folder.checkpoint(signal)
  const { files, index } = await weightFiles(folder)
  const sources: Source[] = []
  const close = async () => {
    await Promise.all(sources.map((source) => source.close()))
  }
  try {
    for (const file of files) {
      const source = await folder.open(file)
      if (!source) throw missingShard(folder, file, index ? `named in ${INDEX}` : 'of the numbered set')
      sources.push(source)
    }
    const headers = await Promise.all(sources.map((source) => readHeader(source, signal)))
    const tensors = new Map<string, TensorEntry>()
    for (const header of headers) {
      for (const [name, entry] of header.tensors) {
        const other = tensors.get(name)
        if (other) {
          const came = `the same name in ${other.source.name}`
          throw new DuplicateTensorError({ file: entry.source.name, tensor: name, expected: 'every tensor in one shard only', came })
        }
        tensors.set(name, entry)
      }
    }
    if (index) checkIndex(folder, index, files, sources, tensors)
    let tensorBytes = 0
    for (const entry of tensors.values()) tensorBytes += entry.byteLength
    // Tensors that share memory are stored once; save_model of Python's safetensors keeps their other names in the metadata.
    for (const { metadata } of headers) {
      for (const [alias, name] of Object.entries(metadata)) {
        const entry = tensors.get(name)
        if (entry && !tensors.has(alias)) tensors.set(alias, { ...entry, name: alias })
      }
    }
    return { name: folder.name, tensors, sources, tensorBytes, close }
  } catch (error) {
    await close()
    throw error
  }
}

/**
 * The files that hold the weights: those of the index, else the single file, else the numbered ones, else the only one.
 * Reads the index and nothing else.
 * @throws CheckpointError
 */
export async function weightFiles(folder: Folder): Promise<{ files: string[]; index?: ReadonlyMap<string, string> }> {
  // macOS keeps attributes of a file in `._NAME` on disks of other systems.
  const listed = (await folder.list())?.filter((file) => file.endsWith('.safetensors') && !file.startsWith('._')).sort()
  const indexSource = await folder.open(INDEX)
  if (indexSource) {
    try {
      const index = parseIndex(indexSource.name, await readText(indexSource))
      return { files: [...new Set(index.values())].sort(), index }
    } finally {
      await indexSource.close()
    }
  }
  if (listed === undefined || listed.includes(SINGLE)) return { files: [SINGLE] }
  const numbered = listed.filter((file) => NUMBERED.test(file))
  if (numbered.length > 0) {
    checkNumbering(folder, numbered)
    return { files: numbered }
  }
  if (listed.length === 1) return { files: listed }
  if (listed.length === 0) throw await missingFrom(folder, SINGLE, 'no safetensors file')
  throw new MissingFileError({
    file: folder.name,
    expected: `${SINGLE}, ${INDEX} or numbered shards`,
    came: `the files ${abbreviate(listed.join(', '))}`,
    remedy: `Several files without ${INDEX} are ambiguous: give the path of one file, or fetch the index.`,
  })
}

function parseIndex(file: string, text: string): ReadonlyMap<string, string> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new CorruptIndexError({ file, expected: 'JSON', came: abbreviate((cause as Error).message) }, { cause })
  }
  const weightMap = isObject(json) ? json.weight_map : undefined
  if (!isObject(weightMap)) {
    throw new CorruptIndexError({ file, expected: 'an object "weight_map" of tensor names to file names', came: describe(weightMap) })
  }
  const index = new Map<string, string>()
  for (const [tensor, shard] of Object.entries(weightMap)) {
    if (typeof shard !== 'string') throw new CorruptIndexError({ file, tensor, expected: 'a file name', came: describe(shard) })
    if (!isPlainName(shard)) {
      const came = `"${abbreviate(shard)}"`
      throw new UnsafePathError({
        file,
        tensor,
        expected: 'the plain name of a .safetensors file in the same directory',
        came,
        remedy: 'Do not use this checkpoint: its index points at other files of the machine.',
      })
    }
    index.set(tensor, shard)
  }
  if (index.size === 0) throw new CorruptIndexError({ file, expected: 'at least one tensor in "weight_map"', came: 'none' })
  return index
}

function isPlainName(file: string): boolean {
  return file.endsWith('.safetensors') && !/[/\\:\0]/.test(file) && !file.startsWith('.')
}

function checkNumbering(folder: Folder, files: readonly string[]): void {
  const parts = files.map((file) => NUMBERED.exec(file)!)
  const [, stem, { length: width }, total] = parts[0] as unknown as [string, string, string, string]
  const numbers = new Set(parts.filter((part) => part[1] === stem && part[3] === total).map((part) => Number(part[2])))
  // gpt-oss counts from 0 and has one file more than the name says.
  for (let number = numbers.has(0) ? 0 : 1; number <= Number(total); number++) {
    if (!numbers.has(number))
      throw missingShard(folder, `${stem}${String(number).padStart(width, '0')}-of-${total}.safetensors`, 'of the numbered set')
  }
}

function checkIndex(
  folder: Folder,
  index: ReadonlyMap<string, string>,
  files: readonly string[],
  sources: readonly Source[],
  tensors: ReadonlyMap<string, TensorEntry>,
): void {
  const fileOf = new Map(sources.map((source, i) => [source, files[i]!]))
  for (const [tensor, shard] of index) {
    const entry = tensors.get(tensor)
    if (entry && fileOf.get(entry.source) === shard) continue
    throw new MissingTensorError({
      file: `${folder.name}/${shard}`,
      tensor,
      expected: `the tensor in this shard, where ${INDEX} puts it`,
      came: entry ? `it in ${fileOf.get(entry.source)}` : 'no such tensor in any shard',
      remedy: 'The shards and the index are of different versions: pull the checkpoint again.',
    })
  }
}

function missingShard(folder: Folder, file: string, why: string): MissingShardError {
  return new MissingShardError({
    file: `${folder.name}/${file}`,
    expected: `the shard ${why}`,
    came: 'no such file',
    remedy: 'The download is incomplete: pull the checkpoint again.',
  })
}
