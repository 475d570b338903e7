/** A task on a subject as units of work, and what their outcomes add up to. Each kind of task makes its own plan. */
import type { Effort } from '../chat/messages.ts'
import type { Interval } from '../numbers/statistics.ts'

/** What came of one unit: a line of the results file. Each kind adds its own fields. */
export interface Outcome {
  readonly id: string
  readonly group?: string
  readonly effort?: Effort
  /** Of a question that is asked several times, from 0. */
  readonly repeat?: number
  /** The item could not be asked or scored; it counts as wrong. */
  readonly error?: string
  readonly [field: string]: unknown
}

export type Unit = Pick<Outcome, 'id' | 'group' | 'effort' | 'repeat'> & {
  /** Asks or scores. @throws ItemError when only this item is lost */
  measure(signal?: AbortSignal): Promise<Record<string, unknown>>
}

export interface Metric {
  /** As lm-evaluation-harness calls it, where it has one: acc, acc_norm, word_perplexity, … */
  readonly name: string
  readonly value: number
  /** 95 %, by Wilson's formula or the bootstrap over items; undefined where one item leaves nothing to say. */
  readonly interval: Interval | undefined
  readonly by: 'wilson' | 'bootstrap' | undefined
}

/** The scores of one effort, or of one group of it. */
export interface Summary {
  readonly effort: Effort | undefined
  readonly group: string | undefined
  readonly items: number
  /** Items that ended with an error. */
  readonly failed: number
  readonly metrics: readonly Metric[]
}

export interface Plan {
  readonly units: readonly Unit[]
  /** The metrics of outcomes of one effort. */
  metrics(outcomes: readonly Outcome[]): Metric[]
}

export const keyOf = ({ id, effort, repeat }: Pick<Outcome, 'id' | 'effort' | 'repeat'>): string =>
  JSON.stringify([id, effort ?? null, repeat ?? 0])

/** Summaries by effort, each followed by its groups. */
export function summarise(plan: Plan, outcomes: readonly Outcome[]): Summary[] {
  const efforts = [...new Set(plan.units.map(({ effort }) => effort))].filter((each) => outcomes.some(({ effort }) => effort === each))
  return efforts.flatMap((effort) => {
    const own = outcomes.filter((outcome) => outcome.effort === effort)
    const groups = [...new Set(own.map(({ group }) => group))].filter((group) => group !== undefined)
    const parts = groups.length > 1 ? [undefined, ...groups.sort()] : [undefined]
    return parts.map((group) => {
      const some = group === undefined ? own : own.filter((outcome) => outcome.group === group)
      return {
        effort,
        group,
        items: new Set(some.map(({ id }) => id)).size,
        failed: some.filter(({ error }) => error !== undefined).length,
        metrics: plan.metrics(some),
      }
    })
  })
}
