/** What `experiment` and `verify --train` share: the text that experiments read, and running one of them. */
import { type Random, random } from '../../random/stream.ts'
import { characterTokenizerJson } from '../../tokenizer/build.ts'
import { tokenizerFromJson } from '../../tokenizer/tokenizer-json.ts'
import { chronicle } from '../../train/data/chronicle.ts'
import type { Experiment, Texts } from '../../train/experiments.ts'
import type { SmallRunResult } from '../../train/small-run.ts'
import { trainSmallRuns } from '../../train/workers-node.ts'
import { readOptionFile } from './read-file.ts'

/** By characters: the text of a file, or a generated one: paragraphs of an invented language if `generate` is absent. */
export function experimentTexts(file?: string, generate: (next: Random, length: number) => string = chronicle): Texts {
  const text = file === undefined ? generate(random(1), 1_000_000) : readOptionFile('--data', file)
  const tokenizer = tokenizerFromJson(characterTokenizerJson(text), 'characters')
  return { ids: Int32Array.from(tokenizer.encode(text)), vocabSize: tokenizer.vocabSize }
}

export interface Repetition {
  scale: number
  seeds: number
  threads: number
  signal?: AbortSignal
}

/** Trains all variants and writes a line to stderr for each run that ends. */
export async function trainExperiment(experiment: Experiment, { scale, seeds, threads, signal }: Repetition): Promise<SmallRunResult[]> {
  process.stderr.write(`${experiment.title}\n`)
  return await trainSmallRuns(experiment.runs(scale, seeds), {
    threads,
    signal,
    onResult: ({ label, seed, loss, accuracy }, done, of) =>
      process.stderr.write(`  ${done}/${of}  ${label}, seed ${seed}: loss ${loss.toFixed(4)}, ${(100 * accuracy).toFixed(1)} % right\n`),
  })
}
