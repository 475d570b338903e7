/** `lineage inspect MODEL`: describes one model in words and numbers. All numbers come from compare/account. */
import type { Command } from 'commander'
import { presets } from '../architecture/presets.ts'
import { type Account, account } from '../compare/account.ts'
import { describe } from '../compare/difference.ts'
import { notes } from '../compare/notes.ts'
import { type Described, describeModel } from './support/architectures.ts'
import { fit, machineMemory, report, storedBytes } from './support/inspect-report.ts'
import { grouped, painter, parseBytes, parseTokens, table, UsageError } from './support/terminal.ts'

interface Options {
  context?: number
  memory?: number
  json?: boolean
  list?: boolean
}

export function register(program: Command): void {
  program
    .command('inspect')
    .description('What a model is: its parts, parameters, bytes, cache and work per token. Reads no weights.')
    .argument(
      '[model]',
      'name of a published model, a directory, a config.json, or a Hugging Face id (the hub then sends configuration and headers only)',
    )
    .option('--context <tokens>', 'context length for cache and work, e.g. 8192 or 128k (default: the longest published)', parseTokens)
    .option(
      '--memory <size>',
      'say whether it fits, and which context fits, e.g. 16GB or 12GiB (default: the memory of this machine)',
      parseBytes,
    )
    .option('--json', 'print everything as JSON')
    .option('--list', 'print the names of all published models')
    .addHelpText(
      'after',
      '\nExamples:\n  lineage inspect gpt-oss-20b --memory 16GB\n  lineage inspect Qwen/Qwen3-30B-A3B --context 32k\n  lineage inspect ./my-model --json\n  lineage inspect some/model-on-the-hub',
    )
    .action(async (model: string | undefined, options: Options) => {
      if (options.list) {
        print(list())
        return
      }
      if (model === undefined) throw new UsageError('expected a MODEL; lineage inspect --list names the published ones')
      const described = await describeModel(model)
      const facts = account(described.architecture, { context: options.context, quantization: described.quantization })
      const { name, maxPositionEmbeddings: longest } = described.architecture
      if (options.context !== undefined && options.context > longest)
        process.stderr.write(`--context ${grouped(options.context)}: the longest context of ${name} is ${grouped(longest)}\n`)
      print(
        options.json
          ? JSON.stringify(asJson(described, facts, options), null, 2)
          : report(described, facts, options.memory ?? machineMemory()),
      )
    })
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

const list = (): string =>
  table(
    presets.map(({ name, repositories }) => [name, repositories[0] ?? '–']),
    painter(false),
  )

function asJson(described: Described, facts: Account, { memory }: Options): object {
  const { architecture, origin, preset } = described
  return {
    name: architecture.name,
    repositories: preset?.repositories ?? [],
    origin,
    ...facts,
    storedBytes: storedBytes(described, facts),
    memory: memory === undefined ? undefined : fit(described, facts, memory),
    features: Object.fromEntries(describe(architecture).map(({ key, value }) => [key, value])),
    notes: notes(architecture),
    architecture,
  }
}
