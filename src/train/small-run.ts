/**
 * A small training run as plain data, which can be sent to a thread. The ladder and the experiments consist of such runs.
 * One shard, no files; the result holds what was measured.
 */
import type { Architecture } from '../architecture/architecture.ts'
import { cutInto } from './cut.ts'
import type { Task } from './data/task.ts'
import { taskData } from './data/task-data.ts'
import { associativeRecall, copy, facts, induction, lookUp } from './data/tasks.ts'
import { textData } from './data/text.ts'
import { type AttentionMass, meansOf } from './shard.ts'
import { DEFAULT_SETTINGS, type LogRecord, NonFiniteError, type TrainingData, type TrainingSettings, train } from './trainer.ts'
import { inlineWorkers, type TrainingWorkers } from './workers.ts'

const TASKS = { associativeRecall, copy, facts, induction, lookUp }
/** A task by the name and arguments of its function in data/tasks.ts. */
export type TaskSpec = { [Name in keyof typeof TASKS]: { name: Name; args: Parameters<(typeof TASKS)[Name]> } }[keyof typeof TASKS]

export type DataSpec =
  | { kind: 'text'; ids: Int32Array; block: number; batch: number; heldOut?: number }
  | { kind: 'task'; task: TaskSpec; evaluationTask?: TaskSpec; length: number; batch: number }

export interface SmallRun {
  /** What is being compared ('rope', '2 layers'). */
  label: string
  architecture: Architecture
  data: DataSpec
  settings: TrainingSettings
  /** Logits of the sinks before the first step; default 0. */
  sinksFrom?: number
  /** Also measure what the counted rows of this task attend to. */
  attentionOn?: TaskSpec
  /** Begin with a part of a larger model that was trained on the same data before. */
  cutFrom?: Cut
}

/** A larger model, how long it is trained, and which of its layers and experts remain. */
export interface Cut {
  architecture: Architecture
  steps: number
  /** For each layer of the smaller model the layer of the larger one that it comes from. */
  layers: number[]
  /** For each expert of the smaller model the expert of the larger one; absent where all remain. */
  experts?: number[]
}

export interface SmallRunResult {
  label: string
  seed: number
  parameters: number
  /** Evaluations in order. */
  curve: { step: number; loss: number; accuracy: number }[]
  /** The step at which loss or gradient stopped being a number; the numbers below are then those of the last good weights. */
  diverged?: number
  /** Of the last evaluation, and the best. */
  loss: number
  bestLoss: number
  /** Share of counted tokens predicted right at the end. */
  accuracy: number
  /** Of training, evaluations not counted, on one thread. */
  tokensPerSecond: number
  /** Per layer. */
  attention?: AttentionMass[]
}

/** Settings of a short run: a tenth of it warms up, the rate falls to a tenth, and eight evaluations show the curve. */
export const shortRun = (steps: number, learningRate: number, seed: number): TrainingSettings => ({
  ...DEFAULT_SETTINGS,
  steps,
  warmup: Math.ceil(steps / 10),
  learningRate,
  finalLearningRate: learningRate / 10,
  evaluateEvery: Math.max(1, Math.ceil(steps / 8)),
  seed,
})

const ARENA_BYTES = 384 * 2 ** 20

const makeTask = ({ name, args }: TaskSpec): Task => (TASKS[name] as (...args: unknown[]) => Task)(...args)

function makeData(spec: DataSpec, seed: number): TrainingData {
  if (spec.kind === 'text') return textData(spec.ids, { ...spec, parts: 1, seed, evaluationWindows: 192 })
  const { task, evaluationTask = task, length, batch } = spec
  return taskData(makeTask(task), { length, batch, parts: 1, seed, evaluationTask: makeTask(evaluationTask) })
}

export async function trainSmallRun(run: SmallRun, onStep?: (step: number) => void): Promise<SmallRunResult> {
  const { architecture, settings, label } = run
  const workers = inlineWorkers(architecture, { shards: 1, arenaBytes: ARENA_BYTES, seed: settings.seed })
  for (const { spec, at, count } of workers.layout.parameters)
    if (run.sinksFrom !== undefined && spec.name.endsWith('.sinks')) workers.values.fill(run.sinksFrom, at, at + count)
  const data = makeData(run.data, settings.seed)
  if (run.cutFrom) await startFromCut(workers, run.cutFrom, data, settings)
  const curve: SmallRunResult['curve'] = []
  let tokens = 0
  let spent = 0
  let mark = performance.now()
  const log = (record: LogRecord) => {
    const now = performance.now()
    if (record.kind === 'step') {
      tokens = record.tokens
      spent += now - mark
      onStep?.(record.step)
    } else curve.push({ step: record.step, loss: record.loss, accuracy: record.accuracy })
    mark = performance.now()
  }
  let diverged: number | undefined
  try {
    await train(workers, data, settings, { log })
  } catch (error) {
    if (!(error instanceof NonFiniteError)) throw error
    diverged = error.step
    curve.push({ step: error.step - 1, ...meansOf(await workers.evaluate(data.evaluation())) })
  }
  const last = curve.at(-1)!
  const result: SmallRunResult = {
    label,
    seed: settings.seed,
    parameters: workers.layout.count,
    curve,
    diverged,
    loss: last.loss,
    bestLoss: Math.min(...curve.map(({ loss }) => loss)),
    accuracy: last.accuracy,
    tokensPerSecond: (1000 * tokens) / spent,
  }
  if (run.attentionOn && run.data.kind === 'task') {
    const watched = taskData(makeTask(run.attentionOn), { length: run.data.length, batch: 1, parts: 1, seed: settings.seed })
    result.attention = await workers.attentionMass(watched.evaluation())
  }
  return result
}

/** Trains the larger model and copies what remains of it. */
async function startFromCut(workers: TrainingWorkers, cut: Cut, data: TrainingData, settings: TrainingSettings): Promise<void> {
  const larger = inlineWorkers(cut.architecture, { shards: 1, arenaBytes: ARENA_BYTES, seed: settings.seed })
  await train(larger, data, { ...shortRun(cut.steps, settings.learningRate, settings.seed), evaluateEvery: cut.steps })
  cutInto(larger, workers, cut)
}
