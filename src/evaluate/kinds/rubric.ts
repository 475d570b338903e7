/**
 * HealthBench and its kind: another model says for each criterion whether an answer meets it. A score is the points of the criteria that are
 * met, by the sum of the positive points; the task's score is their mean, cut to 0…1. Rules and the grader's prompt: openai/simple-evals (MIT).
 */
import { asObject, describe, isObject, type Json } from '../../json/json.ts'
import { bootstrap, mean } from '../../numbers/statistics.ts'
import { ItemError, TaskError } from '../errors.ts'
import type { AskingItem } from '../items.ts'
import type { Metric, Outcome, Plan } from '../plan.ts'
import type { Subject } from '../subject.ts'
import type { RubricTask } from '../task.ts'
import { type AskingOptions, askingUnits, byItem } from './asking.ts'
import { costs } from './generate.ts'
import { graderPrompt } from './grader-prompt.ts'

interface Criterion {
  readonly criterion: string
  readonly points: number
}

/** A grader that writes no readable grade so often in a row has failed. */
const ATTEMPTS = 4

/** @param grader undefined: answers are kept ungraded */
export function rubricPlan(
  task: RubricTask,
  items: readonly AskingItem[],
  subject: Subject,
  { grader, ...options }: AskingOptions & { readonly grader?: Subject },
): Plan {
  const rubrics = new Map(items.map(({ id, record: { fields, place } }) => [id, criteriaOf(task.rubrics.value(fields, place), place)]))
  const units = askingUnits(task, items, subject, options, async ({ id }, { request }, { text }, signal) => {
    if (!grader) return {}
    const messages = 'messages' in request ? request.messages : [{ role: 'user' as const, content: request.prompt }]
    const conversation = [...messages, { role: 'assistant' as const, content: text }]
      .map(({ role, content }) => `${role}: ${content}`)
      .join('\n\n')
    const criteria = rubrics.get(id)!
    const met = await Promise.all(criteria.map((criterion) => grade(grader, conversation, criterion, signal)))
    const points = criteria.reduce((sum, { points }, i) => sum + (met[i] ? points : 0), 0)
    return { met, score: points / criteria.reduce((sum, { points }) => sum + Math.max(0, points), 0) }
  })
  return {
    units,
    metrics(outcomes) {
      const all = byItem(outcomes)
      const of = (some: readonly Outcome[][]) => Math.min(1, Math.max(0, mean(some.flat().map(({ score }) => Number(score ?? 0)))))
      const score: Metric[] = grader ? [{ name: 'score', value: of(all), interval: bootstrap(all, of), by: 'bootstrap' }] : []
      return [...score, ...costs(outcomes)]
    },
  }
}

function criteriaOf(value: unknown, place: string): Criterion[] {
  if (!Array.isArray(value) || value.length === 0) throw new TaskError(`${place}: expected a list of rubrics, got ${describe(value)}`)
  const criteria = value.map((each, i) => {
    const { criterion, points }: Json = isObject(each) ? each : {}
    if (typeof criterion === 'string' && typeof points === 'number') return { criterion, points }
    throw new TaskError(`${place}: rubric ${i}: expected { "criterion": text, "points": number }, got ${describe(each)}`)
  })
  if (!criteria.some(({ points }) => points > 0)) throw new TaskError(`${place}: expected a rubric with positive points, found none`)
  return criteria
}

async function grade(grader: Subject, conversation: string, { criterion, points }: Criterion, signal?: AbortSignal): Promise<boolean> {
  const content = graderPrompt(conversation, `[${points}] ${criterion}`)
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const { text } = await grader.answer({ messages: [{ role: 'user', content }], signal })
    const met = gradeIn(text)
    if (met !== undefined) return met
  }
  throw new ItemError(`${grader.name}: expected a JSON object with "criteria_met": true or false, got none in ${ATTEMPTS} answers`)
}

/** `criteria_met` of the JSON object in an answer. */
export function gradeIn(text: string): boolean | undefined {
  const json = text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)
  try {
    const { criteria_met } = asObject(JSON.parse(json))
    return typeof criteria_met === 'boolean' ? criteria_met : undefined
  } catch {
    return undefined
  }
}
