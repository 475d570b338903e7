/**
 * `lineage synth`: writes a full-size checkpoint of random numbers in the published layout, with a
 * tokenizer, for benchmarks.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import type { Architecture } from '../architecture/architecture.ts'
import { nearestNames, preset, unpublished } from '../architecture/presets.ts'
import { synthesizeCheckpoint } from '../checkpoint/synth-node.ts'
import { writeFileAtomically } from '../files/write-node.ts'
import { parseThreads } from './support/model.ts'
import { transferLine } from './support/progress.ts'
import { synthTextFiles } from './support/synth-text.ts'
import { binary, UsageError } from './support/terminal.ts'

export function register(program: Command): void {
  program
    .command('synth')
    .description(
      'Writes a full-size checkpoint of random numbers in the layout in which the model is published: for benchmarks and tests.\nA tokenizer of the published size with one token per byte and the published special tokens comes with it, so that chat and serve work.\nRun again after an interruption, it continues where it stopped.',
    )
    .argument('<preset>', 'name or Hugging Face id of a published model, such as gpt-oss-20b')
    .argument('<out>', 'directory to write')
    .option('--layers <n>', 'only the first n layers', wholeNumber)
    .option('--seed <n>', 'seed of the random numbers', wholeNumber, 1)
    .option('--threads <n>', 'threads that generate (at most the number of cores)', parseThreads)
    .option('--force', 'replace another model that is in OUT')
    .addHelpText(
      'after',
      '\nExamples:\n  lineage synth gpt-oss-20b models/synth-20b\n  lineage synth Qwen3-30B-A3B models/slice --layers 4 --seed 7',
    )
    .action(async (name: string, out: string, options: { layers?: number; seed: number; threads?: number; force?: boolean }) => {
      const published = preset(name)
      if (!published) throw new UsageError(`no published model is called "${name}"; did you mean ${nearestNames(name).join(', ')}?`)
      const never = unpublished(name)
      if (never) throw new UsageError(never)
      const all = published.layers.length
      if (options.layers !== undefined && (options.layers < 1 || options.layers > all)) {
        throw new UsageError(`--layers: expected 1 to ${all} for ${published.name}, got ${options.layers}`)
      }
      const architecture = { ...published, layers: published.layers.slice(0, options.layers ?? all) }
      const line = transferLine(process.stderr, out)
      const start = performance.now()
      try {
        const { writtenBytes, totalBytes } = await synthesizeCheckpoint(architecture, out, {
          seed: options.seed,
          threads: options.threads,
          force: options.force,
          onProgress: line.update,
        })
        await writeTextFiles(architecture, out)
        line.end()
        const seconds = (performance.now() - start) / 1000
        const rate = writtenBytes > 0 ? `, ${binary(writtenBytes)} written in ${seconds.toFixed(1)} s` : ', all of it there already'
        process.stdout.write(`${out}: ${architecture.name} with ${architecture.layers.length} layers, ${binary(totalBytes)}${rate}\n`)
      } finally {
        line.end()
      }
    })
}

/** Keeps an existing tokenizer, which may be the published one. */
async function writeTextFiles(architecture: Architecture, out: string): Promise<void> {
  if (['tokenizer.json', 'vocab.json', 'encoder.json'].some((name) => existsSync(join(out, name)))) return
  for (const [name, text] of synthTextFiles(architecture)) await writeFileAtomically(join(out, name), text)
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(Number(text))) throw new InvalidArgumentError('Expected a whole number.')
  return Number(text)
}
