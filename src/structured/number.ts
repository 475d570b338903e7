/**
 * JSON numbers as automata over their characters. Every number is finite, exact to 15 digits, and
 * ends. Without limits: up to 15 digits before and after the point and an exponent of two digits.
 * With limits: no exponent. To enforce limits, the interval of values that a prefix can still become
 * is compared with the allowed interval, in integers.
 */

/** States are short texts. All prefixes that no limit can restrict any more share one state. */
export interface NumberAutomaton {
  readonly name: string
  readonly start: string
  /** Whether the characters read so far are a complete number. */
  canEnd(state: string): boolean
  next(state: string, character: string): string | undefined
  /** Fewest characters that complete the number. */
  distance(state: string): number
}

const MOST_DIGITS = 15

/** Any number. A state is a phase and the number of digits that may follow. */
export const anyNumber: NumberAutomaton = {
  name: 'number',
  start: 'start:0',
  canEnd: (state) => /^(zero|integer|fraction|exponent):/.test(state),
  distance: (state) => (/^(zero|integer|fraction|exponent):/.test(state) ? 0 : 1),
  next(state, character) {
    const [phase, text] = state.split(':') as [string, string]
    const left = Number(text)
    const digit = character >= '0' && character <= '9'
    switch (phase) {
      case 'start':
      case 'minus':
        if (character === '-' && phase === 'start') return 'minus:0'
        return !digit ? undefined : character === '0' ? 'zero:0' : `integer:${MOST_DIGITS - 1}`
      case 'zero':
      case 'integer':
        if (digit) return left > 0 ? `integer:${left - 1}` : undefined
        if (character === '.') return `point:${MOST_DIGITS}`
        return character === 'e' || character === 'E' ? 'e:0' : undefined
      case 'point':
      case 'fraction':
        if (digit) return left > 0 ? `fraction:${left - 1}` : undefined
        return phase === 'fraction' && (character === 'e' || character === 'E') ? 'e:0' : undefined
      case 'e':
        if (character === '+' || character === '-') return 'sign:0'
        return digit ? 'exponent:1' : undefined
      case 'sign':
        return digit ? 'exponent:1' : undefined
      default:
        return digit && left > 0 ? `exponent:${left - 1}` : undefined
    }
  },
}

export interface Limits {
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
}

/**
 * Numbers within limits. Inclusive and exclusive limits hold together.
 * @throws RangeError when there is none that can be written with 15 digits
 */
export function limitedNumber(integer: boolean, limits: Limits): NumberAutomaton {
  const allowed = (value: number) =>
    value >= (limits.minimum ?? -Infinity) &&
    value <= (limits.maximum ?? Infinity) &&
    value > (limits.exclusiveMinimum ?? -Infinity) &&
    value < (limits.exclusiveMaximum ?? Infinity)
  const low = Math.max(limits.minimum ?? -Infinity, limits.exclusiveMinimum ?? -Infinity)
  const high = Math.min(limits.maximum ?? Infinity, limits.exclusiveMaximum ?? Infinity)
  const largest = 10 ** MOST_DIGITS - 1
  // A missing limit gets a value small enough to allow digits after the point.
  const far = integer ? largest : Math.min(largest, Math.max(1e9, 1000 * Math.abs(Number.isFinite(low) ? low : high)))
  const from = Math.max(Number.isFinite(low) ? low : -far, -largest)
  const to = Math.min(Number.isFinite(high) ? high : far, largest)
  if (!(from <= to)) throw new RangeError('no number lies between the limits')
  const whole = Math.trunc(Math.max(Math.abs(from), Math.abs(to)))
  const integerDigits = whole === 0 ? 0 : String(whole).length
  for (let places = integer ? 0 : MOST_DIGITS - integerDigits; places <= (integer ? 0 : 30); places++) {
    const unit = 10n ** BigInt(places)
    let first = scaled(from, places)
    let last = scaled(to, places)
    for (let i = 0; i < 4 && first <= last && !allowed(toNumber(first, places)); i++) first++
    for (let i = 0; i < 4 && last >= first && !allowed(toNumber(last, places)); i++) last--
    if (first <= last && allowed(toNumber(first, places)) && allowed(toNumber(last, places)))
      return new LimitedNumber(first, last, places, unit)
  }
  throw new RangeError(`no ${integer ? 'integer' : 'number of 15 digits'} lies between the limits`)
}

/** The decimal text of a double, times 10^places, rounded toward zero. */
function scaled(value: number, places: number): bigint {
  const [mantissa, exponent = '0'] = String(Math.abs(value)).split('e') as [string, string?]
  const [whole, fraction = ''] = mantissa.split('.') as [string, string?]
  const shift = Number(exponent) + places - fraction.length
  const digits = BigInt(whole + fraction)
  const magnitude = shift >= 0 ? digits * 10n ** BigInt(shift) : digits / 10n ** BigInt(-shift)
  return value < 0 ? -magnitude : magnitude
}

function toNumber(units: bigint, places: number): number {
  return Number(`${units}e-${places}`)
}

/**
 * A state is the prefix itself, or `free:A:B` when any A to B digits before the point may follow, or
 * `places:P` when any P digits after the point may follow.
 */
class LimitedNumber implements NumberAutomaton {
  readonly name: string
  readonly start = ''
  readonly #first: bigint // in units of 10^-places
  readonly #last: bigint
  readonly #places: number
  readonly #unit: bigint
  readonly #distances = new Map<string, number>()

  constructor(first: bigint, last: bigint, places: number, unit: bigint) {
    this.name = `${first}..${last}e-${places}`
    this.#first = first
    this.#last = last
    this.#places = places
    this.#unit = unit
  }

  canEnd(state: string): boolean {
    if (state.startsWith('free:0:')) return true
    if (state.startsWith('free:')) return false
    if (state.startsWith('places:')) return !state.endsWith('!')
    if (!/\d$/.test(state)) return false
    const { low } = this.#interval(state, 0)
    return this.#holds(state, low, low)
  }

  next(state: string, character: string): string | undefined {
    const digit = character >= '0' && character <= '9'
    if (state.startsWith('free:')) {
      const [, least, most] = state.split(':').map(Number) as [number, number, number]
      if (digit) return most > 0 ? `free:${Math.max(0, least - 1)}:${most - 1}` : undefined
      return character === '.' && least === 0 && this.#places > 0 ? `places:${this.#places}!` : undefined
    }
    if (state.startsWith('places:')) {
      const places = Number.parseInt(state.slice(7), 10)
      return digit && places > 0 ? `places:${places - 1}` : undefined
    }
    const point = state.indexOf('.')
    if (character === '-') {
      if (state !== '') return undefined
    } else if (character === '.') {
      if (point !== -1 || this.#places === 0 || !/\d$/.test(state)) return undefined
    } else if (!digit || state === '0' || state === '-0' || (point !== -1 && state.length - point > this.#places)) return undefined
    const prefix = state + character
    return this.#shared(prefix)
  }

  distance(state: string): number {
    if (state.startsWith('free:')) return Number(state.split(':')[1])
    const known = this.#distances.get(state)
    if (known !== undefined) return known
    let best = Number.POSITIVE_INFINITY
    if (this.canEnd(state)) best = 0
    else
      for (const character of '0123456789.-') {
        const next = this.next(state, character)
        if (next !== undefined) best = Math.min(best, 1 + this.distance(next))
      }
    this.#distances.set(state, best)
    return best
  }

  /** The state after a prefix, undefined when no allowed number begins with it. */
  #shared(prefix: string): string | undefined {
    if (prefix === '-') return this.#first < 0n ? prefix : undefined
    const point = prefix.indexOf('.')
    if (point !== -1) {
      const { low, high } = this.#interval(prefix, 0)
      if (!this.#meets(prefix, low, high)) return undefined
      const left = this.#places - (prefix.length - point - 1)
      return this.#holds(prefix, low, high) ? `places:${left}${prefix.endsWith('.') ? '!' : ''}` : prefix
    }
    const lengths: number[] = [] // numbers of further digits for which some value is allowed
    let whole = true // whether every such value is allowed
    for (let digits = 0; digits <= (/^-?0$/.test(prefix) ? 0 : MOST_DIGITS); digits++) {
      const { low, high } = this.#interval(prefix, digits)
      if (!this.#meets(prefix, low, high)) continue
      lengths.push(digits)
      whole &&= this.#holds(prefix, low, high)
    }
    if (lengths.length === 0) return undefined
    const [least, most] = [lengths[0]!, lengths[lengths.length - 1]!]
    return whole && most - least === lengths.length - 1 ? `free:${least}:${most}` : prefix
  }

  /** The magnitudes that a prefix can become with `digits` more digits before the point. */
  #interval(prefix: string, digits: number): { low: bigint; high: bigint } {
    const text = prefix.replace('-', '')
    const point = text.indexOf('.')
    const places = point === -1 ? 0 : text.length - point - 1
    const value = BigInt(text.replace('.', ''))
    const scale = point === -1 ? 10n ** BigInt(digits) * this.#unit : 10n ** BigInt(this.#places - places)
    return { low: value * scale, high: (value + 1n) * scale - 1n }
  }

  /** The allowed magnitudes for the sign of a prefix; -0 is never written. */
  #allowed(prefix: string): { first: bigint; last: bigint } {
    if (prefix.startsWith('-')) return { first: this.#last >= 0n ? 1n : -this.#last, last: -this.#first }
    return { first: this.#first > 0n ? this.#first : 0n, last: this.#last }
  }

  #meets(prefix: string, low: bigint, high: bigint): boolean {
    const { first, last } = this.#allowed(prefix)
    return low <= last && high >= first
  }

  #holds(prefix: string, low: bigint, high: bigint): boolean {
    const { first, last } = this.#allowed(prefix)
    return low >= first && high <= last
  }
}
