/** `lineage quantize`: packs the matrices of a model and reports the rounding errors, and what they do to the loss on a text. */
import { type Command, Option } from 'commander'
import { convertToGguf } from '../checkpoint/gguf/convert-node.ts'
import { quantizeGguf } from '../checkpoint/gguf/quantize-node.ts'
import { relativeError } from '../checkpoint/quantize.ts'
import { type QuantizeOptions, type QuantizeResult, quantizeModel } from '../checkpoint/quantize-node.ts'
import { type TextLoss, textLoss } from './eval/text.ts'
import { interruptSignal, modelDirectory, parseCount } from './support/model.ts'
import { transferLine } from './support/progress.ts'
import { binary, type Cell, painter, table } from './support/terminal.ts'

interface Options {
  experts?: QuantizeOptions['experts']
  dense?: QuantizeOptions['dense']
  text?: string
  windows: number
  json?: boolean
  force?: boolean
}

const FORMATS = ['q4_0', 'mxfp4', 'q8_0', 'bf16', 'f16', 'f32'] as const

export function register(program: Command): void {
  program
    .command('quantize')
    .description(
      'Writes a model with its matrices packed into few bits, and copies everything else unchanged. An output name that ends with .gguf makes a GGUF file, of a directory too; with --dense bf16 --experts keep it only converts.\nExperts become MXFP4 (4.25 bits per value, to nearest). With --dense the matrices of attention and of plain feed-forwards are packed too: q4_0 (groups of 32 with the best scale that a search finds), MXFP4 or q8_0; with 4 bits the output matrix becomes q8_0.\nReports the error of every matrix: root mean square relative to the values, and the largest.',
    )
    .argument('<model>', 'directory of a checkpoint, a GGUF file, or a model that was pulled')
    .argument('<out>', 'directory to write, or the name of a GGUF file')
    .addOption(
      new Option('--experts <format>', 'format of expert matrices (default: mxfp4, or that of --dense if it has more bits)').choices([
        ...FORMATS,
        'keep',
      ]),
    )
    .addOption(new Option('--dense <format>', 'format of the other matrices (default: as they are)').choices(FORMATS))
    .option('--text <file>', 'measure the loss on this text before and after')
    .option('--windows <n>', 'windows of the text, evenly spaced', parseCount, 64)
    .option('--force', 'replace another model that is in OUT')
    .option('--json', 'print the report as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  lineage quantize models/Qwen3-30B-A3B models/Qwen3-30B-A3B-mxfp4\n  lineage quantize models/Qwen3-8B models/Qwen3-8B-q4 --dense q4_0 --text wiki.txt\n  lineage quantize models/Qwen3-8B Qwen3-8B-Q8_0.gguf --dense q8_0',
    )
    .action(async (name: string, out: string, options: Options) => {
      const { experts, dense, force, text } = options
      const signal = interruptSignal()
      const line = transferLine(process.stderr, out)
      const loss = async (directory: string) =>
        text && textLoss(directory, text, { windows: options.windows, block: undefined, heldOut: undefined })
      try {
        const isGguf = (path: string) => /\.gguf$/i.test(path)
        const model = isGguf(name) ? name : await modelDirectory(name)
        const before = await loss(model)
        const pack = isGguf(model) ? quantizeGguf : isGguf(out) ? convertToGguf : quantizeModel
        const result = await pack(model, out, { experts, dense, force, signal, onProgress: line.update })
        line.end()
        const after = await loss(out)
        print(out, result, before && after ? { before, after } : undefined, options.json)
      } finally {
        line.end()
      }
    })
}

function print(
  out: string,
  result: QuantizeResult,
  loss: { before: TextLoss; after: TextLoss } | undefined,
  json: boolean | undefined,
): void {
  const { files, bytesBefore, bytesAfter, kept, notes, textOnly } = result
  const errors = result.errors.map(({ name, type, error }) => ({ name, type, relative: relativeError(error), largest: error.largestError }))
  if (json) {
    process.stdout.write(`${JSON.stringify({ files, bytesBefore, bytesAfter, errors, kept, notes, textOnly, loss }, null, 2)}\n`)
    return
  }
  const head: Cell[] = ['tensor', 'type', 'error', 'largest'].map((text) => ({ text, styles: ['dim'] }))
  const packed = errors.map(({ name, type, relative, largest }) => [name, type, `${(100 * relative).toFixed(2)} %`, largest.toPrecision(3)])
  const whole = kept.map(({ name, type, width }) => [name, type, `as it was: rows of ${width} are no whole blocks`, ''])
  if (packed.length + whole.length > 0)
    process.stdout.write(`${table([head, ...packed, ...whole], painter(), [false, false, true, true])}\n`)
  for (const note of notes) process.stdout.write(`a GGUF file cannot say ${note}\n`)
  if (loss) {
    const { before, after } = loss
    process.stdout.write(
      `loss ${before.loss.toFixed(4)} became ${after.loss.toFixed(4)} nats per token (${after.tokens} tokens, windows of ${after.block})\n`,
    )
  }
  if (textOnly) process.stdout.write('only the text part of the model was written\n')
  process.stdout.write(`${out}: ${binary(bytesBefore)} became ${binary(bytesAfter)}\n`)
}
