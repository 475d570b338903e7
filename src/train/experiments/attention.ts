/**
 * Experiments about attention: positions, windows, induction, sinks. The tasks have exactly one right answer per counted token,
 * so the share of right answers is measured. Heads are 32 wide: with 16 the rotary code has too few fast frequencies to find
 * the previous token, and neither induction nor recall is learnt in minutes.
 */
import { mean } from '../../numbers/statistics.ts'
import { accuracy, labels, of, percent } from '../results.ts'
import type { DataSpec, TaskSpec } from '../small-run.ts'
import { orderSensitivity } from './exact.ts'
import { accuracies, attention, type Experiment, modern, perSeed, small, verdict } from './experiment.ts'

export const positions: Experiment = {
  name: 'positions',
  title: 'Order without positions',
  expectation:
    'One layer without positions cannot tell the order of what it reads; with rotary positions it can. Copying is learnt with positions first.',
  source: 'arXiv:2104.09864, arXiv:2305.19466',
  runs: (scale, seeds) => {
    const data: DataSpec = { kind: 'task', task: { name: 'copy', args: [12, 12] }, length: 25, batch: 24 }
    const setting = { steps: 300, scale, seeds, rate: 2e-3 }
    const learned = small(13, 32, 2, 64).find(({ name }) => name === 'no-dropout')!.architecture
    const rope = modern(13, 32, 2, 64)
    const none = attention(rope, () => ({ position: { kind: 'none' } }))
    return [
      ...perSeed('none', none, data, setting),
      ...perSeed('learned', learned, data, setting),
      ...perSeed('rotary', rope, data, setting),
    ]
  },
  conclude: (results) => {
    const blind = orderSensitivity('none')
    const seeing = orderSensitivity('rope')
    return {
      verdict: verdict(blind < 1e-9 && seeing > 1e-3 && accuracy(results, 'rotary') > accuracy(results, 'none') + 0.05),
      findings: [
        { label: 'change of the last logits when earlier tokens are reversed, one layer, no positions', value: blind.toExponential(1) },
        { label: 'the same with rotary positions', value: seeing.toExponential(1) },
        ...accuracies(results).map(({ label, value }) => ({ label: `copied right, ${label}`, value })),
      ],
    }
  },
}

export const window: Experiment = {
  name: 'window',
  title: 'Recall beyond the window',
  expectation: 'With windows of W in all L layers nothing passes a gap longer than L·(W − 1); one full layer restores recall.',
  source: 'arXiv:2312.04927 (task), arXiv:2004.05150',
  runs: (scale, seeds) => {
    const setting = { steps: 400, scale, seeds }
    const model = modern(2 + 8 + 8, 80, 2, 64, 2)
    const windowed = (full: (i: number) => boolean) => attention(model, (_, i) => ({ slidingWindow: full(i) ? null : 16 }))
    // Short gaps are learnt first and then longer ones; with the longest gap alone a model only learns which values there are.
    const task = (gap: number, leastGap: number): TaskSpec => ({
      name: 'associativeRecall',
      args: [{ keys: 8, values: 8, pairs: 4, gap, leastGap }],
    })
    const data = (gap: number): DataSpec => ({
      kind: 'task',
      task: task(gap, 0),
      evaluationTask: task(gap, gap),
      length: 8 + gap + 8,
      batch: 24,
    })
    const none = windowed(() => false)
    const second = windowed((i) => i === 1)
    return [
      ...perSeed('windows of 16, gap 2', none, data(2), setting),
      ...perSeed('windows of 16, gap 32', none, data(32), setting),
      ...perSeed('second layer full, gap 32', second, data(32), setting),
      ...perSeed('both layers full, gap 32', model, data(32), setting),
    ]
  },
  conclude: (results) => {
    const lost = accuracy(results, 'windows of 16, gap 32')
    const restored = accuracy(results, 'second layer full, gap 32')
    return {
      verdict: verdict(restored > lost + 0.5 && lost < 0.2 && accuracy(results, 'windows of 16, gap 2') > 0.9),
      findings: [...accuracies(results), { label: 'guessing', value: percent(1 / 8) }],
    }
  },
}

export const induction: Experiment = {
  name: 'induction',
  title: 'One layer and two on induction',
  expectation: 'A single layer cannot look up what followed an earlier occurrence; two layers can.',
  source: 'Olsson et al. 2022, arXiv:2209.11895',
  runs: (scale, seeds) => {
    const data: DataSpec = { kind: 'task', task: { name: 'induction', args: [16, 8] }, length: 64, batch: 16 }
    const setting = { steps: 1200, scale, seeds }
    return [
      ...perSeed('1 layer of 64', modern(16, 64, 1, 64, 2), data, setting),
      ...perSeed('1 layer of 96', modern(16, 64, 1, 96, 3), data, setting),
      ...perSeed('2 layers of 64', modern(16, 64, 2, 64, 2), data, setting),
    ]
  },
  conclude: (results) => {
    const one = Math.max(accuracy(results, '1 layer of 64'), accuracy(results, '1 layer of 96'))
    const two = accuracy(results, '2 layers of 64')
    return {
      verdict: verdict(two > one + 0.4, one > two + 0.05),
      findings: [
        ...accuracies(results),
        { label: 'guessing', value: percent(1 / 16) },
        ...labels(results).map((label) => ({
          label: `${label}: parameters`,
          value: of(results, label)[0]!.parameters.toLocaleString('en'),
        })),
      ],
    }
  },
}

export const sinks: Experiment = {
  name: 'sinks',
  title: 'Where attention goes when there is nothing to attend to',
  expectation:
    'A question without an answer in the text sends attention to the first token, more than an even share; a sink takes part of it away.',
  source: 'arXiv:2309.17453, arXiv:2410.13835',
  runs: (scale, seeds) => {
    const setting = { steps: 600, scale, seeds }
    const task = (absent: number): TaskSpec => ({ name: 'associativeRecall', args: [{ keys: 12, values: 8, pairs: 4, gap: 0, absent }] })
    const data: DataSpec = { kind: 'task', task: task(0.5), length: SINK_LENGTH, batch: 32 }
    const model = modern(2 + 12 + 8, 64, 2, 64, 1)
    const withSinks = attention(model, () => ({ sinks: true }))
    const look = { attentionOn: task(1) }
    return [
      ...perSeed('without sinks', model, data, setting, look),
      ...perSeed('sinks from 0', withSinks, data, setting, look),
      ...perSeed('sinks from 4', withSinks, data, setting, { ...look, sinksFrom: 4 }),
    ]
  },
  conclude: (results) => {
    const mass = (label: string, which: 'first' | 'sink', layer: number) => mean(of(results, label).map((r) => r.attention![layer]![which]))
    const second = (label: string) => mass(label, 'first', 1)
    const [without, zero, four] = [second('without sinks'), second('sinks from 0'), second('sinks from 4')]
    return {
      verdict: verdict(without > 2 * EVEN_SHARE && Math.min(zero, four) < 0.7 * without, without < EVEN_SHARE),
      findings: [
        ...labels(results).flatMap((label) => [
          { label: `first token, ${label}: first and second layer`, value: [0, 1].map((i) => percent(mass(label, 'first', i))).join(', ') },
          { label: `sink, ${label}: first and second layer`, value: [0, 1].map((i) => percent(mass(label, 'sink', i))).join(', ') },
        ]),
        { label: 'an even share of the first token', value: percent(EVEN_SHARE) },
        ...accuracies(results).map(({ label, value }) => ({ label: `right, ${label}`, value })),
      ],
    }
  },
}

export const kvHeads: Experiment = {
  name: 'kv-heads',
  title: 'Recall with fewer key and value heads',
  expectation: 'With four query heads, two or even one head of keys and values recall as well as four; a single one may learn later.',
  source: 'arXiv:2305.13245, arXiv:2312.04927 (task)',
  runs: (scale, seeds) => {
    const setting = { steps: 400, scale, seeds }
    const task: TaskSpec = { name: 'associativeRecall', args: [{ keys: 8, values: 8, pairs: 4, gap: 2, leastGap: 0 }] }
    const data: DataSpec = { kind: 'task', task, length: 18, batch: 24 }
    const model = modern(2 + 8 + 8, 64, 2, 64, 2)
    return [4, 2, 1].flatMap((heads) =>
      perSeed(
        `${heads} of 4`,
        attention(model, () => ({ kvHeads: heads })),
        data,
        setting,
      ),
    )
  },
  conclude: (results) => ({
    verdict: verdict(
      accuracy(results, '2 of 4') > accuracy(results, '4 of 4') - 0.05,
      accuracy(results, '2 of 4') < accuracy(results, '4 of 4') - 0.2,
    ),
    findings: [...accuracies(results), { label: 'guessing', value: percent(1 / 8) }],
  }),
}

/** A beginning, four pairs and six questions. */
const SINK_LENGTH = 1 + 8 + 12
/** Questions stand at positions 9, 11, …, 19 and see one token more than that. */
const EVEN_SHARE = mean([9, 11, 13, 15, 17, 19].map((t) => 1 / (t + 1)))
