/** `lineage look`: what happens inside a model while it reads a text, as a report, JSON or SVG. */
import { basename } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { promptOf } from '../answer/continuation.ts'
import { claimFile, OWN_SVG, writeOutput } from '../files/output-node.ts'
import { type LookOptions, type LookProgress, look } from '../inspect/look.ts'
import { lookSvg } from '../inspect/look-svg.ts'
import { speller } from '../tokenizer/prompt.ts'
import { asJson, report } from './support/look-report.ts'
import { addRunOptions, interruptSignal, openIds, openModel, parseCount, parseIds, type RunOptions } from './support/model.ts'
import { readStandardInput } from './support/read-file.ts'
import { terminalWidth, UsageError } from './support/terminal.ts'

interface Options extends RunOptions, Pick<LookOptions, 'layers' | 'heads' | 'tokens' | 'top' | 'lens' | 'hidden'> {
  ids?: number[]
  special: boolean
  json?: boolean
  svg?: string
  force?: boolean
}

/** Longest text without --context. */
const CONTEXT = 2048

export function register(program: Command): void {
  const command = program
    .command('look')
    .description(
      'What happens inside a model while it reads a text: where attention goes, which experts work, how large activations are, and what each layer would answer.',
    )
    .argument('<model>', 'directory of a checkpoint, or the name of a model')
    .argument('[text]', 'the text; without it, or as "-", standard input less one newline at its end')
    .option('--ids <ids>', 'token ids instead of a text, such as "1 2 3"; no tokenizer is needed', parseIds)
    .option('--no-special', 'spellings of special tokens in the text stay text (default: they become these tokens)')
    .option('--layers <list>', 'show these layers in detail, e.g. 0,3-5,-1 (default: a line for each layer)', parseList)
    .option('--heads <list>', 'only these query heads, with their whole maps', parseList)
    .option('--tokens <list>', 'rows of these tokens, e.g. 0-7 or -1 (default: the last 16)', parseList)
    .option('--top <n>', 'length of the lists of likeliest and of most attended tokens', parseCount, 3)
    .option('--no-lens', 'leave out what each layer would answer, which reads the output matrix once per layer')
    .option('--json', 'print everything as JSON')
    .option('--hidden', 'with --json: also the residual stream of the tokens after each layer')
    .option('--svg <file>', 'draw it into an SVG file')
    .option('--force', 'replace a file of another origin that is there')
  addRunOptions(command)
    .addHelpText(
      'after',
      '\nExamples:\n  lineage look abacus "47+85:7+5+0="\n  lineage look openai-community/gpt2 "The cat sat on the" --layers 5 --heads 1,5\n  lineage look openai/gpt-oss-20b "Hello" --layers 0-3 --tokens -1 --json\n  lineage look abacus "1 + 1" --svg look.svg',
    )
    .action(run)
}

async function run(name: string, text: string | undefined, options: Options): Promise<void> {
  const { ids, svg, force, json } = options
  if (ids && text !== undefined) throw new UsageError('give either a text or --ids, not both')
  if (json && svg !== undefined) throw new UsageError('--json prints and --svg draws; ask for one of them')
  if (options.hidden && !json) throw new UsageError('--hidden needs --json')
  const prompt = ids ? '' : text === undefined || text === '-' ? await readStandardInput() : text
  if (svg !== undefined) await claimFile(svg, { force, own: OWN_SVG })
  const signal = interruptSignal()
  const open = { ...options, context: options.context ?? (ids ? Math.max(2, ids.length) : undefined), slots: 1, chunk: 32, signal }
  const spoken = ids ? undefined : await openModel(name, open)
  const model = spoken ?? (await openIds(name, open))
  try {
    const read = spoken ? promptOf(spoken, prompt, 'the text', options) : ids!
    if (read.length > (options.context ?? Math.max(CONTEXT, ids?.length ?? 0)))
      throw new UsageError(`the text has ${read.length} tokens; allow a longer one with --context ${read.length}`)
    const { layers, heads, tokens, top, lens, hidden } = options
    const spell = spoken && speller(spoken.tokenizer)
    const line = statusLine()
    const seen = await look(model, read, { layers, heads, tokens, top, lens, hidden, spell, signal, onProgress: line.show })
      .catch((error) => {
        throw error instanceof RangeError ? new UsageError(error.message.replace(/^look: /, '')) : error
      })
      .finally(line.clear)
    const found = { ...seen, model: basename(name) }
    if (svg !== undefined) {
      await writeOutput(svg, lookSvg(found), { force, own: OWN_SVG })
      process.stdout.write(`${svg}\n`)
    } else if (json) process.stdout.write(`${asJson(found)}\n`)
    else process.stdout.write(`${report(found, { detailed: layers !== undefined || heads !== undefined, width: terminalWidth() })}\n`)
  } finally {
    await model.dispose()
  }
}

/** How far it is, on a terminal. */
function statusLine(): { show: (progress: LookProgress) => void; clear: () => void } {
  const write = (words: string): unknown => process.stderr.isTTY && process.stderr.write(`\r\x1b[2K${words}`)
  return {
    show: ({ reading, done, of }) => write(reading === 'tokens' ? `read ${done} of ${of} tokens` : `answers of ${done} of ${of} layers`),
    clear: () => write(''),
  }
}

/** '0,3-5,-1' -> indices; negative ones count from the end. For commander's argument parser. */
export function parseList(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const [, from, to] = /^\s*(-?\d{1,6})(?:-(\d{1,6}))?\s*$/.exec(part) ?? []
    if (from === undefined || (to !== undefined && (Number(from) < 0 || Number(to) < Number(from))))
      throw new InvalidArgumentError('Expected numbers and ranges such as 0,3-5,-1.')
    return to === undefined ? [Number(from)] : Array.from({ length: Number(to) - Number(from) + 1 }, (_, i) => Number(from) + i)
  })
}
