/**
 * `lineage ladder`: trains a small model of every step from GPT-2 to gpt-oss and reports which
 * differences exceed the noise.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { claimFile, OWN_SVG } from '../files/output-node.ts'
import { writeFileAtomically } from '../files/write-node.ts'
import { random } from '../random/stream.ts'
import { characterTokenizerJson } from '../tokenizer/build.ts'
import { tokenizerFromJson } from '../tokenizer/tokenizer-json.ts'
import { stories } from '../train/data/stories.ts'
import { completeSeeds, type LadderOptions, ladderMarkdown, ladderRuns, ladderSvg, summarise } from '../train/ladder.ts'
import { clock } from '../train/live-line.ts'
import { SMALL, smallModels, smallSideRoads, withEqualActive } from '../train/small-models.ts'
import { type SmallRunResult, trainSmallRun } from '../train/small-run.ts'
import { trainSmallRuns } from '../train/workers-node.ts'
import { interruptSignal, parseCount, parseNumber } from './support/model.ts'
import { readOptionFile } from './support/read-file.ts'

/** The files of a ladder, and how they begin. */
const OUTPUTS: [name: string, own: RegExp][] = [
  ['ladder.json', /^\{\n "(rows|noiseFloor|options)": /],
  ['ladder.md', /^\d+ steps of \d+ windows of /],
  ['ladder.svg', OWN_SVG],
]

interface Options {
  data?: string
  seeds: number
  budget: number
  equalActive?: boolean
  sideRoads?: boolean
  steps?: number
  rate: number
  batch: number
  block: number
  layers: number
  heads: number
  width: number
  threads: number
  out: string
  force?: boolean
}

export function register(program: Command): void {
  program
    .command('ladder')
    .description(
      'Trains a small model of every step from GPT-2 to gpt-oss on the same tokens with several seeds; prints a table of losses, spreads, speed and sizes, and writes it as JSON, Markdown and SVG.',
    )
    .option('--data <file>', 'text, taken by characters (default: generated stories)')
    .option('--seeds <n>', 'runs per step', parseCount, 3)
    .option('--budget <minutes>', 'time for everything, from which the number of steps follows', parseNumber, 50)
    .option('--equal-active', 'widen or narrow feed-forward layers until all steps have equal active parameters')
    .option('--side-roads', 'also what other models changed instead, each against the step where it leaves')
    .option('--steps <n>', 'optimiser steps per run, instead of a budget', parseCount)
    .option('--rate <x>', 'highest learning rate', parseNumber, 1e-3)
    .option('--batch <n>', 'windows per step', parseCount, 12)
    .option('--block <tokens>', 'tokens per window', parseCount, SMALL.block)
    .option('--layers <n>', 'layers', parseCount, SMALL.layers)
    .option('--heads <n>', 'query heads', parseCount, SMALL.heads)
    .option('--width <n>', 'hidden size', parseCount, SMALL.width)
    .option('--threads <n>', 'runs at a time', parseCount, 2)
    .option('--out <directory>', 'where ladder.json, ladder.md and ladder.svg go', 'runs/ladder')
    .option('--force', 'replace files of another origin that are there')
    .addHelpText('after', '\nExample:\n  lineage ladder --data shakespeare.txt --budget 20')
    .action(run)
}

async function run(options: Options): Promise<void> {
  const { force } = options
  await mkdir(options.out, { recursive: true })
  for (const [name, own] of OUTPUTS) await claimFile(join(options.out, name), { force, own })
  const signal = interruptSignal()
  const text = options.data === undefined ? stories(random(1), 1_500_000) : readOptionFile('--data', options.data)
  const tokenizer = tokenizerFromJson(characterTokenizerJson(text), 'characters')
  const ids = Int32Array.from(tokenizer.encode(text))
  const { block, layers, heads, width, seeds, batch, rate, threads } = options
  const sizes = { vocabSize: tokenizer.vocabSize, block, layers, heads, width, dropout: SMALL.dropout }
  const published = [...smallModels(sizes), ...(options.sideRoads ? smallSideRoads(sizes) : [])]
  const models = options.equalActive ? withEqualActive(published) : published
  const base = { seeds, block, batch, ids, learningRate: rate }
  const steps = options.steps ?? (await stepsWithin(options.budget, base, models, threads))
  const ladder: LadderOptions = { ...base, steps }
  const runs = ladderRuns(models, ladder)
  process.stderr.write(`${models.length} architectures, ${seeds} seeds, ${steps} optimiser steps each, ${threads} runs at a time\n`)
  const start = performance.now()
  const finished: SmallRunResult[] = []
  const onResult = (result: SmallRunResult, done: number, of: number) => {
    finished.push(result)
    const { label, seed, loss } = result
    const remaining = ((performance.now() - start) / 1000 / done) * (of - done)
    process.stderr.write(`${done}/${of}  ${label}, seed ${seed}: ${loss.toFixed(4)}  ${clock(remaining)} left\n`)
  }
  await trainSmallRuns(runs, { threads, signal, onResult }).catch((error) => {
    if (error !== signal.reason) throw error
  })
  // After an interruption the results are written for the seeds with which all models were trained.
  const complete = completeSeeds(finished, models.length)
  if (complete === 0) throw signal.reason
  const results = runs.flatMap(({ label, settings: { seed } }) =>
    seed > complete ? [] : finished.filter((result) => result.label === label && result.seed === seed),
  )
  const summary = summarise(models, results, { ...ladder, seeds: complete }, 1024)
  const markdown = ladderMarkdown(summary)
  await writeFileAtomically(
    join(options.out, 'ladder.json'),
    `${JSON.stringify({ ...summary, curves: results.map(({ label, seed, curve }) => ({ label, seed, curve })) }, null, 1)}\n`,
  )
  await writeFileAtomically(join(options.out, 'ladder.md'), markdown)
  await writeFileAtomically(join(options.out, 'ladder.svg'), ladderSvg(summary))
  process.stdout.write(markdown)
  process.stderr.write(`written to ${options.out} after ${clock((performance.now() - start) / 1000)}\n`)
  if (complete === seeds) return
  process.stderr.write(`stopped after ${complete} of ${seeds} seeds\n`)
  process.exitCode = 130
}

/** Steps per run so that all runs end within the budget. Measures every architecture for a few steps. */
async function stepsWithin(
  minutes: number,
  base: Omit<LadderOptions, 'steps'>,
  models: ReturnType<typeof smallModels>,
  threads: number,
): Promise<number> {
  const probe = ladderRuns(models, { ...base, steps: 8, seeds: 1 })
  let seconds = 0
  for (const run of probe) {
    const { tokensPerSecond } = await trainSmallRun(run)
    seconds += (base.block * base.batch) / tokensPerSecond
  }
  // 1.25: parallel runs share caches; evaluations and the slow first steps take extra time.
  const perStep = (seconds * base.seeds * 1.25) / Math.min(threads, 2)
  return Math.max(20, Math.floor((minutes * 60) / perStep / 10) * 10)
}
