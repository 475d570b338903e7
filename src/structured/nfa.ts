/**
 * Thompson's construction: regular expressions to a nondeterministic automaton over the bytes between
 * the quotes of a JSON string. Characters are written raw where JSON allows it, otherwise as their
 * shortest escape. A lookahead is an automaton of its own beside the main one.
 */
import { anything, type CodeRange, normalized, type Regex } from './regex.ts'

const MOST_NFA_STATES = 100_000

export class Nfa {
  /** Epsilon transitions: states reached without reading. */
  readonly free: number[][] = []
  /** Transitions [first byte, last byte, next state]. */
  readonly moves: [number, number, number][][] = []
  /** Whether a state is between two characters. */
  readonly between: boolean[] = []
  /** Transitions that read nothing, under a condition. */
  readonly conditions: (Condition[] | undefined)[] = []

  state(between: boolean): number {
    if (this.free.length >= MOST_NFA_STATES)
      throw new RangeError(`a pattern of this size is not supported (more than ${MOST_NFA_STATES} states)`)
    this.free.push([])
    this.moves.push([])
    this.between.push(between)
    return this.free.length - 1
  }
}

export interface Condition {
  readonly to: number
  /** `ahead`: an automaton that must, or must not, accept the rest of the text. */
  readonly that: 'start' | 'end' | { readonly first: number; readonly last: number; readonly negated: boolean }
}

/** Adds the states of an expression after state `from`. Returns its last state. */
export function build(nfa: Nfa, regex: Regex, from: number): number {
  if ('set' in regex) {
    const to = nfa.state(true)
    addSet(nfa, normalized(regex.set), from, to)
    return to
  }
  if ('sequence' in regex) return regex.sequence.reduce((at, part) => build(nfa, part, at), from)
  if ('either' in regex) {
    const to = nfa.state(true)
    for (const branch of regex.either) {
      const entry = nfa.state(true)
      nfa.free[from]!.push(entry)
      nfa.free[build(nfa, branch, entry)]!.push(to)
    }
    return to
  }
  if ('anchor' in regex) return conditional(nfa, from, regex.anchor)
  if ('ahead' in regex) {
    const first = nfa.state(true)
    const last = build(nfa, { sequence: [regex.ahead, anything] }, first)
    return conditional(nfa, from, { first, last, negated: regex.negated })
  }
  let at = from
  for (let i = 0; i < regex.least; i++) at = build(nfa, regex.repeat, at)
  if (regex.most === Number.POSITIVE_INFINITY) {
    const loop = nfa.state(true)
    nfa.free[at]!.push(loop)
    nfa.free[build(nfa, regex.repeat, loop)]!.push(loop)
    return loop
  }
  const to = nfa.state(true)
  for (let i = regex.least; i < regex.most; i++) {
    nfa.free[at]!.push(to)
    at = build(nfa, regex.repeat, at)
  }
  nfa.free[at]!.push(to)
  return to
}

function conditional(nfa: Nfa, from: number, that: Condition['that']): number {
  const to = nfa.state(true)
  nfa.conditions[from] ??= []
  nfa.conditions[from].push({ to, that })
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
  const rests = new Map<string, number>()
  const path = (at: number, bytes: string) => {
    for (const byte of bytes) {
      const next = nfa.state(false)
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
      if (first <= high && last >= low) addUtf8(nfa, utf8(Math.max(first, low)), utf8(Math.min(last, high)), from, to, rests)
  }
}

/**
 * All UTF-8 sequences from `low` to `high`, which have equal length.
 * @param rests the states before what remains of a sequence, which several ranges share
 */
function addUtf8(nfa: Nfa, low: readonly number[], high: readonly number[], from: number, to: number, rests: Map<string, number>): void {
  const [first, ...lowRest] = low as [number, ...number[]]
  const [last, ...highRest] = high as [number, ...number[]]
  if (lowRest.length === 0) {
    nfa.moves[from]!.push([first, last, to])
    return
  }
  const lowest = lowRest.map(() => 0x80)
  const highest = lowRest.map(() => 0xbf)
  const step = (a: number, b: number, rest: readonly number[], restHigh: readonly number[]) => {
    const name = `${rest.join()}-${restHigh.join()}`
    let middle = rests.get(name)
    if (middle === undefined) {
      middle = nfa.state(false)
      rests.set(name, middle)
      addUtf8(nfa, rest, restHigh, middle, to, rests)
    }
    nfa.moves[from]!.push([a, b, middle])
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
