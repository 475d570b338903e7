/**
 * A claim of the article *From GPT-2 to gpt-oss* (Raschka 2025) as a check that runs. Numbers and sentences are ours:
 * C1 to C58 in the order of the text, F1 and F2 for its first two figures. A claim that no program can decide says what
 * would decide it.
 */
import type { Backend } from '../ops/backend.ts'
import { random } from '../random/stream.ts'

/** How a claim can be decided. */
export type Kind = 'arithmetic' | 'measurement' | 'training' | 'citation'

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
}

export interface Claim {
  id: string
  says: string
  kind: Kind
  verdict: Verdict
  /** Why the verdict is not a plain `holds`, or what to bear in mind. */
  note?: string
  /** Runs the check on a backend; absent where `instead` says what deciding would take. */
  check?: (ops: Backend) => Measurement[] | Promise<Measurement[]>
  instead?: string
}

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
