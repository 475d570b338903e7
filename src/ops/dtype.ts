/**
 * The number formats of weights: how wide they are and what their bits mean. MXFP4: OCP Microscaling v1.0.
 * Backends unpack in their own way; tests compare them with these functions.
 */
import type { DType } from '../architecture/architecture.ts'

export { fromBf16, toBf16 } from '../numbers/bf16.ts'
export type { DType }

/** Values per MXFP4 block, and bytes of its nibbles (the scale is one further byte). */
export const MXFP4_BLOCK = 32
export const MXFP4_BLOCK_BYTES = 16

/** FP4 (E2M1) code 0…15 -> value. */
export const FP4_VALUES: readonly number[] = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6]

const BITS: Record<DType, number> = { f32: 32, f16: 16, bf16: 16, int8: 8, mxfp4: 4.25 }

/** Stored bytes of `count` values; for mxfp4 nibbles and scales together (`count` must then be a multiple of 32). */
export const storedBytes = (dtype: DType, count: number): number => (count * BITS[dtype]) / 8

/** f16 bits -> number. Exact. */
export function fromF16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >>> 10) & 31
  const fraction = bits & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** Scale byte (E8M0) -> 2^(scale - 127); 255 is NaN by the standard. */
export const fromE8m0 = (scale: number): number => (scale === 255 ? Number.NaN : 2 ** (scale - 127))

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
