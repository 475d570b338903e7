/** `lineage experiment`: shows one effect of the steps from GPT-2 to gpt-oss in small models. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { chartSvg } from '../drawing/chart.ts'
import { claimFile, OWN_SVG } from '../files/output-node.ts'
import { writeFileAtomically } from '../files/write-node.ts'
import { stories } from '../train/data/stories.ts'
import { distill, type LiveExperiment, reinforce } from '../train/experiments/live.ts'
import { type Experiment, experiments, type Outcome } from '../train/experiments.ts'
import { clock } from '../train/live-line.ts'
import type { SmallRunResult } from '../train/small-run.ts'
import { trainLiveRuns } from '../train/workers-node.ts'
import { experimentTexts, trainExperiment } from './support/experiments.ts'
import { interruptSignal, modelDirectory, parseCount, parseNumber } from './support/model.ts'
import { UsageError } from './support/terminal.ts'

interface Options {
  data?: string
  model: string
  seeds: number
  scale: number
  threads: number
  out?: string
  force?: boolean
}

const NO_TEXTS = { ids: new Int32Array(0), vocabSize: 1 }
const NAMES = experiments(NO_TEXTS).map(({ name }) => name)
/** Those that take longest; `all` leaves them out. */
const LIVE = [reinforce('').name, distill(NO_TEXTS).name]

export function register(program: Command): void {
  program
    .command('experiment')
    .description(
      `Runs small models and compares the results with the expectation.\n\nNAME is one of ${NAMES.join(', ')}, or all; or one of ${LIVE.join(', ')}, which take longer.`,
    )
    .argument('<name>', 'which')
    .option('--data <file>', 'text for the experiments about loss (default: generated paragraphs of an invented language)')
    .option('--model <model>', 'the start of reinforce; 2-dialogues/model of a run of abacus has the most left to learn', 'abacus')
    .option('--seeds <n>', 'runs per variant', parseCount, 3)
    .option('--scale <x>', 'factor on the number of steps', parseNumber, 1)
    .option('--threads <n>', 'runs at a time', parseCount, 2)
    .option('--out <directory>', 'where NAME.json and experiments.md go')
    .option('--force', 'replace files of another origin that are there')
    .addHelpText('after', '\nExamples:\n  lineage experiment key-bias\n  lineage experiment window --seeds 1')
    .action(run)
}

async function run(name: string, options: Options): Promise<void> {
  const isLive = LIVE.includes(name)
  if (name !== 'all' && !isLive && !NAMES.includes(name))
    throw new UsageError(`unknown experiment "${name}": expected one of ${[...NAMES, ...LIVE].join(', ')}, or all`)
  const { out, force } = options
  if (out !== undefined) {
    await mkdir(out, { recursive: true })
    for (const each of name === 'all' ? NAMES : [name])
      await claimFile(join(out, `${each}.json`), { force, own: /^\{\n "name": "[^"]+",\n "seeds": / })
    if (isLive)
      for (const type of ['svg', 'md']) await claimFile(join(out, `${name}.${type}`), { force, own: type === 'svg' ? OWN_SVG : /^### / })
    else await claimFile(join(out, 'experiments.md'), { force, own: /^### [^\n]+\n\n`lineage experiment / })
  }
  const texts = experimentTexts(options.data, name === 'distill' ? stories : undefined)
  const signal = interruptSignal()
  if (isLive) return runLive(name === 'distill' ? distill(texts) : reinforce(await modelDirectory(options.model)), options, signal)
  const all = experiments(texts)
  const parts: string[] = []
  for (const experiment of all.filter((e) => name === 'all' || e.name === name)) {
    const start = performance.now()
    const results = await trainExperiment(experiment, { ...options, signal })
    const outcome = experiment.conclude(results)
    const part = report(experiment, outcome, trained(results, options))
    process.stdout.write(`${part}\n`)
    process.stderr.write(`  ${clock((performance.now() - start) / 1000)}\n`)
    parts.push(part)
    if (options.out === undefined) continue
    const { seeds, scale } = options
    await writeFileAtomically(
      join(options.out, `${experiment.name}.json`),
      `${JSON.stringify({ name: experiment.name, seeds, scale, ...outcome, results }, null, 1)}\n`,
    )
    await writeFileAtomically(join(options.out, 'experiments.md'), parts.join('\n'))
  }
}

async function runLive(experiment: LiveExperiment, options: Options, signal: AbortSignal): Promise<void> {
  const { name, title, expectation, source } = experiment
  const { seeds, scale, threads, out } = options
  const start = performance.now()
  process.stderr.write(`${title}\n`)
  const results = await trainLiveRuns(experiment.runs(scale, seeds), {
    threads,
    signal,
    onResult({ label, seed, points }, done, of) {
      const { right, of: problems, loss } = points.at(-1)!
      process.stderr.write(
        `  ${done}/${of}  ${label}, seed ${seed}: ${right === undefined ? `loss ${loss!.toFixed(4)}` : `${right} of ${problems} right`}\n`,
      )
    },
  })
  const outcome = experiment.conclude(results)
  const seconds = Math.round((performance.now() - start) / 1000)
  const part = report({ name, title, expectation, source }, outcome, `${seeds} seeds, ${clock(seconds)} on ${threads} threads`)
  process.stdout.write(`${part}\n`)
  if (out === undefined) return
  const date = new Date().toISOString().slice(0, 10)
  const json = { name, seeds, scale, date, seconds, ...outcome, results }
  await writeFileAtomically(join(out, `${name}.json`), `${JSON.stringify(json, null, 1)}\n`)
  await writeFileAtomically(join(out, `${name}.svg`), chartSvg({ title, ...experiment.chart(results) }))
  await writeFileAtomically(join(out, `${name}.md`), part)
}

function report(
  { name, title, expectation, source }: Pick<Experiment, 'name' | 'title' | 'expectation' | 'source'>,
  { verdict, findings }: Outcome,
  runs: string,
): string {
  const lines = [`### ${title}`, '', `\`lineage experiment ${name}\` (${runs}). ${expectation} (${source})`, '', '| | |', '|---|---|']
  for (const { label, value } of findings) lines.push(`| ${label} | ${value} |`)
  return `${[...lines, '', `Outcome: **${verdict}**.`].join('\n')}\n`
}

/** "3 seeds, 400 steps". */
function trained(results: readonly SmallRunResult[], { seeds }: Options): string {
  const steps = results.map(({ curve }) => curve.at(-1)!.step)
  const [least, most] = [Math.min(...steps), Math.max(...steps)]
  if (results.length === 0) return 'no training'
  return `${seeds} ${seeds === 1 ? 'seed' : 'seeds'}, ${least === most ? most : `${least} to ${most}`} steps`
}
