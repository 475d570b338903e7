/**
 * Experiments about what a model can hold and how well it predicts text: dropout, depth, experts, facts.
 */

import { accuracy, best, change, labels, percent } from '../results.ts'
import type { DataSpec, TaskSpec } from '../small-run.ts'
import { signed } from '../statistics.ts'
import {
  accuracies,
  costs,
  type Experiment,
  feedForward,
  gated,
  losses,
  mixture,
  modern,
  perSeed,
  readText,
  small,
  type Texts,
  verdict,
} from './experiment.ts'

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
      ...perSeed('one pass, p = 0', model(0), readText(ids), once),
      ...perSeed('one pass, p = 0.2', model(0.2), readText(ids), once),
      ...perSeed('many passes, p = 0', model(0), readText(ids.slice(0, FEW), 0.5), often),
      ...perSeed('many passes, p = 0.2', model(0.2), readText(ids.slice(0, FEW), 0.5), often),
    ]
  },
  conclude: (results) => {
    const once = change(results, 'one pass, p = 0', 'one pass, p = 0.2')
    const often = change(results, 'many passes, p = 0', 'many passes, p = 0.2')
    return {
      verdict: verdict(once.mean > 0.01 && often.mean < -0.01, once.mean < 0 && often.mean > 0),
      findings: [
        ...losses(results).map(({ label, value }) => ({ label: `last loss, ${label}`, value })),
        { label: 'change by dropout, one pass', value: signed(once.mean) },
        { label: 'change by dropout, many passes', value: signed(often.mean) },
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
      ...perSeed('4 layers of 64', modern(vocabSize, 64, 4, 64), readText(ids), setting),
      ...perSeed('1 layer of 128', modern(vocabSize, 64, 1, 128), readText(ids), setting),
    ]
  },
  conclude: (results) => {
    const gain = change(results, '1 layer of 128', '4 layers of 64')
    return {
      verdict: verdict(gain.mean < -0.03, gain.mean > 0.03),
      findings: [...losses(results), { label: 'change by depth', value: signed(gain.mean) }, ...costs(results)],
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
      ...perSeed('4 experts of 128, 2 active', feedForward(model, mixture(4, 2, 128)), readText(ids), setting),
      ...perSeed('16 experts of 32, 8 active', feedForward(model, mixture(16, 8, 32)), readText(ids), setting),
    ]
  },
  conclude: (results) => {
    const gain = change(results, '4 experts of 128, 2 active', '16 experts of 32, 8 active')
    return {
      verdict: verdict(gain.mean < -0.01, gain.mean > 0.03),
      findings: [...losses(results), { label: 'change by smaller experts', value: signed(gain.mean) }, ...costs(results)],
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
    const gain = accuracy(results, '8 experts of 32, 2 active') - accuracy(results, 'dense, width 64')
    return {
      verdict: verdict(gain > 0.1, gain < -0.05),
      findings: [...accuracies(results), { label: 'guessing', value: percent(1 / 64) }, ...costs(results)],
    }
  },
}

export const lookUp: Experiment = {
  name: 'look-up',
  title: 'A tool against memory',
  expectation:
    'A model answers questions about facts that it never saw as readily as any other, and wrongly. With a tool that looks them up it calls the tool and is right.',
  source: 'arXiv:2302.04761 (tools), gpt-oss model card, arXiv:2508.10925, section 4.5 (hallucination)',
  runs: (scale, seeds) => {
    const table = { subjects: 32, relations: 16, objects: 64, seed: 3 }
    const task = (tool: boolean, half: 'shown' | 'unseen'): TaskSpec => ({ name: 'lookUp', args: [{ ...table, tool, half }] })
    const model = modern(table.subjects + table.relations + table.objects + 1, 48, 2, 64, 2)
    const setting = { steps: 500, scale, seeds }
    const asked = (tool: boolean, half: 'shown' | 'unseen'): DataSpec => ({
      kind: 'task',
      task: task(tool, 'shown'),
      evaluationTask: task(tool, half),
      length: 48,
      batch: 16,
    })
    return [
      ...perSeed('memory, facts shown in training', model, asked(false, 'shown'), setting),
      ...perSeed('memory, facts never shown', model, asked(false, 'unseen'), setting),
      ...perSeed('tool, facts never shown', model, asked(true, 'unseen'), setting),
    ]
  },
  conclude: (results) => {
    const invented = accuracy(results, 'memory, facts never shown')
    const found = accuracy(results, 'tool, facts never shown')
    return {
      verdict: verdict(invented < 0.1 && found > 0.95 && accuracy(results, 'memory, facts shown in training') > 0.7, found < invented),
      findings: [...accuracies(results), { label: 'guessing', value: percent(1 / 64) }],
    }
  },
}

export const cutDown = ({ ids, vocabSize }: Texts): Experiment => ({
  name: 'cut-down',
  title: 'A smaller model cut out of a larger one',
  expectation:
    'A model of four layers and four experts that is cut out of one with six and eight and trained on is better than the same model from fresh weights after as many steps.',
  source: 'the question of the article; arXiv:2407.14679 for the method',
  runs: (scale, seeds) => {
    const setting = { steps: 200, scale, seeds }
    const mixed = (layers: number, experts: number) => feedForward(modern(vocabSize, 64, layers, 64), mixture(experts, 2, 64))
    const smaller = mixed(4, 4)
    const cutFrom = { architecture: mixed(6, 8), steps: Math.round(400 * scale), layers: [0, 1, 4, 5], experts: [0, 1, 2, 3] }
    return [
      ...perSeed('cut out and trained on', smaller, readText(ids), setting, { cutFrom }),
      ...perSeed('from fresh weights', smaller, readText(ids), setting),
    ]
  },
  conclude: (results) => {
    const gain = change(results, 'from fresh weights', 'cut out and trained on')
    return {
      verdict: verdict(gain.mean < -0.03, gain.mean > 0.03),
      findings: [...losses(results), { label: 'change by starting from the larger model', value: signed(gain.mean) }],
    }
  },
})
