/** `lineage eval --effort`: what a model calculates at which effort, on problems that abacus was never trained on. */
import type { Effort } from '../../chat/messages.ts'
import { chat } from '../../chat/session.ts'
import { chartSvg } from '../../drawing/chart.ts'
import { EXTRACTIONS } from '../../evaluate/extract.ts'
import { writeFileAtomically } from '../../files/write-node.ts'
import { wilson } from '../../numbers/statistics.ts'
import { calculatorTool } from '../../train/abacus/calculator.ts'
import { type Ask, type Cell, measureCalls, measureEfforts, type ToolCell } from '../../train/abacus/evaluate.ts'
import { describeModel } from '../support/architectures.ts'
import { type BackendOptions, openModel, type RunOptions } from '../support/model.ts'
import { painter, table } from '../support/terminal.ts'

export interface ArithmeticOptions extends BackendOptions, Pick<RunOptions, 'adapter'> {
  effort?: Effort[]
  problems: number
  calls: number
  svg?: string
  json?: string
  seed: number
}

export async function measureArithmetic(directory: string, options: ArithmeticOptions): Promise<void> {
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
    return { ...answer, text: EXTRACTIONS.boxed(answer.text) ?? EXTRACTIONS.number(answer.text) ?? answer.text }
  }
  const paint = painter()
  try {
    const efforts = options.effort!
    const cells = await measureEfforts(ask, efforts, options.problems, options.seed, (cell) => {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${cell.name}, ${cell.effort}: ${cell.right} of ${cell.problems}`)
    })
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[2K')
    process.stdout.write(`${report(cells, efforts, paint)}\n`)
    const hasTools = model.format.capabilities.tools
    const calls = hasTools ? await measureCalls(ask, options.calls, options.seed) : NO_CALLS
    const share = (n: number) => `${((100 * n) / calls.problems).toFixed(1)} %`
    process.stdout.write(
      !hasTools
        ? '\nthe calculator was not offered: the format of this model has no tools\n'
        : `\nwith the calculator, 1 to 8 digits: ${share(calls.wellFormed)} of ${calls.problems} calls well-formed, ${share(calls.right)} of the answers right\n`,
    )
    for (const { question, expected, came } of [...cells.filter((cell) => cell.effort === 'high'), calls]
      .flatMap(({ mistakes }) => mistakes)
      .slice(0, 8))
      process.stdout.write(`  wrong: ${question} ${expected}, said ${JSON.stringify(came)}\n`)
    if (options.svg) await writeFileAtomically(options.svg, effortChart(cells, efforts))
    if (options.json) await writeFileAtomically(options.json, `${JSON.stringify({ cells, calls }, null, 2)}\n`)
  } finally {
    await model.dispose()
  }
}

/** Of a model without tools. */
const NO_CALLS: ToolCell = { problems: 0, wellFormed: 0, right: 0, low: 0, high: 1, mistakes: [] }

function report(cells: readonly Cell[], efforts: readonly Effort[], paint: ReturnType<typeof painter>): string {
  const names = [...new Set(cells.map(({ name }) => name))]
  const percent = (x: number) => (100 * x).toFixed(1)
  const rows = [
    ['problem', 'number', ...efforts.flatMap((effort) => [effort, '95 % interval', 'tokens'])].map((text) => ({
      text,
      styles: ['bold' as const],
    })),
  ]
  const lines: string[][] = names.map((name) => [
    name,
    String(cells.find((c) => c.name === name)!.problems),
    ...efforts.flatMap((effort) => {
      const cell = cells.find((c) => c.name === name && c.effort === effort)!
      return [`${percent(cell.right / cell.problems)} %`, `${percent(cell.low)}–${percent(cell.high)}`, cell.reasoningTokens.toFixed(1)]
    }),
  ])
  const all = efforts.map((effort) => cells.filter((cell) => cell.effort === effort))
  const sum = (some: readonly Cell[], of: (cell: Cell) => number) => some.reduce((total, cell) => total + of(cell), 0)
  const problems = sum(all[0]!, (cell) => cell.problems)
  const overall = all.flatMap((some) => {
    const right = sum(some, (cell) => cell.right)
    const [low, high] = wilson(right, problems)
    const tokens = sum(some, (cell) => cell.reasoningTokens * cell.problems) / problems
    return [`${percent(right / problems)} %`, `${percent(low)}–${percent(high)}`, tokens.toFixed(1)]
  })
  lines.push(['all', String(problems), ...overall])
  return table([...rows, ...lines], paint, [false, true, ...efforts.flatMap(() => [true, true, true])])
}

/** One line per kind of problem through its efforts: figure 21 of the article for this model. */
function effortChart(cells: readonly Cell[], efforts: readonly Effort[]): string {
  const names = [...new Set(cells.map(({ name }) => name))]
  return chartSvg({
    title: 'Accuracy against tokens of thinking, low to high effort',
    xTitle: 'mean tokens in the analysis channel',
    yTitle: 'right answers (%)',
    yRange: [0, 100],
    series: names.map((name) => {
      const own = efforts.map((effort) => cells.find((c) => c.name === name && c.effort === effort)!)
      return {
        name,
        dots: true,
        points: own.map((c) => [c.reasoningTokens, (100 * c.right) / c.problems] as const),
        spread: own.map((c) => [100 * c.low, 100 * c.high] as const),
      }
    }),
  })
}
