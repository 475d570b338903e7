/**
 * Intervals of scores: Wilson's for shares of independent items, the bootstrap over items for everything else. Both cover 95 %.
 * Wilson 1927; Efron 1979 (percentiles); pass@k: Chen et al. 2021 (Codex).
 */
import { random } from '../random/stream.ts'

const Z = 1.959964
const RESAMPLES = 1000

export type Interval = readonly [low: number, high: number]

/** Wilson's score interval of a share. */
export function wilson(right: number, of: number): Interval {
  if (of === 0) return [0, 1]
  const p = right / of
  const centre = (p + (Z * Z) / (2 * of)) / (1 + (Z * Z) / of)
  const half = (Z * Math.sqrt((p * (1 - p)) / of + (Z * Z) / (4 * of * of))) / (1 + (Z * Z) / of)
  return [Math.max(0, centre - half), Math.min(1, centre + half)]
}

/** The 2.5th and 97.5th percentile of a statistic over 1,000 samples of the items with replacement, always the same ones. */
export function bootstrap<T>(items: readonly T[], statistic: (sample: readonly T[]) => number): Interval | undefined {
  if (items.length < 2) return undefined
  const next = random(items.length)
  const values = new Float64Array(RESAMPLES)
  for (let i = 0; i < RESAMPLES; i++) values[i] = statistic(items.map(() => items[Math.floor(next() * items.length)]!))
  values.sort()
  return [values[Math.floor(0.025 * RESAMPLES)]!, values[Math.ceil(0.975 * RESAMPLES) - 1]!]
}

export const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** The mean square of the distances from the mean. */
export function variance(values: readonly number[]): number {
  const m = mean(values)
  return mean(values.map((value) => (value - m) ** 2))
}

/** The chance that one of k samples is right, estimated from n samples of which c are. Unbiased. */
export function passAtK(n: number, c: number, k: number): number {
  if (n - c < k) return 1
  let none = 1
  for (let i = n - c + 1; i <= n; i++) none *= 1 - k / i
  return 1 - none
}
