/**
 * JSON numbers as automata over their characters. A state says how the digits so far compare with the
 * limits, never by rounding: a number of any length is compared exactly with the text of the limit.
 * Digits are not counted, except that a value beyond the range of doubles can no longer end.
 * number-steps.ts holds the numbers that are multiples of something, integers among them.
 */
import { compareDecimals, type Decimal, decimal, middle } from './decimal.ts'
import {
  type End,
  MOST_WHOLE_DIGITS,
  type NumberAutomaton,
  type NumberPhase,
  type NumberState,
  TOO_LARGE,
  TOO_LARGE_DISTANCE,
} from './number-automaton.ts'
import { SteppedNumber } from './number-steps.ts'

/** A limit in a schema: its value, and its text where that is at hand. */
export interface Limit {
  readonly value: number | bigint
  readonly text?: string | undefined
}

export interface Limits {
  readonly minimum?: readonly Limit[]
  readonly maximum?: readonly Limit[]
  readonly exclusiveMinimum?: readonly Limit[]
  readonly exclusiveMaximum?: readonly Limit[]
  readonly multipleOf?: readonly Limit[]
}

/**
 * Numbers within limits, all of which hold together.
 * @throws RangeError when there is none
 */
export function limitedNumber(integer: boolean, limits: Limits): NumberAutomaton {
  const low = [...ends(limits.minimum, false, integer, 1), ...ends(limits.exclusiveMinimum, true, integer, 1)]
  const high = [...ends(limits.maximum, false, integer, -1), ...ends(limits.exclusiveMaximum, true, integer, -1)]
  const from = low.reduce<End | undefined>((best, end) => (best === undefined || tighter(end, best, 1) ? end : best), undefined)
  const to = high.reduce<End | undefined>((best, end) => (best === undefined || tighter(end, best, -1) ? end : best), undefined)
  const multiples = (limits.multipleOf ?? []).map(decimalOf)
  const automaton = integer || multiples.length > 0 ? new SteppedNumber(integer, from, to, multiples) : new DenseNumber(from, to)
  if (automaton.distance(automaton.start) === Number.POSITIVE_INFINITY)
    throw new RangeError(`no ${integer ? 'integer' : 'number'} satisfies the limits`)
  return automaton
}

function decimalOf({ value, text }: Limit): Decimal {
  return decimal(text ?? (typeof value === 'number' && Number.isInteger(value) ? String(BigInt(value)) : String(value)))
}

/**
 * The ends that limits set.
 * @param direction where allowed values lie: 1 above, -1 below
 */
function ends(limits: readonly Limit[] = [], exclusive: boolean, integer: boolean, direction: 1 | -1): End[] {
  return limits.map((limit): End => {
    const { value, text } = limit
    // Fractions are compared as doubles by most readers: 0.99999999999999999999 is 1 for them, and not below 1.
    if (exclusive && !integer && typeof value === 'number') return { at: middle(value, direction), exclusive: true }
    const at = decimalOf(limit)
    // 2^63 - 1 is read as the double 2^63. Without its text, take a power of two as the limit of an integer type.
    if (text === undefined && typeof value === 'number' && !exclusive && direction === -1 && value > Number.MAX_SAFE_INTEGER)
      if (Number.isInteger(Math.log2(value))) return { at: { units: at.units - 1n, places: at.places }, exclusive }
    return { at, exclusive }
  })
}

function tighter(a: End, b: End, direction: 1 | -1): boolean {
  const order = compareDecimals(a.at, b.at) * direction
  return order > 0 || (order === 0 && a.exclusive)
}

/** The digits of a magnitude without zeros at their ends: the value is 0.DIGITS times 10^scale. */
interface Edge {
  readonly digits: string
  readonly scale: number
  readonly exclusive: boolean
}

interface Range {
  readonly low: Edge | undefined
  readonly high: Edge | undefined
}

const ZERO: Edge = { digits: '', scale: Number.NEGATIVE_INFINITY, exclusive: true }

function edge({ at: { units, places }, exclusive }: End): Edge {
  const text = String(units < 0n ? -units : units).replace(/^0+/, '')
  const digits = text.replace(/0+$/, '')
  return { digits, scale: digits === '' ? Number.NEGATIVE_INFINITY : text.length - places, exclusive }
}

/** The magnitudes of numbers of one sign; undefined when there are none. */
function magnitudes(from: End | undefined, to: End | undefined, negative: boolean): Range | undefined {
  const [low, high] = negative ? [to, from] : [from, to]
  const sign = negative ? -1n : 1n
  if (high !== undefined && high.at.units * sign < 0n) return undefined
  const range = {
    low: low === undefined || low.at.units * sign < 0n ? undefined : edge(low),
    high: high === undefined ? undefined : edge(high),
  }
  if (negative && (from !== undefined || to !== undefined)) range.low ??= ZERO // -0 is not written beside limits
  return range
}

/** What the characters of a number say so far. The magnitude is 0.DIGITS times 10^scale, DIGITS beginning with no zero. */
interface Prefix {
  readonly negative: boolean
  readonly phase: NumberPhase
  /** Before the point the number of digits; after the point fixed. */
  readonly scale: number
  /** Number of DIGITS, counted up to the length of the limits' digits; 0 for a value that is zero so far. */
  readonly digits: number
  /** Comparison of DIGITS with as many digits of the limits. */
  readonly low: number
  readonly high: number
}

const START: Prefix = { negative: false, phase: 'start', scale: 0, digits: 0, low: 0, high: 0 }
const CHARACTERS = '0123456789.-'

/** Numbers with fractions and exponents. */
class DenseNumber implements NumberAutomaton {
  readonly name: string
  readonly start: NumberState
  readonly #ranges: readonly (Range | undefined)[]
  /** Whether there is no limit at all. */
  readonly #free: boolean
  readonly #prefixes = new Map<NumberState, Prefix>()
  readonly #distances = new Map<NumberState, number>()

  constructor(from: End | undefined, to: End | undefined) {
    this.#free = from === undefined && to === undefined
    this.#ranges = [magnitudes(from, to, false), magnitudes(from, to, true)]
    this.name = JSON.stringify(this.#ranges.map((range) => [range?.low, range?.high, range === undefined]))
    this.start = this.#state(START)
  }

  canEnd(state: NumberState): boolean {
    const prefix = this.#prefixes.get(state)
    if (prefix === undefined) return state !== TOO_LARGE && exponentCanEnd(state)
    if (!['zero', 'whole', 'fraction'].includes(prefix.phase)) return false
    const { low, high } = this.#range(prefix)!
    return (
      (low === undefined || compare(prefix, low, prefix.low) >= (low.exclusive ? 1 : 0)) &&
      (high === undefined || compare(prefix, high, prefix.high) <= (high.exclusive ? -1 : 0))
    )
  }

  next(state: NumberState, character: string): NumberState | undefined {
    if (state === TOO_LARGE) return /\d/.test(character) ? state : undefined
    const prefix = this.#prefixes.get(state)
    if (prefix === undefined) return nextOfExponent(state, character)
    if (character === 'e' || character === 'E') return this.#exponent(prefix)
    const to = this.#read(prefix, character)
    if (to === undefined) return undefined
    if (to.phase === 'whole' && to.scale > MOST_WHOLE_DIGITS && this.#range(to)!.high === undefined) return TOO_LARGE
    return this.#isViable(to) ? this.#state(to) : undefined
  }

  distance(state: NumberState): number {
    const known = this.#distances.get(state)
    if (known !== undefined) return known
    if (state === TOO_LARGE) return TOO_LARGE_DISTANCE
    if (this.canEnd(state)) return 0
    // Breadth first, over the few states that differ; an exponent is never needed.
    const seen = new Map<NumberState, NumberState | undefined>([[state, undefined]])
    for (const [at] of seen)
      for (const character of this.#prefixes.has(state) ? CHARACTERS : '0123456789+-') {
        const next = this.next(at, character)
        if (next === undefined || seen.has(next)) continue
        seen.set(next, at)
        if (!this.canEnd(next)) continue
        let distance = 1
        for (let before: NumberState | undefined = at; before !== undefined; before = seen.get(before))
          this.#distances.set(before, distance++)
        return this.#distances.get(state)!
      }
    this.#distances.set(state, Number.POSITIVE_INFINITY)
    return Number.POSITIVE_INFINITY
  }

  #state(prefix: Prefix): NumberState {
    const { negative, phase, scale, digits, low, high } = prefix
    const range = this.#range(prefix)
    const counted = (range?.low && low === 0) || (range?.high && high === 0) ? digits : digits && 1
    const key = `${negative ? '-' : ''}${phase} ${scale} ${counted} ${range?.low ? low : 0} ${range?.high ? high : 0}`
    if (!this.#prefixes.has(key)) this.#prefixes.set(key, prefix)
    return key
  }

  #range(prefix: Prefix): Range | undefined {
    return this.#ranges[prefix.negative ? 1 : 0]
  }

  #read(prefix: Prefix, character: string): Prefix | undefined {
    const { phase } = prefix
    if (character === '-') {
      const minus: Prefix = { ...prefix, phase: 'minus', negative: true }
      return phase === 'start' ? minus : undefined
    }
    if (character === '.') return phase === 'zero' || phase === 'whole' ? { ...prefix, phase: 'point' } : undefined
    if (!/\d/.test(character) || phase === 'zero') return undefined
    const fraction = phase === 'point' || phase === 'fraction'
    if (prefix.digits === 0 && character === '0')
      return fraction ? { ...prefix, phase: 'fraction', scale: prefix.scale - 1 } : { ...prefix, phase: 'zero' }
    const { low, high } = this.#range(prefix) ?? {}
    const length = Math.max(low?.digits.length ?? 0, high?.digits.length ?? 0)
    const against = (known: number, limit: Edge | undefined) =>
      known !== 0 || limit === undefined ? known : Math.sign(character.charCodeAt(0) - (limit.digits.charCodeAt(prefix.digits) || 0x30))
    return {
      ...prefix,
      phase: fraction ? 'fraction' : 'whole',
      scale: fraction ? prefix.scale : prefix.scale + 1,
      digits: Math.min(prefix.digits + 1, Math.max(1, length)),
      low: against(prefix.low, low),
      high: against(prefix.high, high),
    }
  }

  /** Whether an allowed number begins with the prefix, without an exponent. */
  #isViable(prefix: Prefix): boolean {
    const { phase, scale, digits } = prefix
    const range = this.#range(prefix)
    if (range === undefined) return false
    if (phase === 'minus') return [...'0123456789'].some((digit) => this.#isViable(this.#read(prefix, digit)!))
    const { low, high } = range
    if (digits === 0) {
      // Zero so far: the values from 0 to below 10^scale.
      const isLow = low === undefined || low.scale <= scale
      const isHigh =
        high === undefined || high.digits !== '' || (!high.exclusive && (low === undefined || (low.digits === '' && !low.exclusive)))
      return isLow && isHigh
    }
    const beyond = high !== undefined && (prefix.high > 0 || (prefix.high === 0 && high.exclusive && digits >= high.digits.length))
    const least = low === undefined ? Number.NEGATIVE_INFINITY : prefix.low < 0 ? low.scale + 1 : low.scale
    const most = high === undefined ? Number.POSITIVE_INFINITY : beyond ? high.scale - 1 : high.scale
    if (phase !== 'whole') return scale >= least && scale <= most
    return Math.max(scale, least) <= most
  }

  /** The state after the letter e: the exponents with which the value stays within the limits. */
  #exponent(prefix: Prefix): NumberState | undefined {
    const { phase, scale, digits } = prefix
    if (!['zero', 'whole', 'fraction'].includes(phase)) return undefined
    if (digits === 0) return this.#free ? exponentState('', -1, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY) : undefined
    const { low, high } = this.#range(prefix)!
    let least = Number.NEGATIVE_INFINITY
    if (low !== undefined && low.digits === '') least = low.exclusive ? -SMALLEST_EXPONENT - scale : least
    else if (low !== undefined)
      least = low.scale - scale + (compare({ ...prefix, scale: low.scale }, low, prefix.low) < (low.exclusive ? 1 : 0) ? 1 : 0)
    if (high === undefined) return exponentState('', -1, least, MOST_WHOLE_DIGITS - scale) // finite as a double
    const most = high.scale - scale - (compare({ ...prefix, scale: high.scale }, high, prefix.high) > (high.exclusive ? -1 : 0) ? 1 : 0)
    return least <= most ? exponentState('', -1, least, most) : undefined
  }
}

/** Smaller magnitudes than 10^-300 are not written by an exponent where zero is excluded: a double could be zero. */
const SMALLEST_EXPONENT = 300

/** Compares the value of a prefix, ended here, with a limit. */
function compare(prefix: Prefix, limit: Edge, digits: number): number {
  if (prefix.digits === 0) return limit.digits === '' ? 0 : -1
  if (prefix.scale !== limit.scale) return prefix.scale - limit.scale
  return digits !== 0 ? digits : prefix.digits >= limit.digits.length ? 0 : -1
}

/** @param value the digits of the exponent so far, -1 before the first; beyond 9999 all are alike */
function exponentState(sign: string, value: number, least: number, most: number): NumberState {
  return `e ${sign} ${value} ${least} ${most}`
}

function exponentCanEnd(state: NumberState): boolean {
  const [, sign, text, least, most] = state.split(' ')
  const value = Number(text) * (sign === '-' ? -1 : 1)
  return text !== '-1' && value >= Number(least) && value <= Number(most)
}

function nextOfExponent(state: NumberState, character: string): NumberState | undefined {
  const [, sign = '', text, leastText, mostText] = state.split(' ')
  const [before, least, most] = [Number(text), Number(leastText), Number(mostText)]
  const [from, to] = sign === '-' ? [Math.max(0, -most), -least] : [Math.max(0, least), most]
  if (character === '+' || character === '-') {
    const exists = character === '-' ? least <= 0 : most >= 0
    return sign === '' && before === -1 && exists ? exponentState(character, -1, least, most) : undefined
  }
  if (!/\d/.test(character)) return undefined
  const value = Math.min(9999, Math.max(0, before) * 10 + Number(character))
  for (let low = value, high = value; low <= to; low *= 10, high = high * 10 + 9) {
    if (high >= from) return exponentState(sign === '' ? '+' : sign, value, least, most)
    if (low === 0 && high > 9999) break
  }
  return undefined
}

/** Any number that is finite as a double. */
export const anyNumber: NumberAutomaton = new DenseNumber(undefined, undefined)
