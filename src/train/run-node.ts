/**
 * One training run as a directory: log.jsonl, curve.svg, state.bin to continue from, and the model in `model/`.
 * Joins trainer, threads and files.
 */
import { existsSync } from 'node:fs'
import { appendFile, mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Architecture } from '../architecture/architecture.ts'
import { saveAdapter } from '../checkpoint/adapter-node.ts'
import type { AdapterMeta, TrainedAdapter } from '../checkpoint/adapter-out.ts'
import { writableForm } from '../checkpoint/published.ts'
import { chartSvg } from '../drawing/chart.ts'
import { diskFull, requireSpace } from '../files/disk-space-node.ts'
import { writeFileAtomically } from '../files/write-node.ts'
import { adapterParts, type LowRankTraining } from './low-rank.ts'
import { byName } from './parameters.ts'
import { roundAsSaved, saveModel, type TokenizerSource } from './save-node.ts'
import { meansOf } from './shard.ts'
import type { Start } from './start-node.ts'
import { loadState, saveState, stateBytes } from './state-node.ts'
import {
  FRESH,
  type LiveData,
  type LogRecord,
  type Progress,
  type TrainerHooks,
  type TrainingData,
  type TrainingSettings,
  train,
} from './trainer.ts'
import { inlineWorkers, type TrainingWorkers } from './workers.ts'
import { threadWorkers } from './workers-node.ts'

export interface RunOptions {
  architecture: Architecture
  /** Data that depend on the weights in training are made from the workers that hold them. */
  data: TrainingData | ((workers: TrainingWorkers) => Promise<TrainingData | LiveData>)
  settings: TrainingSettings
  /** Directory of the run; null: nothing is written. The model in it may take the general layout (`writableForm`). */
  out: string | null
  /** What the config.json of the saved model says, where it differs from what is trained; default: `architecture`. */
  saved?: Architecture
  /** Trains adapters beside a base instead of all weights; `adapter/` is saved in place of `model/`. */
  lowRank?: { load(signal?: AbortSignal): Promise<LowRankTraining>; meta: AdapterMeta }
  /** Fills the weights that the run starts from; absent: random numbers of the seed. */
  start?: Start['fill']
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
  /** Directory of the saved model, or of the adapter; null where none was wanted. */
  model: string | null
  /** Held-out loss of the saved weights, where they differ from those of the last evaluation: rounded, or the best ones. */
  savedLoss: number | null
  /** Closed: their arrays can still be read. */
  workers: TrainingWorkers
}

/**
 * Trains and saves. Everything that can be refused is refused before the first step, and the workers are closed whatever happens.
 * @throws UnwritableArchitectureError, DiskSpaceError, NonFiniteError, Error about a state of another model
 */
export async function trainingRun(options: RunOptions): Promise<RunResult> {
  const { architecture, settings, out, shards, threaded, arenaMiB, signal } = options
  const form = out !== null && options.tokenizer && !options.lowRank ? writableForm(options.saved ?? architecture) : null
  const lowRank = await options.lowRank?.load(signal)
  const workers = (threaded ? threadWorkers : inlineWorkers)(architecture, {
    shards,
    arenaBytes: arenaMiB * 2 ** 20,
    seed: settings.seed,
    lowRank,
    pause: () => new Promise((resolve) => setImmediate(resolve)),
  })
  try {
    const files = out === null ? null : await runFiles(out, workers, settings.patience !== null)
    return await trainWith(workers, options, files, form, lowRank)
  } finally {
    await workers.close()
  }
}

interface RunFiles {
  log: string
  state: string
  best: string
  curve: string
  model: string
  adapter: string
}

/** Makes the directory of a run, and makes sure that its states and its model will fit on the disk. */
async function runFiles(out: string, { layout }: TrainingWorkers, keepsBest: boolean): Promise<RunFiles> {
  await mkdir(out, { recursive: true })
  const states = keepsBest ? 2 : 1
  await requireSpace(out, states * stateBytes(layout.length) + 4 * layout.count)
  const at = (name: string) => join(out, name)
  return {
    log: at('log.jsonl'),
    state: at('state.bin'),
    best: at('state.bin.best'),
    curve: at('curve.svg'),
    model: at('model'),
    adapter: at('adapter'),
  }
}

async function trainWith(
  workers: TrainingWorkers,
  options: RunOptions,
  files: RunFiles | null,
  form: Architecture | null,
  lowRank: LowRankTraining | undefined,
): Promise<RunResult> {
  const { signal } = options
  let from = FRESH
  let records: LogRecord[] = []
  if (files && options.resume && existsSync(files.state)) {
    from = await loadState(files.state, workers)
    records = (await readLog(files.log)).filter(({ step }) => step <= from.step)
    await writeFileAtomically(files.log, records.map((record) => `${JSON.stringify(record)}\n`).join(''))
  } else {
    await options.start?.(workers.layout, workers.values, { signal })
    if (files) await rm(files.log, { force: true })
  }
  const data = typeof options.data === 'function' ? await options.data(workers) : options.data
  try {
    return await trainOn(data, workers, options, files, form, lowRank, from, records)
  } finally {
    await data.close?.()
  }
}

async function trainOn(
  data: TrainingData | LiveData,
  workers: TrainingWorkers,
  options: RunOptions,
  files: RunFiles | null,
  form: Architecture | null,
  lowRank: LowRankTraining | undefined,
  from: Progress,
  records: LogRecord[],
): Promise<RunResult> {
  const { settings, title, signal } = options
  let pending = ''
  const flush = async () => {
    if (!files || pending === '') return
    const text = pending
    pending = ''
    await appendFile(files.log, text).catch((error) => {
      throw diskFull(error, files.log)
    })
  }
  const hooks: TrainerHooks = {
    signal,
    evaluateFirst: options.start !== undefined || lowRank !== undefined,
    log(record) {
      records.push(record)
      pending += `${JSON.stringify(record)}\n`
      options.log?.(record)
    },
    async save(state, why) {
      if (signal?.aborted) await workers.close() // their step is left behind, and they would only take time from the saving
      await flush()
      // With early stopping the best weights are the result; without it the last ones.
      if (files && (why !== 'best' || settings.patience !== null))
        await saveState(why === 'best' ? files.best : files.state, workers, state)
    },
  }
  const progress = await train(workers, data, settings, hooks, from)
  await flush()
  if (!files) return { progress, records, workers, model: null, savedLoss: null }
  const saved = await saveResult(data, workers, options, files, form, lowRank)
  // The model comes first: it must not be lost when the curve cannot be drawn.
  await writeFileAtomically(files.curve, lossCurve(title, records))
  return { progress, records, workers, ...saved }
}

/** Saves the model or the adapter, where one is wanted. With early stopping it has the weights of the best evaluation. */
async function saveResult(
  data: TrainingData | LiveData,
  workers: TrainingWorkers,
  { architecture, settings, signal, tokenizer, generation, ...options }: RunOptions,
  files: RunFiles,
  form: Architecture | null,
  lowRank: LowRankTraining | undefined,
): Promise<Pick<RunResult, 'model' | 'savedLoss'>> {
  if (!lowRank && !(form && tokenizer)) return { model: null, savedLoss: null }
  const best = settings.patience !== null && existsSync(files.best)
  if (best) await loadState(files.best, workers)
  const rounded = !lowRank && roundAsSaved(workers.layout, workers.values)
  let savedLoss: number | null = null
  // The workers of an interrupted run may still be busy.
  if ((best || rounded) && !signal?.aborted) {
    await workers.quantise(false) // the weights themselves are rounded now
    savedLoss = meansOf(await workers.evaluate(data.evaluation())).loss
  }
  if (lowRank) {
    await saveAdapter(files.adapter, architecture, trainedAdapters(lowRank, workers), options.lowRank!.meta)
    return { model: files.adapter, savedLoss }
  }
  await saveModel(files.model, form!, workers.layout, workers.values, tokenizer!, generation)
  return { model: files.model, savedLoss }
}

function trainedAdapters({ adapters }: LowRankTraining, { layout, values }: TrainingWorkers): TrainedAdapter[] {
  const places = byName(layout)
  return adapters.map((adapter) => {
    const [a, b] = adapterParts(adapter).map(({ name }) => {
      const { at, count } = places.get(name)!
      return values.slice(at, at + count)
    })
    return { ...adapter, a: a!, b: b! }
  })
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
