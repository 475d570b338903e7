/** `lineage steps`: the steps from GPT-2 to gpt-oss and their effect on parameters, cache and work. */
import type { Command } from 'commander'
import { steps, walkSteps } from '../architecture/steps.ts'
import { account } from '../compare/account.ts'
import { difference } from '../compare/difference.ts'
import { describeModel } from './support/architectures.ts'
import { binary, type Cell, grouped, painter, parseTokens, short, table, UsageError } from './support/terminal.ts'

interface Options {
  from: string
  context?: number
  json?: boolean
}

export function register(program: Command): void {
  program
    .command('steps')
    .description('The steps from GPT-2 to gpt-oss: one idea at a time, with its source, its benefit and its costs.')
    .option('--from <model>', 'the model to start from; it should be a GPT-2', 'gpt2')
    .option('--context <tokens>', "context length for cache and work (default: the start's longest)", parseTokens)
    .option('--json', 'print everything as JSON')
    .addHelpText('after', '\nExamples:\n  lineage steps\n  lineage steps --from gpt2-xl --json')
    .action(async (options: Options) => {
      const { architecture: start } = await describeModel(options.from)
      if (start.layers.some(({ feedForward }) => feedForward.kind !== 'mlp') || start.embedding.position.kind !== 'learned')
        throw new UsageError(`--from ${options.from}: expected a model with learned positions and plain feed-forwards, such as gpt2-xl`)
      const context = options.context ?? start.maxPositionEmbeddings
      const stages = walkSteps(start)
      const rows = stages.map((architecture, index) => ({
        architecture,
        step: steps[index - 1],
        facts: account(architecture, { context }),
        changes: index ? difference([stages[index - 1]!, architecture]) : [],
      }))
      if (options.json) {
        const out = rows.map(({ step, facts, changes }) => ({ name: step?.name ?? start.name, ...step, changes, ...facts }))
        process.stdout.write(`${JSON.stringify({ from: start.name, context, steps: out }, null, 2)}\n`)
        return
      }
      const paint = painter()
      const bold = (text: string): Cell => ({ text, styles: ['bold'] })
      const columns: [head: string, say: (row: (typeof rows)[number]) => string][] = [
        ['context', ({ architecture }) => grouped(architecture.maxPositionEmbeddings)],
        ['parameters', ({ facts }) => short(facts.parameters.total)],
        ['active', ({ facts }) => short(facts.parameters.active)],
        ['weights', ({ facts }) => binary(facts.weightBytes.published)],
        [`cache at ${grouped(context)}`, ({ facts }) => binary(facts.kvCache.bytes)],
        ['work', ({ facts }) => short(facts.work.decodeMultiplyAdds)],
      ]
      const header = ['', ...columns.map(([head]) => head)].map(bold)
      const body = rows.map((row, index): (string | Cell)[] => [
        row.step ? `${String(index).padStart(2)} ${row.step.name}` : `   ${start.name}`,
        ...columns.map(([, say]): Cell => {
          const changed = index > 0 && say(row) !== say(rows[index - 1]!)
          return { text: say(row), styles: changed ? ['yellow'] : [] }
        }),
      ])
      const notes = steps.map(({ title, buys, source }, index) => {
        const origin = paint(`${source.paper}, ${source.year}, ${source.link}`, 'dim')
        return `${String(index + 1).padStart(2)} ${paint(title, 'bold')}\n   ${buys}\n   ${origin}`
      })
      const legend = 'work: multiply-adds of the token that ends the context; cache: bf16, one sequence; changed values are coloured'
      process.stdout.write(
        `${table([header, ...body], paint, [false, true, true, true, true, true, true])}\n${paint(legend, 'dim')}\n\n${notes.join('\n')}\n`,
      )
    })
}
