/**
 * Training data from a synthetic task: fresh sequences for every step, a fixed set for evaluation; only marked positions count.
 */
import { mixSeeds } from '../../random/hash.ts'
import { random } from '../../random/stream.ts'
import type { Example as Rows } from '../shard.ts'
import type { TrainingData } from '../trainer.ts'
import type { Example, Task } from './task.ts'

export interface TaskOptions {
  length: number
  /** Sequences per step. */
  batch: number
  parts: number
  seed: number
  evaluationSequences?: number
  /** What is measured, where it is not what is trained on. */
  evaluationTask?: Task
}

export function taskData(task: Task, options: TaskOptions): TrainingData {
  const { length, batch, parts, seed, evaluationSequences = 64, evaluationTask = task } = options
  const fixed = random(mixSeeds(seed, 0x7e57))
  const held = Array.from({ length: evaluationSequences }, () => evaluationTask.sample(fixed, length))
  const evaluation: Rows[] = []
  for (let i = 0; i < held.length; i += 16) evaluation.push(packTask(held.slice(i, i + 16)))
  return {
    examples: (step) =>
      Array.from({ length: parts }, (_, part) => {
        const next = random(mixSeeds(seed, step, part))
        const count = Math.floor(((part + 1) * batch) / parts) - Math.floor((part * batch) / parts)
        return packTask(Array.from({ length: count }, () => task.sample(next, length)))
      }).filter(({ rows }) => rows.length > 0),
    evaluation: () => evaluation,
  }
}

/** Sequences one after another, a slot each. */
export function packTask(sequences: readonly Example[]): Rows {
  const T = sequences.reduce((sum, { ids }) => sum + ids.length, 0)
  const batch = { ids: new Int32Array(T), slots: new Int32Array(T), positions: new Int32Array(T) }
  const rows: number[] = []
  const targets: number[] = []
  let t = 0
  sequences.forEach(({ ids, scored }, slot) => {
    for (let i = 0; i < ids.length; i++, t++) {
      batch.ids[t] = ids[i]!
      batch.slots[t] = slot
      batch.positions[t] = i
      if (scored[i]) {
        rows.push(t)
        targets.push(ids[i + 1]!)
      }
    }
  })
  return { batch, rows: Int32Array.from(rows), targets: Int32Array.from(targets) }
}
