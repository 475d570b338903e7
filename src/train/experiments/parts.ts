/**
 * Experiments that leave out or exchange one part of the block and read text: the gate, the norms, the width of windows;
 * and one that sets a change of all parts against a change of the data.
 */
import type { Architecture, Norm } from '../../architecture/architecture.ts'
import { integer, random } from '../../random/stream.ts'
import { change, dataAgainstArchitecture, labels, of } from '../results.ts'
import { signed } from '../statistics.ts'
import {
  attention,
  costs,
  type Experiment,
  feedForward,
  gated,
  losses,
  modern,
  perSeed,
  readText,
  small,
  type Texts,
  verdict,
} from './experiment.ts'

/** All norms of a model exchanged. */
const withNorm = (architecture: Architecture, norm: Norm): Architecture => ({
  ...architecture,
  layers: architecture.layers.map((layer) => ({ ...layer, norm })),
  finalNorm: norm,
})

export const gate = ({ ids, vocabSize }: Texts): Experiment => ({
  name: 'gate',
  title: 'Feed-forwards with and without a gate',
  expectation: 'At equal parameters a gate lowers the loss; whether it is SiLU or GELU makes no difference beyond noise.',
  source: 'Shazeer 2020, arXiv:2002.05202',
  runs: (scale, seeds) => {
    const setting = { steps: 400, scale, seeds }
    const model = modern(vocabSize, 64, 2, 64)
    // Three matrices of 168 have as many weights as two of 252.
    const plain = feedForward(model, {
      kind: 'mlp',
      intermediateSize: 252,
      activation: { kind: 'gelu', approximation: 'tanh' },
      bias: false,
    })
    return [
      ...perSeed('GELU without a gate', plain, readText(ids), setting),
      ...perSeed('SwiGLU', feedForward(model, gated(168)), readText(ids), setting),
      ...perSeed('GEGLU', feedForward(model, gated(168, { kind: 'geglu', approximation: 'tanh' })), readText(ids), setting),
    ]
  },
  conclude: (results) => {
    const gain = change(results, 'GELU without a gate', 'SwiGLU')
    const kinds = change(results, 'GEGLU', 'SwiGLU')
    return {
      verdict: verdict(gain.mean < -0.01 && !kinds.exceedsNoise, gain.mean > 0.01),
      findings: [
        ...losses(results),
        { label: 'change by the gate', value: signed(gain.mean) },
        { label: 'SwiGLU against GEGLU', value: signed(kinds.mean) },
        ...costs(results),
      ],
    }
  },
})

export const norms = ({ ids, vocabSize }: Texts): Experiment => ({
  name: 'norms',
  title: 'Without norms',
  expectation: 'LayerNorm and RMSNorm end at the same loss. Without any norm the same learning rate ends worse, or the run diverges.',
  source: 'arXiv:1910.07467, arXiv:2002.04745',
  runs: (scale, seeds) => {
    const setting = { steps: 300, scale, seeds }
    const model = modern(vocabSize, 64, 4, 64)
    const eps = 1e-5
    return [
      ...perSeed('RMSNorm', withNorm(model, { kind: 'rmsNorm', eps, unitOffset: false }), readText(ids), setting),
      ...perSeed('LayerNorm', withNorm(model, { kind: 'layerNorm', eps }), readText(ids), setting),
      ...perSeed('no norm', withNorm(model, { kind: 'none' }), readText(ids), setting),
    ]
  },
  conclude: (results) => {
    const without = change(results, 'RMSNorm', 'no norm')
    const kinds = change(results, 'RMSNorm', 'LayerNorm')
    const diverged = of(results, 'no norm').filter((result) => result.diverged !== undefined).length
    return {
      verdict: verdict((diverged > 0 || without.mean > 0.05) && Math.abs(kinds.mean) < 0.03, without.mean < -0.01),
      findings: [
        ...losses(results),
        { label: 'runs without norm that diverged', value: `${diverged} of ${of(results, 'no norm').length}` },
        { label: 'change by leaving out the norms', value: signed(without.mean) },
        { label: 'LayerNorm against RMSNorm', value: signed(kinds.mean) },
      ],
    }
  },
})

/** The text with `share` of the characters of its first nine tenths replaced; the held-out tenth stays as it is. */
function spoiled({ ids, vocabSize }: Texts, share: number): Int32Array {
  const next = random(7)
  const end = Math.floor(0.9 * ids.length)
  return ids.map((id, at) => (at < end && next() < share ? integer(next, 0, vocabSize - 1) : id))
}

export const data = (texts: Texts): Experiment => ({
  name: 'data',
  title: 'Data against architecture',
  expectation:
    'Both change the loss on the same clean text: the parts from GPT-2 to a gated model with rotary positions, and cleaner training text for the same model.',
  source: 'the question of the article; Penedo et al. 2024, arXiv:2406.17557, for cleaning',
  runs: (scale, seeds) => {
    const setting = { steps: 400, scale, seeds }
    const { ids, vocabSize } = texts
    const models = [
      ['GPT-2', small(vocabSize, 64, 2, 64, 4).find(({ name }) => name === 'no-dropout')!.architecture],
      ['modern', modern(vocabSize, 64, 2, 64)],
    ] as const
    const noisy = spoiled(texts, 0.2)
    return models.flatMap(([name, model]) => [
      ...perSeed(`${name}, clean text`, model, readText(ids), setting),
      ...perSeed(`${name}, a fifth spoiled`, model, readText(noisy), setting),
    ])
  },
  conclude: (results) => {
    const { byData, byArchitecture } = dataAgainstArchitecture(results)
    return {
      verdict: verdict(byData < -0.01 && byArchitecture < -0.01, byData > 0.01 || byArchitecture > 0.01),
      findings: [
        ...losses(results),
        { label: 'change by clean text, mean of both models', value: signed(byData) },
        { label: 'change by architecture, mean of both texts', value: signed(byArchitecture) },
      ],
    }
  },
})

/** Layers in a period of five windows and one full layer. */
const PERIOD = 6

export const widths = ({ ids, vocabSize }: Texts): Experiment => ({
  name: 'widths',
  title: 'How small windows may be',
  expectation:
    'With a full layer in between, windows cost little on text until they are only a few tokens wide; one full layer in six is enough.',
  source: 'Gemma 3 report, arXiv:2503.19786, section 5.2',
  runs: (scale, seeds) => {
    const setting = { steps: 300, scale, seeds }
    const model = modern(vocabSize, 64, PERIOD, 48, 2)
    const windowed = (window: number, period: number) =>
      attention(model, (_, i) => ({ slidingWindow: i % period === period - 1 ? null : window }))
    const all = (name: string, architecture: Architecture) => perSeed(name, architecture, readText(ids), setting)
    return [
      ...all('all full', model),
      ...[16, 4].flatMap((window) => all(`1 : 1, window ${window}`, windowed(window, 2))),
      ...[16, 4].flatMap((window) => all(`5 : 1, window ${window}`, windowed(window, PERIOD))),
    ]
  },
  conclude: (results) => {
    const cost = (label: string) => change(results, 'all full', label)
    const wide = Math.max(cost('1 : 1, window 16').mean, cost('5 : 1, window 16').mean)
    return {
      verdict: verdict(wide < 0.03, wide > 0.1),
      findings: [
        ...losses(results),
        ...labels(results)
          .slice(1)
          .map((label) => ({ label: `against all full, ${label}`, value: signed(cost(label).mean) })),
      ],
    }
  },
})
