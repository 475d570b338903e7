/** A minimal writer of GGUF files for tests, on purpose independent of the reader. */

export type Value =
  | { type: 'u32' | 'i32' | 'f32' | 'u64' | 'u16'; value: number }
  | { type: 'bool'; value: boolean }
  | { type: 'string'; value: string }
  | { type: 'strings'; value: readonly string[] }
  | { type: 'i32s'; value: readonly number[] }

export interface TestTensor {
  readonly name: string
  /** Row-major. */
  readonly shape: readonly number[]
  /** Number of the type. */
  readonly type: number
  readonly data: Uint8Array
}

const NUMBERS = { u32: 4, i32: 5, f32: 6, u64: 10, u16: 2 } as const

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
const u64 = (value: number) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}
const text = (value: string) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)])

function encode(entry: Value): Buffer {
  switch (entry.type) {
    case 'string':
      return Buffer.concat([u32(8), text(entry.value)])
    case 'bool':
      return Buffer.concat([u32(7), Buffer.from([entry.value ? 1 : 0])])
    case 'strings':
      return Buffer.concat([u32(9), u32(8), u64(entry.value.length), ...entry.value.map(text)])
    case 'i32s':
      return Buffer.concat([u32(9), u32(5), u64(entry.value.length), Buffer.from(Int32Array.from(entry.value).buffer)])
    default: {
      const bytes = { u32: u32, u64: u64, u16: (value: number) => u32(value).subarray(0, 2), i32: signed, f32: single }[entry.type]
      return Buffer.concat([u32(NUMBERS[entry.type]), bytes(entry.value)])
    }
  }
}
const signed = (value: number) => Buffer.from(Int32Array.of(value).buffer)
const single = (value: number) => Buffer.from(Float32Array.of(value).buffer)

/** The bytes of a GGUF file of version 3 with an alignment of 32. */
export function writeGguf(metadata: Readonly<Record<string, Value>>, tensors: readonly TestTensor[]): Buffer {
  const padded = (bytes: Uint8Array) => Buffer.concat([bytes, Buffer.alloc(-bytes.byteLength & 31)])
  const infos: Buffer[] = []
  let offset = 0
  for (const { name, shape, type, data } of tensors) {
    infos.push(text(name), u32(shape.length), ...[...shape].reverse().map(u64), u32(type), u64(offset))
    offset += (data.byteLength + 31) & ~31
  }
  const pairs = Object.entries(metadata).flatMap(([key, value]) => [text(key), encode(value)])
  const head = [Buffer.from('GGUF'), u32(3), u64(tensors.length), u64(Object.keys(metadata).length), ...pairs, ...infos]
  return Buffer.concat([padded(Buffer.concat(head)), ...tensors.map(({ data }) => padded(data))])
}
