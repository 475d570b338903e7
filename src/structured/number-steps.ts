/**
 * Integers and multiples of `multipleOf`, as automata over their characters. Values are counted in units
 * of 10^-places. A state holds how the digits so far compare with the limits and their rest modulo the
 * step, so limits and steps of any size are exact. Integers have no point and no exponent.
 */
import { type Decimal, divide, greatestCommonDivisor, power10, unitsOf } from './decimal.ts'
import {
  type End,
  MOST_WHOLE_DIGITS,
  type NumberAutomaton,
  type NumberPhase,
  type NumberState,
  TOO_LARGE,
  TOO_LARGE_DISTANCE,
} from './number-automaton.ts'

interface Prefix {
  readonly negative: boolean
  readonly phase: NumberPhase
  /** Digits after leading zeros. */
  readonly digits: number
  /** Digits after the point, at most `places`. */
  readonly places: number
  /** Comparison with as many digits of the limits. */
  readonly low: number
  readonly high: number
  /** The digits as an integer, modulo the step. */
  readonly rest: bigint
}

interface Range {
  /** The least magnitude in units, as digits without leading zeros. */
  readonly low: string
  readonly high: string | undefined
}

const START: Prefix = { negative: false, phase: 'start', digits: 0, places: 0, low: 0, high: 0, rest: 0n }

export class SteppedNumber implements NumberAutomaton {
  readonly name: string
  readonly start: NumberState
  readonly #integer: boolean
  readonly #places: number
  readonly #step: bigint
  readonly #ranges: readonly (Range | undefined)[]
  readonly #prefixes = new Map<NumberState, Prefix>()
  readonly #distances = new Map<NumberState, number>()

  /** @param multiples all of which the value is a multiple of, each positive */
  constructor(integer: boolean, from: End | undefined, to: End | undefined, multiples: readonly Decimal[]) {
    this.#integer = integer
    // The least common multiple of the steps, in units.
    const finest = multiples.reduce((most, { places }) => Math.max(most, places), 0)
    const all = [...multiples.map((multiple) => unitsOf(multiple, finest, 'down')), integer ? power10(finest) : 1n]
    const step = all.reduce((a, b) => (a / greatestCommonDivisor(a, b)) * b, 1n)
    this.#places = integer ? 0 : finest
    this.#step = step / power10(finest - this.#places)
    const low = from && unitsOf(from.at, this.#places, 'up')
    const high = to && unitsOf(to.at, this.#places, 'down')
    const first = from && low! + (from.exclusive && isAt(from.at, low!, this.#places) ? 1n : 0n)
    const last = to && high! - (to.exclusive && isAt(to.at, high!, this.#places) ? 1n : 0n)
    this.#ranges = [range(first, last, 0n), range(last === undefined ? undefined : -last, first === undefined ? undefined : -first, 1n)]
    this.name = `${integer} ${first} ${last} ${this.#step}e-${this.#places}`
    this.start = this.#state(START)
  }

  canEnd(state: NumberState): boolean {
    return this.distance(state) === 0
  }

  next(state: NumberState, character: string): NumberState | undefined {
    if (state === TOO_LARGE) return /\d/.test(character) ? state : undefined
    const prefix = this.#prefixes.get(state)!
    const to = this.#read(prefix, character)
    if (to === undefined) return undefined
    if (to.phase === 'whole' && to.digits > MOST_WHOLE_DIGITS && this.#range(to)?.high === undefined) return TOO_LARGE
    const next = this.#state(to)
    return this.distance(next) === Number.POSITIVE_INFINITY ? undefined : next
  }

  distance(state: NumberState): number {
    if (state === TOO_LARGE) return TOO_LARGE_DISTANCE
    let distance = this.#distances.get(state)
    if (distance === undefined) this.#distances.set(state, (distance = this.#measure(this.#prefixes.get(state)!)))
    return distance
  }

  #state(prefix: Prefix): NumberState {
    const { negative, phase, digits, places, low, high, rest } = prefix
    const key = `${negative ? '-' : ''}${phase} ${digits} ${places} ${low} ${high} ${rest}`
    if (!this.#prefixes.has(key)) this.#prefixes.set(key, prefix)
    return key
  }

  #range({ negative }: Prefix): Range | undefined {
    return this.#ranges[negative ? 1 : 0]
  }

  #read(prefix: Prefix, character: string): Prefix | undefined {
    const { phase } = prefix
    if (character === '-') return phase === 'start' ? { ...prefix, phase: 'minus', negative: true } : undefined
    if (character === '.') return !this.#integer && (phase === 'zero' || phase === 'whole') ? { ...prefix, phase: 'point' } : undefined
    if (!/\d/.test(character) || phase === 'zero') return undefined
    const digit = Number(character)
    const fraction = phase === 'point' || phase === 'fraction'
    // Beyond the places of the step only zeros may follow, which change nothing.
    if (fraction && prefix.places === this.#places) return digit === 0 ? { ...prefix, phase: 'fraction' } : undefined
    const places = prefix.places + (fraction ? 1 : 0)
    if (prefix.digits === 0 && digit === 0) return { ...prefix, phase: fraction ? 'fraction' : 'zero', places }
    const { low, high } = this.#range(prefix) ?? {}
    const against = (known: number, limit: string | undefined) =>
      known !== 0 || limit === undefined || prefix.digits >= limit.length ? known : Math.sign(digit - Number(limit[prefix.digits]))
    return {
      ...prefix,
      phase: fraction ? 'fraction' : 'whole',
      digits: prefix.digits + 1,
      places,
      low: against(prefix.low, low),
      high: against(prefix.high, high),
      rest: (prefix.rest * 10n + BigInt(digit)) % this.#step,
    }
  }

  /** Fewest characters that complete a prefix: digits before the point, then the point and digits after it. */
  #measure(prefix: Prefix): number {
    const { phase, digits } = prefix
    if (phase === 'start')
      return Math.min(...[false, true].map((negative) => (negative ? 1 : 0) + this.#measure({ ...prefix, phase: 'minus', negative })))
    const range = this.#range(prefix)
    if (range === undefined) return Number.POSITIVE_INFINITY
    if (phase === 'minus') {
      let best = Number.POSITIVE_INFINITY
      for (const character of '0123456789') best = Math.min(best, 1 + this.#measure(this.#read(prefix, character)!))
      return best
    }
    if (phase === 'point' || phase === 'fraction') {
      const least = phase === 'point' ? Math.min(this.#places, 1) : prefix.places
      for (let places = least; places <= this.#places; places++)
        if (this.#exists(prefix, range, 0, places)) return Math.max(phase === 'point' ? 1 : 0, places - prefix.places)
      return Number.POSITIVE_INFINITY
    }
    const longest = range.high?.length ?? Math.max(range.low.length, digits) + String(this.#step).length + this.#places
    let best = Number.POSITIVE_INFINITY
    for (let more = 0; digits + more + this.#places <= Math.max(longest, digits + this.#places) && more < best; more++) {
      if (more > 0 && phase === 'zero') break
      for (let places = 0; places <= this.#places; places++)
        if (this.#exists(prefix, range, more, places)) {
          best = Math.min(best, more + (places > 0 ? places + 1 : 0))
          break
        }
    }
    return best
  }

  /** Whether an allowed number is the prefix, `more` digits before the point, and then `places` digits in total after it. */
  #exists({ phase, digits, places: written, low, high, rest }: Prefix, range: Range, more: number, places: number): boolean {
    const fraction = phase === 'point' || phase === 'fraction'
    const tail = (fraction ? 0 : more) + this.#places - written // digits that follow in units
    const size = power10(tail)
    const length = digits + tail
    const lowest = least(range.low, digits, length, low, size)
    const highest = range.high === undefined ? size - 1n : most(range.high, digits, length, high, size)
    if (lowest === undefined || highest === undefined || lowest > highest) return false
    // The last digits are zeros; the rest of the tail must make the value a multiple of the step.
    const zeros = power10(this.#places - places)
    const step = this.#step / greatestCommonDivisor(this.#step, zeros)
    const [from, to] = [divide(lowest, zeros, 'up'), divide(highest, zeros, 'down')]
    const wanted = (step - (((rest % step) * ((size / zeros) % step)) % step)) % step
    const first = from + ((((wanted - from) % step) + step) % step)
    return first <= to
  }
}

function isAt(value: Decimal, units: bigint, places: number): boolean {
  return value.units * power10(places) === units * power10(value.places)
}

/** The magnitudes of one sign in units, at least `zero`; undefined when there are none. */
function range(first: bigint | undefined, last: bigint | undefined, zero: bigint): Range | undefined {
  const low = first === undefined || first < zero ? zero : first
  if (last !== undefined && last < low) return undefined
  return { low: low === 0n ? '' : String(low), high: last === undefined ? undefined : last === 0n ? '' : String(last) }
}

/** The least tail with which a prefix reaches the limit; undefined when none does. */
function least(limit: string, digits: number, length: number, order: number, size: bigint): bigint | undefined {
  if (digits === 0) return limit.length > length ? undefined : BigInt(limit || 0)
  if (length !== limit.length) return length > limit.length ? 0n : undefined
  return order > 0 ? 0n : order < 0 ? undefined : BigInt(limit) % size
}

/** The greatest tail with which a prefix stays within the limit; undefined when none does. */
function most(limit: string, digits: number, length: number, order: number, size: bigint): bigint | undefined {
  if (digits === 0) return limit.length > length ? size - 1n : BigInt(limit || 0)
  if (length !== limit.length) return length < limit.length ? size - 1n : undefined
  return order < 0 ? size - 1n : order > 0 ? undefined : BigInt(limit) % size
}
