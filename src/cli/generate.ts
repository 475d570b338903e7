/**
 * `lineage generate`: a model continues a text, or token ids where other programs and measurements want these. No chat format: a base
 * model, or a prompt that was rendered elsewhere. `lineage chat` is for conversations.
 */
import type { Command } from 'commander'
import { Continuation, type ContinuationAsk, promptOf } from '../answer/continuation.ts'
import type { ChatEvent } from '../chat/messages.ts'
import type { GenerationResult, SamplingOptions } from '../engine/engine.ts'
import type { IdsModel, Model } from '../load-model-node.ts'
import { addFormOptions, FORM_FLAGS, type FormFlags, readForm } from './support/form.ts'
import {
  addRunOptions,
  interruptSignal,
  openIds,
  openModel,
  parseCount,
  parseIds,
  parseNumber,
  type RunOptions,
  residentMemory,
} from './support/model.ts'
import { readStandardInput } from './support/read-file.ts'
import { UsageError } from './support/terminal.ts'

interface Options extends RunOptions, FormFlags, Pick<SamplingOptions, 'temperature' | 'topK' | 'topP' | 'minP' | 'seed'> {
  ids?: number[]
  special: boolean
  maxTokens: number
  stop?: number[]
  stopText?: string[]
  logprobs?: number
  json?: boolean
}

/** What a run adds to the figures of --json. */
interface Run {
  result: GenerationResult
  text?: string
  tokens?: readonly object[]
}

export function register(program: Command): void {
  const command = program
    .command('generate')
    .description(
      'Continues a text, or with --ids a prompt of token ids. What is generated goes to standard output as it comes, timings to standard error.',
    )
    .argument('<model>', 'directory of a checkpoint, or the name of a model')
    .argument('[text]', 'the prompt; without it, or as "-", standard input less one newline at its end')
    .option('--ids <ids>', 'a prompt of ids instead, such as "1 2 3"; ids are printed, and no tokenizer is needed', parseIds)
    .option('--no-special', 'spellings of special tokens in the text stay text (default: they become these tokens)')
    .option('--max-tokens <n>', 'limit of generated ids', parseCount, 32)
    .option('--temperature <t>', '0 is greedy', parseNumber, 0)
    .option('--top-k <k>', 'keep the k likeliest ids', parseNumber)
    .option('--top-p <p>', 'keep the likeliest ids of this total probability', parseNumber)
    .option('--min-p <p>', 'keep ids at least this fraction as likely as the likeliest', parseNumber)
    .option('--seed <n>', 'same seed, same ids', parseNumber)
    .option('--stop <ids>', "with --ids: ids that end the answer (default: the model's own)", parseIds)
    .option('--stop-text <text>', 'with a text: ends the answer where it appears in it; may be repeated', (text, all: string[] = []) => [
      ...all,
      text,
    ])
    .option('--logprobs <n>', 'with --json: log-probability of each id and of the n likeliest', parseNumber)
    .option('--json', 'print one JSON object at the end instead')
  addFormOptions(addRunOptions(command))
    .addHelpText(
      'after',
      '\nExamples:\n  lineage generate openai-community/gpt2 "Once upon a time"\n  lineage generate openai-community/gpt2 --max-tokens 200 < story.txt\n  lineage generate models/synth-20b --ids "1 2 3" --max-tokens 16',
    )
    .action(generate)
}

async function generate(name: string, text: string | undefined, options: Options): Promise<void> {
  const { ids, stop, stopText } = options
  if (ids && text !== undefined) throw new UsageError('give either a text or --ids, not both')
  if (stop && !ids) throw new UsageError('--stop takes ids and needs --ids; for a text there is --stop-text')
  if (stopText && ids) throw new UsageError('--stop-text needs a text; with --ids there is --stop')
  if (ids && FORM_FLAGS.some((name) => options[name])) throw new UsageError('--schema, --regex, --choice and --grammar need a text')
  const form = await readForm(options)
  const prompt = ids ? '' : text === undefined || text === '-' ? await readPrompt() : text
  const signal = interruptSignal()
  const start = performance.now()
  const open = { ...options, slots: 1, signal }
  const spoken = ids ? undefined : await openModel(name, open)
  const model = spoken ?? (await openIds(name, open))
  const loadMs = performance.now() - start
  try {
    const { result, ...more } = spoken
      ? await onText(spoken, prompt, options, { ...form, signal })
      : await onIds(model, ids!, options, signal)
    if (options.json) {
      const memory = { ...residentMemory(), ...model.backend.memory() }
      process.stdout.write(`${JSON.stringify({ ...result, loadMs, backend: model.backend.name, memory, ...more })}\n`)
    } else process.stderr.write(`${summary(result)}\n`)
    if (result.reason === 'abort') process.exitCode = 130
  } finally {
    await model.dispose()
  }
}

async function readPrompt(): Promise<string> {
  const text = await readStandardInput()
  if (text === '') throw new UsageError('give a text after the model, a text on standard input, or --ids')
  return text
}

async function onText(model: Model, prompt: string, options: Options, wanted: ContinuationAsk): Promise<Run> {
  const { maxTokens, stopText: stop, json, special } = options
  const ask = { ...wanted, maxTokens, stop, sampling: samplingOf(options), logprobs: json ? options.logprobs : undefined }
  const continuation = new Continuation(model, promptOf(model, prompt, 'text', { special }), ask, 'text')
  const generation = continuation.start()
  const run = { text: '', tokens: ask.logprobs === undefined ? undefined : ([] as object[]) }
  const take = (event: ChatEvent) => {
    if (event.type === 'text-token') run.tokens?.push({ id: event.id, logprob: event.logprob, top: event.top })
    if (event.type !== 'text-delta') return
    run.text += event.delta
    if (!json) process.stdout.write(event.delta)
  }
  for await (const event of generation) take(event)
  const result = await generation.result
  continuation.finish(result).forEach(take)
  if (!json && !run.text.endsWith('\n')) process.stdout.write('\n')
  return { result, ...run }
}

async function onIds({ engine }: IdsModel, ids: readonly number[], options: Options, signal: AbortSignal): Promise<Run> {
  const { maxTokens, stop, json } = options
  const logprobs = json ? options.logprobs : undefined
  const generation = engine.generate(ids, { maxTokens, sampling: samplingOf(options), stopIds: stop, logprobs, signal })
  const tokens: object[] = []
  for await (const token of generation) {
    if (json) tokens.push(token)
    else process.stdout.write(`${token.id} `)
  }
  if (!json) process.stdout.write('\n')
  return { result: await generation.result, tokens: logprobs === undefined ? undefined : tokens }
}

const samplingOf = ({ temperature, topK, topP, minP, seed }: Options): SamplingOptions => ({ temperature, topK, topP, minP, seed })

function summary({ reason, promptTokens, completionTokens, prefillMs, decodeMs }: GenerationResult): string {
  const rate = (count: number, ms: number) => (count > 0 && ms > 0 ? `, ${((1000 * count) / ms).toFixed(1)}/s` : '')
  return (
    `${reason}: ${promptTokens} prompt ids in ${prefillMs.toFixed(0)} ms${rate(promptTokens, prefillMs)}; ` +
    `${completionTokens} ids${rate(completionTokens - 1, decodeMs)}`
  )
}
