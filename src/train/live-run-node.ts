/** One run of an experiment in experiments/live.ts, on one thread. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileFolder } from '../checkpoint/source-node.ts'
import { tokenizerFiles } from '../tokenizer/files.ts'
import { abacusTask } from './abacus/checkable.ts'
import { textData } from './data/text.ts'
import { distilled } from './distill.ts'
import { modern } from './experiments/experiment.ts'
import type { DistillRun, LivePoint, LiveResult, LiveRun, ReinforceRun } from './experiments/live.ts'
import { withoutBalance } from './low-rank.ts'
import { REINFORCE, reinforcementData } from './reinforce.ts'
import { policySampler } from './sample-node.ts'
import { shortRun } from './small-run.ts'
import { openStart } from './start-node.ts'
import { DEFAULT_SETTINGS, type LiveData, type LogRecord, type TrainingData, train } from './trainer.ts'
import { inlineWorkers } from './workers.ts'

export const liveRun = (run: LiveRun): Promise<LiveResult> => (run.kind === 'reinforce' ? reinforceRun(run) : distillRun(run))

const ARENA = 600 * 2 ** 20

async function reinforceRun({ label, seed, model, effort, lengthPrice, rounds, problems }: ReinforceRun): Promise<LiveResult> {
  const start = await openStart(await fileFolder(model))
  const tokenizer = await tokenizerFiles((name) => readFile(join(model, name)).catch(() => undefined))
  const architecture = withoutBalance(start.architecture)
  const open = async () => {
    const workers = inlineWorkers(architecture, { shards: 1, arenaBytes: ARENA, seed })
    await start.fill(workers.layout, workers.values)
    return workers
  }
  const [workers, reference] = [await open(), await open()]
  const rounded = architecture.expertDtype === 'mxfp4'
  if (rounded) await reference.quantise(true)
  const stopIds = architecture.eosTokenIds
  const sampler = policySampler(architecture, workers.layout, workers.values, { context: 384, threads: 1, stopIds, rounded })
  // The held-out problems are those of every seed; the prompts are not.
  const [task, { heldOut }] = [seed, 1].map((s) => abacusTask(tokenizer, { effort, heldOut: problems, seed: s, declines: false })) as [
    ReturnType<typeof abacusTask>,
    ReturnType<typeof abacusTask>,
  ]
  const options = { ...REINFORCE, prompts: 64, lengthPrice, maxTokens: 256, parts: 1, seed }
  const data = reinforcementData(workers, reference, sampler, { ...task, heldOut }, options, () => [])
  const steps = rounds * options.updates
  const settings = { ...DEFAULT_SETTINGS, steps, warmup: 8, learningRate: 8e-4, finalLearningRate: 2e-4, beta2: 0.99, weightDecay: 0 }
  const points: LivePoint[] = []
  const log = ({ kind, step, notes }: LogRecord) => {
    if (kind === 'evaluation') points.push({ step, right: notes!.right, of: notes!.heldOut, tokens: notes!.answerTokens })
  }
  const every = Math.max(2, Math.ceil(steps / 4))
  await train(workers, data, { ...settings, evaluateEvery: every, quantiseFrom: rounded ? 1 : null, seed }, { log, evaluateFirst: true })
  await data.close?.()
  return { label, seed, points }
}

async function distillRun({ label, seed, share, texts, few, teacherSteps, steps }: DistillRun): Promise<LiveResult> {
  const { ids, vocabSize } = texts
  const all = textData(ids, { block: 64, batch: 12, parts: 1, seed, evaluationWindows: 192 })
  const trained = async (width: number, count: number, data: TrainingData | LiveData) => {
    const workers = inlineWorkers(modern(vocabSize, 64, 2, width), { shards: 1, arenaBytes: ARENA / 4, seed })
    const points: LivePoint[] = []
    const log = ({ kind, step, loss }: LogRecord) => {
      if (kind === 'evaluation') points.push({ step, loss })
    }
    await train(workers, data, shortRun(count, 4e-3, seed), { log })
    return { workers, points }
  }
  const teacher = await trained(128, teacherSteps, all)
  const small = textData(ids.slice(0, few), { block: 64, batch: 12, parts: 1, seed, evaluationWindows: 1 })
  const own: TrainingData = { examples: (step) => small.examples(step), evaluation: () => all.evaluation() }
  const data = share === null ? own : distilled(own, teacher.workers, { direction: 'forward', share })
  const { points } = await trained(64, steps, data)
  return { label, seed, points, teacherLoss: teacher.points.at(-1)!.loss }
}
