/** `lineage generate`: token ids in, token ids out, for other programs and for measurements. */
import type { Command } from 'commander'
import type { GenerationResult, SamplingOptions } from '../engine/engine.ts'
import {
  addRunOptions,
  interruptSignal,
  openIds,
  parseCount,
  parseIds,
  parseNumber,
  type RunOptions,
  residentMemory,
} from './support/model.ts'

interface Options extends RunOptions, Pick<SamplingOptions, 'temperature' | 'topK' | 'topP' | 'minP' | 'seed'> {
  ids: number[]
  maxTokens: number
  stop?: number[]
  logprobs?: number
  json?: boolean
}

export function register(program: Command): void {
  const command = program
    .command('generate')
    .description('Continues a prompt of token ids. Ids go to standard output as they are generated, timings to standard error.')
    .argument('<model>', 'directory of a checkpoint')
    .requiredOption('--ids <ids>', 'the prompt, such as "1 2 3"', parseIds)
    .option('--max-tokens <n>', 'limit of generated ids', parseCount, 32)
    .option('--temperature <t>', '0 is greedy', parseNumber, 0)
    .option('--top-k <k>', 'keep the k likeliest ids', parseNumber)
    .option('--top-p <p>', 'keep the likeliest ids of this total probability', parseNumber)
    .option('--min-p <p>', 'keep ids at least this fraction as likely as the likeliest', parseNumber)
    .option('--seed <n>', 'same seed, same ids', parseNumber)
    .option('--stop <ids>', "ids that end the answer (default: the model's own)", parseIds)
    .option('--logprobs <n>', 'with --json: log-probability of each id and of the n likeliest', parseNumber)
    .option('--json', 'print one JSON object at the end instead')
  addRunOptions(command)
    .addHelpText('after', '\nExample:\n  lineage generate models/synth-20b --ids "1 2 3" --max-tokens 16')
    .action(generate)
}

async function generate(name: string, options: Options): Promise<void> {
  const { ids, maxTokens, stop, logprobs, temperature, topK, topP, minP, seed } = options
  const signal = interruptSignal()
  const start = performance.now()
  const model = await openIds(name, { ...options, slots: 1, signal })
  const loadMs = performance.now() - start
  try {
    const sampling = { temperature, topK, topP, minP, seed }
    const generation = model.engine.generate(ids, {
      maxTokens,
      sampling,
      stopIds: stop,
      logprobs: options.json ? logprobs : undefined,
      signal,
    })
    const tokens = []
    for await (const token of generation) {
      if (options.json) tokens.push(token)
      else process.stdout.write(`${token.id} `)
    }
    const result = await generation.result
    const memory = { ...residentMemory(), ...model.backend.memory() }
    if (options.json) {
      const figures = { ...result, loadMs, backend: model.backend.name, memory }
      process.stdout.write(`${JSON.stringify(logprobs === undefined ? figures : { ...figures, tokens })}\n`)
    } else {
      process.stdout.write('\n')
      process.stderr.write(`${summary(result)}\n`)
    }
    if (result.reason === 'abort') process.exitCode = 130
  } finally {
    await model.dispose()
  }
}

function summary({ reason, promptTokens, completionTokens, prefillMs, decodeMs }: GenerationResult): string {
  const rate = (count: number, ms: number) => (count > 0 && ms > 0 ? `, ${((1000 * count) / ms).toFixed(1)}/s` : '')
  return (
    `${reason}: ${promptTokens} prompt ids in ${prefillMs.toFixed(0)} ms${rate(promptTokens, prefillMs)}; ` +
    `${completionTokens} ids${rate(completionTokens - 1, decodeMs)}`
  )
}
