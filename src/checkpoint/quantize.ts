/**
 * Numbers -> MXFP4 blocks, to nearest, with an account of what was lost. The scale of a block is the one of the standard's rule or the
 * next larger, whichever errs less: the rule alone clips a block whose largest value lies between 6 and 8 scales.
 * OCP Microscaling Formats (MX) v1.0, section 6.3; nibble and block order: models of the gpt-oss family as published.
 */
import { FP4_VALUES, fromE8m0, MXFP4_BLOCK, MXFP4_BLOCK_BYTES, nearestFp4 } from '../ops/dtype.ts'

/** Sums over everything that was packed. */
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

/** Root mean square of the errors as a share of that of the values. */
export const relativeError = ({ squaredError, squaredValues }: QuantizationError): number =>
  squaredValues === 0 ? 0 : Math.sqrt(squaredError / squaredValues)

export interface PackedMxfp4 {
  /** 16 bytes per 32 values. */
  readonly blocks: Uint8Array
  /** One byte per 32 values. */
  readonly scales: Uint8Array
  readonly error: QuantizationError
}

/**
 * Packs values whose count is a multiple of 32, in the order of the last axis.
 * @throws RangeError when a value is not finite: MXFP4 has no infinities and no NaN.
 */
export function packMxfp4(values: Float32Array): PackedMxfp4 {
  const count = values.length / MXFP4_BLOCK
  if (!Number.isInteger(count)) throw new RangeError(`expected a multiple of ${MXFP4_BLOCK} values, got ${values.length}`)
  const blocks = new Uint8Array(count * MXFP4_BLOCK_BYTES)
  const scales = new Uint8Array(count)
  let squaredError = 0
  let squaredValues = 0
  let largestError = 0
  for (let block = 0; block < count; block++) {
    const at = block * MXFP4_BLOCK
    let largest = 0
    for (let i = 0; i < MXFP4_BLOCK; i++) {
      const value = values[at + i]!
      if (!Number.isFinite(value)) throw new RangeError(`value ${at + i} is ${value}; MXFP4 holds finite numbers only`)
      largest = Math.max(largest, Math.abs(value))
      squaredValues += value * value
    }
    const scale = bestScale(values, at, largest)
    const factor = fromE8m0(scale)
    scales[block] = scale
    for (let i = 0; i < MXFP4_BLOCK; i++) {
      const code = nearestFp4(values[at + i]! / factor)
      blocks[block * MXFP4_BLOCK_BYTES + (i >> 1)]! |= code << (4 * (i & 1))
      const error = Math.abs(FP4_VALUES[code]! * factor - values[at + i]!)
      squaredError += error * error
      largestError = Math.max(largestError, error)
    }
  }
  return { blocks, scales, error: { count: values.length, squaredError, squaredValues, largestError } }
}

/** Scale byte of the block that begins at `at`. */
function bestScale(values: Float32Array, at: number, largest: number): number {
  if (largest === 0) return 127
  const rule = Math.min(254, Math.max(1, 127 + exponentOf(largest) - 2))
  // Only a block that the rule would clip can gain from the larger scale; with the largest of all, 4 scales would be infinite in f32.
  if (rule >= 252 || largest / fromE8m0(rule) <= 6) return rule
  return squaredErrorAt(values, at, rule + 1) < squaredErrorAt(values, at, rule) ? rule + 1 : rule
}

function squaredErrorAt(values: Float32Array, at: number, scale: number): number {
  const factor = fromE8m0(scale)
  let sum = 0
  for (let i = 0; i < MXFP4_BLOCK; i++) sum += (FP4_VALUES[nearestFp4(values[at + i]! / factor)]! * factor - values[at + i]!) ** 2
  return sum
}

const word = new DataView(new ArrayBuffer(4))

/** floor(log2(x)) of a positive f32, exactly; the logarithm itself errs near powers of two. */
function exponentOf(x: number): number {
  word.setFloat32(0, x)
  const biased = word.getUint32(0) >>> 23
  return biased === 0 ? -127 : biased - 127
}
