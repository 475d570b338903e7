/**
 * A small training run described by plain data, so that it can be sent to a thread: what the ladder and the experiments are made of.
 * One shard, nothing written; the result is what was measured.
 */
import type { Architecture } from '../architecture/architecture.ts'
import { inlineCrew } from './crew.ts'
import type { Task } from './data/task.ts'
import { taskData } from './data/task-data.ts'
import * as tasks from './data/tasks.ts'
import { textData } from './data/text.ts'
import type { AttentionMass } from './shard.ts'
import { type LogRecord, type TrainingData, type TrainingPlan, train } from './trainer.ts'

/** A task by name with its arguments. */
export type TaskSpec =
  | { name: 'recall'; options: tasks.RecallOptions }
  | { name: 'copy'; symbols: number; span: number }
  | { name: 'induction'; symbols: number; piece: number }
  | { name: 'dyck'; kinds: number; depth: number }
  | { name: 'kHop'; nodes: number; hops: number }
  | { name: 'facts'; subjects: number; relations: number; objects: number; seed: number }
  | { name: 'backcopy'; symbols: number; triggers: number; seed: number }

export type DataSpec =
  | { kind: 'text'; ids: Int32Array; block: number; batch: number; heldOut?: number }
  | { kind: 'task'; task: TaskSpec; evaluationTask?: TaskSpec; length: number; batch: number }

export interface Job {
  /** What is being compared ('rope', '2 layers'). */
  label: string
  architecture: Architecture
  data: DataSpec
  plan: TrainingPlan
  /** Logits of the sinks before the first step; default 0. */
  sinksFrom?: number
  /** Also measure where the counted rows of this task look. */
  attentionOn?: TaskSpec
}

export interface JobResult {
  label: string
  seed: number
  parameters: number
  /** Evaluations in order. */
  curve: { step: number; loss: number; accuracy: number }[]
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

export function makeTask(spec: TaskSpec): Task {
  switch (spec.name) {
    case 'recall':
      return tasks.associativeRecall(spec.options)
    case 'copy':
      return tasks.copy(spec.symbols, spec.span)
    case 'induction':
      return tasks.induction(spec.symbols, spec.piece)
    case 'dyck':
      return tasks.dyck(spec.kinds, spec.depth)
    case 'kHop':
      return tasks.kHop(spec.nodes, spec.hops)
    case 'facts':
      return tasks.facts(spec.subjects, spec.relations, spec.objects, spec.seed)
    case 'backcopy':
      return tasks.bigramBackcopy(spec.symbols, spec.triggers, spec.seed)
  }
}

function makeData(spec: DataSpec, seed: number): TrainingData {
  if (spec.kind === 'text') return textData(spec.ids, { ...spec, parts: 1, seed, evaluationWindows: 192 })
  const { task, evaluationTask = task, length, batch } = spec
  return taskData(makeTask(task), { length, batch, parts: 1, seed, evaluationTask: makeTask(evaluationTask) })
}

export async function runJob(job: Job, onStep?: (step: number) => void): Promise<JobResult> {
  const { architecture, plan, label } = job
  const crew = inlineCrew(architecture, { shards: 1, arenaBytes: 384 * 2 ** 20, seed: plan.seed })
  for (const { spec, at, count } of crew.layout.parameters)
    if (job.sinksFrom !== undefined && spec.name.endsWith('.sinks')) crew.values.fill(job.sinksFrom, at, at + count)
  const data = makeData(job.data, plan.seed)
  const curve: JobResult['curve'] = []
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
  const { bestLoss } = await train(crew, data, plan, { log })
  const last = curve.at(-1)!
  const result: JobResult = {
    label,
    seed: plan.seed,
    parameters: crew.layout.count,
    curve,
    loss: last.loss,
    bestLoss,
    accuracy: last.accuracy,
    tokensPerSecond: (1000 * tokens) / spent,
  }
  if (job.attentionOn && job.data.kind === 'task') {
    const watched = taskData(makeTask(job.attentionOn), { length: job.data.length, batch: 1, parts: 1, seed: plan.seed })
    result.attention = await crew.attentionMass(watched.evaluation())
  }
  return result
}
