/** Questions that are answered by generating: the part that generation, code and rubrics share. */
import type { Effort } from '../../chat/messages.ts'
import { mixSeeds } from '../../random/hash.ts'
import type { AskingItem, Question } from '../items.ts'
import type { Outcome, Unit } from '../plan.ts'
import type { Reply, Subject } from '../subject.ts'
import type { AskingTask } from '../task.ts'

export interface AskingOptions {
  /** Each question is asked with each of them; none: as the model does by itself. */
  readonly efforts?: readonly Effort[]
  /** In place of what the task says. */
  readonly repeats?: number
  readonly maxTokens?: number
  readonly temperature?: number
  readonly topP?: number
  readonly seed?: number
}

/** @param then what is made of a reply */
export function askingUnits(
  task: AskingTask,
  items: readonly AskingItem[],
  subject: Subject,
  options: AskingOptions,
  then: (
    item: AskingItem,
    question: Question,
    reply: Reply,
    signal?: AbortSignal,
  ) => Promise<Record<string, unknown>> | Record<string, unknown>,
): Unit[] {
  const { efforts = [undefined], repeats = task.repeats, seed = 0 } = options
  const { stop } = task
  const maxTokens = options.maxTokens ?? task.maxTokens
  const temperature = options.temperature ?? task.temperature
  const topP = options.topP ?? task.topP
  return efforts.flatMap((effort) =>
    Array.from({ length: repeats }, (_, repeat) =>
      items.map((item, i) => ({
        id: item.id,
        group: item.group,
        effort,
        repeat: repeats > 1 ? repeat : undefined,
        async measure(signal?: AbortSignal) {
          const question = item.question(repeat)
          // The seed belongs to the question and its repeat, so that a continued run gives the same answers.
          const sampling = { temperature, topP, seed: mixSeeds(seed, i, repeat) >>> 0 }
          const reply = await subject.answer({ ...question.request, maxTokens, stop, sampling, effort, signal })
          const { text, finish, tokens, reasoningTokens } = reply
          return { text, finish, tokens, reasoningTokens, ...(await then(item, question, reply, signal)) }
        },
      })),
    ).flat(),
  )
}

/** The outcomes of each item, its repeats together. */
export function byItem(outcomes: readonly Outcome[]): Outcome[][] {
  const items = new Map<string, Outcome[]>()
  for (const outcome of outcomes) {
    const own = items.get(outcome.id)
    if (own) own.push(outcome)
    else items.set(outcome.id, [outcome])
  }
  return [...items.values()]
}
