/**
 * The number formats of weights: how wide they are and what their bits mean. MXFP4: OCP Microscaling v1.0.
 * Backends unpack in their own way; tests compare them with these functions.
 */
import type { BlockDType, DType } from '../architecture/architecture.ts'
import { fromE4m3, fromE8m0 } from '../numbers/f16.ts'
import type { WeightSpec } from './backend.ts'
import { BLOCK_FORMATS } from './block-formats.ts'

export { fromBf16, toBf16 } from '../numbers/bf16.ts'
export { fromE4m3, fromE8m0, fromF16 } from '../numbers/f16.ts'
export type { BlockDType, DType }

/** Values per MXFP4 block, and bytes of its nibbles (the scale is one further byte). */
export const MXFP4_BLOCK = 32
export const MXFP4_BLOCK_BYTES = 16

/** Values of an FP8 block, and its bytes: the f32 scale stands before the codes. */
export const FP8_BLOCK = 128
export const FP8_BLOCK_BYTES = 4 + FP8_BLOCK

/** FP4 (E2M1) code 0…15 -> value. */
export const FP4_VALUES: readonly number[] = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6]

const BITS: Record<Exclude<DType, BlockDType>, number> = {
  f32: 32,
  f16: 16,
  bf16: 16,
  int8: 8,
  mxfp4: 4.25,
  fp8: (8 * FP8_BLOCK_BYTES) / FP8_BLOCK,
}

/** Whether a dtype is one of the block formats of block-formats.ts. */
export const isBlocks = (dtype: DType): dtype is BlockDType => dtype in BLOCK_FORMATS

/** As files and people spell it: 'BF16', 'Q4_K', 'MXFP4'. */
export const dtypeName = (dtype: DType): string =>
  dtype
    .replace('_gguf', '')
    .replace(/^int(\d)_groups$/, 'INT$1 groups')
    .replace(/^[^ ]+/, (name) => name.toUpperCase())

/** @throws RangeError for a weight whose rows are no whole blocks, TypeError for a vector in blocks and for int8, which no file has */
export function requirePublished({ name, shape, dtype, use }: Omit<WeightSpec, 'use'> & { use?: string }): void {
  if (dtype === 'int8')
    throw new TypeError(`${name}: int8 is a backend's own format, not a published one; expected f32, f16, bf16 or mxfp4`)
  if (!isBlocks(dtype) && dtype !== 'mxfp4' && dtype !== 'fp8') return
  if (use === 'vector') throw new TypeError(`${name}: a vector cannot be ${dtypeName(dtype)}; expected f32, f16 or bf16`)
  const length = isBlocks(dtype) ? BLOCK_FORMATS[dtype].length : dtype === 'fp8' ? FP8_BLOCK : MXFP4_BLOCK
  const width = shape.at(-1)!
  if (width % length !== 0) throw new RangeError(`${name}: rows of ${dtypeName(dtype)} must be a multiple of ${length} long, got ${width}`)
}

/** Stored bytes of `count` values, scales included. In a format with blocks `count` must be a multiple of their length. */
export function storedBytes(dtype: DType, count: number): number {
  if (!isBlocks(dtype)) return (count * BITS[dtype]) / 8
  const { length, bytes } = BLOCK_FORMATS[dtype]
  return (count / length) * bytes
}

/**
 * @param first number of the block that the first scale belongs to, for the error
 * @throws RangeError for a scale of MXFP4 that is no number
 */
export function requireScales(name: string, scales: Uint8Array, first: number): void {
  const bad = scales.indexOf(255)
  if (bad >= 0) throw new RangeError(`${name}: the scale of block ${first + bad} is 255, which is not a number; the file is damaged`)
}

/** FP8 (E4M3) code -> value. */
export const E4M3_VALUES = Float32Array.from({ length: 256 }, (_, bits) => fromE4m3(bits))

/** Whole FP8 blocks -> their values: code times scale, rounded to f32 once. */
export function decodeFp8(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const out = new Float32Array((bytes.length / FP8_BLOCK_BYTES) * FP8_BLOCK)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let from = 0, to = 0; from < bytes.length; from += FP8_BLOCK_BYTES) {
    const scale = view.getFloat32(from, true)
    for (let i = from + 4; i < from + FP8_BLOCK_BYTES; i++) out[to++] = E4M3_VALUES[bytes[i]!]! * scale
  }
  return out
}

/** One MXFP4 block -> 32 values at `out[at…]`: byte b holds element 2b low, 2b + 1 high. */
export function unpackMxfp4Block(blocks: Uint8Array, offset: number, scale: number, out: Float32Array | Float64Array, at: number): void {
  const factor = fromE8m0(scale)
  for (let b = 0; b < MXFP4_BLOCK_BYTES; b++) {
    const byte = blocks[offset + b]!
    out[at + 2 * b] = FP4_VALUES[byte & 15]! * factor
    out[at + 2 * b + 1] = FP4_VALUES[byte >>> 4]! * factor
  }
}

/** 32 values -> one MXFP4 block, to nearest with ties to even; returns the scale byte (OCP rule: floor(log2(amax)) - 2). */
export function packMxfp4Block(values: ArrayLike<number>, from: number, blocks: Uint8Array, offset: number): number {
  let largest = 0
  for (let i = 0; i < MXFP4_BLOCK; i++) largest = Math.max(largest, Math.abs(values[from + i]!))
  const scale = largest === 0 ? 127 : Math.min(254, Math.max(1, Math.floor(Math.log2(largest)) - 2 + 127))
  const factor = fromE8m0(scale)
  for (let b = 0; b < MXFP4_BLOCK_BYTES; b++) {
    blocks[offset + b] = nearestFp4(values[from + 2 * b]! / factor) | (nearestFp4(values[from + 2 * b + 1]! / factor) << 4)
  }
  return scale
}

/** Nearest FP4 code; a tie goes to the code with an even mantissa bit, beyond 6 saturates. */
export function nearestFp4(value: number): number {
  const x = Math.abs(value)
  const code = x <= 0.25 ? 0 : x < 0.75 ? 1 : x <= 1.25 ? 2 : x < 1.75 ? 3 : x <= 2.5 ? 4 : x < 3.5 ? 5 : x <= 5 ? 6 : 7
  return value < 0 || Object.is(value, -0) ? code | 8 : code
}
