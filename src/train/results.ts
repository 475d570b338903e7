/** What results of small runs say about a variant or between two: means over seeds, and changes seed by seed. */
import { mean } from '../numbers/statistics.ts'
import type { SmallRunResult } from './small-run.ts'
import { type Difference, deviation, pairedDifference } from './statistics.ts'

/** A result without the way to it, as it is recorded. */
export type RunResult = Omit<SmallRunResult, 'curve'>

export const of = <R extends { label: string }>(results: readonly R[], label: string): R[] => results.filter((r) => r.label === label)
export const accuracy = (results: readonly RunResult[], label: string): number => mean(of(results, label).map((r) => r.accuracy))
export const loss = (results: readonly RunResult[], label: string): number => mean(of(results, label).map((r) => r.loss))
export const best = (results: readonly RunResult[], label: string): number => mean(of(results, label).map((r) => r.bestLoss))
export const labels = (results: readonly RunResult[]): string[] => [...new Set(results.map(({ label }) => label))]
/** The loss of b less that of a, seed by seed. */
export function change(results: readonly RunResult[], a: string, b: string): Difference {
  const bySeed = (label: string) =>
    of(results, label)
      .toSorted((x, y) => x.seed - y.seed)
      .map(({ loss }) => loss)
  const [from, to] = [bySeed(a), bySeed(b)]
  return pairedDifference(from, to, Math.max(deviation(from), deviation(to)))
}
export const percent = (x: number): string => `${(100 * x).toFixed(1)} %`

/** Of the experiment `data`: mean changes of the loss, each over both levels of the other factor. */
export function dataAgainstArchitecture(results: readonly RunResult[]) {
  const between = (a: string, b: string) => change(results, a, b).mean
  return {
    byData: (between('GPT-2, a fifth spoiled', 'GPT-2, clean text') + between('modern, a fifth spoiled', 'modern, clean text')) / 2,
    byArchitecture: (between('GPT-2, clean text', 'modern, clean text') + between('GPT-2, a fifth spoiled', 'modern, a fifth spoiled')) / 2,
  }
}
