/**
 * A JSON string whose content matches regular expressions, as a finite automaton over the bytes between
 * the quotes. Limits on the length are counted beside the automaton, so they do not make it larger.
 */
import type { Steps } from './cooperative.ts'
import { build, Nfa } from './nfa.ts'
import { anything, parseRegex, type Regex } from './regex.ts'
import { determinize, NoStringError, type PatternWork, patternWork, spend, type Table } from './subsets.ts'

const utf8 = new TextEncoder()
/** Numbers kept for limits on the length: one per state and length. */
const MOST_COUNTS = 4_000_000

/** What the text of a string must satisfy, all together. */
export interface StringRules {
  /** Expressions that must match, or must not. */
  readonly patterns: readonly { readonly source: string; readonly negated: boolean }[]
  /** Names that the text must not be. */
  readonly except?: readonly string[] | undefined
  /** Number of characters (code points); `most` may be Infinity. */
  readonly least: number
  readonly most: number
}

/** Deterministic automaton over bytes, with a count of characters. A position is a state plus `states` times the count. */
export class ByteAutomaton {
  /** Name for interning; equal automata of one grammar may have different names. */
  readonly name: string
  readonly #classes: Uint8Array // [256] bytes that no state distinguishes have the same class
  readonly #width: number // number of classes
  readonly #next: Int32Array // [states * width] next state or -1; every state can reach acceptance
  readonly #accepts: Uint8Array // [states]
  readonly #distance: Int32Array // [states] bytes to the nearest accepting state
  readonly #counts: Counts | undefined

  constructor(name: string, table: Table, counts: Counts | undefined) {
    this.name = name
    this.#classes = table.classes
    this.#width = table.width
    this.#next = table.next
    this.#accepts = table.accepts
    this.#distance = table.distance
    this.#counts = counts
  }

  /** The position before the first byte is 0. After a byte: a position, or -1. */
  next(position: number, byte: number): number {
    const column = this.#classes[byte]!
    const counts = this.#counts
    if (counts === undefined) return this.#next[position * this.#width + column]!
    const states = this.#accepts.length
    const state = position % states
    const to = this.#next[state * this.#width + column]!
    if (to === -1) return -1
    const count = counts.after(state, (position - state) / states)
    return count > counts.most || counts.distance(to, count) === -1 ? -1 : to + states * count
  }

  accepts(position: number): boolean {
    const states = this.#accepts.length
    return this.#accepts[position % states] === 1 && (this.#counts === undefined || position >= this.#counts.least * states)
  }

  /** Whether a text is accepted. */
  matches(text: string): boolean {
    let position = 0
    for (const byte of utf8.encode(JSON.stringify(text).slice(1, -1))) {
      position = this.next(position, byte)
      if (position === -1) return false
    }
    return this.accepts(position)
  }

  /** Bytes to the nearest accepting position. */
  distance(position: number): number {
    const state = position % this.#accepts.length
    return this.#counts === undefined ? this.#distance[state]! : this.#counts.distance(state, (position - state) / this.#accepts.length)
  }
}

/**
 * @param work the budget, which this call reduces
 * @throws SyntaxError when an expression is not supported; RangeError when the automaton is too large
 * or empty, or when the budget is used up
 */
export function* compilePattern(rules: StringRules, work = patternWork()): Steps<ByteAutomaton> {
  let { least, most } = rules
  const parts: Regex[] = [] // what holds beside the main expression
  let main: Regex | undefined
  for (const { source, negated } of rules.patterns) {
    const regex = parseRegex(source)
    const counted = negated ? undefined : countedSet(regex)
    least = Math.max(least, counted?.least ?? 0)
    most = Math.min(most, counted?.most ?? Number.POSITIVE_INFINITY)
    const whole = counted?.rest ?? regex
    if (main === undefined && !negated) main = whole
    else parts.push({ ahead: { sequence: [whole, { anchor: 'end' }] }, negated })
  }
  for (const name of rules.except ?? []) parts.push({ ahead: { sequence: [literal(name), { anchor: 'end' }] }, negated: true })
  const nfa = new Nfa()
  const start = nfa.state(true)
  const end = build(nfa, { sequence: [...parts, main ?? anything] }, start)
  const table = yield* determinize(nfa, start, end, work)
  const limited = least > 0 || most !== Number.POSITIVE_INFINITY
  return new ByteAutomaton(JSON.stringify(rules), table, limited ? yield* Counts.of(table, least, most, work) : undefined)
}

function literal(text: string): Regex {
  return { sequence: Array.from(text, (character): Regex => ({ set: [[character.codePointAt(0)!, character.codePointAt(0)!]] })) }
}

/**
 * Where an expression begins with ^[set]{2,500}$ or with the lookahead (?=[set]{2,500}$): the limits on the length, and
 * the expression without them. They are counted beside the automaton instead of making it larger.
 */
function countedSet(regex: Regex): { least: number; most: number; rest: Regex } | undefined {
  if (!('sequence' in regex)) return undefined
  const [first, ...others] = regex.sequence
  if (first === undefined) return undefined
  if ('ahead' in first && !first.negated && 'either' in first.ahead && first.ahead.either.length === 1) {
    const [only] = first.ahead.either
    if (!(only !== undefined && 'sequence' in only)) return undefined
    const [repeated, ...optional] = only.sequence.slice(0, -1)
    const end = only.sequence.at(-1)
    const isWhole =
      end !== undefined && 'anchor' in end && end.anchor === 'end' && optional.every((part) => 'repeat' in part && part.least === 0)
    const found = isWhole && repeated !== undefined ? repeatedSet(repeated) : undefined
    return found && { ...found, rest: { sequence: [{ ahead: { sequence: [found.rest, end!] }, negated: false }, ...others] } }
  }
  return others.length === 0 ? repeatedSet(first) : undefined
}

function repeatedSet(regex: Regex): { least: number; most: number; rest: Regex } | undefined {
  if (!('repeat' in regex) || !('set' in regex.repeat)) return undefined
  const { repeat, least, most } = regex
  const isLong = least >= 8 || (most >= 8 && most !== Number.POSITIVE_INFINITY)
  return isLong ? { least, most, rest: { repeat, least: 0, most: Number.POSITIVE_INFINITY } } : undefined
}

/**
 * Limits on the number of characters, beside an automaton. `#missing` has the distances while characters are
 * missing, by the count; `#left` has them afterwards, by the characters that are still allowed.
 */
class Counts {
  readonly least: number
  readonly most: number
  readonly #between: Uint8Array
  readonly #missing: readonly Int32Array[]
  readonly #left: readonly Int32Array[]

  private constructor(least: number, most: number, between: Uint8Array, missing: readonly Int32Array[], left: readonly Int32Array[]) {
    this.least = least
    this.most = most
    this.#between = between
    this.#missing = missing
    this.#left = left
  }

  static *of(table: Table, least: number, most: number, work: PatternWork): Steps<Counts> {
    const { next, width, accepts, between, distance } = table
    const states = accepts.length
    if (least > most) throw new NoStringError('no string matches the pattern within its length limits')
    // As many characters as this are never too few for the nearest end.
    const plenty = distance.reduce((a, b) => Math.max(a, b), 0)
    const tight = Math.min(plenty, most - least + 1)
    if ((least + tight) * states > MOST_COUNTS)
      throw new RangeError('a pattern with length limits of this size is not supported; use a shorter minLength or a simpler pattern')
    const order = withinCharacters(table)
    /** @param after the distances once one more character has begun; undefined when none may */
    const level = (after: Int32Array | undefined, mayEnd: boolean): Int32Array => {
      const distances = new Int32Array(states).fill(-1)
      const reach = (state: number, among: Int32Array) => {
        let best = -1
        for (let i = state * width; i < (state + 1) * width; i++) {
          const to = next[i]!
          if (to !== -1 && among[to] !== -1 && (best === -1 || among[to]! + 1 < best)) best = among[to]! + 1
        }
        distances[state] = best
      }
      for (let state = 0; state < states; state++)
        if (between[state] === 1) {
          if (mayEnd && accepts[state] === 1) distances[state] = 0
          else if (after !== undefined) reach(state, after)
        }
      for (const state of order) reach(state, distances)
      return distances
    }
    const left: Int32Array[] = []
    for (let i = 0; i < tight; i++) {
      spend(work, states * width)
      if (i % 16 === 0) yield
      left.push(level(left[i - 1], true))
    }
    if (tight === plenty) left.push(distance)
    const missing: Int32Array[] = []
    for (let count = least - 1; count >= 0; count--) {
      spend(work, states * width)
      if (count % 16 === 0) yield
      missing[count] = level(missing[count + 1] ?? left[Math.min(left.length - 1, most - least)], false)
    }
    const counts = new Counts(least, most, between, missing, left)
    if (counts.distance(0, 0) === -1) throw new NoStringError('no string matches the pattern within its length limits')
    return counts
  }

  /** The count after a byte that is read in a state. Beyond what is required it matters only below a limit. */
  after(state: number, count: number): number {
    if (this.#between[state] === 0) return count
    return this.most === Number.POSITIVE_INFINITY ? Math.min(count + 1, this.least) : count + 1
  }

  /** Bytes to the nearest end, or -1. */
  distance(state: number, count: number): number {
    if (count < this.least) return this.#missing[count]![state]!
    return this.#left[Math.min(this.#left.length - 1, this.most - count)]![state]!
  }
}

/** The states inside a character, each after those that follow it. */
function withinCharacters({ next, width, between }: Table): number[] {
  const order: number[] = []
  const seen = new Uint8Array(between.length)
  const visit = (state: number) => {
    if (between[state] === 1 || seen[state] === 1) return
    seen[state] = 1
    for (let i = state * width; i < (state + 1) * width; i++) if (next[i] !== -1) visit(next[i]!)
    order.push(state)
  }
  for (let state = 0; state < between.length; state++) visit(state)
  return order
}
