/** `lineage steps`: the steps from GPT-2 to gpt-oss and their effect on parameters, cache and work. */
import type { Command } from 'commander'
import type { Architecture } from '../architecture/architecture.ts'
import { type Step, sideRoadsWith, steps, walkSteps } from '../architecture/steps.ts'
import { type Account, account } from '../compare/account.ts'
import { type Difference, difference } from '../compare/difference.ts'
import { describeModel } from './support/architectures.ts'
import { binary, type Cell, grouped, painter, parseTokens, short, table, UsageError } from './support/terminal.ts'

interface Row {
  architecture: Architecture
  /** The row that this one is compared with. */
  before?: Row
  step?: Step
  facts: Account
  changes: Difference[]
}

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
      const row = (architecture: Architecture, before?: Row, step?: Step): Row => ({
        architecture,
        before,
        step,
        facts: account(architecture, { context }),
        changes: before ? difference([before.architecture, architecture]) : [],
      })
      const rows: Row[] = []
      for (const [index, architecture] of stages.entries()) rows.push(row(architecture, rows.at(-1), steps[index - 1]))
      const roads = sideRoadsWith().map((road) => {
        const before = rows[steps.findIndex(({ name }) => name === road.after) + 1]!
        return { ...row(road.patch(before.architecture), before, road), after: road.after }
      })
      if (options.json) {
        const out = ({ step, facts, changes }: Row) => ({ name: step?.name ?? start.name, ...step, changes, ...facts })
        const all = { from: start.name, context, steps: rows.map(out), sideRoads: roads.map(out) }
        process.stdout.write(`${JSON.stringify(all, null, 2)}\n`)
        return
      }
      const paint = painter()
      const bold = (text: string): Cell => ({ text, styles: ['bold'] })
      const columns: [head: string, say: (row: Row) => string][] = [
        ['context', ({ architecture }) => grouped(architecture.maxPositionEmbeddings)],
        ['parameters', ({ facts }) => short(facts.parameters.total)],
        ['active', ({ facts }) => short(facts.parameters.active)],
        ['weights', ({ facts }) => binary(facts.weightBytes.published)],
        [`cache at ${grouped(context)}`, ({ facts }) => binary(facts.kvCache.bytes)],
        ['work', ({ facts }) => short(facts.work.decodeMultiplyAdds)],
      ]
      const cells = (row: Row): Cell[] =>
        columns.map(([, say]) => ({ text: say(row), styles: row.before && say(row) !== say(row.before) ? ['yellow'] : [] }))
      const note = ({ title, buys, source }: Step, mark: string): string => {
        const origin = paint(`${source.paper}, ${source.year}, ${source.link}`, 'dim')
        return `${mark.padStart(2)} ${paint(title, 'bold')}\n   ${buys}\n   ${origin}`
      }
      const body: (string | Cell)[][] = [
        ['', ...columns.map(([head]) => head)].map(bold),
        ...rows.map((each, index) => [each.step ? `${String(index).padStart(2)} ${each.step.name}` : `   ${start.name}`, ...cells(each)]),
        [''],
        [bold('   what other models changed instead')],
        ...roads.map((each) => [`   ${each.step!.name}, after ${each.after}`, ...cells(each)]),
      ]
      const notes = [...steps.map((step, index) => note(step, String(index + 1))), ...roads.map(({ step }) => note(step!, ' –'))]
      const legend = 'work: multiply-adds of the token that ends the context; cache: bf16, one sequence; changed values are coloured'
      process.stdout.write(
        `${table(body, paint, [false, true, true, true, true, true, true])}\n${paint(legend, 'dim')}\n\n${notes.join('\n')}\n`,
      )
    })
}
