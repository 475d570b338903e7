/**
 * One training run as a directory: log.jsonl, curve.svg, state.bin to continue from, and the model in `model/`.
 * Joins trainer, threads and files.
 */
import { existsSync } from 'node:fs'
import { appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Architecture } from '../architecture/architecture.ts'
import { UnwritableArchitectureError } from '../architecture/to-config-json.ts'
import { chartSvg } from '../drawing/chart.ts'
import { writeFileAtomically } from '../files/write-node.ts'
import { saveModel, type TokenizerSource } from './save-node.ts'
import { loadState, saveState } from './state-node.ts'
import { FRESH, type LogRecord, type Progress, type TrainingData, type TrainingSettings, train } from './trainer.ts'
import { inlineWorkers, type TrainingWorkers } from './workers.ts'
import { threadWorkers } from './workers-node.ts'

export interface RunOptions {
  architecture: Architecture
  data: TrainingData
  settings: TrainingSettings
  /** Directory of the run; null: nothing is written. */
  out: string | null
  /** Continue from the state in `out`, if there is one. */
  resume: boolean
  shards: number
  /** One thread per shard, or all shards in this thread. */
  threaded: boolean
  /** MiB of results per shard. */
  arenaMiB: number
  tokenizer: TokenizerSource | null
  generation?: Record<string, unknown>
  title: string
  log?: (record: LogRecord) => void
  signal?: AbortSignal
}

export interface RunResult {
  progress: Progress
  records: LogRecord[]
  /** Directory of the saved model; null where none was wanted or the architecture has no published layout. */
  model: string | null
  workers: TrainingWorkers
}

/** Trains and saves. The caller closes the workers of the result. */
export async function trainingRun(options: RunOptions): Promise<RunResult> {
  const { architecture, data, settings, out, shards, threaded, arenaMiB, title } = options
  const workers = (threaded ? threadWorkers : inlineWorkers)(architecture, { shards, arenaBytes: arenaMiB * 2 ** 20, seed: settings.seed })
  const files = out === null ? null : { log: join(out, 'log.jsonl'), state: join(out, 'state.bin'), curve: join(out, 'curve.svg') }
  let from = FRESH
  let records: LogRecord[] = []
  if (files && out) {
    await mkdir(out, { recursive: true })
    if (options.resume && existsSync(files.state)) {
      from = await loadState(files.state, workers)
      records = (await readLog(files.log)).filter(({ step }) => step <= from.step)
      await writeFile(files.log, records.map((record) => `${JSON.stringify(record)}\n`).join(''))
    } else await rm(files.log, { force: true })
  }
  let pending = ''
  const flush = async () => {
    if (!files || pending === '') return
    const text = pending
    pending = ''
    await appendFile(files.log, text)
  }
  const progress = await train(
    workers,
    data,
    settings,
    {
      signal: options.signal,
      log(record) {
        records.push(record)
        pending += `${JSON.stringify(record)}\n`
        options.log?.(record)
      },
      async save(state, why) {
        await flush()
        // With early stopping the best weights are the result; without it the last ones.
        if (files && (why !== 'best' || settings.patience !== null))
          await saveState(why === 'best' ? `${files.state}.best` : files.state, workers, state)
      },
    },
    from,
  )
  await flush()
  if (!files || !out) return { progress, records, model: null, workers }
  if (settings.patience !== null && existsSync(`${files.state}.best`)) await loadState(`${files.state}.best`, workers)
  await writeFileAtomically(files.curve, lossCurve(title, records))
  let model: string | null = null
  if (options.tokenizer) {
    try {
      model = join(out, 'model')
      await saveModel(model, architecture, workers.layout, workers.values, options.tokenizer, options.generation)
    } catch (error) {
      if (!(error instanceof UnwritableArchitectureError)) throw error
      model = null
    }
  }
  return { progress, records, model, workers }
}

/** Training and held-out loss over steps. */
export function lossCurve(title: string, records: readonly LogRecord[]): string {
  const points = (kind: LogRecord['kind']) => records.filter((r) => r.kind === kind).map(({ step, loss }) => [step, loss] as const)
  const training = points('step')
  const held = points('evaluation')
  const tail = [...training, ...held].map(([, y]) => y).sort((a, b) => a - b)
  const top = tail[Math.floor(tail.length * 0.99)] ?? 1
  return chartSvg({
    title,
    xTitle: 'step',
    yTitle: 'loss (nats per token)',
    series: [
      { name: 'training', points: training },
      { name: 'held out', points: held },
    ],
    yRange: [Math.min(0, tail[0] ?? 0), top],
  })
}

async function readLog(path: string): Promise<LogRecord[]> {
  if (!existsSync(path)) return []
  const lines = (await readFile(path, 'utf8')).split('\n')
  return lines.filter((line) => line.endsWith('}')).map((line) => JSON.parse(line) as LogRecord)
}
