/** `lineage quantize`: packs the matrices of a model and reports the rounding errors, and what they do to the loss on a text. */
import { type Command, Option } from 'commander'
import { quantizeGguf } from '../checkpoint/gguf/quantize-node.ts'
import { relativeError } from '../checkpoint/quantize.ts'
import { type QuantizeOptions, type QuantizeResult, quantizeModel } from '../checkpoint/quantize-node.ts'
import { type TextLoss, textLoss } from './eval/text.ts'
import { interruptSignal } from './support/model.ts'
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

export function register(program: Command): void {
  program
    .command('quantize')
    .description(
      'Writes a model with its matrices packed into 4 bits, and copies everything else unchanged.\nExperts become MXFP4 (4.25 bits per value, to nearest), stacked and named as in gpt-oss. With --dense the matrices of attention and of plain feed-forwards are packed too: q4_0 (groups of 32 with the best scale that a search finds) or MXFP4; the output matrix becomes q8_0.\nReports the error of every matrix: root mean square relative to the values, and the largest.',
    )
    .argument('<model>', 'directory of a checkpoint in bf16, f16 or f32, or a GGUF file of these types')
    .argument('<out>', 'directory to write, or the name of a GGUF file')
    .addOption(
      new Option('--experts <format>', 'format of expert matrices (default: mxfp4 where a model has experts)').choices(['mxfp4', 'keep']),
    )
    .addOption(new Option('--dense <format>', 'format of the other matrices (default: as they are)').choices(['q4_0', 'mxfp4']))
    .option('--text <file>', 'measure the loss on this text before and after')
    .option('--windows <n>', 'windows of the text, evenly spaced', Number, 64)
    .option('--force', 'replace another model that is in OUT')
    .option('--json', 'print the report as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  lineage quantize models/Qwen3-30B-A3B models/Qwen3-30B-A3B-mxfp4\n  lineage quantize models/Qwen3-8B models/Qwen3-8B-q4 --dense q4_0 --text wiki.txt',
    )
    .action(async (model: string, out: string, options: Options) => {
      const { experts, dense, force, text } = options
      const signal = interruptSignal()
      const line = transferLine(process.stderr, out)
      const loss = async (directory: string) =>
        text && textLoss(directory, text, { windows: options.windows, block: undefined, heldOut: undefined })
      try {
        const before = await loss(model)
        const pack = /\.gguf$/i.test(model) ? quantizeGguf : quantizeModel
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
  const { files, bytesBefore, bytesAfter } = result
  const errors = result.errors.map(({ name, error }) => ({ name, relative: relativeError(error), largest: error.largestError }))
  if (json) {
    process.stdout.write(`${JSON.stringify({ files, bytesBefore, bytesAfter, errors, loss }, null, 2)}\n`)
    return
  }
  const head: Cell[] = ['weight', 'error', 'largest'].map((text) => ({ text, styles: ['dim'] }))
  const rows = errors.map(({ name, relative, largest }) => [name, `${(100 * relative).toFixed(2)} %`, largest.toPrecision(3)])
  process.stdout.write(`${table([head, ...rows], painter(), [false, true, true])}\n`)
  if (loss) {
    const { before, after } = loss
    process.stdout.write(
      `loss ${before.loss.toFixed(4)} became ${after.loss.toFixed(4)} nats per token (${after.tokens} tokens, windows of ${after.block})\n`,
    )
  }
  process.stdout.write(`${out}: ${binary(bytesBefore)} became ${binary(bytesAfter)}\n`)
}
