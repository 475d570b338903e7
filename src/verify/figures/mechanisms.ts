/** Figures 15, 18, 19 and 20: kinds of experts, where biases are, what a key bias does, what a sink does. */

import { preset } from '../../architecture/presets.ts'
import { EDGE, INNER, type Sheet } from '../../drawing/sheet.ts'
import { rect, text } from '../../drawing/svg.ts'
import { leaves, weightSpecs } from '../../model/weights.ts'
import { signed } from '../../train/statistics.ts'
import { cite } from '../published/sources.ts'
import { EXPERT_LOSSES, KEY_BIAS_LOSSES } from '../published/tables.ts'
import { EARLIER } from '../recorded/earlier.ts'
import { biasEffects, sinkProbabilities } from '../single-ops.ts'
import type { Figure } from './figure.ts'

/** Experts as boxes whose area is their size; `chosen` work on a token, the first `shared` always do. */
function expertRow(sheet: Sheet, title: string, words: string, count: number, chosen: readonly number[], shared = 0): void {
  sheet.part(title)
  const step = INNER / count
  for (let i = 0; i < count; i++) {
    const tone = i < shared ? 'a2' : chosen.includes(i) ? 'a1' : 'b1'
    sheet.add(rect(EDGE + i * step + 1.5, sheet.y + 2, step - 3, 22, tone, 3))
  }
  sheet.y += 28
  sheet.note(words)
  sheet.gap(4)
}

const NAMES: readonly (readonly [name: string, label: string])[] = [
  ['gpt2-xl', 'GPT-2 XL'],
  ['Pythia-1.4B', 'Pythia 1.4B'],
  ['Llama-3-8B', 'Llama 3 8B'],
  ['Qwen2.5-7B', 'Qwen2.5 7B'],
  ['Qwen3-8B', 'Qwen3 8B'],
  ['Qwen3-30B-A3B', 'Qwen3 30B'],
  ['gpt-oss-20b', 'gpt-oss-20b'],
]
const PARTS: readonly (readonly [title: string, weight: RegExp, bias: RegExp])[] = [
  ['q', /attention\.q$/, /attention\.qBias$/],
  ['k', /attention\.k$/, /attention\.kBias$/],
  ['v', /attention\.v$/, /attention\.vBias$/],
  ['out', /attention\.o$/, /attention\.oBias$/],
  ['router', /feedForward\.router$/, /feedForward\.routerBias$/],
  ['ff', /feedForward\.(up|gateUp|gate)$/, /feedForward\.(up|gateUp|gate)Bias$/],
]

export const mechanismFigures: readonly Figure[] = [
  {
    id: 'F15',
    title: 'Figure 15: few large and many small experts',
    describes:
      'Three rows of experts drawn to scale, with equal total and equal active size: 4 large of which 2 work, 16 small of which 8 work, and 16 small of which one works on every token and 7 are chosen. Below, the published losses of 2B models from dense to DeepSeekMoE, and how little the first two kinds differ in our small models.',
    source: `${cite(EXPERT_LOSSES)}; own: lineage verify C37.`,
    async draw(sheet) {
      expertRow(sheet, 'Few large', '4 experts, 2 work on a token', 4, [1, 2])
      expertRow(
        sheet,
        'Many small',
        '16 experts of a quarter of the size, 8 work: more combinations (12,870 against 6)',
        16,
        [0, 3, 4, 7, 9, 10, 13, 15],
      )
      expertRow(sheet, 'With a shared one', '1 always (green), 7 of the other 15', 16, [2, 4, 5, 8, 11, 12, 15], 1)
      sheet.part('Published loss, 2B parameters, 100B tokens')
      sheet.bars(
        Object.entries(EXPERT_LOSSES.losses).map(([label, value]) => ({
          label,
          value,
          shown: value.toFixed(3),
          tone: label === 'DeepSeekMoE' ? 1 : 7,
        })),
        { from: 1.7 },
      )
      const { mean: change, spread, seeds } = EARLIER.smallExperts
      sheet.note(`Own small models, 16 experts of 32 less 4 of 128: ${signed(change)}, spread ${spread}, ${seeds} seeds: no difference.`)
      sheet.note('Bars begin at 1.7.')
    },
  },
  {
    id: 'F18',
    title: 'Figure 18: where biases are',
    describes:
      'A table of models by matrices. GPT-2 and Pythia have biases everywhere, Llama 3 and Qwen3 nowhere, Qwen2.5 on queries, keys and values, gpt-oss on all matrices of attention, on the router and on every expert.',
    source: 'the lists of weights of the published configurations.',
    draw(sheet) {
      const rows = NAMES.map(([name]) => {
        const weights = leaves(weightSpecs(preset(name)!)).map((spec) => spec.name)
        const has = (pattern: RegExp): boolean => weights.some((weight) => pattern.test(weight))
        return PARTS.map(([, weight, bias]) => (has(bias) ? 'bias' : has(weight) ? '–' : ''))
      })
      sheet.grid({
        shades: rows.map((row) => row.map((word) => (word === 'bias' ? 1 : word === '' ? null : 0))),
        words: rows,
        rowNames: NAMES.map(([, label]) => label),
        columnNames: PARTS.map(([title]) => title),
        cell: 38,
        cellHeight: 24,
        tone: 1,
      })
      sheet.note('ff: the matrix or matrices into the feed-forward or the experts. Empty: the model has no such matrix.')
    },
  },
  {
    id: 'F19',
    title: 'Figure 19: what a key bias changes',
    describes:
      'The published losses of GPT-2 and RoBERTa with and without key bias differ in the fourth digit. Below, how much a key bias changes the output of one attention head here: nothing in plain attention, clearly with rotary positions, with a sink, and with both, which gpt-oss has.',
    source: `${cite(KEY_BIAS_LOSSES)}; own: one head of width 8 over 6 tokens, random numbers, f32.`,
    async draw(sheet, ops) {
      sheet.part('Published loss')
      for (const [name, [plain, without]] of Object.entries(KEY_BIAS_LOSSES.rows)) {
        sheet.bars(
          [
            { label: `${name.replace(' base', '')}, with`, value: plain, shown: plain.toFixed(4), tone: 0 },
            { label: `${name.replace(' base', '')}, without`, value: without, shown: without.toFixed(4), tone: 1 },
          ],
          { to: 6.5 },
        )
      }
      sheet.note('Both have absolute positions and no sink, so the bias cancels in the softmax.')
      sheet.gap(4)
      sheet.part('Largest change of the output by a key bias, here')
      const effect = async (rotary: boolean, sink: boolean): Promise<number> => (await biasEffects(ops, rotary, sink)).key
      const rows: readonly (readonly [string, number])[] = [
        ['plain (GPT-2)', await effect(false, false)],
        ['rotary (Llama)', await effect(true, false)],
        ['with a sink', await effect(false, true)],
        ['both (gpt-oss)', await effect(true, true)],
      ]
      sheet.bars(rows.map(([label, value], i) => ({ label, value, shown: value < 1e-5 ? '0' : value.toFixed(2), tone: i === 3 ? 1 : 0 })))
    },
  },
  {
    id: 'F20',
    title: 'Figure 20: an attention sink',
    describes:
      'Three scores and the probabilities of a softmax over them, first without and then with a sink logit of 1. With the sink the three sum to 0.836, and the rest goes to nothing. Below, small trained models on questions without an answer: a quarter of the attention rests on the first token without a sink, and moves to the sink where there is one.',
    source: 'the op attention of the reference backend; lineage verify C43.',
    async draw(sheet, ops) {
      const scores = [0.3, -1.2, 2.5]
      const names = scores.map((score, i) => `key ${i + 1}, score ${String(score).replace('-', '−')}`)
      for (const sink of [undefined, 1]) {
        const p = await sinkProbabilities(ops, scores, sink)
        const rest = 1 - p.reduce((sum, value) => sum + value, 0)
        sheet.part(sink === undefined ? 'Softmax' : 'With a sink of 1')
        sheet.bars(
          [...p]
            .map((value, i) => ({ label: names[i]!, value, shown: value.toFixed(3), tone: 0 }))
            .concat(sink === undefined ? [] : [{ label: 'to nothing', value: rest, shown: rest.toFixed(3), tone: 1 }]),
          { to: 1 },
        )
      }
      sheet.part('Questions without an answer, second layer')
      const { sinkNone, sinkFour, sinkShare } = EARLIER
      const shares = (first: number, sink: number): void =>
        sheet.bars(
          [
            { label: 'first token', value: first, shown: `${first} %`, tone: 0 },
            { label: 'sink', value: sink, shown: `${sink} %`, tone: 1 },
          ],
          { to: 30 },
        )
      sheet.note('trained without sinks')
      shares(sinkNone.mean, 0)
      sheet.note('trained with sinks that start at 4')
      shares(sinkFour.mean, sinkShare.mean)
      sheet.add(text(EDGE, sheet.y + 8, 'An even share of the first token would be 7.0 %.', 'dim'))
      sheet.y += 14
    },
  },
]
