/**
 * The training loop. It decides the schedule, clipping, evaluation, early stop and when to save. The workers compute a step;
 * the caller writes files. A step depends on the settings, the seed and its number alone, so a resumed run continues exactly.
 */
import { mixSeeds } from '../random/hash.ts'
import { cosineSchedule } from './adamw.ts'
import { type Evaluation, type Example, meansOf } from './shard.ts'
import type { TrainingWorkers } from './workers.ts'

export interface TrainingSettings {
  steps: number
  warmup: number
  learningRate: number
  /** Learning rate at the end of the cosine. */
  finalLearningRate: number
  beta1: number
  beta2: number
  eps: number
  weightDecay: number
  /** Largest norm of the gradient; larger ones are scaled down to it. */
  clip: number
  /** Steps between evaluations; also evaluated at the end. */
  evaluateEvery: number
  /** Steps between saved states. */
  saveEvery: number
  /** From this step on experts are read through MXFP4; null: never. */
  quantiseFrom: number | null
  /** Evaluations without a better loss before the run stops; null: never. */
  patience: number | null
  seed: number
}

export const DEFAULT_SETTINGS: TrainingSettings = {
  steps: 2000,
  warmup: 100,
  learningRate: 1e-3,
  finalLearningRate: 1e-4,
  beta1: 0.9,
  beta2: 0.99,
  eps: 1e-8,
  weightDecay: 0.1,
  clip: 1,
  evaluateEvery: 250,
  saveEvery: 500,
  quantiseFrom: null,
  patience: null,
  seed: 1,
}

/** Where examples come from. The same step always gives the same examples. */
export interface TrainingData {
  /** The examples of a step, however many are to be accumulated; step counts from 1. */
  examples(step: number): Example[]
  /** Held-out examples; always the same. */
  evaluation(): Example[]
  /** Further numbers for the log, about the examples of the last step. */
  notes?(): Record<string, number>
  /** Further numbers about the weights as they are now, for the log of an evaluation. */
  measure?(): Promise<Record<string, number>>
  /** Ends what the data hold, such as threads. */
  close?(): Promise<void>
}

/** Data that are made from the weights as they are when a step begins. */
export interface LiveData extends Omit<TrainingData, 'examples'> {
  examples(step: number): Promise<Example[]>
}

/** One line of the log. */
export type LogRecord =
  | {
      kind: 'step'
      step: number
      loss: number
      learningRate: number
      gradientNorm: number
      tokens: number
      seconds: number
      notes?: Record<string, number>
    }
  | {
      kind: 'evaluation'
      step: number
      loss: number
      perplexity: number
      accuracy: number
      seconds: number
      notes?: Record<string, number>
    }

/** What must be kept to continue: everything else follows from settings and step. */
export interface Progress {
  step: number
  /** Tokens read so far. */
  tokens: number
  bestLoss: number
  /** Evaluations since the best one. */
  stale: number
  /** Step of the last evaluation; null: none yet. States of older versions do not have it. */
  evaluated?: number | null
  /** Seconds of training before this process. */
  seconds: number
}

export const FRESH: Progress = { step: 0, tokens: 0, bestLoss: Number.POSITIVE_INFINITY, stale: 0, evaluated: null, seconds: 0 }

export interface TrainerHooks {
  log?(record: LogRecord): void
  /** Called with the state after `progress.step`, when it is due, better than ever, or the last. */
  save?(progress: Progress, why: 'due' | 'best' | 'last'): Promise<void>
  /** Evaluates before the first step too. */
  evaluateFirst?: boolean
  /** Ends the run at once, saved as the last whole step left it. */
  signal?: AbortSignal
}

/** A loss or gradient that is not a number. The weights are those of the last good step. */
export class NonFiniteError extends Error {
  override name = 'NonFiniteError'
  readonly step: number
  readonly tensor: string | null
  constructor(step: number, what: string, tensor: string | null, lastSaved: number) {
    const saved = lastSaved > 0 ? `the last saved state is that of step ${lastSaved}` : 'no state was saved before'
    super(
      `step ${step}: ${what} is not finite${tensor ? ` (first in ${tensor})` : ''}; ${saved}. Lower the learning rate, lengthen the warm-up or clip harder, then resume.`,
    )
    this.step = step
    this.tensor = tensor
  }
}

export async function train(
  workers: TrainingWorkers,
  data: TrainingData | LiveData,
  settings: TrainingSettings,
  hooks: TrainerHooks = {},
  from: Progress = FRESH,
): Promise<Progress> {
  const progress = { ...from }
  const begun = performance.now()
  const seconds = () => from.seconds + (performance.now() - begun) / 1000
  let lastSaved = from.step
  const unlessAborted = interruption(hooks.signal)
  if (settings.quantiseFrom !== null && progress.step >= settings.quantiseFrom) await workers.quantise(true)
  /** Returns false when the run was interrupted meanwhile. */
  const evaluateNow = async (): Promise<boolean> => {
    const result = await unlessAborted(() => evaluated(workers, data))
    if (result && note(result, progress, hooks, seconds())) await hooks.save?.({ ...progress }, 'best')
    return result !== undefined
  }
  const isOutOfPatience = () => settings.patience !== null && progress.step > 0 && progress.stale >= settings.patience
  if (isEvaluationDue(progress, settings, hooks) && !hooks.signal?.aborted) await evaluateNow()
  while (progress.step < settings.steps && !isOutOfPatience() && !hooks.signal?.aborted) {
    const step = progress.step + 1
    if (settings.quantiseFrom === step) await workers.quantise(true)
    const examples = await unlessAborted(async () => data.examples(step))
    if (!examples) break
    const rows = examples.reduce((sum, example) => sum + example.rows.length, 0)
    // Until `update` a step changes gradients only, so the state can be saved when it is cut off here.
    const passed = await unlessAborted(async () => {
      const loss = await workers.accumulate(examples, 1 / rows, mixSeeds(settings.seed, step))
      return { loss, ...(await workers.reduce()) }
    })
    if (!passed) break
    const { loss, norm, broken } = passed
    if (broken !== null || !Number.isFinite(norm)) throw new NonFiniteError(step, 'the gradient', broken, lastSaved)
    if (!Number.isFinite(loss)) throw new NonFiniteError(step, 'the loss', null, lastSaved)
    const learningRate = cosineSchedule(step, settings.steps, settings.warmup, settings.learningRate, settings.finalLearningRate)
    const { beta1, beta2, eps, weightDecay } = settings
    const gradientFactor = norm > settings.clip ? settings.clip / norm : 1
    await workers.update({ step, learningRate, beta1, beta2, eps, weightDecay, gradientFactor })
    progress.step = step
    progress.tokens += examples.reduce((sum, { batch }) => sum + batch.ids.length, 0)
    progress.seconds = seconds()
    hooks.log?.({
      kind: 'step',
      step,
      loss,
      learningRate,
      gradientNorm: norm,
      tokens: progress.tokens,
      seconds: progress.seconds,
      notes: data.notes?.(),
    })
    const last = step === settings.steps
    if (step % settings.evaluateEvery === 0 || last) {
      if (!(await evaluateNow())) break
      if (isOutOfPatience()) break
    }
    if (step % settings.saveEvery === 0 && !last) {
      await hooks.save?.({ ...progress }, 'due')
      lastSaved = step
    }
  }
  progress.seconds = seconds()
  await hooks.save?.({ ...progress }, 'last')
  return progress
}

/**
 * Whether an evaluation is due before the next step: the one before the first step, or one that an interruption cut off.
 * In a state of an older version the evaluation of its step counts as done.
 */
function isEvaluationDue({ step, evaluated }: Progress, settings: TrainingSettings, hooks: TrainerHooks): boolean {
  if (step === 0) return hooks.evaluateFirst === true && typeof evaluated !== 'number'
  return evaluated !== undefined && evaluated !== step && (step % settings.evaluateEvery === 0 || step === settings.steps)
}

/** Runs work unless the signal comes first; then the answer is undefined, and the work is left behind. */
function interruption(signal: AbortSignal | undefined): <T>(work: () => Promise<T>) => Promise<T | undefined> {
  if (!signal) return (work) => work()
  const aborted = new Promise<undefined>((resolve) => signal.addEventListener('abort', () => resolve(undefined), { once: true }))
  return (work) => Promise.race([work(), aborted])
}

async function evaluated(
  workers: TrainingWorkers,
  data: TrainingData | LiveData,
): Promise<Evaluation & { notes?: Record<string, number> }> {
  return { ...(await workers.evaluate(data.evaluation())), notes: await data.measure?.() }
}

/** Logs an evaluation. Returns whether it is the best so far. */
function note(result: Evaluation & { notes?: Record<string, number> }, progress: Progress, hooks: TrainerHooks, seconds: number): boolean {
  const { loss, accuracy } = meansOf(result)
  hooks.log?.({
    kind: 'evaluation',
    step: progress.step,
    loss,
    perplexity: Math.exp(loss),
    accuracy,
    seconds,
    notes: result.notes,
  })
  const better = loss < progress.bestLoss
  progress.bestLoss = Math.min(loss, progress.bestLoss)
  progress.stale = better ? 0 : progress.stale + 1
  progress.evaluated = progress.step
  return better
}
