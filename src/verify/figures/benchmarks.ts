/** Figures 21 to 24: published results, with the condition of every number. */

import type { Sheet } from '../../drawing/sheet.ts'
import { cite, SOURCES } from '../published/sources.ts'
import { type Bench, EFFORT, LM_ARENA, SCORES, type Score } from '../published/tables.ts'
import type { Figure } from './figure.ts'

const CONDITIONS = { 'no tools': 'without tools', tools: 'with tools', own: 'in the environment of the task' } as const

/** The scores of one benchmark, a part for each condition, best first. gpt-oss is marked by its colour. */
function bench(sheet: Sheet, name: Bench, models: readonly string[]): void {
  for (const tools of ['no tools', 'tools', 'own'] as const) {
    const rows = SCORES.filter((row) => row.bench === name && row.tools === tools && models.includes(row.model)).sort(
      (a, b) => b.score - a.score,
    )
    if (rows.length === 0) continue
    sheet.part(`${name}, ${CONDITIONS[tools]}`)
    sheet.bars(
      rows.map((row) => ({ label: label(row), value: row.score, shown: row.score.toFixed(1), tone: toneOf(row) })),
      { to: 100 },
    )
  }
}

const label = ({ model, thinking }: Score): string =>
  `${model.replace('Qwen3-235B-Thinking-2507', 'Qwen3-235B-T').replace('Qwen3-Coder-480B', 'Qwen3-C-480B')}${thinking ? '' : ', no thought'}`
const toneOf = ({ model }: Score): number =>
  model.startsWith('gpt-oss') ? 1 : model.startsWith('Qwen') ? 2 : model.startsWith('GPT-5') ? 0 : 7
const addresses = (names: readonly (keyof typeof SOURCES)[]): string =>
  names.map((name) => `${SOURCES[name].title} (${SOURCES[name].date})`).join('; ')
const TITLES: Record<string, string> = {
  'gpt-oss-120b AIME 2025': '120b, AIME 2025',
  'gpt-oss-20b AIME 2025': '20b, AIME 2025',
  'gpt-oss-120b GPQA Diamond': '120b, GPQA',
  'gpt-oss-20b GPQA Diamond': '20b, GPQA',
}

export const benchmarkFigures: readonly Figure[] = [
  {
    id: 'F21',
    title: 'Figure 21: reasoning effort, length and accuracy',
    describes:
      'Accuracy over the length of the reasoning on a logarithmic axis, for low, medium and high effort. Four lines, both models on AIME 2025 and GPQA, rise from left to right. On AIME 2025 the small model passes the large one at high effort. Two tasks on which high effort is worse than medium stand below.',
    source: `${cite(EFFORT)}.`,
    draw(sheet) {
      const ticks = [1, 3, 10, 30]
      sheet.plot({
        curves: EFFORT.rows.map(({ model, task, accuracy, tokens }, i) => ({
          name: TITLES[`${model} ${task}`]!,
          points: tokens.map((thousands, k) => [Math.log10(thousands), accuracy[k]!] as const),
          tone: model === 'gpt-oss-120b' ? 0 : 1,
          dashed: i > 1,
          dots: true,
        })),
        xNames: ticks.map((thousands) => [Math.log10(thousands), `${thousands},000`] as const),
        xRange: [Math.log10(0.6), Math.log10(36)],
        xTitle: 'tokens of reasoning, logarithmic',
        yTitle: 'accuracy in percent; dots: low, medium, high',
        yRange: [50, 100],
        height: 210,
      })
      sheet.gap(4)
      sheet.part('Where high is worse than medium, 20b')
      for (const { task, medium, high } of EFFORT.worse) {
        sheet.note(task)
        sheet.bars(
          [
            { label: 'medium', value: medium, shown: medium.toFixed(1), tone: 7 },
            { label: 'high', value: high, shown: high.toFixed(1), tone: 1 },
          ],
          { to: 50 },
        )
      }
    },
  },
  {
    id: 'F22',
    title: 'Figure 22: LM Arena on 8 August 2025',
    describes:
      'Bars of the scores of thirteen models on that day. Closed models lead from 1481 down; the best with open weights is Qwen3-235B-A22B-Instruct-2507 with 1428. gpt-oss, three days old, is not in the list.',
    source: `${cite(LM_ARENA)}.`,
    draw(sheet) {
      sheet.bars(
        LM_ARENA.rows.map(({ model, score, open }) => ({ label: model, value: score, tone: open ? 1 : 7 })),
        { from: 1360 },
      )
      sheet.legend([
        [1, 'open weights'],
        [7, 'closed'],
      ])
      sheet.note('Bars begin at 1360: what counts are differences.')
    },
  },
  {
    id: 'F23',
    title: 'Figure 23: gpt-oss, models of OpenAI and Qwen3',
    describes:
      'Bars of AIME 2025 and GPQA Diamond, with tools and without apart, because the difference is larger than that between models. gpt-oss-120b is within two points of o4-mini and of Qwen3-235B-Thinking-2507.',
    source: `${addresses(['modelCard'])}; percent solved, high effort. Qwen3 as the article prints it.`,
    draw(sheet) {
      const models = ['gpt-oss-120b', 'gpt-oss-20b', 'o3', 'o4-mini', 'o3-mini', 'Qwen3-235B-Thinking-2507']
      const card = (name: Bench) => bench(sheet, name, models)
      card('AIME 2025')
      card('GPQA Diamond')
      sheet.legend([
        [1, 'gpt-oss'],
        [2, 'Qwen3'],
        [7, 'others of OpenAI'],
      ])
    },
  },
  {
    id: 'F24',
    title: 'Figure 24: gpt-oss beside GPT-5',
    describes:
      'Bars of four benchmarks, with tools, without, and in the environment of the task apart. On AIME 2025 gpt-oss-120b is two points below GPT-5, on the others five to sixteen. GPT-5 without thinking is far below itself.',
    source: `${addresses(['gpt5', 'modelCard'])}; percent solved. All but gpt-oss as the article prints them. It prints 60.4 for gpt-oss-20b on SWE-bench Verified; the card says 60.7.`,
    draw(sheet) {
      const models = [
        'GPT-5 pro',
        'GPT-5',
        'o3',
        'GPT-4o',
        'gpt-oss-120b',
        'gpt-oss-20b',
        'Qwen3-Coder-480B',
        'ChatGPT agent',
        'deep research',
      ]
      for (const name of ['AIME 2025', 'GPQA Diamond', 'HLE', 'SWE-bench Verified'] as const) bench(sheet, name, models)
      sheet.legend([
        [0, 'GPT-5'],
        [1, 'gpt-oss'],
        [2, 'Qwen3'],
        [7, 'others'],
      ])
    },
  },
]
