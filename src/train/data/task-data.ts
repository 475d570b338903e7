/**
 * Training data from a synthetic task: fresh sequences for every step, a fixed set for evaluation; only marked positions count.
 */
import { mixSeeds } from '../../random/hash.ts'
import { random } from '../../random/stream.ts'
import type { Example as Rows } from '../shard.ts'
import type { TrainingData } from '../trainer.ts'
import { drawParts, pack } from './pack.ts'
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
  const { length, seed, evaluationSequences = 64, evaluationTask = task } = options
  const fixed = random(mixSeeds(seed, 0x7e57))
  const held = Array.from({ length: evaluationSequences }, () => evaluationTask.sample(fixed, length))
  const evaluation: Rows[] = []
  for (let i = 0; i < held.length; i += 16) evaluation.push(packTask(held.slice(i, i + 16)))
  return {
    examples: (step) => drawParts(options, step, (next, count) => packTask(Array.from({ length: count }, () => task.sample(next, length)))),
    evaluation: () => evaluation,
  }
}

/** One example of these sequences; their last ids are read too. */
export const packTask = (sequences: readonly Example[]): Rows =>
  pack(sequences.map(({ ids, scored }) => ({ ids, rows: ids.length, counts: (i) => scored[i] })))
