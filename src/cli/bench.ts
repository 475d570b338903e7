/** `lineage bench MODEL`: speed of prompt and answer, next to the limits of the machine. */
import { availableParallelism, cpus } from 'node:os'
import type { Command } from 'commander'
import type { Engine, GenerateOptions } from '../engine/engine.ts'
import type { IdsModel } from '../load-model-node.ts'
import { uniform } from '../random/counter.ts'
import { type BenchReport, benchReport, formatReport, type Run } from './support/bench-report.ts'
import { machineLimits } from './support/machine-limits.ts'
import { addBackendOptions, type BackendOptions, interruptSignal, openIds, parseCount, residentMemory } from './support/model.ts'

interface Size {
  prompt: number
  generate: number
  batch: number
}

interface Options extends BackendOptions, Size {
  repeat: number
  chunk: number
  json?: boolean
}

export function register(program: Command): void {
  const command = program
    .command('bench')
    .description(
      'Reads prompts of random ids and writes answers; medians over the repetitions.\nThe read bandwidth and arithmetic of the machine are measured before and after, in the same run.',
    )
    .argument('<model>', 'directory of a checkpoint')
    .option('--prompt <n>', 'ids of a prompt', parseCount, 512)
    .option('--generate <n>', 'ids of an answer', parseCount, 32)
    .option('--batch <n>', 'answers at the same time', parseCount, 1)
    .option('--repeat <n>', 'repetitions, after one to warm up', parseCount, 3)
    .option('--chunk <n>', 'most rows of a prompt in one pass', parseCount, 512)
    .option('--json', 'print everything as JSON')
  addBackendOptions(command)
    .addHelpText('after', '\nExample:\n  lineage bench models/synth-20b --prompt 512 --generate 32 --precision fast')
    .action(async (name: string, options: Options) => {
      const report = await bench(name, options)
      process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : formatReport(report))
    })
}

async function bench(name: string, options: Options): Promise<BenchReport> {
  const { prompt, generate, batch, repeat, chunk } = options
  const signal = interruptSignal()
  const threads = options.threads ?? availableParallelism()
  const before = await machineLimits(threads)
  const start = performance.now()
  const model = await openIds(name, { ...options, context: prompt + generate + batch, slots: batch, chunk, maxStallMs: 1e9, signal })
  const loadMs = performance.now() - start
  try {
    const runs: Run[] = []
    // A short first repetition compiles the kernels and touches the memory. It is not counted.
    await once(model, { batch, prompt: Math.min(prompt, 64), generate: Math.min(generate, 8) }, 0, signal)
    for (let n = 1; n <= repeat; n++) runs.push(await once(model, options, n, signal))
    const memory = { ...residentMemory(), ...model.backend.memory() }
    return benchReport(model.architecture, {
      ...{ model: name, backend: model.backend.name, precision: options.precision ?? 'faithful', threads, prompt, generate, batch },
      machine: { cpu: cpus()[0]?.model ?? 'unknown', node: process.version },
      limits: [before, await machineLimits(threads)],
      ...{ loadMs, memory, runs },
    })
  } finally {
    await model.dispose()
  }
}

/** Repetition `n`: runs `batch` prompts of random ids at once and measures the time. */
export async function once({ engine, architecture }: IdsModel, size: Size, n: number, signal?: AbortSignal): Promise<Run> {
  const { prompt, generate, batch } = size
  const start = performance.now()
  const times: number[][] = Array.from({ length: batch }, () => [])
  await Promise.all(
    times.map((own, b) => {
      const ids = Array.from({ length: prompt }, (_, i) => Math.floor(uniform(n * batch + b, i) * architecture.vocabSize))
      const driver = {
        take() {
          own.push(performance.now())
          return {}
        },
      }
      return answer(engine, ids, { maxTokens: generate + batch, stopIds: [], cacheKey: `${n} ${b}`, driver, signal })
    }),
  )
  // The answers of a batch start one after another. Decoding is timed while all of them run.
  const [allStarted, firstEnded] = [Math.max(...times.map((own) => own[0]!)), Math.min(...times.map((own) => own.at(-1)!))]
  const together = times[0]!.filter((time) => time > allStarted && time <= firstEnded)
  return { prefillMs: allStarted - start, decodeMs: (together.at(-1)! - allStarted) / together.length }
}

async function answer(engine: Engine, ids: number[], options: GenerateOptions<never>): Promise<void> {
  const { reason } = await engine.generate(ids, options).result
  if (reason === 'abort') throw options.signal?.reason ?? new Error('the engine was closed')
}
