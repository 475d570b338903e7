/** Answers that are generated, extracted and compared: AIME, GPQA, GSM8K, MMLU; and programs that are run: HumanEval. */

import { bootstrap, mean, passAtK, wilson } from '../../numbers/statistics.ts'
import { canonical, codeOf, definesFunction, isRight } from '../extract.ts'
import type { AskingItem } from '../items.ts'
import type { Metric, Outcome, Plan } from '../plan.ts'
import type { Subject } from '../subject.ts'
import type { CodeTask, GenerateTask } from '../task.ts'
import { type AskingOptions, askingUnits, byItem } from './asking.ts'

export function generatePlan(task: GenerateTask, items: readonly AskingItem[], subject: Subject, options: AskingOptions): Plan {
  const units = askingUnits(task, items, subject, options, (_, { options: count, answer }, { text }) => {
    let extracted: string | undefined
    for (const extract of task.extract) extracted ??= extract(text, count)
    return { answer, extracted, right: Number(isRight(extracted, answer, task.compare)) }
  })
  return {
    units,
    metrics(outcomes) {
      const metrics = accuracy('acc', outcomes, ({ right }) => right === 1)
      const all = byItem(outcomes)
      if (all.some((repeats) => repeats.length > 1)) metrics.push(majority(all), ...passes(all, 'right'))
      return [...metrics, ...costs(outcomes), shareOf('no_answer', outcomes, ({ extracted }) => extracted === undefined)]
    },
  }
}

/** Runs a program; resolves to whether it ended with exit code 0. */
export type Sandbox = (program: string, signal?: AbortSignal) => Promise<{ passed: boolean; output: string }>

export function codePlan(
  task: CodeTask,
  items: readonly AskingItem[],
  subject: Subject,
  options: AskingOptions & { readonly sandbox?: Sandbox },
): Plan {
  const { sandbox } = options
  const units = askingUnits(task, items, subject, options, async ({ record: { fields, place } }, _, { text }, signal) => {
    const entry = task.entry?.text(fields, place).trim()
    const completion = task.as === 'completion' ? text : completionOf(codeOf(text, entry), entry)
    if (!sandbox) return { completion }
    const { passed, output } = await sandbox(task.program.text({ ...fields, completion }, place), signal)
    return { completion, passed: Number(passed), output: passed ? undefined : output }
  })
  return {
    units,
    metrics(outcomes) {
      const scored = outcomes.some(({ passed }) => passed !== undefined)
      const all = byItem(outcomes)
      const repeated = all.some((repeats) => repeats.length > 1)
      const metrics = scored ? accuracy('pass@1', outcomes, ({ passed }) => passed === 1) : []
      return [...metrics, ...(scored && repeated ? passes(all, 'passed') : []), ...costs(outcomes)]
    },
  }
}

/** A program that defines the function itself stands alone; anything else continues the prompt. */
function completionOf(code: string, entry: string | undefined): string {
  return definesFunction(code, entry) ? `\n    pass\n\n\n${code}` : code
}

/** Mean over all answers: with one answer per item Wilson's interval, with several the bootstrap over items. */
export function accuracy(name: string, outcomes: readonly Outcome[], isRight: (outcome: Outcome) => boolean): Metric[] {
  const all = byItem(outcomes)
  const repeats = Math.max(...all.map(({ length }) => length))
  if (repeats <= 1) return [shareOf(name, outcomes, isRight)]
  const of = (some: readonly Outcome[][]) => mean(some.flat().map((outcome) => Number(isRight(outcome))))
  return [{ name: name === 'acc' ? `avg@${repeats}` : name, value: of(all), interval: bootstrap(all, of), by: 'bootstrap' }]
}

function shareOf(name: string, outcomes: readonly Outcome[], is: (outcome: Outcome) => boolean): Metric {
  const count = outcomes.filter(is).length
  return { name, value: count / outcomes.length, interval: wilson(count, outcomes.length), by: 'wilson' }
}

/** Whether the most frequent answer of an item is right; of equally frequent ones the one that came first. */
function majority(items: readonly Outcome[][]): Metric {
  const wins = items.filter((repeats) => {
    const groups = Map.groupBy(
      repeats.filter(({ extracted }) => extracted !== undefined),
      // Right answers count together, however they are written.
      ({ extracted, right }) => (right === 1 ? '' : canonical(String(extracted))),
    )
    const [first] = [...groups.values()].sort((a, b) => b.length - a.length)
    return first?.[0]?.right === 1
  }).length
  const repeats = Math.max(...items.map(({ length }) => length))
  return { name: `maj@${repeats}`, value: wins / items.length, interval: wilson(wins, items.length), by: 'wilson' }
}

/** pass@k for k = 2, 4, 8, … and the number of repeats. */
function passes(items: readonly Outcome[][], field: string): Metric[] {
  const least = Math.min(...items.map(({ length }) => length))
  const ks = [2, 4, 8, 16, 32, 64].filter((k) => k < least)
  if (least > 1) ks.push(least)
  return ks.map((k) => {
    const of = (some: readonly Outcome[][]) =>
      mean(some.map((repeats) => passAtK(repeats.length, repeats.filter((outcome) => outcome[field] === 1).length, k)))
    return { name: `pass@${k}`, value: of(items), interval: bootstrap(items, of), by: 'bootstrap' }
  })
}

/** What the answers cost: generated tokens, those of the reasoning among them, and how many answers were cut. */
export function costs(outcomes: readonly Outcome[]): Metric[] {
  const done = outcomes.filter(({ error }) => error === undefined)
  const of = (field: string) => (some: readonly Outcome[]) => mean(some.map((outcome) => Number(outcome[field])))
  const metric = (name: string, field: string): Metric => ({
    name,
    value: of(field)(done),
    interval: bootstrap(done, of(field)),
    by: 'bootstrap',
  })
  return [
    metric('tokens', 'tokens'),
    metric('reasoning_tokens', 'reasoningTokens'),
    shareOf('cut', outcomes, ({ finish }) => finish === 'length'),
  ]
}
