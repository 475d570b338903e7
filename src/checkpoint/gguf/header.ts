/**
 * The header of one GGUF file: metadata and the table of tensors, checked before anything is allocated for it. A hostile file
 * costs no more memory than it has bytes. Interprets no metadata and converts no numbers.
 * Format: the GGUF specification of ggml (docs/gguf.md), versions 2 and 3, little endian.
 */
import { abbreviate } from '../../json/json.ts'
import { size } from '../../ops/tensor.ts'
import {
  type CheckpointError,
  type CheckpointProblem,
  CorruptHeaderError,
  DuplicateTensorError,
  HeaderLengthError,
  HoleError,
  InvalidSizeError,
  OverlapError,
  TensorOffsetError,
  TensorSizeError,
  TruncatedFileError,
  UnknownDtypeError,
  WrongFormatError,
} from '../errors.ts'
import { refuseOtherContent, SNIFFED_BYTES } from '../other-formats.ts'
import type { TensorEntry } from '../safetensors.ts'
import type { Source } from '../source.ts'
import { ByteReader, OutOfBytes } from './byte-reader.ts'
import { GGML_TYPES } from './types.ts'

/** A value of the metadata. Whole numbers of 64 bits are numbers where they are exact, else bigints. */
export type GgufValue = number | bigint | boolean | string | GgufArray
export type GgufArray = readonly GgufValue[]
export type Metadata = ReadonlyMap<string, GgufValue>

/** A valid header. */
export interface GgufHeader {
  readonly metadata: Metadata
  /** By GGUF name, in the order of the file. Shapes are row-major: the reverse of the order in the file. */
  readonly tensors: ReadonlyMap<string, TensorEntry>
  /** Where the metadata end and the table of tensors begins. */
  readonly metadataEnd: number
  /** The data and every tensor in it begin at multiples of this. */
  readonly alignment: number
}

export const GGUF_MAGIC = 'GGUF'
const VERSIONS = [2, 3]
/** Headers of published files are below 32 MB: vocabulary, merges and scores. */
const MAX_HEADER_BYTES = 256 << 20
const FIRST_READ_BYTES = 1 << 20
const DEFAULT_ALIGNMENT = 32
/** Limits of ggml. */
const MAX_DIMENSIONS = 4
const MAX_NAME_BYTES = 64
const MAX_KEY_BYTES = 65535
/** Metadata nest arrays in arrays; no published file does so. */
const MAX_DEPTH = 4

const AGAIN = 'The file is damaged or was not written as GGUF: download it again.'

/** The kinds of metadata values by their numbers in the file, with the least bytes that one takes. */
const VALUE_BYTES = [1, 1, 2, 2, 4, 4, 4, 1, 8, 4, 8, 8, 8]
const STRING = 8
const ARRAY = 9

/** @throws CheckpointError that names the file and the key or the tensor */
export async function readGgufHeader(source: Source, signal?: AbortSignal): Promise<GgufHeader> {
  const reader = await headerReader(source, signal)
  /** Reads an item, fetching more of the file until it is whole. */
  const item = async <T>(read: () => T): Promise<T> => {
    for (;;) {
      const start = reader.begin()
      try {
        return read()
      } catch (error) {
        if (!(error instanceof OutOfBytes)) throw error
        await fetchMore(source, reader, start, error.wanted, signal)
      }
    }
  }
  const problem = fail(source.name)
  const [tensorCount, valueCount] = [reader.count(), reader.count()]
  for (const [what, count, least] of [
    ['tensors', tensorCount, 24],
    ['metadata values', valueCount, 13],
  ] as const) {
    if (count * least > source.size) {
      throw new HeaderLengthError(problem(`a number of ${what} that fits into ${source.size} bytes`, String(count)))
    }
  }
  const metadata = new Map<string, GgufValue>()
  for (let n = 0; n < valueCount; n++) {
    const [key, value] = await item(() => readPair(reader, source))
    if (metadata.has(key)) throw new CorruptHeaderError(problem('every metadata key once', `"${abbreviate(key)}" twice`))
    metadata.set(key, value)
  }
  const alignment = alignmentOf(metadata, problem)
  const metadataEnd = reader.at
  const infos: TensorInfo[] = []
  for (let n = 0; n < tensorCount; n++) infos.push(await item(() => readInfo(reader, source.name)))
  const dataStart = Math.ceil(reader.at / alignment) * alignment
  const tensors = new Map<string, TensorEntry>()
  for (const info of infos) {
    if (tensors.has(info.name)) {
      throw new DuplicateTensorError({ ...problem('every tensor once', 'the name twice'), tensor: info.name })
    }
    tensors.set(info.name, entryOf(info, source, dataStart, alignment))
  }
  checkLayout(source, dataStart, alignment, tensors)
  return { metadata, tensors, metadataEnd, alignment }
}

const fail =
  (file: string) =>
  (expected: string, came: string, remedy = AGAIN): CheckpointProblem => ({ file, expected, came, remedy })

/** Checks magic and version, and places the reader behind them. */
async function headerReader(source: Source, signal: AbortSignal | undefined): Promise<ByteReader> {
  const problem = fail(source.name)
  const first = new Uint8Array(Math.min(FIRST_READ_BYTES, source.size))
  await source.read(0, first, signal)
  if (String.fromCharCode(...first.subarray(0, 4)) !== GGUF_MAGIC) {
    refuseOtherContent(source.name, first.subarray(0, SNIFFED_BYTES), 'a GGUF file')
    throw new WrongFormatError(problem('a GGUF file, which begins with "GGUF"', 'other bytes'))
  }
  if (first.byteLength < 24) throw new TruncatedFileError(problem('at least 24 bytes', `a file of ${source.size} bytes`))
  const reader = new ByteReader(first)
  reader.at = 4
  const version = reader.u32()
  if (VERSIONS.includes(version)) return reader
  const swapped = new DataView(first.buffer).getUint32(4, false)
  if (VERSIONS.includes(swapped) || swapped === 1)
    throw new WrongFormatError(
      problem(
        'a little-endian GGUF file',
        `a big-endian file of version ${swapped}`,
        'Take the file for common machines, without "-be" in its name.',
      ),
    )
  const old = version === 1
  throw new WrongFormatError(
    problem(
      `a GGUF file of version ${VERSIONS.join(' or ')}`,
      `version ${version}`,
      old ? 'Versions of 2023 are not read: take a newer file of the model.' : 'The file is damaged, or newer than this program.',
    ),
  )
}

/** Reads on until at least `wanted` bytes stand behind `from`, or throws when the file has no more. */
async function fetchMore(source: Source, reader: ByteReader, from: number, wanted: number, signal: AbortSignal | undefined): Promise<void> {
  const problem = fail(source.name)
  const have = reader.bytes.byteLength
  if (from + wanted > source.size) {
    throw new TruncatedFileError(problem(`a header that goes on to byte ${from + wanted}`, `the end of the file at byte ${source.size}`))
  }
  if (from + wanted > MAX_HEADER_BYTES) {
    throw new HeaderLengthError(problem(`a header of at most ${MAX_HEADER_BYTES} bytes`, `one of at least ${from + wanted}`))
  }
  const more = new Uint8Array(Math.min(source.size, Math.max(from + wanted, 4 * have)))
  more.set(reader.bytes)
  await source.read(have, more.subarray(have), signal)
  reader.extend(more, from)
}

function readPair(reader: ByteReader, source: Source): [string, GgufValue] {
  const key = readName(reader, source.name, 'a metadata key', MAX_KEY_BYTES)
  return [key, readValue(reader, source, key, reader.u32(), 0)]
}

function readName(reader: ByteReader, file: string, what: string, most: number): string {
  const length = reader.count()
  if (length > most || length === 0) {
    throw new CorruptHeaderError(fail(file)(`${what} of 1 to ${most} bytes`, `a length of ${length} at byte ${reader.at - 8}`))
  }
  const start = reader.at
  const name = reader.text(length)
  if (name.includes('\ufffd') || name.includes('\0'))
    throw new CorruptHeaderError(fail(file)(`${what} in UTF-8`, `other bytes at byte ${start}`))
  return name
}

function readValue(reader: ByteReader, source: Source, key: string, type: number, depth: number): GgufValue {
  const problem = (expected: string, came: string) => fail(source.name)(`metadata "${abbreviate(key)}" ${expected}`, came)
  /** A length that the file can hold. */
  const length = (least: number): number => {
    const count = reader.count()
    if (count * least <= Math.min(source.size, MAX_HEADER_BYTES)) return count
    throw new HeaderLengthError(problem(`within the file's ${source.size} bytes`, `a length of ${count}`))
  }
  switch (type) {
    case 0:
      return reader.u8()
    case 1:
      return (reader.u8() << 24) >> 24
    case 2:
      return reader.u16()
    case 3:
      return (reader.u16() << 16) >> 16
    case 4:
      return reader.u32()
    case 5:
      return reader.u32() | 0
    case 6:
      return reader.f32()
    case 7: {
      const value = reader.u8()
      if (value > 1) throw new CorruptHeaderError(problem('as 0 or 1, because it is a flag', String(value)))
      return value === 1
    }
    case STRING:
      return reader.text(length(1))
    case ARRAY: {
      const inner = reader.u32()
      const least = VALUE_BYTES[inner]
      if (least === undefined) throw new CorruptHeaderError(problem('as an array of a known type', `type ${inner}`))
      if (depth >= MAX_DEPTH) throw new CorruptHeaderError(problem(`nested at most ${MAX_DEPTH} deep`, 'deeper arrays'))
      const count = length(least)
      reader.need(count * least)
      if (inner === STRING) return Array.from({ length: count }, () => reader.text(length(1)))
      return Array.from({ length: count }, () => readValue(reader, source, key, inner, depth + 1))
    }
    case 10:
      return exact(reader.u64())
    case 11:
      return exact(BigInt.asIntN(64, reader.u64()))
    case 12:
      return reader.f64()
    default:
      throw new CorruptHeaderError(problem('of a known type (0 to 12)', `type ${type}`))
  }
}

const exact = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value)

function alignmentOf(metadata: Metadata, problem: ReturnType<typeof fail>): number {
  const alignment = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT
  if (typeof alignment === 'number' && alignment >= 8 && alignment <= 2 ** 20 && Math.log2(alignment) % 1 === 0) return alignment
  throw new InvalidSizeError(problem('general.alignment as a power of two from 8 to 2^20', abbreviate(String(alignment))))
}

interface TensorInfo {
  readonly name: string
  readonly shape: readonly number[]
  readonly type: number
  /** From the beginning of the data. */
  readonly offset: number
}

function readInfo(reader: ByteReader, file: string): TensorInfo {
  const name = readName(reader, file, 'a tensor name', MAX_NAME_BYTES)
  const error = (Class: new (problem: CheckpointProblem) => CheckpointError, expected: string, came: string) =>
    new Class({ ...fail(file)(expected, came), tensor: name })
  const dimensions = reader.u32()
  if (dimensions > MAX_DIMENSIONS || dimensions === 0)
    throw error(InvalidSizeError, `1 to ${MAX_DIMENSIONS} dimensions`, String(dimensions))
  const shape: number[] = []
  let elements = 1
  for (let n = 0; n < dimensions; n++) {
    const length = reader.count()
    elements *= length
    if (length === 0 || elements > Number.MAX_SAFE_INTEGER) {
      throw error(InvalidSizeError, 'dimensions from 1 whose product is below 2^53', `dimension ${n} as ${length}`)
    }
    shape.unshift(length)
  }
  return { name, shape, type: reader.u32(), offset: reader.count() }
}

function entryOf({ name, shape, type, offset }: TensorInfo, source: Source, dataStart: number, alignment: number): TensorEntry {
  const problem = (expected: string, came: string) => ({ ...fail(source.name)(expected, came), tensor: name })
  const known = GGML_TYPES.get(type)
  if (!known) {
    const remedy = 'The file is damaged, or of a type that is newer than this program: take a file of type Q4_K_M or Q8_0.'
    throw new UnknownDtypeError({ ...problem('a known tensor type', `type ${type}`), remedy })
  }
  const { block, bytes } = known
  if (shape.at(-1)! % block)
    throw new TensorSizeError(problem(`rows of whole blocks of ${block} values in ${known.name}`, `rows of ${shape.at(-1)}`))
  const byteLength = (size(shape) / block) * bytes
  if (offset % alignment) throw new TensorOffsetError(problem(`an offset that is a multiple of ${alignment}`, String(offset)))
  if (dataStart + offset + byteLength > source.size) {
    const expected = `${byteLength} bytes of ${known.name} [${shape.join(', ')}] within a file of ${source.size} bytes`
    const remedy = 'The file is incomplete or damaged: download it again.'
    throw new TensorOffsetError({ ...problem(expected, `an offset of ${offset} in the data`), remedy })
  }
  return { name, dtype: known.name, shape, offset: dataStart + offset, byteLength, source }
}

/** The tensors fill the data, each aligned: no shared bytes, no more unused bytes than the alignment makes. */
function checkLayout(source: Source, dataStart: number, alignment: number, tensors: ReadonlyMap<string, TensorEntry>): void {
  const order = [...tensors.values()].sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength)
  if (order.length === 0) return
  const problem = fail(source.name)
  let at = dataStart
  for (const { name: tensor, offset, byteLength } of order) {
    if (offset < at) throw new OverlapError({ ...problem(`data from byte ${at} on`, `data that begins at byte ${offset}`), tensor })
    if (offset >= at + alignment) throw new HoleError({ ...problem(`data from byte ${at} on`, `a hole up to byte ${offset}`), tensor })
    at = offset + byteLength
  }
  if (source.size >= at + alignment)
    throw new HoleError(problem(`a file of ${at} bytes, which the header describes`, `${source.size} bytes`))
}
