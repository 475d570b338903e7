/**
 * The command line: the names of the commands with a summary of each. Imports only the command that runs.
 * Exit codes: 0 success, 1 failure, 2 wrong usage. An error is one line; `--debug` adds the stack.
 */
import { readFileSync, realpathSync } from 'node:fs'
import * as modules from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { closestNames, editDistance } from '../json/names.ts'

interface Entry {
  summary: string
  load: () => Promise<{ register(program: Command): void }>
}

/** In the order of the help text. Each file exports `register(program)`, which adds one command. */
const COMMANDS: Record<string, Entry> = {
  chat: { summary: 'talk with a model', load: () => import('./chat.ts') },
  serve: { summary: 'a server for clients of OpenAI, Anthropic, Ollama and llama.cpp', load: () => import('./serve.ts') },
  generate: { summary: 'continue a text, or token ids', load: () => import('./generate.ts') },
  inspect: { summary: 'what a model is: parameters, bytes, cache, work per token', load: () => import('./inspect.ts') },
  compare: { summary: 'models side by side: what differs and what it costs', load: () => import('./compare.ts') },
  train: { summary: 'train a small model', load: () => import('./train.ts') },
  ladder: { summary: 'every step from GPT-2 to gpt-oss, trained and compared', load: () => import('./ladder.ts') },
  experiment: { summary: 'one effect of the steps from GPT-2 to gpt-oss, in small models', load: () => import('./experiment.ts') },
  eval: { summary: 'published tasks, the loss on a text, or how well abacus calculates', load: () => import('./eval.ts') },
  steps: { summary: 'from GPT-2 to gpt-oss, step by step', load: () => import('./steps.ts') },
  verify: { summary: 'the claims of the article From GPT-2 to gpt-oss, checked', load: () => import('./verify.ts') },
  look: { summary: 'inside a model: attention, experts, sizes, and what each layer would answer', load: () => import('./look.ts') },
  logits: { summary: 'the logits of a prompt as a safetensors file', load: () => import('./logits.ts') },
  bench: { summary: 'speed of a model as a share of what the machine can do', load: () => import('./bench.ts') },
  gpu: { summary: 'the GPU: its limits, whether it computes rightly, how fast it copies', load: () => import('./gpu.ts') },
  pull: { summary: 'download a published model into the cache', load: () => import('./pull.ts') },
  list: { summary: 'the models in the cache', load: () => import('./list.ts') },
  remove: { summary: 'delete a model from the cache', load: () => import('./remove.ts') },
  synth: { summary: 'a random checkpoint at full size, for benchmarks', load: () => import('./synth.ts') },
  quantize: { summary: 'a model in fewer bits: MXFP4, Q4_0, Q8_0, or a GGUF file', load: () => import('./quantize.ts') },
  merge: { summary: 'a model with a LoRA adapter in its weights', load: () => import('./merge.ts') },
}

const EXAMPLES = [
  'lineage chat "What is 47 + 85?"',
  'lineage inspect gpt-oss-20b --memory 16GB',
  'lineage compare gpt2-xl gpt-oss-20b Qwen3-30B-A3B',
  'lineage steps',
]

/** Runs one command and sets the exit code. */
export async function main(args: string[]): Promise<void> {
  keepCompiled()
  const { rest, debug } = takeDebug(args)
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0) // `lineage … | head` is no failure
    throw error
  })
  // A server or a training goes on when nobody reads its messages any more.
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
  try {
    process.exitCode = await run(rest)
  } catch (error) {
    process.exitCode = report(error, debug)
  }
}

/** Lets Node.js cache compiled code: the next start is 0.3 s faster. Threads read the directory from the environment. Deno has none. */
function keepCompiled(): void {
  modules.enableCompileCache?.()
  const directory = modules.getCompileCacheDir?.()
  if (directory) process.env.NODE_COMPILE_CACHE ??= directory
}

async function run(args: string[]): Promise<number> {
  const [first, ...others] = args
  if (first === undefined || first === '--help' || first === '-h' || (first === 'help' && !others.length)) {
    process.stdout.write(help())
    return 0
  }
  if (first === '--version' || first === '-V') {
    process.stdout.write(`${version()}\n`)
    return 0
  }
  const [name, parameters] = first === 'help' ? [others[0]!, ['--help']] : [first, others]
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (!entry) return misused(name.startsWith('-') ? `unknown option ${name}` : `unknown command "${name}"${closest(name)}`, 'lineage')
  const [{ Command, CommanderError }, { register }] = await Promise.all([import('commander'), entry.load()])
  const program = new Command('lineage').exitOverride().configureOutput({ writeErr: () => {} })
  register(program)
  for (const command of program.commands) command.copyInheritedSettings(program).showHelpAfterError(false)
  try {
    await program.parseAsync([name, ...parameters], { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return 0 // help was shown
    return misused(error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' '), `lineage ${name}`)
  }
}

/** The command that is probably meant. */
function closest(name: string): string {
  const [near] = closestNames(name, Object.keys(COMMANDS), 1)
  return editDistance(name.toLowerCase(), near!) <= Math.min(2, name.length - 2) ? `; did you mean ${near}?` : ''
}

function misused(problem: string, command: string): number {
  process.stderr.write(`lineage: ${problem.replace(/\.$/, '')}; see ${command} --help\n`)
  return 2
}

function report(error: unknown, debug: boolean): number {
  const usage = error instanceof Error && error.name === 'UsageError'
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(`lineage: ${debug && error instanceof Error ? (error.stack ?? message) : message.replace(/\s*\n\s*/g, ' ')}\n`)
  return usage ? 2 : 1
}

function takeDebug(args: string[]): { rest: string[]; debug: boolean } {
  const end = args.includes('--') ? args.indexOf('--') : args.length
  const rest = args.filter((arg, index) => arg !== '--debug' || index > end)
  return { rest, debug: rest.length < args.length }
}

function help(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length))
  return [
    'Usage: lineage COMMAND [...]',
    '',
    'The open GPT line, from GPT-2 to gpt-oss and Qwen3, in TypeScript.',
    '',
    'Commands:',
    ...Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'Options:',
    '  -h, --help     this text; lineage COMMAND --help explains one command',
    '  -V, --version  the version',
    '      --debug    show the stack of an error',
    '',
    'Examples:',
    ...EXAMPLES.map((example) => `  ${example}`),
    '',
  ].join('\n')
}

function version(): string {
  return (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await main(process.argv.slice(2))
