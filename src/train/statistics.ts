/** Statistics of repeated runs: means, spreads, paired differences, and whether a difference exceeds the noise. */
import { mean } from '../numbers/statistics.ts'

/** A change with its sign and three decimals. */
export const signed = (x: number): string => `${x < 0 ? '−' : '+'}${Math.abs(x).toFixed(3)}`

/** Sample standard deviation; 0 for a single value. */
export function deviation(values: readonly number[]): number {
  if (values.length < 2) return 0
  const m = mean(values)
  return Math.sqrt(values.reduce((sum, v) => sum + (v - m) ** 2, 0) / (values.length - 1))
}

export interface Difference {
  mean: number
  /** Spread of the paired differences. */
  spread: number
  /** Whether the mean exceeds twice the noise floor: the larger of the paired spread and the spread between seeds. */
  exceedsNoise: boolean
}

/** b - a, seed by seed. `floor`: spread of one configuration over seeds. With a single seed nothing exceeds the noise. */
export function pairedDifference(a: readonly number[], b: readonly number[], floor: number): Difference {
  const differences = b.map((value, i) => value - a[i]!)
  const m = mean(differences)
  const spread = deviation(differences)
  return { mean: m, spread, exceedsNoise: differences.length > 1 && Math.abs(m) > 2 * Math.max(spread, floor) }
}
