/** What all experiments share: the interface, models to vary, runs per seed, and statistics of results. */

import type { Architecture, FeedForward, Gated, MultiHead } from '../../architecture/architecture.ts'
import { multiHeadOf } from '../../architecture/slots.ts'
import { mean } from '../../numbers/statistics.ts'
import { accuracy, labels, loss, of, percent, type RunResult } from '../results.ts'
import { smallModels } from '../small-models.ts'
import { type DataSpec, type SmallRun, shortRun } from '../small-run.ts'

export interface Finding {
  label: string
  value: string
}

export interface Outcome {
  verdict: 'as expected' | 'not visible' | 'opposite'
  findings: Finding[]
}

export interface Experiment {
  name: string
  title: string
  expectation: string
  source: string
  /** Runs; none where a computation is enough. `scale` shortens or lengthens all of them. */
  runs(scale: number, seeds: number): SmallRun[]
  conclude(results: readonly RunResult[]): Outcome
}

/** Text by characters, for the experiments about loss. */
export interface Texts {
  /** Character ids of a long text, and how many characters there are. */
  ids: Int32Array
  vocabSize: number
}

export const small = (vocabSize: number, block: number, layers: number, width: number, heads = 4, dropout = 0) =>
  smallModels({ vocabSize, block, layers, heads, width, dropout }, { slidingWindow: 8, headsPerGroup: 1 })

/** GPT-2 with RMSNorm, rotary positions and a gate, without biases. */
export const modern = (vocabSize: number, block: number, layers: number, width: number, heads = 4): Architecture =>
  small(vocabSize, block, layers, width, heads).find(({ name }) => name === 'no-biases')!.architecture

export const attention = (architecture: Architecture, change: (slot: MultiHead, index: number) => Partial<MultiHead>): Architecture => ({
  ...architecture,
  layers: architecture.layers.map((layer, i) => {
    const slot = multiHeadOf(architecture, i)
    return { ...layer, attention: { ...slot, ...change(slot, i) } }
  }),
})

export const feedForward = (architecture: Architecture, slot: FeedForward): Architecture => ({
  ...architecture,
  layers: architecture.layers.map((layer) => ({ ...layer, feedForward: slot })),
})

export const gated = (width: number, activation: Gated = { kind: 'swiglu' }): FeedForward => ({
  kind: 'gated',
  intermediateSize: width,
  activation,
  bias: false,
})

export const mixture = (experts: number, active: number, width: number): FeedForward => ({
  kind: 'moe',
  experts,
  expertsPerToken: active,
  intermediateSize: width,
  activation: { kind: 'swiglu' },
  bias: false,
  router: { kind: 'topkSoftmax', bias: false, auxLossCoef: 0.01 },
})

/** Windows of 64 of a text, the end of which is held out. */
export const readText = (ids: Int32Array, heldOut = 0.1): DataSpec => ({ kind: 'text', ids, block: 64, batch: 12, heldOut })

/** What the variants of an experiment share. */
export interface Setting {
  steps: number
  scale: number
  seeds: number
  /** Highest learning rate. Default 4e-3. */
  rate?: number
}

/** One run per seed. */
export function perSeed(
  label: string,
  architecture: Architecture,
  data: DataSpec,
  setting: Setting,
  extra: Partial<SmallRun> = {},
): SmallRun[] {
  const { steps, scale, seeds, rate = 4e-3 } = setting
  const count = Math.max(10, Math.round(steps * scale))
  return Array.from({ length: seeds }, (_, i) => ({
    label,
    architecture,
    data,
    settings: shortRun(count, rate, i + 1),
    ...extra,
  }))
}

/** Mean of every variant, and its seeds. */
export const accuracies = (results: readonly RunResult[]): Finding[] =>
  labels(results).map((label) => {
    const each = of(results, label).map((r) => percent(r.accuracy))
    return { label, value: percent(accuracy(results, label)) + (each.length > 1 ? ` (${each.join(', ')})` : '') }
  })
export const losses = (results: readonly RunResult[]): Finding[] =>
  labels(results).map((label) => {
    const each = of(results, label).map((r) => r.loss.toFixed(3))
    return { label, value: loss(results, label).toFixed(3) + (each.length > 1 ? ` (${each.join(', ')})` : '') }
  })
/** Parameters and speed of every variant. */
export const costs = (results: readonly RunResult[]): Finding[] =>
  labels(results).map((label) => {
    const own = of(results, label)
    const speed = Math.round(mean(own.map((r) => r.tokensPerSecond)))
    return { label: `${label}: parameters, tokens/s`, value: `${own[0]!.parameters.toLocaleString('en')}, ${speed.toLocaleString('en')}` }
  })

export const verdict = (yes: boolean, opposite = false): Outcome['verdict'] => (yes ? 'as expected' : opposite ? 'opposite' : 'not visible')
