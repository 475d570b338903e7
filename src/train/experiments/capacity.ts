/**
 * Experiments about what a model can hold and how well it predicts text: dropout, depth, experts, facts.
 */
import type { DataSpec } from '../small-run.ts'
import { signed } from '../statistics.ts'
import {
  accuracies,
  accuracy,
  best,
  costs,
  type Experiment,
  feedForward,
  gated,
  labels,
  loss,
  losses,
  mixture,
  modern,
  percent,
  perSeed,
  small,
  type Texts,
  verdict,
} from './experiment.ts'

const text = (ids: Int32Array, heldOut = 0.1): DataSpec => ({ kind: 'text', ids, block: 64, batch: 12, heldOut })

/** Characters of the text that is read many times; one half is held out. */
const FEW = 20_000

export const dropout = ({ ids, vocabSize }: Texts): Experiment => ({
  name: 'dropout',
  title: 'Dropout in one pass and in many',
  expectation: 'On a text read less than once dropout makes the loss worse; after many passes over a small text it makes it better.',
  source: 'arXiv:2505.24788',
  runs: (scale, seeds) => {
    const model = (p: number) => small(vocabSize, 64, 2, 64, 4, p)[0]!.architecture
    const once = { steps: 400, scale, seeds }
    const often = { steps: 700, scale, seeds }
    return [
      ...perSeed('one pass, p = 0', model(0), text(ids), once),
      ...perSeed('one pass, p = 0.2', model(0.2), text(ids), once),
      ...perSeed('many passes, p = 0', model(0), text(ids.slice(0, FEW), 0.5), often),
      ...perSeed('many passes, p = 0.2', model(0.2), text(ids.slice(0, FEW), 0.5), often),
    ]
  },
  conclude: (results) => {
    const change = (passes: string, of: typeof loss) => of(results, `${passes}, p = 0.2`) - of(results, `${passes}, p = 0`)
    const [once, often] = [change('one pass', loss), change('many passes', loss)]
    return {
      verdict: verdict(once > 0.01 && often < -0.01, once < 0 && often > 0),
      findings: [
        ...losses(results).map(({ label, value }) => ({ label: `last loss, ${label}`, value })),
        { label: 'change by dropout, one pass', value: signed(once) },
        { label: 'change by dropout, many passes', value: signed(often) },
        ...labels(results).map((label) => ({ label: `best loss on the way, ${label}`, value: best(results, label).toFixed(3) })),
      ],
    }
  },
})

export const depth = ({ ids, vocabSize }: Texts): Experiment => ({
  name: 'depth',
  title: 'Depth against width at equal parameters',
  expectation: 'At about equal parameters four narrow layers predict text better than one wide layer; the wide one is faster.',
  source: 'arXiv:2402.14905',
  runs: (scale, seeds) => {
    const setting = { steps: 400, scale, seeds }
    return [
      ...perSeed('4 layers of 64', modern(vocabSize, 64, 4, 64), text(ids), setting),
      ...perSeed('1 layer of 128', modern(vocabSize, 64, 1, 128), text(ids), setting),
    ]
  },
  conclude: (results) => {
    const change = loss(results, '4 layers of 64') - loss(results, '1 layer of 128')
    return {
      verdict: verdict(change < -0.03, change > 0.03),
      findings: [...losses(results), { label: 'change by depth', value: signed(change) }, ...costs(results)],
    }
  },
})

export const experts = ({ ids, vocabSize }: Texts): Experiment => ({
  name: 'experts',
  title: 'Few large and many small experts',
  expectation: 'At equal total and active width many small experts give a slightly lower loss, or the same.',
  source: 'DeepSeekMoE, arXiv:2401.06066',
  runs: (scale, seeds) => {
    const setting = { steps: 400, scale, seeds }
    const model = modern(vocabSize, 64, 2, 64)
    // Two active at least: the weight of a single one is always 1, and its router would learn from the balance loss alone.
    return [
      ...perSeed('4 experts of 128, 2 active', feedForward(model, mixture(4, 2, 128)), text(ids), setting),
      ...perSeed('16 experts of 32, 8 active', feedForward(model, mixture(16, 8, 32)), text(ids), setting),
    ]
  },
  conclude: (results) => {
    const change = loss(results, '16 experts of 32, 8 active') - loss(results, '4 experts of 128, 2 active')
    return {
      verdict: verdict(change < -0.01, change > 0.03),
      findings: [...losses(results), { label: 'change by smaller experts', value: signed(change) }, ...costs(results)],
    }
  },
})

export const facts: Experiment = {
  name: 'facts',
  title: 'What experts remember',
  expectation:
    'At equal active width a mixture remembers more of a table of random facts than a dense model, and about as much as a dense model of its full width.',
  source: 'arXiv:2404.05405 (knowledge capacity)',
  runs: (scale, seeds) => {
    const [subjects, relations, objects] = [200, 32, 64]
    const data: DataSpec = { kind: 'task', task: { name: 'facts', args: [subjects, relations, objects, 3] }, length: 24, batch: 24 }
    const setting = { steps: 1200, scale, seeds, rate: 8e-3 }
    const model = modern(subjects + relations + objects, 24, 2, 32, 2)
    return [
      ...perSeed('dense, width 64', feedForward(model, gated(64)), data, setting),
      ...perSeed('8 experts of 32, 2 active', feedForward(model, mixture(8, 2, 32)), data, setting),
      ...perSeed('dense, width 256', feedForward(model, gated(256)), data, setting),
    ]
  },
  conclude: (results) => {
    const change = accuracy(results, '8 experts of 32, 2 active') - accuracy(results, 'dense, width 64')
    return {
      verdict: verdict(change > 0.1, change < -0.05),
      findings: [...accuracies(results), { label: 'guessing', value: percent(1 / 64) }, ...costs(results)],
    }
  },
}
