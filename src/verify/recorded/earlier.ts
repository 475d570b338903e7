/**
 * Measurements of 2026-11-24 that docs/lineage.md describes: means and spreads over seeds, on tinyshakespeare by characters where a text is read.
 * Single runs were not kept. Losses in nats per token.
 */

/** A change of the held-out loss, or a share in percent. */
export interface Earlier {
  what: string
  command: string
  seeds: number
  mean: number
  /** Over seeds; null where only the mean was kept. */
  spread: number | null
}

export const EARLIER_DATE = '2026-11-24'
const LADDER = 'lineage ladder --data tinyshakespeare.txt'
const step = (what: string, mean: number, spread: number): Earlier => ({ what, command: LADDER, seeds: 3, mean, spread })
const experiment = (name: string, what: string, seeds: number, mean: number, spread: number | null = null): Earlier => {
  const text = ['sinks', 'facts'].includes(name) ? '' : ' --data tinyshakespeare.txt'
  return { what, command: `lineage experiment ${name}${text} --seeds ${seeds}`, seeds, mean, spread }
}

export const EARLIER = {
  dropoutOnce: experiment('dropout', 'change of the loss by p = 0.2, 0.3 passes', 2, 0.168),
  dropoutOften: experiment('dropout', 'the same, 54 passes over little text', 2, -0.248),
  depth: experiment('depth', 'loss of four layers of 64 less that of one of 128', 3, -0.058),
  smallExperts: experiment('experts', 'loss of 16 experts of 32 less 4 of 128, 8 and 2 active', 3, 0.009, 0.013),
  sinkNone: experiment('sinks', 'attention on the first token, questions without an answer, second layer, %', 3, 24),
  sinkFour: experiment('sinks', '… with a sink logit that starts at 4, %', 3, 6.9),
  sinkShare: experiment('sinks', '… that goes to the sink instead, %', 3, 12.9),
  factsDense: experiment('facts', 'facts remembered, dense of width 64, %', 3, 56),
  factsMixture: experiment('facts', '… mixture of the same active width, 8 experts of 32, 2 active, %', 3, 92),
  ladderRmsNorm: step('loss with RMSNorm less that with LayerNorm', 0.004, 0.002),
  ladderRope: step('loss with rotary less that with learned positions', -0.134, 0.008),
  ladderGate: step('loss with a gate less that without, equal parameters', -0.063, 0.004),
  ladderGrouped: step('loss with grouped queries less that without', -0.001, 0.009),
  ladderWindow: step('loss with windows of 16 in every other layer less that without', -0.005, 0.007),
  ladderMixture: step('loss with a mixture less that without, equal active width', -0.025, 0.003),
} satisfies Record<string, Earlier>

/** Held-out losses of the ladder without a gate and with one (its steps rope and swiglu), and how they were trained. */
export const GATE_LOSSES = {
  gelu: { loss: 1.755, spread: 0.013, parameters: 800512 },
  swiglu: { loss: 1.692, spread: 0.012, parameters: 814336 },
  steps: 1160,
}
