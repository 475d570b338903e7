/**
 * Packs numbers into blocks of 32 with a scale inside (the formats are described in ops/block-formats.ts), and sums the errors.
 *
 *   q4_0    scale·(code - 8). The scale is searched: of a few around largest/8, each improved once by least squares, the one with the
 *           smallest squared error
 *   q8_0    scale·code, scale = largest/127
 *   mxfp4   as quantize.ts packs experts
 *
 * Values one by one (f32, f16, bf16) are rounded to nearest.
 */
import type { DType } from '../architecture/architecture.ts'
import { MXFP4_BLOCK_BYTES } from '../ops/dtype.ts'
import { encode, toFloats } from './encode.ts'
import { PUBLISHED_DTYPE } from './published.ts'
import { packMxfp4, type QuantizationError } from './quantize.ts'

export type PackFormat = 'q4_0' | 'q8_0' | 'mxfp4'
export type FloatFormat = 'f32' | 'f16' | 'bf16'

/** The dtype of the result. */
export const PACKED_DTYPE = {
  f32: 'f32',
  f16: 'f16',
  bf16: 'bf16',
  q4_0: 'q4_0',
  q8_0: 'q8_0',
  mxfp4: 'mxfp4_gguf',
} as const satisfies Record<PackFormat | FloatFormat, DType>

export const isFloatFormat = (format: PackFormat | FloatFormat): format is FloatFormat => /^b?f\d+$/.test(format)

export interface PackedBlocks {
  readonly blocks: Uint8Array
  readonly error: QuantizationError
}

const BLOCK = 32
/** Divisors of the value with the largest magnitude that are tried as scales. With a negative one, -8 meets that value. */
const DIVISORS = Array.from({ length: 36 }, (_, i) => -9 + i * 0.1).flatMap((divisor) => [divisor, -divisor])

/** Values whose count is a multiple of 32 for blocks. @throws RangeError when a value is not finite, or too large for an f16 */
export function packBlocks(values: Float32Array, format: PackFormat | FloatFormat): PackedBlocks {
  if (format === 'mxfp4') return packedMxfp4(values)
  if (isFloatFormat(format)) return rounded(values, format)
  const count = values.length / BLOCK
  if (!Number.isInteger(count)) throw new RangeError(`expected a multiple of ${BLOCK} values, got ${values.length}`)
  const blockBytes = format === 'q4_0' ? 18 : 34
  const blocks = new Uint8Array(count * blockBytes)
  const view = new DataView(blocks.buffer)
  const codes = new Int8Array(BLOCK)
  const total = { squaredError: 0, squaredValues: 0, largestError: 0 }
  for (let block = 0, to = 0; block < count; block++, to += blockBytes) {
    const x = values.subarray(block * BLOCK, (block + 1) * BLOCK)
    const scale = format === 'q4_0' ? searchedScale(x) : Math.f16round(largest(x) / 127)
    if (!Number.isFinite(scale)) throw notPackable(values, block)
    const [least, most] = format === 'q4_0' ? [-8, 7] : [-127, 127]
    roundTo(x, scale, least, most, codes)
    for (let i = 0; i < BLOCK; i++) {
      const error = Math.abs(x[i]! - codes[i]! * scale)
      total.squaredError += error * error
      total.squaredValues += x[i]! * x[i]!
      if (error > total.largestError) total.largestError = error
    }
    view.setFloat16(to, scale, true)
    if (format === 'q4_0') for (let i = 0; i < 16; i++) blocks[to + 2 + i] = (codes[i]! + 8) | ((codes[i + 16]! + 8) << 4)
    else for (let i = 0; i < BLOCK; i++) blocks[to + 2 + i] = codes[i]!
  }
  return { blocks, error: { count: values.length, ...total } }
}

function rounded(values: Float32Array, format: FloatFormat): PackedBlocks {
  const blocks = encode(values, PUBLISHED_DTYPE[format]!)
  const kept = toFloats(blocks, format)
  const total = { squaredError: 0, squaredValues: 0, largestError: 0 }
  for (let i = 0; i < values.length; i++) {
    const error = Math.abs(values[i]! - kept[i]!)
    if (!Number.isFinite(error)) throw new RangeError(`value ${i} is ${values[i]}, which ${format} does not hold`)
    total.squaredError += error * error
    total.squaredValues += values[i]! * values[i]!
    if (error > total.largestError) total.largestError = error
  }
  return { blocks, error: { count: values.length, ...total } }
}

/** The largest magnitude; NaN or infinite if a value is. */
function largest(x: Float32Array): number {
  let [most, sum] = [0, 0]
  for (let i = 0; i < x.length; i++) {
    const magnitude = Math.abs(x[i]!)
    sum += magnitude
    if (magnitude > most) most = magnitude
  }
  return Number.isFinite(sum) ? most : sum
}

function notPackable(values: Float32Array, block: number): RangeError {
  const i = values.subarray(block * BLOCK, (block + 1) * BLOCK).findIndex((value) => !Number.isFinite(value))
  if (i < 0) return new RangeError(`values ${block * BLOCK} to ${(block + 1) * BLOCK - 1} are too large for a 16-bit scale`)
  return new RangeError(`value ${block * BLOCK + i} is ${values[block * BLOCK + i]}; blocks hold finite numbers only`)
}

/** The code of each value: value / scale to nearest, held to a range. */
function roundTo(x: Float32Array, scale: number, least: number, most: number, codes: Int8Array): void {
  const inverse = scale === 0 ? 0 : 1 / scale
  for (let i = 0; i < BLOCK; i++) codes[i] = Math.max(least, Math.min(most, Math.round(x[i]! * inverse)))
}

/** The f16 scale of q4_0 with the smallest squared error that the search finds. */
function searchedScale(x: Float32Array): number {
  let extreme = 0
  let squares = 0
  for (let i = 0; i < BLOCK; i++) {
    if (Math.abs(x[i]!) > Math.abs(extreme)) extreme = x[i]!
    squares += x[i]! * x[i]!
  }
  if (squares === 0 || !Number.isFinite(squares)) return squares
  let best = 0
  let gained = -1 // how much of Σx² codes take away: (Σx·q)² / Σq² at the best scale for them
  for (const divisor of DIVISORS) {
    const inverse = divisor / extreme
    let [xq, qq] = [0, 0]
    for (let i = 0; i < BLOCK; i++) {
      const q = Math.max(-8, Math.min(7, Math.round(x[i]! * inverse)))
      xq += x[i]! * q
      qq += q * q
    }
    if (qq > 0 && xq * xq > gained * qq) {
      gained = (xq * xq) / qq
      best = xq / qq
    }
  }
  return nearbyScale(x, best, squares)
}

/** Codes are rounded again with the f16 of a scale: it or a neighbour, whichever has the smallest error. */
function nearbyScale(x: Float32Array, scale: number, squares: number): number {
  let best = Math.f16round(scale)
  let least = Number.POSITIVE_INFINITY
  for (const factor of [1, 1 - 2 ** -11, 1 + 2 ** -11]) {
    const candidate = Math.f16round(scale * factor)
    const inverse = candidate === 0 ? 0 : 1 / candidate
    let error = candidate === 0 ? squares : 0
    if (candidate !== 0)
      for (let i = 0; i < BLOCK; i++) {
        const q = Math.max(-8, Math.min(7, Math.round(x[i]! * inverse)))
        error += (x[i]! - q * candidate) ** 2
      }
    if (error < least) {
      least = error
      best = candidate
    }
  }
  return best
}

function packedMxfp4(values: Float32Array): PackedBlocks {
  const { blocks: pairs, scales, error } = packMxfp4(values)
  return { blocks: ggufMxfp4(pairs, scales), error }
}

/** Blocks of 17 bytes, the scale first: nibbles of values i and i + 16 in one byte, where gpt-oss has neighbours in one. */
export function ggufMxfp4(pairs: Uint8Array, scales: Uint8Array): Uint8Array<ArrayBuffer> {
  const blocks = new Uint8Array(scales.length * 17)
  const code = (block: number, i: number) => (pairs[block * MXFP4_BLOCK_BYTES + (i >> 1)]! >> (4 * (i & 1))) & 15
  for (let block = 0, to = 0; block < scales.length; block++, to += 17) {
    blocks[to] = scales[block]!
    for (let i = 0; i < 16; i++) blocks[to + 1 + i] = code(block, i) | (code(block, i + 16) << 4)
  }
  return blocks
}
