/**
 * `lineage eval`: what a model's predictions of a text are worth, or what the embedded model can
 * calculate at which effort.
 */
import { readFileSync } from 'node:fs'
import { type Command, InvalidArgumentError } from 'commander'
import type { Effort } from '../chat/messages.ts'
import { chat } from '../chat/session.ts'
import { chartSvg } from '../drawing/chart.ts'
import { claimFile, OWN_SVG } from '../files/output-node.ts'
import { writeFileAtomically } from '../files/write-node.ts'
import { promptIds } from '../tokenizer/prompt.ts'
import { calculatorTool } from '../train/abacus/calculator.ts'
import { type Ask, type Cell, measureCalls, measureEfforts, wilson } from '../train/abacus/evaluate.ts'
import { evaluationStarts } from '../train/data/text.ts'
import {
  addAdapterOption,
  addBackendOptions,
  type BackendOptions,
  modelDirectory,
  openModel,
  parseCount,
  parseNumber,
  type RunOptions,
} from './support/model.ts'
import { painter, table, UsageError } from './support/terminal.ts'

interface Options extends BackendOptions, Pick<RunOptions, 'adapter'> {
  data?: string
  heldOut?: number
  block?: number
  windows: number
  effort?: Effort[]
  problems: number
  calls: number
  svg?: string
  json?: string
  force?: boolean
  seed: number
}

export function register(program: Command): void {
  const command = program
    .command('eval')
    .description(
      'With --data: loss, perplexity and bits per byte on a text. With --effort: accuracy and length of the thinking on arithmetic problems that were never trained on, and calls of the calculator.',
    )
    .argument('<model>', 'directory of a checkpoint, or abacus')
    .option('--data <file>', 'text to predict')
    .option('--held-out <share>', 'only this last share of the text, as `lineage train` keeps it (0.1)', parseNumber)
    .option('--block <tokens>', 'tokens per window (default: the context, at most 1024)', parseCount)
    .option('--windows <n>', 'most windows, at equal distances', parseCount, 400)
    .option('--effort <levels>', 'low,medium,high', parseEfforts)
    .option('--problems <n>', 'problems per effort, shared by the kinds; of a kind with few, all', parseCount, 1000)
    .option('--calls <n>', 'problems with the calculator on offer', parseCount, 200)
    .option('--svg <file>', 'accuracy against tokens of thinking')
    .option('--json <file>', 'everything measured')
    .option('--force', 'replace files of another origin that are there')
    .option('--seed <n>', 'which problems', parseNumber, 1)
  addAdapterOption(addBackendOptions(command))
    .addHelpText(
      'after',
      '\nExamples:\n  lineage eval runs/gpt2/model --data shakespeare.txt --held-out 0.1\n  lineage eval abacus --effort low,medium,high',
    )
    .action(run)
}

function parseEfforts(text: string): Effort[] {
  const levels = text.split(',')
  if (!levels.every((level): level is Effort => level === 'low' || level === 'medium' || level === 'high'))
    throw new InvalidArgumentError('Expected low, medium or high, separated by commas.')
  return levels
}

async function run(name: string, options: Options): Promise<void> {
  if ((options.data === undefined) === (options.effort === undefined)) throw new UsageError('give either --data FILE or --effort LEVELS')
  const { force } = options
  if (options.svg) await claimFile(options.svg, { force, own: OWN_SVG })
  if (options.json) await claimFile(options.json, { force, own: /^\{\n {2}"(loss|cells)": / })
  const directory = await modelDirectory(name)
  if (options.data !== undefined) await scoreText(directory, options.data, options)
  else await measureArithmetic(directory, options)
}

async function scoreText(directory: string, file: string, options: Options): Promise<void> {
  const model = await openModel(directory, { ...options, slots: 8, context: longContext(options.block) })
  try {
    const { tokenizer } = model
    // A model that was trained with a BOS reads badly without one, so every window begins with it.
    const all = Int32Array.from(promptIds(tokenizer, readFileSync(file, 'utf8'), { special: false, bos: false }))
    const { prefix = [] } = tokenizer
    const ids = all.subarray(Math.floor(all.length * (1 - (options.heldOut ?? 1))))
    const { architecture } = model
    const block = options.block ?? Math.min(architecture.maxPositionEmbeddings, 1024)
    if (block > architecture.maxPositionEmbeddings)
      throw new UsageError(`--block ${block}: ${architecture.name} has a context of ${architecture.maxPositionEmbeddings} tokens`)
    if (prefix.length >= block) throw new UsageError(`--block ${block}: the tokenizer puts ${prefix.length} ids before every text`)
    if (ids.length < block + 1 - prefix.length)
      throw new UsageError(`${file}: ${ids.length} tokens are fewer than one window of ${block} needs; choose a shorter --block`)
    let loss = 0
    let rows = 0
    let bytes = 0
    const own = block + 1 - prefix.length
    const scores = evaluationStarts(ids.length, block, options.windows, prefix.length).map((start) =>
      model.engine.score([...prefix, ...ids.subarray(start, start + own)], { from: Math.max(1, prefix.length) }),
    )
    for (const window of await Promise.all(scores)) {
      rows += window.length
      for (const { id, logprob } of window) {
        loss -= logprob
        bytes += tokenizer.bytes(id).length
      }
    }
    const result = { loss: loss / rows, perplexity: Math.exp(loss / rows), bitsPerByte: loss / Math.LN2 / bytes, tokens: rows, block }
    process.stdout.write(
      `loss ${result.loss.toFixed(4)} nats per token  perplexity ${result.perplexity.toFixed(3)}  ${result.bitsPerByte.toFixed(4)} bits per byte  (${rows} tokens, windows of ${block})\n`,
    )
    if (options.json) await writeFileAtomically(options.json, `${JSON.stringify(result, null, 2)}\n`)
  } finally {
    await model.dispose()
  }
}

/** The context to reserve where the usual 8192 positions are too few. A wrong --block gets its error when the model is known. */
const longContext = (block = 0): number | undefined => (block > 8192 ? block : undefined)

async function measureArithmetic(directory: string, options: Options): Promise<void> {
  const model = await openModel(directory, { ...options, slots: 32, context: 512 })
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
    return answer
  }
  const paint = painter()
  try {
    const efforts = options.effort!
    const cells = await measureEfforts(ask, efforts, options.problems, options.seed, (cell) => {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${cell.name}, ${cell.effort}: ${cell.right} of ${cell.problems}`)
    })
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[2K')
    process.stdout.write(`${report(cells, efforts, paint)}\n`)
    const calls = await measureCalls(ask, options.calls, options.seed)
    const share = (n: number) => `${((100 * n) / calls.problems).toFixed(1)} %`
    process.stdout.write(
      `\nwith the calculator, 1 to 8 digits: ${share(calls.wellFormed)} of ${calls.problems} calls well-formed, ${share(calls.right)} of the answers right\n`,
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
