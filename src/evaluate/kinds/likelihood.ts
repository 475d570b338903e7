/** Choices, pairs and last words: log-likelihoods of texts after a prompt. The metrics are those of lm-evaluation-harness. */

import { bootstrap, mean, wilson } from '../../numbers/statistics.ts'
import type { ChoicesItem, LastWordItem, RollingItem } from '../items.ts'
import type { Metric, Outcome, Plan } from '../plan.ts'
import type { Subject } from '../subject.ts'
import type { WindowRule } from '../windows.ts'

/** The choice with the largest log-likelihood, as it is (`acc`) and divided by its characters, bytes or tokens. */
export function choicesPlan(items: readonly ChoicesItem[], subject: Subject, isPairs: boolean): Plan {
  return {
    units: items.map(({ id, group, prompt, choices, delimiter, answer }) => ({
      id,
      group,
      async measure(signal) {
        const scores = await Promise.all(choices.map((choice) => subject.score(prompt, delimiter + choice, signal)))
        const logprobs = scores.map(({ logprob }) => logprob)
        const right = (size: (choice: string, i: number) => number) =>
          Number(largest(logprobs.map((logprob, i) => logprob / size(choices[i]!, i))) === answer)
        return {
          answer,
          logprobs,
          greedy: scores.map(({ greedy }) => greedy),
          tokens: scores.map(({ tokens }) => tokens),
          cut: scores.some(({ cut }) => cut) || undefined,
          acc: right(() => 1),
          acc_norm: right((choice) => [...choice].length),
          acc_bytes: right((choice) => bytesOf(choice)),
          acc_tokens: right((_, i) => scores[i]!.tokens),
        }
      },
    })),
    metrics: (outcomes) => (isPairs ? ['acc'] : ['acc', 'acc_norm', 'acc_bytes', 'acc_tokens']).map((name) => share(name, outcomes)),
  }
}

/** Index of the largest value; of equal ones the first. */
const largest = (values: readonly number[]): number => values.indexOf(Math.max(...values))

/** How often a field is 1. */
function share(name: string, outcomes: readonly Outcome[]): Metric {
  const right = outcomes.filter((outcome) => outcome[name] === 1).length
  return { name, value: right / outcomes.length, interval: wilson(right, outcomes.length), by: 'wilson' }
}

/** Whether greedy decoding gives the word (`acc`), and the perplexity of the words. */
export function lastWordPlan(items: readonly LastWordItem[], subject: Subject): Plan {
  return {
    units: items.map(({ id, group, prompt, target }) => ({
      id,
      group,
      async measure(signal) {
        const { logprob, greedy, tokens, cut } = await subject.score(prompt, target, signal)
        return { logprob, tokens, cut, acc: Number(greedy) }
      },
    })),
    metrics: (outcomes) => [
      share('acc', outcomes),
      resampled('perplexity', measured(outcomes), (some) => Math.exp(-mean(some.map(({ logprob }) => logprob as number)))),
    ],
  }
}

/** Perplexities of whole texts, by word, byte and token. Words are what stands between blanks. */
export function rollingPlan(items: readonly RollingItem[], subject: Subject, rule: WindowRule): Plan {
  return {
    units: items.map(({ id, group, text, counted }) => ({
      id,
      group,
      async measure(signal) {
        const { logprob, tokens } = await subject.scoreText(text, rule, signal)
        return { logprob, tokens, words: wordsOf(counted), bytes: bytesOf(counted) }
      },
    })),
    metrics(outcomes) {
      const per = (unit: string) => (some: readonly Outcome[]) => -sum(some, 'logprob') / sum(some, unit)
      const done = measured(outcomes)
      return [
        resampled('word_perplexity', done, (some) => Math.exp(per('words')(some))),
        resampled('byte_perplexity', done, (some) => Math.exp(per('bytes')(some))),
        resampled('bits_per_byte', done, (some) => per('bytes')(some) / Math.LN2),
        resampled('token_perplexity', done, (some) => Math.exp(per('tokens')(some))),
      ]
    },
  }
}

const sum = (outcomes: readonly Outcome[], field: string): number =>
  outcomes.reduce((total, outcome) => total + (outcome[field] as number), 0)

const measured = (outcomes: readonly Outcome[]): Outcome[] => outcomes.filter(({ error }) => error === undefined)

function resampled(name: string, outcomes: readonly Outcome[], statistic: (some: readonly Outcome[]) => number): Metric {
  return { name, value: statistic(outcomes), interval: bootstrap(outcomes, statistic), by: 'bootstrap' }
}

/** As Python splits at `\s+`: a blank at either end makes an empty word, which the harness counts. */
export const wordsOf = (text: string): number => text.split(/\p{White_Space}+/u).length

const bytesOf = (text: string): number => new TextEncoder().encode(text).length
