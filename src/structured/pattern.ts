/**
 * A JSON string whose content matches a regular expression, as a finite automaton over the bytes
 * between the quotes. Thompson's construction, then the subset construction, both with size limits.
 * Characters are written raw where JSON allows it, otherwise as their shortest escape.
 */
import type { Steps } from './cooperative.ts'
import { type CodeRange, normalized, parseRegex, type Regex } from './regex.ts'

/** Deterministic automaton over bytes. Every state can reach acceptance. */
export interface ByteAutomaton {
  /** Name for interning; equal automata of one grammar may have different names. */
  readonly name: string
  readonly start: number
  /** [states * 256] next state or -1. */
  readonly next: Int32Array
  readonly accepts: readonly boolean[]
  /** [states] bytes to the nearest accepting state. */
  readonly distance: Int32Array
}

/** A budget for building automata, shared by the patterns of one schema. One unit is one transition examined. */
export interface PatternWork {
  remaining: number
}

/** The budget of one schema: less than a second of work in total. */
export const patternWork = (): PatternWork => ({ remaining: MOST_WORK })

const MOST_WORK = 80_000_000
/** Units between two pauses: about a millisecond. */
const WORK_OF_STEP = 100_000
/** Units for building, pruning and copying a row of 256 entries. */
const WORK_OF_ROW = 2000
/** Rows of the table between two pauses. */
const ROWS_OF_STEP = 128
/** Units for building and visiting a state of the nondeterministic automaton. */
const WORK_OF_STATE = 400
const MOST_NFA_STATES = 40_000
const MOST_STATES = 4096

interface Nfa {
  /** Epsilon transitions: states reached without reading. */
  readonly free: number[][]
  /** Transitions [first byte, last byte, next state]. */
  readonly moves: [number, number, number][][]
  /** Whether a state is between two characters. */
  readonly between: boolean[]
}

/**
 * @param least, most number of characters (code points) of the text; most may be Infinity
 * @param work the budget, which this call reduces
 * @throws SyntaxError when the expression is not supported; RangeError when its automaton is too large
 * or empty, or when the budget is used up
 */
export function* compilePattern(pattern: string, least = 0, most = Number.POSITIVE_INFINITY, work = patternWork()): Steps<ByteAutomaton> {
  const nfa: Nfa = { free: [], moves: [], between: [] }
  const start = state(nfa, true)
  const end = build(nfa, parseRegex(pattern), start)
  spend(work, WORK_OF_STATE * nfa.free.length)
  return yield* pruned(
    yield* determinize(nfa, start, end, least, most, work),
    JSON.stringify([pattern, least, most === Number.POSITIVE_INFINITY ? null : most]),
  )
}

function spend(work: PatternWork, units: number): void {
  work.remaining -= units
  if (work.remaining < 0) throw new RangeError('the patterns of this schema cost too much together; use fewer or simpler ones')
}

function state(nfa: Nfa, between: boolean): number {
  if (nfa.free.length >= MOST_NFA_STATES)
    throw new RangeError(`a pattern of this size is not supported (more than ${MOST_NFA_STATES} states)`)
  nfa.free.push([])
  nfa.moves.push([])
  nfa.between.push(between)
  return nfa.free.length - 1
}

/** Adds the states of an expression after state `from`. Returns its last state. */
function build(nfa: Nfa, regex: Regex, from: number): number {
  if ('set' in regex) {
    const to = state(nfa, true)
    addSet(nfa, normalized(regex.set), from, to)
    return to
  }
  if ('sequence' in regex) return regex.sequence.reduce((at, part) => build(nfa, part, at), from)
  if ('either' in regex) {
    const to = state(nfa, true)
    for (const branch of regex.either) {
      const entry = state(nfa, true)
      nfa.free[from]!.push(entry)
      nfa.free[build(nfa, branch, entry)]!.push(to)
    }
    return to
  }
  let at = from
  for (let i = 0; i < regex.least; i++) at = build(nfa, regex.repeat, at)
  if (regex.most === Number.POSITIVE_INFINITY) {
    const loop = state(nfa, true)
    nfa.free[at]!.push(loop)
    nfa.free[build(nfa, regex.repeat, loop)]!.push(loop)
    return loop
  }
  const to = state(nfa, true)
  for (let i = regex.least; i < regex.most; i++) {
    nfa.free[at]!.push(to)
    at = build(nfa, regex.repeat, at)
  }
  nfa.free[at]!.push(to)
  return to
}

const shortEscapes = new Map([
  [8, 'b'],
  [9, 't'],
  [10, 'n'],
  [12, 'f'],
  [13, 'r'],
  [0x22, '"'],
  [0x5c, '\\'],
])

/** One character of a set, written in JSON. */
function addSet(nfa: Nfa, ranges: readonly CodeRange[], from: number, to: number): void {
  let escaped = -1
  let control = -1
  const controlDigit = [-1, -1]
  const path = (at: number, bytes: string) => {
    for (const byte of bytes) {
      const next = state(nfa, false)
      nfa.moves[at]!.push([byte.charCodeAt(0), byte.charCodeAt(0), next])
      at = next
    }
    return at
  }
  for (const [first, last] of ranges) {
    for (let code = first; code <= Math.min(last, 0x5c); code++) {
      const short = shortEscapes.get(code)
      if (short === undefined && code >= 0x20) continue
      if (escaped === -1) escaped = path(from, '\\')
      if (short !== undefined) nfa.moves[escaped]!.push([short.charCodeAt(0), short.charCodeAt(0), to])
      else {
        if (control === -1) control = path(escaped, 'u00')
        const tens = code >> 4
        if (controlDigit[tens] === -1) controlDigit[tens] = path(control, String(tens))
        const digit = (code & 15).toString(16).charCodeAt(0)
        nfa.moves[controlDigit[tens]!]!.push([digit, digit, to])
      }
    }
    for (const [low, high] of [
      [0x20, 0x21],
      [0x23, 0x5b],
      [0x5d, 0x7f],
    ] as const)
      if (first <= high && last >= low) nfa.moves[from]!.push([Math.max(first, low), Math.min(last, high), to])
    for (const [low, high] of [
      [0x80, 0x7ff],
      [0x800, 0xd7ff],
      [0xe000, 0xffff],
      [0x10000, 0x10ffff],
    ] as const)
      if (first <= high && last >= low) addUtf8(nfa, utf8(Math.max(first, low)), utf8(Math.min(last, high)), from, to)
  }
}

/** All UTF-8 sequences from `low` to `high`, which have equal length. */
function addUtf8(nfa: Nfa, low: readonly number[], high: readonly number[], from: number, to: number): void {
  const [first, ...lowRest] = low as [number, ...number[]]
  const [last, ...highRest] = high as [number, ...number[]]
  if (lowRest.length === 0) {
    nfa.moves[from]!.push([first, last, to])
    return
  }
  const lowest = lowRest.map(() => 0x80)
  const highest = lowRest.map(() => 0xbf)
  const step = (a: number, b: number, rest: readonly number[], restHigh: readonly number[]) => {
    const middle = state(nfa, false)
    nfa.moves[from]!.push([a, b, middle])
    addUtf8(nfa, rest, restHigh, middle, to)
  }
  if (first === last) {
    step(first, first, lowRest, highRest)
    return
  }
  const wholeLow = lowRest.every((byte) => byte === 0x80)
  const wholeHigh = highRest.every((byte) => byte === 0xbf)
  if (!wholeLow) step(first, first, lowRest, highest)
  if (!wholeHigh) step(last, last, lowest, highRest)
  const a = wholeLow ? first : first + 1
  const b = wholeHigh ? last : last - 1
  if (a <= b) step(a, b, lowest, highest)
}

function utf8(code: number): number[] {
  return [...new TextEncoder().encode(String.fromCodePoint(code))]
}

interface Raw {
  next: Int32Array[]
  accepts: boolean[]
}

/** The subset construction. Where the length is limited, states also count characters. */
function* determinize(nfa: Nfa, start: number, end: number, least: number, most: number, work: PatternWork): Steps<Raw> {
  const limit = most === Number.POSITIVE_INFINITY ? least : most
  const known = new Map<string, number>()
  const sets: { states: number[]; count: number }[] = []
  const enter = (states: number[], count: number): number => {
    const key = `${count}:${states.join()}`
    let id = known.get(key)
    if (id === undefined) {
      if (sets.length >= MOST_STATES)
        throw new RangeError(`a pattern of this size is not supported (its automaton has more than ${MOST_STATES} states)`)
      id = sets.push({ states, count }) - 1
      known.set(key, id)
    }
    return id
  }
  const next: Int32Array[] = []
  const accepts: boolean[] = []
  enter(closure(nfa, [start]), 0)
  let pauseAt = work.remaining
  for (let id = 0; id < sets.length; id++) {
    const { states, count } = sets[id]!
    const row = new Int32Array(256).fill(-1)
    next.push(row)
    accepts.push(states.includes(end) && count >= least)
    const between = nfa.between[states[0]!]!
    if (between && count === limit && most !== Number.POSITIVE_INFINITY) continue
    const after = between ? Math.min(count + 1, limit) : count
    const edges = new Set([0, 256])
    for (const from of states)
      for (const [first, last] of nfa.moves[from]!) {
        edges.add(first)
        edges.add(last + 1)
      }
    const cuts = [...edges].sort((a, b) => a - b)
    const moves = states.reduce((sum, from) => sum + nfa.moves[from]!.length, states.length)
    spend(work, WORK_OF_ROW)
    for (let i = 0; i + 1 < cuts.length; i++) {
      if (work.remaining < pauseAt) {
        pauseAt = work.remaining - WORK_OF_STEP
        yield
      }
      const byte = cuts[i]!
      const targets: number[] = []
      spend(work, moves)
      for (const from of states) for (const [first, last, to] of nfa.moves[from]!) if (byte >= first && byte <= last) targets.push(to)
      if (targets.length === 0) continue
      const reached = closure(nfa, targets)
      spend(work, 30 * reached.length) // to sort, join and look up
      row.fill(enter(reached, after), byte, cuts[i + 1])
    }
  }
  return { next, accepts }
}

function closure(nfa: Nfa, states: readonly number[]): number[] {
  const seen = new Set(states)
  for (const from of seen) for (const to of nfa.free[from]!) seen.add(to)
  return [...seen].sort((a, b) => a - b)
}

/** Removes the states from which no text is accepted. */
function* pruned({ next, accepts }: Raw, name: string): Steps<ByteAutomaton> {
  const before: number[][] = next.map(() => [])
  for (const [from, row] of next.entries()) {
    if (from % ROWS_OF_STEP === 0) yield
    for (const to of new Set(row)) if (to !== -1) before[to]!.push(from)
  }
  const distance = new Int32Array(next.length).fill(-1)
  const queue: number[] = []
  accepts.forEach((accepting, id) => {
    if (!accepting) return
    distance[id] = 0
    queue.push(id)
  })
  for (const to of queue)
    for (const from of before[to]!) {
      if (distance[from] !== -1) continue
      distance[from] = distance[to]! + 1
      queue.push(from)
    }
  if (distance[0] === -1) throw new RangeError('no string matches the pattern within its length limits')
  const table = new Int32Array(next.length * 256).fill(-1)
  for (const [from, row] of next.entries()) {
    if (from % ROWS_OF_STEP === 0) yield
    for (let byte = 0; byte < 256; byte++) {
      const to = row[byte]!
      if (to !== -1 && distance[to] !== -1) table[from * 256 + byte] = to
    }
  }
  return { name, start: 0, next: table, accepts, distance }
}
