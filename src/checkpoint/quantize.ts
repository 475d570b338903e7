/**
 * Packs numbers into MXFP4 blocks, rounded to nearest, and sums the errors. The scale of a block is that
 * of the standard's rule or the next larger one, whichever has the smaller error: the rule alone clips a
 * block whose largest value is between 6 and 8 scales.
 * Source: OCP Microscaling Formats (MX) v1.0, section 6.3; nibble and block order as in gpt-oss.
 */
import { FP4_VALUES, fromE8m0, MXFP4_BLOCK, MXFP4_BLOCK_BYTES, nearestFp4 } from '../ops/dtype.ts'

/** Sums over all packed values. */
export interface QuantizationError {
  readonly count: number
  readonly squaredError: number
  readonly squaredValues: number
  readonly largestError: number
}

export const noError: QuantizationError = { count: 0, squaredError: 0, squaredValues: 0, largestError: 0 }

export const addErrors = (a: QuantizationError, b: QuantizationError): QuantizationError => ({
  count: a.count + b.count,
  squaredError: a.squaredError + b.squaredError,
  squaredValues: a.squaredValues + b.squaredValues,
  largestError: Math.max(a.largestError, b.largestError),
})

/** Root mean square error divided by the root mean square of the values. */
export const relativeError = ({ squaredError, squaredValues }: QuantizationError): number =>
  squaredValues === 0 ? 0 : Math.sqrt(squaredError / squaredValues)

export interface PackedMxfp4 {
  /** 16 bytes per 32 values. */
  readonly blocks: Uint8Array
  /** One byte per 32 values. */
  readonly scales: Uint8Array
  readonly error: QuantizationError
}

/** `nearestFp4` as a table: entry 2n is the code of n/4, entry 2n + 1 that of values between n/4 and (n+1)/4. */
const CODES = Uint8Array.from({ length: 66 }, (_, i) => nearestFp4(i / 8))
const MAGNITUDES = Float64Array.from(FP4_VALUES.slice(0, 8))

/**
 * Packs values whose count is a multiple of 32, in the order of the last axis.
 * @throws RangeError when a value is not finite: MXFP4 has no infinities and no NaN.
 */
export function packMxfp4(values: Float32Array): PackedMxfp4 {
  const count = values.length / MXFP4_BLOCK
  if (!Number.isInteger(count)) throw new RangeError(`expected a multiple of ${MXFP4_BLOCK} values, got ${values.length}`)
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const blocks = new Uint8Array(count * MXFP4_BLOCK_BYTES)
  const scales = new Uint8Array(count)
  const total = { squaredError: 0, squaredValues: 0, largestError: 0 }
  for (let block = 0; block < count; block++) {
    const at = block * MXFP4_BLOCK
    const scale = scaleOf(values, bits, at)
    scales[block] = scale
    packBlock(values, bits, at, scale, blocks, total)
  }
  return { blocks, scales, error: { count: values.length, ...total } }
}

/** Writes the codes of one block and adds its errors. */
function packBlock(
  values: Float32Array,
  bits: Uint32Array,
  at: number,
  scale: number,
  blocks: Uint8Array,
  total: { squaredError: number; squaredValues: number; largestError: number },
): void {
  const factor = fromE8m0(scale)
  const quarters = 4 / factor
  let squaredError = 0
  let squaredValues = 0
  let largest = total.largestError
  for (let i = at; i < at + MXFP4_BLOCK; i++) {
    const magnitude = Math.abs(values[i]!)
    const y = Math.min(magnitude * quarters, 32)
    const n = y | 0
    const code = CODES[2 * n + (y > n ? 1 : 0)]!
    blocks[i >> 1]! |= (code | ((bits[i]! >>> 31) << 3)) << (4 * (i & 1))
    const error = Math.abs(MAGNITUDES[code]! * factor - magnitude)
    squaredError += error * error
    squaredValues += magnitude * magnitude
    if (error > largest) largest = error
  }
  total.squaredError += squaredError
  total.squaredValues += squaredValues
  total.largestError = largest
}

/** Scale byte of the block that begins at `at`. */
function scaleOf(values: Float32Array, bits: Uint32Array, at: number): number {
  let largest = 0 // bits of the largest magnitude: they order like the magnitudes
  for (let i = at; i < at + MXFP4_BLOCK; i++) {
    const magnitude = bits[i]! & 0x7fffffff
    if (magnitude > largest) largest = magnitude
  }
  if (largest >= 0x7f800000) {
    const i = at + values.subarray(at, at + MXFP4_BLOCK).findIndex((value) => !Number.isFinite(value))
    throw new RangeError(`value ${i} is ${values[i]}; MXFP4 holds finite numbers only`)
  }
  if (largest === 0) return 127
  // The standard's rule: the exponent of the largest magnitude minus that of the largest code.
  // Subnormals have none and get the smallest scale.
  const rule = Math.max(1, (largest >>> 23) - 2)
  // Only a block that the rule would clip (beyond 6 = 1.5·2^2) can gain from the larger scale; with
  // the largest of all, 4 scales would be infinite in f32.
  if (rule >= 252 || (largest & 0x7fffff) <= 0x400000) return rule
  return squaredErrorAt(values, at, rule + 1) < squaredErrorAt(values, at, rule) ? rule + 1 : rule
}

function squaredErrorAt(values: Float32Array, at: number, scale: number): number {
  const factor = fromE8m0(scale)
  const quarters = 4 / factor
  let sum = 0
  for (let i = at; i < at + MXFP4_BLOCK; i++) {
    const magnitude = Math.abs(values[i]!)
    const y = Math.min(magnitude * quarters, 32)
    const n = y | 0
    const error = MAGNITUDES[CODES[2 * n + (y > n ? 1 : 0)]!]! * factor - magnitude
    sum += error * error
  }
  return sum
}
