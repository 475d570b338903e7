/**
 * The focused experiments: effects of single steps that are visible in small models within minutes. Each has an expectation with its
 * source, runs, and a rule that turns the results into an outcome. The outcome may be that nothing, or the opposite, was seen.
 */
import { induction, kvHeads, positions, sinks, window } from './experiments/attention.ts'
import { cutDown, depth, dropout, experts, facts, lookUp } from './experiments/capacity.ts'
import { keyBias } from './experiments/exact.ts'
import type { Experiment, Texts } from './experiments/experiment.ts'
import { data, gate, norms, widths } from './experiments/parts.ts'

export type { Experiment, Finding, Outcome, Texts } from './experiments/experiment.ts'

export function experiments(texts: Texts): Experiment[] {
  return [
    dropout(texts),
    positions,
    window,
    widths(texts),
    kvHeads,
    induction,
    sinks,
    gate(texts),
    norms(texts),
    depth(texts),
    data(texts),
    experts(texts),
    facts,
    lookUp,
    cutDown(texts),
    keyBias,
  ]
}
