/**
 * What is evaluated: something that gives log-probabilities of ids and answers questions. Here are the rules by which texts become ids;
 * local-subject.ts is a model of this process, remote-subject.ts an OpenAI URL.
 */
import type { Effort, Message, SamplingOptions } from '../chat/messages.ts'
import { ItemError } from './errors.ts'
import { harnessWindows, stridedWindows, type WindowRule } from './windows.ts'

/** Natural logarithm of the probability of a text, whether each of its ids is the likeliest one, and how many ids it has. */
export interface Score {
  readonly logprob: number
  readonly greedy: boolean
  readonly tokens: number
  /** The context did not fit and was cut at its beginning. */
  readonly cut?: true
}

export type Request = {
  /** Most generated ids, reasoning included. */
  readonly maxTokens?: number
  readonly stop?: readonly string[]
  readonly sampling?: SamplingOptions
  readonly effort?: Effort
  readonly signal?: AbortSignal
} & ({ readonly messages: readonly Message[] } | { readonly prompt: string })

export interface Reply {
  readonly text: string
  /** stop: it ended by itself or at a stop text; length: it was cut. */
  readonly finish: 'stop' | 'length'
  /** Generated ids, reasoning included. */
  readonly tokens: number
  readonly reasoningTokens: number
}

export interface Subject {
  readonly name: string
  /** So many requests are worth having open at once. Default 1. */
  readonly parallel?: number
  /** Log-likelihood of a continuation of a context. @throws ItemError when it cannot be scored */
  score(context: string, continuation: string, signal?: AbortSignal): Promise<Score>
  /** Log-likelihood of a whole text, by the rule of the windows. */
  scoreText(text: string, rule: WindowRule, signal?: AbortSignal): Promise<Score>
  /** @throws ItemError when it cannot be asked */
  answer(request: Request): Promise<Reply>
}

/** What the rules of texts need of a subject that takes ids. */
export interface IdScorer {
  encode(text: string): readonly number[] | Promise<readonly number[]>
  /** The BOS that the tokenizer puts before every text. */
  readonly prefix: readonly number[]
  /** What a text without context is predicted from: the BOS, or the id that ends documents. */
  readonly start: number
  /** Most ids in front of a predicted one. */
  readonly context: number
  /** For each id from `from` on: its log-probability, and whether it is the likeliest. */
  scoreIds(ids: readonly number[], from: number, signal?: AbortSignal): Promise<readonly { logprob: number; greedy: boolean }[]>
}

/**
 * Blanks at the end of the context belong to the continuation, since tokenizers join them with the word after them. Both are encoded as one
 * text, and the ids after those of the context are the continuation's. As lm-evaluation-harness does.
 */
export async function scorePair(scorer: IdScorer, context: string, continuation: string, signal?: AbortSignal): Promise<Score> {
  const text = context.trimEnd()
  const rest = context.slice(text.length) + continuation
  let before: readonly number[]
  let predicted: readonly number[]
  if (text === '') {
    predicted = await scorer.encode(rest)
    before = scorer.prefix.length > 0 ? scorer.prefix : [scorer.start]
    if (predicted.length > 1 && before.length === 1 && predicted[0] === before[0]) predicted = predicted.slice(1)
  } else {
    const own = await scorer.encode(text)
    before = [...scorer.prefix, ...own]
    predicted = (await scorer.encode(text + rest)).slice(own.length)
  }
  if (predicted.length === 0) throw new ItemError(`the text ${JSON.stringify(continuation)} after the context has no tokens of its own`)
  const longest = scorer.context + 1
  if (predicted.length >= longest)
    throw new ItemError(`expected a text of at most ${scorer.context} tokens to score, got ${predicted.length}`)
  const all = [...before, ...predicted]
  const ids = all.slice(-longest)
  const score = summed(await scorer.scoreIds(ids, ids.length - predicted.length, signal))
  return ids.length < all.length ? { ...score, cut: true } : score
}

export async function scoreWindows(scorer: IdScorer, text: string, rule: WindowRule, signal?: AbortSignal): Promise<Score> {
  const { length = scorer.context, overlap, stride = Math.max(1, Math.floor(length / 2)) } = rule
  if (length > scorer.context) throw new ItemError(`expected windows of at most ${scorer.context} tokens, the context, got ${length}`)
  const ids = await scorer.encode(text)
  const windows =
    rule.rule === 'strided'
      ? stridedWindows([...scorer.prefix, ...ids], length, stride)
      : harnessWindows(ids, scorer.prefix.length > 0 ? scorer.prefix : [scorer.start], length, overlap)
  const scores = await Promise.all(windows.map((window) => scorer.scoreIds(window.ids, window.from, signal)))
  return summed(scores.flat())
}

function summed(ids: readonly { logprob: number; greedy: boolean }[]): Score {
  return {
    logprob: ids.reduce((sum, { logprob }) => sum + logprob, 0),
    greedy: ids.every(({ greedy }) => greedy),
    tokens: ids.length,
  }
}
