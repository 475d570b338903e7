/** The measurements of one run of an engine, and the type of the results behind docs/benchmarks.md. */

export interface Visit {
  /** Per repetition: from the start to the first id; mean of the decode steps. */
  prefillMs: number[]
  decodeMs: number[]
  loadMs: number
  peakResidentBytes: number
}

export interface Series {
  engine: 'lineage' | 'llama.cpp'
  precision: string
  threads: number
  /** In the order in which they were made, alternating with the other series of the case. */
  visits: Visit[]
}

export interface PeerCase {
  name: string
  prompt: number
  generate: number
  series: Series[]
  /** Median read bandwidth of each probe before and after Lineage's visits, bytes per second. */
  readBytesPerSecond: number[]
  /** Bytes of weights and cache that one decoded token reads, in published dtypes. */
  decodeBytes: number
  /** Load average (one minute) before the first visit: near 0 on a quiet machine. */
  loadAverage: number
}

export interface PeerResults {
  kind: 'peers'
  date: string
  cpu: string
  node: string
  peer: string
  cases: PeerCase[]
}

export const option = (text: string | undefined, fallback: number): number => {
  const value = text === undefined ? fallback : Number(text)
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`expected a whole number, got ${text}`)
  return value
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
