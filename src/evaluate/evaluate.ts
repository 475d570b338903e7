/**
 * `evaluate`: runs a task on a subject. Several items are open at once, outcomes are handed out as they come, and a run that was interrupted
 * goes on with those it has. Knows no files.
 */
import { ItemError } from './errors.ts'
import { askingItems, choicesItems, type ItemOptions, lastWordItems, rollingItems } from './items.ts'
import type { AskingOptions } from './kinds/asking.ts'
import { codePlan, generatePlan, type Sandbox } from './kinds/generate.ts'
import { choicesPlan, lastWordPlan, rollingPlan } from './kinds/likelihood.ts'
import { rubricPlan } from './kinds/rubric.ts'
import { keyOf, type Outcome, type Plan, type Summary, summarise, type Unit } from './plan.ts'
import type { Subject } from './subject.ts'
import type { Task } from './task.ts'

export interface EvaluateOptions extends ItemOptions, AskingOptions {
  /** Grades the answers of rubrics. */
  readonly grader?: Subject
  /** Runs the programs of code tasks. */
  readonly sandbox?: Sandbox
  /** Outcomes of an earlier run; their units are not run again unless they ended with an error. */
  readonly earlier?: readonly Outcome[]
  /** Called with each new outcome, in the order in which units end. */
  readonly onOutcome?: (outcome: Outcome, progress: Progress) => void | Promise<void>
  /** Items at once. Default: what the subject says. */
  readonly parallel?: number
  readonly signal?: AbortSignal
}

export interface Progress {
  readonly done: number
  readonly total: number
}

export interface Evaluation {
  /** In the order of the task. */
  readonly outcomes: readonly Outcome[]
  readonly summaries: readonly Summary[]
  /** Units of the task; more than outcomes where the run was interrupted. */
  readonly total: number
  /** Why the run ended early, if it did; what it has is in `outcomes`. */
  readonly interrupted: unknown
}

/**
 * @throws TaskError on data that the task cannot be made of; errors of one item (too long, refused) are outcomes that count as wrong. Every
 * other error, and the signal, end the run: `interrupted` holds them.
 */
export async function evaluate(task: Task, subject: Subject, options: EvaluateOptions): Promise<Evaluation> {
  const parallel = options.parallel ?? subject.parallel ?? 1
  if (!Number.isSafeInteger(parallel) || parallel < 1) throw new RangeError(`parallel: expected an integer from 1, got ${parallel}`)
  const plan = planOf(task, subject, options)
  const known = new Map((options.earlier ?? []).filter(({ error }) => error === undefined).map((outcome) => [keyOf(outcome), outcome]))
  const outcomes: Outcome[] = plan.units.flatMap((unit) => known.get(keyOf(unit)) ?? [])
  const waiting = plan.units.filter((unit) => !known.has(keyOf(unit)))
  const total = plan.units.length
  const stop = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal
  let interrupted: unknown
  const work = async () => {
    for (let unit = waiting.shift(); unit && !signal.aborted; unit = waiting.shift()) {
      try {
        const outcome = await outcomeOf(unit, signal)
        outcomes.push(outcome)
        await options.onOutcome?.(outcome, { done: outcomes.length, total })
      } catch (error) {
        interrupted ??= error
        stop.abort(error) // the others end, too
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(parallel, waiting.length) }, work))
  if (options.signal?.aborted) interrupted = options.signal.reason
  const place = new Map(plan.units.map((unit, i) => [keyOf(unit), i]))
  outcomes.sort((a, b) => place.get(keyOf(a))! - place.get(keyOf(b))!)
  return { outcomes, summaries: summarise(plan, outcomes), total, interrupted }
}

async function outcomeOf({ measure, ...names }: Unit, signal: AbortSignal): Promise<Outcome> {
  try {
    return { ...names, ...(await measure(signal)) }
  } catch (error) {
    if (error instanceof ItemError) return { ...names, error: error.message }
    throw error
  }
}

function planOf(task: Task, subject: Subject, options: EvaluateOptions): Plan {
  switch (task.kind) {
    case 'choices':
    case 'pairs':
      return choicesPlan(choicesItems(task, options), subject, task.kind === 'pairs')
    case 'last-word':
      return lastWordPlan(lastWordItems(task, options), subject)
    case 'rolling':
      return rollingPlan(rollingItems(task, options), subject, task)
    case 'generate':
      return generatePlan(task, askingItems(task, options), subject, options)
    case 'code':
      return codePlan(task, askingItems(task, options), subject, options)
    case 'rubric':
      return rubricPlan(task, askingItems(task, options), subject, options)
  }
}

/** Whether a task is asked, so that efforts, repeats and sampling mean something. */
export const isAsked = ({ kind }: Task): boolean => kind === 'generate' || kind === 'code' || kind === 'rubric'
