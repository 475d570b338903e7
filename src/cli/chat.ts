/**
 * `lineage chat`: a conversation in the terminal, or one answer for a script. Stop 1 of the walk:
 * here a typed line becomes a user message. support/model.ts loads the model; chat/session.ts holds
 * the conversation.
 */
import { text as readAll } from 'node:stream/consumers'
import { type Command, Option } from 'commander'
import type { ChatFormat, Effort, SamplingOptions } from '../chat/messages.ts'
import { ChatSession, type TurnOptions } from '../chat/session.ts'
import { DEFAULT_MODEL, holdKeys, interruption, modelAndQuestion, pipedQuestions, withoutEffect } from './chat/start.ts'
import { addFormOptions, FORM_FLAGS, type FormFlags, readForm } from './support/form.ts'
import { addRunOptions, openModel, parseCount, parseNumber, type RunOptions } from './support/model.ts'
import { coloured, UsageError } from './support/terminal.ts'

interface Options extends RunOptions, SamplingOptions, FormFlags {
  prompt?: string
  lines?: boolean
  json?: boolean
  quiet?: boolean
  fold?: boolean
  effort?: Effort
  think?: boolean
  thinkBudget?: number
  system?: string
  tools?: string
  maxTokens?: number
  history: boolean
}

export function register(program: Command): void {
  const command = program
    .command('chat')
    .description(
      'A conversation in the terminal. With a question, -p or piped input: one answer (several piped questions: one each), its text on standard output and everything else on standard error.',
    )
    .argument(
      '[model]',
      `directory, GGUF file, ollama:NAME, Hugging Face id or preset (default: ${DEFAULT_MODEL}, which comes with the package)`,
    )
    .argument('[question...]', 'what to ask')
    .option('-p, --prompt <text>', 'ask this question and exit; piped input is not read')
    .option('--lines', 'ask each piped line by itself, as turns of one conversation (default: where all of them end in a question mark)')
    .option('--no-lines', 'ask piped text as one question')
    .option('--json', 'print the events as JSON lines (one answer only)')
    .option('-q, --quiet', 'print only errors on standard error')
    .option('--fold', 'show thinking as one line')
    .addOption(
      new Option('--effort <level>', 'reasoning effort, where the model has levels; its chat template names the default').choices([
        'low',
        'medium',
        'high',
      ]),
    )
    .option('--think', 'think before answering, where the model has a switch')
    .option('--no-think', 'answer without thinking, where the model has a switch')
    .option('--think-budget <tokens>', 'end the thinking after this many tokens', parseCount)
    .option('--system <text>', 'instructions')
    .option('--tools <file>', 'a module that exports tools the model may call, or calculator')
    .option('--generic-tools', 'describe tools in the system message where the chat template of a model knows none')
    .option('--temperature <t>', 'default: what the model was published with; 0 is greedy', parseNumber)
    .option('--top-p <p>', 'keep the likeliest tokens of this total probability', parseNumber)
    .option('--top-k <k>', 'keep the k likeliest tokens', parseNumber)
    .option('--min-p <p>', 'keep tokens at least this fraction as likely as the likeliest', parseNumber)
    .option('--repetition-penalty <x>', 'above 1: makes repeated tokens less likely', parseNumber)
    .option('--seed <n>', 'same seed, same answer', parseNumber)
    .option('--max-tokens <n>', 'limit of an answer, thinking included', parseCount)
    .addOption(
      new Option('--format <name>', 'chat format (default: found from the files of the model)').choices([
        'harmony',
        'qwen',
        'template',
        'plain',
      ]),
    )
    .option('--no-history', 'do not remember what is typed')
  addFormOptions(addRunOptions(command))
    .addHelpText(
      'after',
      '\nExamples:\n  lineage chat "What is 47 + 85?"\n  lineage chat Qwen3-0.6B --no-think\n  git diff | lineage chat gpt-oss-20b --effort high --system "Review this change."',
    )
    .action((model: string | undefined, question: string[], options: Options) => chat(model, question, options))
}

const ONE_QUESTION = 'the piped lines are one question; --lines asks each by itself\n'

async function chat(first: string | undefined, others: string[], options: Options): Promise<void> {
  const words = first === undefined ? others : [first, ...others]
  const { model: modelName, question } = modelAndQuestion(words, options.prompt !== undefined)
  const given = options.prompt ?? question
  const piped = given === undefined && !process.stdin.isTTY ? pipedQuestions(await readAll(process.stdin), options.lines) : []
  const questions = given === undefined ? piped : [given]
  if (questions.some((text) => text.trim() === '')) throw new UsageError('the question is empty')
  if (!options.quiet && piped.length === 1 && /\S\s*\n\s*\S/.test(piped[0]!)) process.stderr.write(ONE_QUESTION)
  for (const name of ['json', ...FORM_FLAGS] as const)
    if (options[name] && questions.length === 0) throw new UsageError(`--${name} needs a question, -p or piped input`)
  const form = await readForm(options)

  const tools = options.tools === undefined ? [] : await (await import('./chat/tools.ts')).loadTools(options.tools)
  const interrupt = interruption()
  const release = questions.length === 0 ? holdKeys(process.stdin, interrupt.now) : () => {}
  const model = await openModel(modelName, { ...options, slots: 1, signal: interrupt.signal }).finally(release)
  try {
    if (!options.quiet) for (const line of withoutEffect(options, model.format.capabilities)) process.stderr.write(`${line}\n`)
    const system = options.system ? [{ role: 'system' as const, content: options.system }] : []
    const session = new ChatSession(model, { ...turnOptions(options, model.format.capabilities), tools, ...form }, system)
    if (questions.length > 0) {
      const { chatOnce } = await import('./chat/once.ts')
      const { json, quiet, fold: folded } = options
      const { stdout, stderr } = process
      const once = { session, json, quiet, folded, whole: Object.keys(form).length > 0, stdout, stderr, signal: interrupt.signal }
      for (const each of questions) {
        const code = await chatOnce({ ...once, question: each })
        process.exitCode ||= code
        if (interrupt.signal.aborted) break
      }
    } else {
      const [{ chatInTerminal }, { historyPath, InputHistory }] = await Promise.all([import('./chat/repl.ts'), import('./chat/history.ts')])
      process.exitCode = await chatInTerminal({
        session,
        modelName,
        streams: { input: process.stdin, output: process.stdout },
        history: new InputHistory(options.history ? historyPath() : undefined),
        colour: coloured(),
        folded: options.fold,
        meter: model.engine,
        memoryBytes: () => Object.values(model.backend.memory()).reduce((sum, bytes) => sum + bytes, 0),
        onSignal: interrupt.redirect,
      })
    }
  } finally {
    await model.dispose()
  }
}

/** The flags as an Ask. `--no-think` counts where the format has a switch; elsewhere a warning says that it has no effect. */
export function turnOptions(options: Partial<Options>, { reasoning }: ChatFormat['capabilities']): TurnOptions {
  const { effort, think, thinkBudget, maxTokens, temperature, topP, topK, minP, repetitionPenalty, seed } = options
  const off = think === false && reasoning === 'switch'
  const asked = effort ?? (think === true ? true : undefined)
  const thinking = off ? false : thinkBudget === undefined ? asked : { effort, budget: thinkBudget }
  return { thinking, maxTokens, sampling: { temperature, topP, topK, minP, repetitionPenalty, seed } }
}
