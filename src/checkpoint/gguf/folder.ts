/**
 * A GGUF model as a folder of the files that the loader knows: config.json, tokenizer.json, tokenizer_config.json and
 * generation_config.json are made from the metadata when they are asked for, the tensors come from the file. So everything that
 * takes a folder takes a GGUF file.
 */
import { abbreviate, type Json } from '../../json/json.ts'
import type { Checkpoint } from '../checkpoint.ts'
import { CorruptHeaderError, MissingShardError, WrongFormatError } from '../errors.ts'
import type { TensorEntry } from '../safetensors.ts'
import { bytesSource, type Folder, SharedWork, type Source } from '../source.ts'
import { ggufCheckpoint } from './checkpoint.ts'
import { configFromMetadata } from './config.ts'
import { type GgufHeader, readGgufHeader } from './header.ts'
import type { RopeFactors } from './rope.ts'
import { generationFromMetadata, tokenizerConfigFromMetadata, tokenizerFromMetadata } from './tokenizer.ts'

/** `NAME-00001-of-00003.gguf` */
const SPLIT = /^(.*-)(\d{5})-of-(\d{5})(\.gguf)$/i

export const isGguf = (file: string): boolean => /\.gguf$/i.test(file)

/**
 * The GGUF files of a folder that could be a model: the first of every split set, and what is no part of one. Projectors of images
 * and importance matrices are left out by their usual names, and so are the attributes that macOS keeps in `._NAME` on other disks.
 */
export function ggufFiles(names: readonly string[]): string[] {
  const models = names.filter((name) => isGguf(name) && !/(^|[-_./])(mmproj|imatrix)|(^|\/)\._/i.test(name))
  return models.filter((name) => Number(SPLIT.exec(name)?.[2] ?? 1) === 1).sort()
}

/** The names of all files of a split set, or the name alone. */
export function splitNames(file: string): string[] {
  const [, stem, , total, end] = SPLIT.exec(file) ?? []
  if (!Number(total)) return [file] // no split set, or one of no files
  return Array.from(
    { length: Math.min(Number(total), 99999) },
    (_, part) => `${stem}${String(part + 1).padStart(5, '0')}-of-${total}${end}`,
  )
}

/**
 * The folder itself, or its GGUF model where it has no safetensors files. A config.json beside it is not read.
 * @throws WrongFormatError when it holds several GGUF models
 */
export async function withGguf(folder: Folder): Promise<Folder> {
  const names = (await folder.list()) ?? []
  const files = ggufFiles(names)
  if (files.length === 0 || names.some((name) => name.endsWith('.safetensors'))) return folder
  if (files.length === 1) return ggufFolder(folder, files[0]!)
  throw new WrongFormatError({
    file: folder.name,
    expected: 'one GGUF model',
    came: `${files.length} of them (${abbreviate(files.join(', '))})`,
    remedy: 'Give the path of one file.',
  })
}

/** @param file the plain name of a GGUF file in the folder, of a split set any one */
export function ggufFolder(folder: Folder, file: string): Folder {
  const files = splitNames(file)
  const place = `${folder.name.replace(/\/$/, '')}/${files[0]}`
  /** Headers are read and texts made once; the files are open only meanwhile. */
  let description: SharedWork<Description> | undefined
  const described = async (signal?: AbortSignal): Promise<Description> => {
    signal?.throwIfAborted()
    // A file that was damaged may have been fetched again when it is read next.
    if (!description?.isUsable) description = new SharedWork(describe)
    return description.result(signal)
  }
  const describe = async (signal: AbortSignal): Promise<Description> => {
    const sources = await openAll(folder, files, signal)
    try {
      const headers: GgufHeader[] = []
      for (const source of sources) headers.push(await readGgufHeader(source, signal))
      checkSplit(headers, sources)
      return { headers, texts: await documents(place, headers, signal) }
    } finally {
      await closeAll(sources)
    }
  }
  return {
    name: place,
    list: async () => [...DOCUMENTS, ...files],
    async open(name, signal) {
      if (!DOCUMENTS.includes(name)) return files.includes(name) ? folder.open(name, signal) : undefined
      const text = (await described(signal)).texts.get(name)
      return text && bytesSource(new TextEncoder().encode(JSON.stringify(text)), `${place}: ${name}`)
    },
    async checkpoint(signal): Promise<Checkpoint> {
      const { headers, texts } = await described(signal)
      const sources = await openAll(folder, files, signal)
      try {
        return ggufCheckpoint(
          place,
          headers.map((header, part) => reopened(header, sources[part]!)),
          sources,
          texts.get('config.json')!,
        )
      } catch (error) {
        await closeAll(sources)
        throw error
      }
    },
  }
}

interface Description {
  readonly headers: readonly GgufHeader[]
  readonly texts: ReadonlyMap<string, Json>
}

/** A header whose tensors are read from another handle of the same file. */
const reopened = ({ tensors, ...header }: GgufHeader, source: Source): GgufHeader => ({
  ...header,
  tensors: new Map([...tensors].map(([name, entry]) => [name, { ...entry, source }])),
})

const DOCUMENTS = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'generation_config.json']

async function documents(place: string, headers: readonly GgufHeader[], signal: AbortSignal): Promise<Map<string, Json>> {
  const all = new Map<string, Json>([['config.json', await configOf(place, headers, signal)]])
  const { metadata } = headers[0]!
  const tokenizer = tokenizerFromMetadata(place, metadata)
  if (tokenizer) all.set('tokenizer.json', tokenizer)
  return all
    .set('tokenizer_config.json', tokenizerConfigFromMetadata(place, metadata))
    .set('generation_config.json', generationFromMetadata(place, metadata))
}

async function configOf(place: string, headers: readonly GgufHeader[], signal: AbortSignal): Promise<Json> {
  const tensors = new Map(headers.flatMap((header) => [...header.tensors]))
  const factors: RopeFactors = {
    freqs: await smallTensor(tensors.get('rope_freqs.weight'), signal),
    long: await smallTensor(tensors.get('rope_factors_long.weight'), signal),
    short: await smallTensor(tensors.get('rope_factors_short.weight'), signal),
  }
  return configFromMetadata(place, { metadata: headers[0]!.metadata, tensors }, factors)
}

/** The values of an F32 tensor of at most a few hundred of them. */
async function smallTensor(entry: TensorEntry | undefined, signal: AbortSignal): Promise<number[] | undefined> {
  if (entry?.dtype !== 'F32' || entry.byteLength > 4096) return undefined
  const bytes = new Uint8Array(entry.byteLength)
  await entry.source.read(entry.offset, bytes, signal)
  return [...new Float32Array(bytes.buffer)]
}

const closeAll = async (sources: readonly Source[]): Promise<void> => {
  await Promise.all(sources.map((source) => source.close()))
}

/** Opens the files of a model. @throws MissingShardError */
async function openAll(folder: Folder, files: readonly string[], signal?: AbortSignal): Promise<Source[]> {
  const sources: Source[] = []
  try {
    for (const [part, name] of files.entries()) {
      const source = await folder.open(name, signal)
      if (!source) {
        throw new MissingShardError({
          file: `${folder.name.replace(/\/$/, '')}/${name}`,
          expected: files.length > 1 ? `part ${part + 1} of ${files.length} of the split model` : 'a GGUF file',
          came: 'no such file',
          remedy: files.length > 1 ? 'The download is incomplete: fetch all parts into one folder.' : 'Check the path.',
        })
      }
      sources.push(source)
    }
    return sources
  } catch (error) {
    await closeAll(sources)
    throw error
  }
}

/** Checks that the files of a split set belong together. */
function checkSplit(headers: readonly GgufHeader[], sources: readonly Source[]): void {
  const total = headers.reduce((sum, { tensors }) => sum + tensors.size, 0)
  headers.forEach(({ metadata }, part) => {
    const expectations: [key: string, expected: number, otherwise: number | undefined][] = [
      ['split.count', headers.length, headers.length === 1 ? 1 : undefined],
      ['split.no', part, headers.length === 1 ? 0 : undefined],
      ['split.tensors.count', total, total],
    ]
    for (const [key, expected, otherwise] of expectations) {
      const came = metadata.get(key) ?? otherwise
      // A set of one file may say that it is not split.
      if (came === expected || (headers.length === 1 && came === 0)) continue
      throw new CorruptHeaderError({
        file: sources[part]!.name,
        expected: `${key} ${expected} in part ${part + 1} of ${headers.length}`,
        came: String(came ?? 'nothing'),
        remedy: 'The files do not belong together, or their names were changed: fetch all parts again and keep their names.',
      })
    }
  })
}
