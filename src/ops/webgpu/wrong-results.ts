/** The error about a device whose results are wrong. */
import type { Check } from './self-check.ts'

/** Kernels of a device give wrong results, in every variant. */
export class WrongResultsError extends Error {
  override name = 'WrongResultsError'
  readonly wrong: readonly Check[]

  /** @param listed the kernels and how much they differ, in words */
  constructor(adapter: string, variants: string, wrong: readonly Check[], listed: string) {
    super(`${adapter} computes wrongly${variants} (${listed}); update its driver, or use the backend wasm`)
    this.wrong = wrong
  }
}
