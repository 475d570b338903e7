/**
 * The focused experiments: effects of single steps that are visible in small models within minutes. Each has an expectation with its
 * source, runs, and a rule that turns the results into an outcome. The outcome may be that nothing, or the opposite, was seen.
 */
import { induction, positions, sinks, window } from './experiments/attention.ts'
import { depth, dropout, experts, facts } from './experiments/capacity.ts'
import { keyBias } from './experiments/exact.ts'
import type { Experiment, Texts } from './experiments/experiment.ts'

export type { Experiment, Finding, Outcome, Texts } from './experiments/experiment.ts'

export function experiments(texts: Texts): Experiment[] {
  return [dropout(texts), positions, window, induction, sinks, depth(texts), experts(texts), facts, keyBias]
}
