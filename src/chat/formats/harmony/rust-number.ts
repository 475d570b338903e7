/**
 * Numbers of JSON as the package openai-harmony prints them. They pass through Python's json and Rust's serde_json, whose default
 * reader of floats is not exact: it multiplies or divides an integer of 64 bits by a power of ten, so the last digit may differ.
 */
import { pythonNumber } from '../qwen/python-json.ts'

/** A JSON spelling of a number -> what the package writes: integers of 64 bits in full, all others as the shortest decimal of a float. */
export function rustNumber(spelling: string): string {
  const text = pythonNumber(spelling)
  if (/^-?\d+$/.test(text) && BigInt(text) >= -(2n ** 63n) && BigInt(text) < 2n ** 64n) return text
  const value = serdeFloat(text)
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0'
  if (!Number.isFinite(value)) return spelling // the package refuses it
  const [, sign, first, rest = '', power] = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(value.toExponential())!
  const digits = first! + rest
  const point = Number(power) + 1 // where the point stands among the digits
  if (point > 16 || point <= -5) return `${sign}${first}${rest && `.${rest}`}e${point - 1}`
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  return `${sign}${digits.slice(0, point).padEnd(point, '0')}.${digits.slice(point) || '0'}`
}

/** The float that serde_json reads without its feature `float_roundtrip`. */
function serdeFloat(text: string): number {
  const parts = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(text)
  if (parts === null) return Number(text)
  const [, sign, whole, fraction = '', power = '0'] = parts
  const digits = whole! + fraction
  let significand = 0n
  let taken = 0
  for (; taken < digits.length; taken++) {
    const longer = significand * 10n + BigInt(digits[taken]!)
    if (longer >= 2n ** 64n) break
    significand = longer
  }
  let exponent = Number(power) + whole!.length - taken
  let value = Number(significand)
  for (; exponent < -308 && value !== 0; exponent += 308) value /= 1e308
  value = exponent < 0 ? value / Number(`1e${-exponent}`) : value * Number(`1e${exponent}`)
  return sign === '-' ? -value : value
}
