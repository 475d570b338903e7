/**
 * A claim of the article *From GPT-2 to gpt-oss* (Raschka 2025) as a check that runs. Numbers and sentences are ours:
 * C1 to C58 in the order of the text, F1 and F2 for its first two figures. What cannot be decided says why.
 */
import type { Backend } from '../ops/backend.ts'
import { random } from '../random/stream.ts'
import type { Evidence } from './evidence.ts'
import { cite, type From } from './published/sources.ts'

/** How a claim is decided; the words that say so. A claim may also use evidence of another kind, which its rows then name. */
export const KINDS = {
  computed: 'computed from published configurations',
  run: 'small runs, made now',
  training: 'recorded training',
  published: 'published numbers',
  opinion: 'not decided',
} as const
export type Kind = keyof typeof KINDS

/**
 * `imprecise`: true with the note. `dated`: true on its day. `open`: nothing published decides it.
 * A person decided the verdict once; the note is its reason. The measurements are made at every run.
 */
export type Verdict = 'holds' | 'imprecise' | 'wrong' | 'dated' | 'open' | 'opinion'

export interface Measurement {
  what: string
  expected: string
  measured: string
  agrees: boolean
  /** Where numbers come from that this run did not make: a source with place, condition and date, or a recorded run. */
  from?: string
}

export interface Claim {
  id: string
  says: string
  kind: Kind
  verdict: Verdict
  /** Why the verdict is not a plain `holds`, or what to bear in mind. */
  note?: string
  /** Experiments whose results the check reads; `lineage verify --train` runs them again. */
  experiments?: readonly string[]
  /** Runs the check on a backend; absent where `instead` says why nothing decides the claim. */
  check?: (ops: Backend, evidence: Evidence) => Measurement[] | Promise<Measurement[]>
  instead?: string
}

/** Names the source of rows that rest on published numbers. */
export const published = (from: From, ...rows: Measurement[]): Measurement[] => rows.map((row) => ({ ...row, from: cite(from) }))

/** Claims of one kind; a claim may name another. */
export const claimsOf = (kind: Kind, claims: readonly (Omit<Claim, 'kind'> & { kind?: Kind })[]): Claim[] =>
  claims.map(({ id, says, ...rest }) => ({ id, says, kind, ...rest }))

const grouped = (value: number): string => (Number.isInteger(value) ? value.toLocaleString('en-US') : String(Number(value.toPrecision(10))))

export function exactly(what: string, measured: number | string, expected: number | string): Measurement {
  const show = (value: number | string): string => (typeof value === 'number' ? grouped(value) : value)
  return { what, expected: show(expected), measured: show(measured), agrees: measured === expected }
}

/** Equal to the given number of decimals. */
export function rounded(what: string, measured: number, expected: number, decimals: number): Measurement {
  const [left, right] = [measured.toFixed(decimals), expected.toFixed(decimals)]
  return { what, expected: right, measured: left, agrees: left === right }
}

export function below(what: string, measured: number, bound: number): Measurement {
  return { what, expected: `< ${bound}`, measured: measured.toPrecision(3), agrees: measured < bound }
}

export function above(what: string, measured: number, bound: number): Measurement {
  return { what, expected: `> ${bound}`, measured: measured.toPrecision(3), agrees: measured > bound }
}

/** Uniform numbers in [-1, 1) from a seed. */
export function noise(seed: number, count: number): Float32Array {
  const next = random(seed)
  return Float32Array.from({ length: count }, () => 2 * next() - 1)
}

export const largestDifference = (a: Float32Array, b: Float32Array): number =>
  a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b[i]!)), 0)
