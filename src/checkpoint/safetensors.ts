/**
 * The safetensors container: 8 bytes of header length, a JSON header, the data. Everything is checked
 * before tensors are allocated, so a hostile file costs one bounded header read. Knows no model and
 * converts no numbers. Format: huggingface/safetensors README, "Format"; the rules for overlaps, holes
 * and duplicate keys are those of its Rust reader.
 */
import { abbreviate, describe, isObject, type Json } from '../json/json.ts'
import { size } from '../ops/tensor.ts'
import {
  CorruptHeaderError,
  DuplicateTensorError,
  HeaderLengthError,
  HoleError,
  InvalidSizeError,
  OverlapError,
  TensorOffsetError,
  TensorSizeError,
  UnknownDtypeError,
} from './errors.ts'
import type { GgmlName } from './gguf/types.ts'
import { refuseOtherContent, SNIFFED_BYTES } from './other-formats.ts'
import type { Source } from './source.ts'

/** Bits per element of every dtype of the format. */
const DTYPE_BITS = {
  BOOL: 8,
  F4: 4,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E8M0: 8,
  U8: 8,
  I8: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  I64: 64,
  U64: 64,
  F64: 64,
} as const

/** A dtype as the header spells it. */
export type PublishedDtype = keyof typeof DTYPE_BITS

/** The format's own limit on the header, in bytes. */
export const MAX_HEADER_BYTES = 100_000_000

/** Dtypes of memory that views of quantised matrices have. */
export type PackedName = 'fp8' | 'int4_groups' | 'int8_groups'

/** One tensor of a file, checked against the file's size. */
export interface TensorEntry<D = PublishedDtype | GgmlName | PackedName> {
  readonly name: string
  /** As the file spells it: a dtype of safetensors or a type of GGUF. Views of quantised matrices (quantized/) have dtypes of their own. */
  readonly dtype: D
  readonly shape: readonly number[]
  /** Absolute position of the first byte in the file. Not aligned to anything. */
  readonly offset: number
  readonly byteLength: number
  readonly source: Source
  /** The same matrix packed, with its columns in another order: column j is input order[j], or zeros where that is -1. */
  readonly ordered?: { readonly entry: TensorEntry; readonly order: Int32Array }
  /** The same matrix in F32, beside a packed form: blocks cannot be transposed. */
  readonly plain?: TensorEntry
}

/** A valid header. */
export interface Header {
  readonly tensors: ReadonlyMap<string, TensorEntry<PublishedDtype>>
  readonly metadata: Readonly<Record<string, string>>
  /** Where the data section begins. */
  readonly dataStart: number
}

/** Whether a tensor is of a dtype that safetensors files can hold. */
export const isPublished = (entry: TensorEntry): entry is TensorEntry<PublishedDtype> => Object.hasOwn(DTYPE_BITS, entry.dtype)

/** Bytes that `shape` takes in `dtype`. */
export function publishedBytes(dtype: PublishedDtype, shape: readonly number[]): number {
  return (size(shape) * DTYPE_BITS[dtype]) / 8
}

/**
 * Whether these are a length below 4 GiB and the beginning of an object. The length may be any number, so its bytes may be those with
 * which files of other formats begin.
 */
const beginsAsHeader = (head: Uint8Array): boolean => head.subarray(4, 8).every((byte) => byte === 0) && head[8] === 0x7b

/** Reads and checks the header of a safetensors file. Reads at most 100 MB and never more than the file holds. */
export async function readHeader(source: Source, signal?: AbortSignal): Promise<Header> {
  const file = source.name
  const head = new Uint8Array(Math.min(SNIFFED_BYTES, source.size))
  await source.read(0, head, signal)
  if (!beginsAsHeader(head)) refuseOtherContent(file, head, 'a safetensors file')
  if (source.size < 8) {
    throw new HeaderLengthError({ file, expected: 'at least 8 bytes', came: `a file of ${source.size} bytes` })
  }
  const length = new DataView(head.buffer).getBigUint64(0, true)
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw new HeaderLengthError({ file, expected: `a header of at most ${MAX_HEADER_BYTES} bytes`, came: `a header length of ${length}` })
  }
  const dataStart = 8 + Number(length)
  if (dataStart > source.size) {
    throw new HeaderLengthError({ file, expected: `a header within the file's ${source.size} bytes`, came: `a header length of ${length}` })
  }
  const bytes = new Uint8Array(Number(length))
  await source.read(8, bytes, signal)
  const { entries, metadata } = parseHeader(file, bytes)
  const tensors = new Map<string, TensorEntry<PublishedDtype>>()
  for (const [name, value] of entries) tensors.set(name, checkEntry(source, dataStart, name, value))
  checkLayout(source, dataStart, tensors)
  return { tensors, metadata, dataStart }
}

function parseHeader(file: string, bytes: Uint8Array): { entries: [string, unknown][]; metadata: Record<string, string> } {
  let text: string
  let header: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    header = JSON.parse(text)
  } catch (cause) {
    const came = cause instanceof Error ? abbreviate(cause.message) : 'neither'
    throw new CorruptHeaderError({ file, expected: 'a JSON header in UTF-8', came: `"${came}"` }, { cause })
  }
  if (!isObject(header)) throw new CorruptHeaderError({ file, expected: 'a JSON object as header', came: describe(header) })
  const repeated = repeatedKey(text)
  if (repeated !== undefined) {
    throw new DuplicateTensorError({ file, tensor: repeated, expected: 'every name once in the header', came: 'the name twice' })
  }
  const metadata: Record<string, string> = {}
  const entries: [string, unknown][] = []
  for (const [name, value] of Object.entries(header)) {
    if (name !== '__metadata__') {
      entries.push([name, value])
      continue
    }
    if (!isObject(value)) throw new CorruptHeaderError({ file, expected: '__metadata__ as an object of strings', came: describe(value) })
    for (const [key, item] of Object.entries(value)) {
      if (typeof item !== 'string') {
        throw new CorruptHeaderError({ file, expected: `__metadata__["${abbreviate(key)}"] as a string`, came: describe(item) })
      }
      metadata[key] = item
    }
  }
  return { entries, metadata }
}

function checkEntry(source: Source, dataStart: number, name: string, value: unknown): TensorEntry<PublishedDtype> {
  const file = source.name
  if (!isObject(value)) {
    throw new CorruptHeaderError({ file, tensor: name, expected: '{dtype, shape, data_offsets}', came: describe(value) })
  }
  const { dtype, shape, data_offsets: offsets } = value
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_BITS, dtype)) {
    const known = Object.keys(DTYPE_BITS).join(', ')
    throw new UnknownDtypeError({ file, tensor: name, expected: `one of the dtypes ${known}`, came: describe(dtype) })
  }
  if (!Array.isArray(shape)) throw new CorruptHeaderError({ file, tensor: name, expected: 'shape as an array', came: describe(shape) })
  if (!Array.isArray(offsets) || offsets.length !== 2) {
    throw new CorruptHeaderError({ file, tensor: name, expected: 'data_offsets as [begin, end]', came: describe(offsets) })
  }
  let elements = 1
  for (const size of shape) {
    checkSize(file, name, 'every dimension of the shape', size)
    elements *= size
    if (!Number.isSafeInteger(elements)) {
      throw new InvalidSizeError({ file, tensor: name, expected: 'fewer than 2^53 elements', came: `the shape [${shape.slice(0, 8)}]` })
    }
  }
  const [begin, end] = offsets as [number, number]
  checkSize(file, name, 'the begin of data_offsets', begin)
  checkSize(file, name, 'the end of data_offsets', end)
  if (end < begin || dataStart + end > source.size) {
    const dataBytes = source.size - dataStart
    throw new TensorOffsetError({ file, tensor: name, expected: `offsets within the ${dataBytes} data bytes`, came: `[${begin}, ${end}]` })
  }
  const expectedBytes = publishedBytes(dtype as PublishedDtype, shape)
  if (expectedBytes !== end - begin) {
    const expected = `${expectedBytes} bytes for ${dtype} [${shape}]`
    throw new TensorSizeError({ file, tensor: name, expected, came: `${end - begin} bytes in data_offsets [${begin}, ${end}]` })
  }
  return { name, dtype: dtype as PublishedDtype, shape, offset: dataStart + begin, byteLength: end - begin, source }
}

function checkSize(file: string, tensor: string, what: string, value: unknown): asserts value is number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return
  throw new InvalidSizeError({ file, tensor, expected: `${what} as a whole number from 0 to 2^53 - 1`, came: describe(value) })
}

/** The tensors must cover the data section exactly: no shared bytes, no unused bytes. */
function checkLayout(source: Source, dataStart: number, tensors: ReadonlyMap<string, TensorEntry>): void {
  const file = source.name
  const order = [...tensors.values()].sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength)
  let at = dataStart
  let before = 'the header'
  for (const { name, offset, byteLength } of order) {
    const begin = offset - dataStart
    if (offset < at) {
      const expected = `data from byte ${at - dataStart} on, after ${abbreviate(before)}`
      throw new OverlapError({ file, tensor: name, expected, came: `data that begins at byte ${begin}` })
    }
    if (offset > at) {
      throw new HoleError({ file, tensor: name, expected: `data from byte ${at - dataStart} on`, came: `a hole up to byte ${begin}` })
    }
    at = offset + byteLength
    before = `"${name}"`
  }
  if (at !== source.size) {
    const expected = `a file of ${at} bytes, which the header describes`
    throw new HoleError({ file, expected, came: `a file of ${source.size} bytes` })
  }
}

/** The first repeated key in an object of a JSON text. JSON.parse silently keeps the last one; other readers may not. */
function repeatedKey(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = []
  let expectsKey = false
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case '{':
        open.push(new Set())
        expectsKey = true
        break
      case '[':
        open.push(undefined)
        expectsKey = false
        break
      case '}':
      case ']':
        open.pop()
        expectsKey = false
        break
      case ',':
        expectsKey = open.at(-1) !== undefined
        break
      case '"': {
        const begin = at
        for (at++; text[at] !== '"'; at++) if (text[at] === '\\') at++
        if (!expectsKey) break
        const raw = text.slice(begin, at + 1)
        const key = raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1)
        const keys = open.at(-1)!
        if (keys.has(key)) return key
        keys.add(key)
        expectsKey = false
      }
    }
  }
  return undefined
}

/** What the writer needs to know about a tensor before its data. */
export interface TensorShape {
  readonly name: string
  readonly dtype: PublishedDtype
  readonly shape: readonly number[]
}

/** Length bytes and header (padded with spaces to a multiple of 8) of a file, and the offset of each tensor. */
export function layoutHeader(
  tensors: readonly TensorShape[],
  metadata: Record<string, string> = { format: 'pt' },
): { header: Uint8Array; offsets: number[]; fileBytes: number } {
  // Object.fromEntries would reorder names that look like integers; published names do not.
  const json: Json = { __metadata__: metadata }
  const begins: number[] = []
  let at = 0
  for (const { name, dtype, shape } of tensors) {
    if (Object.hasOwn(json, name)) {
      throw new DuplicateTensorError({
        file: 'new file',
        tensor: name,
        expected: 'every name once',
        came: 'the name twice',
        remedy: 'Rename one.',
      })
    }
    const end = at + publishedBytes(dtype, shape)
    json[name] = { dtype, shape, data_offsets: [at, end] }
    begins.push(at)
    at = end
  }
  const text = new TextEncoder().encode(JSON.stringify(json))
  const header = new Uint8Array(8 + Math.ceil(text.byteLength / 8) * 8).fill(0x20)
  new DataView(header.buffer).setBigUint64(0, BigInt(header.byteLength - 8), true)
  header.set(text, 8)
  return { header, offsets: begins.map((begin) => begin + header.byteLength), fileBytes: at + header.byteLength }
}
