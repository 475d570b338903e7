/**
 * The bytes of a GGUF header: metadata and the table of tensors, version 3, little endian. The inverse of header.ts. Says nothing about
 * what a key means.
 */
import { GGML_BY_NAME, GGML_IDS, type GgmlName } from './types.ts'

/** One value of the metadata with its type in the file. */
export type Entry =
  | { readonly key: string; readonly type: 'u32' | 'f32'; readonly value: number }
  | { readonly key: string; readonly type: 'bool'; readonly value: boolean }
  | { readonly key: string; readonly type: 'text'; readonly value: string }
  | { readonly key: string; readonly type: 'texts'; readonly value: readonly string[] }
  | { readonly key: string; readonly type: 'i32s' | 'f32s'; readonly value: readonly number[] }
  | { readonly key: string; readonly type: 'bools'; readonly value: readonly boolean[] }

/** A tensor of a file: its place is counted from the beginning of the data. */
export interface Placed {
  readonly name: string
  /** Row-major. */
  readonly shape: readonly number[]
  readonly type: GgmlName
  readonly byteLength: number
  readonly offset: number
}

export const ALIGNMENT = 32
const MAGIC = 'GGUF'
const VERSION = 3
const NUMBERS = { u32: 4, i32: 5, f32: 6, bool: 7, text: 8, array: 9 } as const

export const alignedTo = (bytes: number, alignment: number): number => Math.ceil(bytes / alignment) * alignment

/** The bytes that a tensor takes. */
export function typeBytes(type: GgmlName, shape: readonly number[]): number {
  const { block, bytes } = GGML_BY_NAME.get(type)!
  return (shape.reduce((a, b) => a * b) / block) * bytes
}

/** Puts tensors behind one another, each at a multiple of the alignment. */
export function placed<T extends Pick<Placed, 'name' | 'shape' | 'type'>>(tensors: readonly T[], alignment = ALIGNMENT): (T & Placed)[] {
  let offset = 0
  return tensors.map((tensor) => {
    const byteLength = typeBytes(tensor.type, tensor.shape)
    const one = { ...tensor, byteLength, offset }
    offset = alignedTo(offset + byteLength, alignment)
    return one
  })
}

/** Magic, counts and metadata of a file with the default alignment. */
export function metadataBytes(entries: readonly Entry[], tensorCount: number): Buffer {
  const all = entries.flatMap(({ key, ...value }) => [text(key), valueBytes(value)])
  return Buffer.concat([Buffer.from(MAGIC), u32(VERSION), u64(tensorCount), u64(entries.length), ...all])
}

/** What stands before the data: the metadata, the table, and zeros up to the alignment. */
export function headerBytes(metadata: Uint8Array, tensors: readonly Placed[], alignment = ALIGNMENT): Buffer {
  const table = tensors.flatMap(({ name, shape, type, offset }) => [
    text(name),
    u32(shape.length),
    ...shape.toReversed().map(u64),
    u32(GGML_IDS.get(type)!),
    u64(offset),
  ])
  const bytes = Buffer.concat([metadata, ...table])
  return Buffer.concat([bytes, Buffer.alloc(alignedTo(bytes.length, alignment) - bytes.length)])
}

function valueBytes(entry: Omit<Entry, 'key'>): Buffer {
  const { type, value } = entry as Entry
  switch (type) {
    case 'u32':
      return Buffer.concat([u32(NUMBERS.u32), u32(value)])
    case 'f32':
      return Buffer.concat([u32(NUMBERS.f32), f32s([value])])
    case 'bool':
      return Buffer.concat([u32(NUMBERS.bool), Buffer.of(value ? 1 : 0)])
    case 'text':
      return Buffer.concat([u32(NUMBERS.text), text(value)])
    case 'texts':
      return array(NUMBERS.text, value.length, ...value.map(text))
    case 'i32s':
      return array(NUMBERS.i32, value.length, Buffer.from(Int32Array.from(value).buffer))
    case 'f32s':
      return array(NUMBERS.f32, value.length, f32s(value))
    case 'bools':
      return array(NUMBERS.bool, value.length, Buffer.from(value.map(Number)))
  }
}

const array = (inner: number, count: number, ...values: Buffer[]) => Buffer.concat([u32(NUMBERS.array), u32(inner), u64(count), ...values])

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
const u64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}
const f32s = (values: readonly number[]): Buffer => Buffer.from(Float32Array.from(values).buffer)
const text = (value: string): Buffer => {
  const bytes = Buffer.from(value)
  return Buffer.concat([u64(bytes.length), bytes])
}
