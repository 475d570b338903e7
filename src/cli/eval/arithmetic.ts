/**
 * `lineage eval --effort`: what a model calculates at which effort, on problems that abacus was never trained on; and with `--questions`
 * what it does with the questions of a file.
 */
import type { Effort } from '../../chat/messages.ts'
import { chat } from '../../chat/session.ts'
import { chartSvg } from '../../drawing/chart.ts'
import { EXTRACTIONS } from '../../evaluate/extract.ts'
import { replaceFile } from '../../files/output-node.ts'
import { calculatorTool } from '../../train/abacus/calculator.ts'
import {
  type Ask,
  type Cell,
  isDeclined,
  measureCalls,
  measureEfforts,
  measureQuestions,
  type Question,
  rowsOf,
  type Score,
  type ToolCell,
  totalOf,
} from '../../train/abacus/evaluate.ts'
import { describeModel } from '../support/architectures.ts'
import { type BackendOptions, openModel, type RunOptions } from '../support/model.ts'
import { readOptionLines } from '../support/read-file.ts'
import { painter, table } from '../support/terminal.ts'

export interface ArithmeticOptions extends BackendOptions, Pick<RunOptions, 'adapter'> {
  effort?: Effort[]
  problems: number
  calls: number
  questions?: string[]
  svg?: string
  json?: string
  seed: number
}

export async function measureArithmetic(directory: string, options: ArithmeticOptions): Promise<void> {
  const asked = (options.questions ?? []).map((file) => ({ file, questions: readQuestions(file) }))
  const { architecture } = await describeModel(directory)
  const context = Math.min(512, architecture.maxPositionEmbeddings)
  const model = await openModel(directory, { ...options, slots: 32, context })
  const ask: Ask = async (question, effort, withCalculator) => {
    const answer = { text: '', reasoningTokens: 0, calls: [] as string[] }
    for await (const event of chat(model, [{ role: 'user', content: question }], {
      thinking: effort,
      maxTokens: 300,
      ...(withCalculator && { tools: [calculatorTool] }),
    })) {
      if (event.type === 'text-end') answer.text += event.text
      else if (event.type === 'tool-call-end') answer.calls.push(event.arguments)
      else if (event.type === 'finish') answer.reasoningTokens = event.usage.reasoningTokens
    }
    // Models that were not trained on these problems answer in sentences; the last number counts.
    const text = isDeclined(answer.text) ? answer.text : (EXTRACTIONS.boxed(answer.text) ?? EXTRACTIONS.number(answer.text) ?? answer.text)
    return { ...answer, text }
  }
  const paint = painter()
  try {
    const efforts = options.effort!
    const cells = await measureEfforts(ask, efforts, options.problems, options.seed, (cell) => {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${cell.name}, ${cell.effort}: ${cell.right} of ${cell.problems}`)
    })
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[2K')
    process.stdout.write(`${report(cells, paint)}\n`)
    const hasTools = model.format.capabilities.tools
    const calls = hasTools ? await measureCalls(ask, options.calls, options.seed) : NO_CALLS
    process.stdout.write(
      !hasTools
        ? '\nthe calculator was not offered: the format of this model has no tools\n'
        : `\nwith the calculator, two and three numbers of 1 to 8 digits, ${calls.wellFormed} of ${calls.problems} calls well-formed:\n${counts(calls)}\n`,
    )
    const files: Record<string, Score> = {}
    for (const { file, questions } of asked) {
      const { answers, ...score } = await measureQuestions(ask, questions, 'high')
      files[file] = score
      process.stdout.write(`\n${file}, high effort:\n${counts(score)}\n`)
    }
    const shown = [
      ...cells.filter(({ effort }) => effort === 'high').map(({ mistakes }) => mistakes.slice(0, 2)),
      ...[calls, ...Object.values(files)].map(({ mistakes }) => mistakes),
    ]
    for (const { question, expected, came } of shown.flat())
      process.stdout.write(`  wrong: ${question} ${expected}, said ${JSON.stringify(came)}\n`)
    if (options.svg) await replaceFile(options.svg, effortChart(cells, efforts))
    if (options.json) await replaceFile(options.json, `${JSON.stringify({ cells, calls, files }, null, 2)}\n`)
  } finally {
    await model.dispose()
  }
}

/** Of a model without tools. */
const NO_CALLS: ToolCell = { problems: 0, wellFormed: 0, right: 0, declined: 0, wrong: 0, low: 0, high: 1, mistakes: [] }

const percent = (x: number) => (100 * x).toFixed(1)

/** "98 right of 100 (98.0 %, 95 % interval 93.0–99.4), 1 declined, 1 wrong". */
const counts = ({ problems, right, declined, wrong, low, high }: Score): string =>
  `  ${right} right of ${problems} (${percent(right / Math.max(1, problems))} %, 95 % interval ${percent(low)}–${percent(high)}), ${declined} declined, ${wrong} wrong`

function report(cells: readonly Cell[], paint: ReturnType<typeof painter>): string {
  const bold = (text: string) => ({ text, styles: ['bold' as const] })
  const head = ['problem', 'effort', 'number', 'right', '95 % interval', 'declined', 'wrong', 'tokens'].map(bold)
  const rows = rowsOf(cells).map(({ name = 'all', effort, problems, right, low, high, declined, wrong, reasoningTokens }) => [
    name,
    effort,
    String(problems),
    `${percent(right / problems)} %`,
    `${percent(low)}–${percent(high)}`,
    String(declined),
    String(wrong),
    reasoningTokens.toFixed(1),
  ])
  return table([head, ...rows], paint, [false, false, true, true, true, true, true, true])
}

/** The questions of a file: lines with "question" and "answer", null where it should be declined. */
export function readQuestions(file: string): Question[] {
  return readOptionLines('--questions', file).map((line) => {
    if (!line.mentions('answer')) line.fail('answer', 'missing; expected the answer, or null where the question should be declined')
    return { question: line.string('question'), expected: line.has('answer') ? String(line.raw('answer')) : null }
  })
}

/** The kinds of problems in three lines of the chart, and all of them. */
const GROUPS: { name: string; has(kind: string): boolean }[] = [
  { name: 'all', has: () => true },
  { name: 'sums and differences', has: (kind) => /[+−]/.test(kind) },
  { name: 'products', has: (kind) => kind.includes('×') },
  { name: 'longer or negative', has: (kind) => !/[+−×]/.test(kind) },
]

/** One line per group of problems through its efforts: figure 21 of the article for this model. */
function effortChart(cells: readonly Cell[], efforts: readonly Effort[]): string {
  return chartSvg({
    title: 'Accuracy against tokens of thinking, low to high effort',
    xTitle: 'mean tokens in the analysis channel',
    yTitle: 'right answers (%)',
    yRange: [0, 100],
    series: GROUPS.map(({ name, has }) => {
      const own = efforts.map((effort) => totalOf(cells.filter((cell) => cell.effort === effort && has(cell.name))))
      return {
        name,
        dots: true,
        points: own.map(({ problems, right, reasoningTokens }) => [reasoningTokens, (100 * right) / problems] as const),
        spread: own.map(({ low, high }) => [100 * low, 100 * high] as const),
      }
    }),
  })
}
