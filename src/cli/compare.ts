/** `lineage compare A B [C …]`: differences, their costs, and common features, as a table, Markdown, JSON or SVG. */
import type { Command } from 'commander'
import { type Account, account } from '../compare/account.ts'
import { diagram } from '../compare/diagram.ts'
import { type Difference, sideBySide } from '../compare/difference.ts'
import { OWN_SVG, writeOutput } from '../files/output-node.ts'
import { type Described, describeModel } from './support/architectures.ts'
import { fit, machineMemory } from './support/inspect-report.ts'
import {
  binary,
  type Cell,
  fitColumns,
  grouped,
  painter,
  parseBytes,
  parseTokens,
  short,
  table,
  terminalWidth,
  UsageError,
} from './support/terminal.ts'

interface Options {
  context?: number
  memory?: number
  json?: boolean
  markdown?: boolean
  svg?: string
  force?: boolean
}

export function register(program: Command): void {
  program
    .command('compare')
    .description('Models side by side: which parts differ, what each costs, and what they share.')
    .argument('<models...>', 'two or more: names of published models, directories, config.json files, Hugging Face ids')
    .option('--context <tokens>', 'context length for cache and work (default: the longest that all of them have)', parseTokens)
    .option('--memory <size>', 'say which context fits into so much memory, e.g. 16GB (default: the memory of this machine)', parseBytes)
    .option('--json', 'print everything as JSON')
    .option('--markdown', 'print Markdown tables')
    .option('--svg <file>', 'draw the stacks side by side into an SVG file')
    .option('--force', 'replace a file of another origin that is there')
    .addHelpText(
      'after',
      '\nExamples:\n  lineage compare gpt-oss-20b gpt-oss-120b\n  lineage compare gpt2-xl gpt-oss-20b Qwen3-30B-A3B --context 8k --markdown\n  lineage compare gpt2-xl gpt-oss-20b --svg lineage.svg',
    )
    .action(async (models: string[], options: Options) => {
      if (models.length < 2) throw new UsageError('expected at least two models to compare')
      const described: Described[] = []
      for (const model of models) described.push(await describeModel(model))
      const architectures = described.map(({ architecture }) => architecture)
      const context = options.context ?? Math.min(...architectures.map(({ maxPositionEmbeddings }) => maxPositionEmbeddings))
      for (const { name, maxPositionEmbeddings: longest } of architectures)
        if (context > longest)
          process.stderr.write(`--context ${grouped(context)}: the longest context of ${name} is ${grouped(longest)}\n`)
      const accounts = described.map(({ architecture, quantization }) => account(architecture, { context, quantization }))
      const names = architectures.map(({ name }) => name)
      if (options.svg !== undefined) {
        await writeOutput(options.svg, diagram(architectures, accounts), { force: options.force, own: OWN_SVG })
        process.stdout.write(`${options.svg}\n`)
        return
      }
      const rows = sideBySide(architectures)
      const differing = rows.filter(({ values }) => values.some((value) => value !== values[0]))
      const alike = rows.filter((row) => !differing.includes(row) && row.values[0] !== '–')
      if (options.json) {
        const common = Object.fromEntries(alike.map(({ key, values }) => [key, values[0]]))
        const { memory } = options
        const fits = (index: number) => (memory === undefined ? undefined : fit(described[index]!, accounts[index]!, memory))
        const columns = names.map((name, index) => ({ name, ...accounts[index], memory: fits(index) }))
        process.stdout.write(`${JSON.stringify({ context, models: columns, differences: differing, alike: common }, null, 2)}\n`)
      } else {
        const cost = [...costs(accounts), fitting(described, accounts, options.memory ?? machineMemory())]
        process.stdout.write(`${(options.markdown ? asMarkdown : asText)(names, differing, alike, cost)}\n`)
      }
    })
}

const counted = (n: number): string => `${n === 0 ? 'no' : n} difference${n === 1 ? '' : 's'}`

/** The longest context that fits into so much memory beside the weights. */
function fitting(described: Described[], accounts: Account[], memory: number): Difference {
  const values = described.map((model, index) => {
    const { fits, context } = fit(model, accounts[index]!, memory)
    return fits ? (context === model.architecture.maxPositionEmbeddings ? 'full context' : `${grouped(context!)} tokens`) : 'does not fit'
  })
  return { key: 'fits', group: 'size', label: `in ${binary(memory)} of memory`, values }
}

function costs(accounts: Account[]): Difference[] {
  const row = (key: string, label: string, say: (facts: Account) => string): Difference => ({
    key,
    group: 'size',
    label,
    values: accounts.map(say),
  })
  const context = grouped(accounts[0]!.work.context)
  return [
    row('total', 'parameters', ({ parameters }) => grouped(parameters.total)),
    row('active', 'active per token', ({ parameters }) => grouped(parameters.active)),
    row('expertShare', 'share in experts', ({ parameters }) =>
      parameters.expertShare ? `${(parameters.expertShare * 100).toFixed(1)} %` : '–',
    ),
    row('published', 'weights, published types', ({ weightBytes }) => binary(weightBytes.published)),
    row('perToken', 'cache per token, bf16', ({ kvCache }) => binary(kvCache.bytesPerTokenWithinWindow)),
    row('beyond', 'beyond the windows', ({ kvCache }) => binary(kvCache.bytesPerTokenBeyondWindow)),
    row('cache', `cache at ${context} tokens`, ({ kvCache }) => binary(kvCache.bytes)),
    ...(accounts.some(({ state }) => state.bytes > 0)
      ? [row('state', 'states, any context', ({ state }) => (state.bytes > 0 ? binary(state.bytes) : '–'))]
      : []),
    row('prompt', 'multiply-adds, prompt', ({ work }) => `${short(Math.round(work.promptMultiplyAdds))} / token`),
    row('decode', 'multiply-adds, decoding', ({ work }) => `${short(work.decodeMultiplyAdds)} / token`),
    row('read', 'weights read, decoding', ({ work }) => `${binary(work.decodeWeightBytes)} / token`),
  ]
}

function asText(names: string[], differing: Difference[], alike: Difference[], cost: Difference[]): string {
  const paint = painter()
  const dim = (text: string): Cell => ({ text, styles: ['dim'] })
  const bold = (text: string): Cell => ({ text, styles: ['bold'] })
  const rows: (string | Cell)[][] = [
    ['', ...names.map(bold)],
    [bold(counted(differing.length))],
    ...differing.map(({ label, values }) => [`≠ ${label}`, ...values.map((text): Cell => ({ text, styles: ['yellow'] }))]),
    [''],
    [bold('costs')],
    ...cost.map(({ label, values }) => [dim(`  ${label}`), ...values]),
    [''],
    [bold('alike')],
  ]
  return `${table(fitColumns(rows, terminalWidth()), paint)}\n${table(
    alike.map(({ label, values }) => [dim(`  ${label}`), values[0]!]),
    paint,
  )}`
}

function asMarkdown(names: string[], differing: Difference[], alike: Difference[], cost: Difference[]): string {
  const line = (cells: string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  const block = (title: string, head: string[], rows: string[][]): string =>
    [`**${title}**`, '', line(['', ...head]), line(['---', ...head.map(() => '---')]), ...rows.map(line)].join('\n')
  const cells = (rows: Difference[]): string[][] => rows.map(({ label, values }) => [label, ...values])
  return [
    block(counted(differing.length), names, cells(differing)),
    block('costs', names, cells(cost)),
    block(
      'alike',
      ['all'],
      alike.map(({ label, values }) => [label, values[0]!]),
    ),
  ].join('\n\n')
}
