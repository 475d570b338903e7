/** Exact decimal numbers, for limits in a schema. A limit is read from its text, not from a rounded double. */

/** The value units / 10^places. */
export interface Decimal {
  readonly units: bigint
  /** At least 0. */
  readonly places: number
}

/** @param text a JSON number, also with an exponent */
export function decimal(text: string): Decimal {
  const [mantissa, exponent = '0'] = text.toLowerCase().split('e') as [string, string?]
  const [whole, fraction = ''] = mantissa.split('.') as [string, string?]
  const places = fraction.length - Number(exponent)
  const units = BigInt(whole + fraction)
  return places >= 0 ? { units, places } : { units: units * power10(-places), places: 0 }
}

export const power10 = (exponent: number): bigint => 10n ** BigInt(exponent)

export function compareDecimals(a: Decimal, b: Decimal): number {
  const left = a.units * power10(b.places)
  const right = b.units * power10(a.places)
  return left < right ? -1 : left > right ? 1 : 0
}

/** Units of 10^-places, rounded up or down. */
export function unitsOf({ units, places: own }: Decimal, places: number, round: 'up' | 'down'): bigint {
  if (places >= own) return units * power10(places - own)
  return divide(units, power10(own - places), round)
}

/** The quotient of integers, rounded; the divisor is positive. */
export function divide(a: bigint, b: bigint, round: 'up' | 'down'): bigint {
  const quotient = a / b
  const rest = a % b
  if (rest === 0n) return quotient
  return round === 'up' ? (rest > 0n ? quotient + 1n : quotient) : rest < 0n ? quotient - 1n : quotient
}

/**
 * The middle between a double and its neighbour toward `direction`. A decimal text beyond the middle is read
 * as another double than the given one.
 */
export function middle(value: number, direction: 1 | -1): Decimal {
  const bits = new BigInt64Array(new Float64Array([value]).buffer)
  const away = value > 0 ? BigInt(direction) : BigInt(-direction)
  const neighbour = value === 0 ? direction * Number.MIN_VALUE : new Float64Array(new BigInt64Array([bits[0]! + away]).buffer)[0]!
  if (!Number.isFinite(neighbour)) return exact(value)
  const [a, b] = [exact(value), exact(neighbour)]
  const places = Math.max(a.places, b.places) + 1
  return { units: (unitsOf(a, places, 'down') + unitsOf(b, places, 'down')) / 2n, places }
}

/** The value of a double without rounding. */
export function exact(value: number): Decimal {
  let places = 0
  let scaled = value
  // Multiplying by two is exact, so this ends with an integer after at most 1,074 steps.
  for (; !Number.isInteger(scaled); places++) scaled *= 2
  return { units: BigInt(scaled) * 5n ** BigInt(places), places }
}

export function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  while (b !== 0n) [a, b] = [b, a % b]
  return a
}
