/**
 * The focused experiments: effects of the road that are visible in small models within minutes, each with what is expected, what is run, and a
 * rule that turns the results into an outcome. An outcome may be that nothing, or the opposite, was seen. Expectations: the papers named at each.
 */
import { induction, positions, sinks, window } from './experiments/attention.ts'
import { depth, dropout, experts, facts } from './experiments/capacity.ts'
import { keyBias } from './experiments/exact.ts'
import type { Experiment, Texts } from './experiments/kit.ts'

export type { Experiment, Finding, Outcome, Texts } from './experiments/kit.ts'

export function experiments(texts: Texts): Experiment[] {
  return [dropout(texts), positions, window, induction, sinks, depth(texts), experts(texts), facts, keyBias]
}
