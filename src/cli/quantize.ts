/** `lineage quantize`: converts the experts of a mixture to MXFP4 and reports the rounding errors. */
import { type Command, Option } from 'commander'
import { relativeError } from '../checkpoint/quantize.ts'
import { quantizeExperts } from '../checkpoint/quantize-node.ts'
import { transferLine } from './support/progress.ts'
import { binary, type Cell, painter, table } from './support/terminal.ts'

export function register(program: Command): void {
  program
    .command('quantize')
    .description(
      'Writes a model with the matrices of its experts in MXFP4 (4.25 bits per value, to nearest), stacked and named as in gpt-oss.\nEverything else is copied unchanged. Reports the error of every matrix: root mean square relative to the values, and the largest.',
    )
    .argument('<model>', 'directory of a checkpoint with experts in bf16, f16 or f32')
    .argument('<out>', 'directory to write')
    .addOption(new Option('--experts <format>', 'format of the expert matrices').choices(['mxfp4']).default('mxfp4'))
    .option('--force', 'replace another model that is in OUT')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', '\nExample:\n  lineage quantize models/Qwen3-30B-A3B models/Qwen3-30B-A3B-mxfp4 --experts mxfp4')
    .action(async (model: string, out: string, options: { json?: boolean; force?: boolean }) => {
      const line = transferLine(process.stderr, out)
      try {
        const result = await quantizeExperts(model, out, { onProgress: line.update, force: options.force })
        line.end()
        const errors = result.errors.map(({ name, error }) => ({ name, relative: relativeError(error), largest: error.largestError }))
        if (options.json) {
          const { files, bytesBefore, bytesAfter } = result
          process.stdout.write(`${JSON.stringify({ files, bytesBefore, bytesAfter, errors }, null, 2)}\n`)
          return
        }
        const paint = painter()
        const head: Cell[] = ['weight', 'error', 'largest'].map((text) => ({ text, styles: ['dim'] }))
        const rows = errors.map(({ name, relative, largest }) => [name, `${(100 * relative).toFixed(2)} %`, largest.toPrecision(3)])
        process.stdout.write(`${table([head, ...rows], paint, [false, true, true])}\n`)
        process.stdout.write(`${out}: ${binary(result.bytesBefore)} became ${binary(result.bytesAfter)}\n`)
      } finally {
        line.end()
      }
    })
}
