/**
 * Stored weights as plain numbers: bytes in any dtype, kept as they are published, and any run of their values in f32, in which all of them
 * are exact. Plain loops, for the reference and for training; the wasm backend has kernels of its own.
 */
import type { Fill, WeightSpec } from './backend.ts'
import { decodeBlocks } from './block-formats.ts'
import type { DType } from './dtype.ts'
import {
  decodeFp8,
  FP4_VALUES,
  fromE8m0,
  fromF16,
  isBlocks,
  MXFP4_BLOCK,
  MXFP4_BLOCK_BYTES,
  requirePublished,
  storedBytes,
} from './dtype.ts'
import { size } from './tensor.ts'

export interface StoredWeight {
  readonly dtype: DType
  /** Values in row-major order; of mxfp4 the nibbles. */
  readonly bytes: Uint8Array
  /** Of mxfp4. */
  readonly scales?: Uint8Array
}

/**
 * Reads a weight without decoding it.
 * @param allocate memory for so many bytes, at a multiple of 4
 */
export async function storedWeight(
  spec: WeightSpec,
  fill: Fill,
  allocate: (bytes: number) => Uint8Array = (bytes) => new Uint8Array(bytes),
): Promise<StoredWeight> {
  const { shape, dtype } = spec
  requirePublished(spec)
  const count = size(shape)
  const packed = dtype === 'mxfp4'
  const bytes = allocate(packed ? (count / MXFP4_BLOCK) * MXFP4_BLOCK_BYTES : storedBytes(dtype, count))
  await fill(packed ? 'blocks' : 'data', 0, bytes)
  if (!packed) return { dtype, bytes }
  const scales = allocate(count / MXFP4_BLOCK)
  await fill('scales', 0, scales)
  return { dtype, bytes, scales }
}

/** Values [from, from + count) into `out` from `at` on; of a format with blocks both are multiples of its length. */
export function decodeStored({ dtype, bytes, scales }: StoredWeight, from: number, count: number, out: Float32Array, at: number): void {
  const { buffer, byteOffset } = bytes
  const part = () => bytes.subarray(storedBytes(dtype, from), storedBytes(dtype, from + count))
  if (isBlocks(dtype)) {
    out.set(decodeBlocks(dtype, part()), at)
    return
  }
  switch (dtype) {
    case 'f32':
      out.set(new Float32Array(buffer, byteOffset + 4 * from, count), at)
      return
    case 'bf16': {
      const halves = new Uint16Array(buffer, byteOffset + 2 * from, count)
      const words = new Uint32Array(out.buffer, out.byteOffset + 4 * at, count)
      for (let i = 0; i < count; i++) words[i] = halves[i]! << 16
      return
    }
    case 'f16': {
      const halves = new Uint16Array(buffer, byteOffset + 2 * from, count)
      for (let i = 0; i < count; i++) out[at + i] = fromF16(halves[i]!)
      return
    }
    case 'fp8':
      out.set(decodeFp8(part()), at)
      return
    case 'mxfp4':
      for (let block = from / MXFP4_BLOCK; block < (from + count) / MXFP4_BLOCK; block++) {
        const factor = fromE8m0(scales![block]!)
        const first = block * MXFP4_BLOCK_BYTES
        const to = at + block * MXFP4_BLOCK - from
        for (let b = 0; b < MXFP4_BLOCK_BYTES; b++) {
          const byte = bytes[first + b]!
          out[to + 2 * b] = FP4_VALUES[byte & 15]! * factor
          out[to + 2 * b + 1] = FP4_VALUES[byte >>> 4]! * factor
        }
      }
      return
    case 'int8':
      throw new TypeError('int8 is a format of the wasm backend, not of files')
  }
}

/** All values of a weight. */
export async function weightValues(spec: WeightSpec, fill: Fill): Promise<Float32Array<ArrayBuffer>> {
  const count = size(spec.shape)
  const out = new Float32Array(count)
  decodeStored(await storedWeight(spec, fill), 0, count, out, 0)
  return out
}
