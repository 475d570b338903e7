/**
 * The engine's contract: what goes in (ids, sampling, a driver), what comes out (events, log-probabilities, a result), and
 * what its load can be asked for. Types only.
 */
import type { Architecture } from '../architecture/architecture.ts'
import type { Weights } from '../model/weights.ts'
import type { Backend } from '../ops/backend.ts'
import type { TokenLogprob } from './logprobs.ts'
import type { SamplingOptions } from './sampling-options.ts'

export type { SamplingOptions, TokenLogprob }

export interface EngineOptions {
  backend: Backend
  architecture: Architecture
  weights: Weights
  /** Positions per slot: the longest prompt plus answer. Default: the architecture's maxPositionEmbeddings, at most 8192. */
  context?: number
  /** Sequences that can be resident, running or kept for reuse. Default 4. */
  slots?: number
  /** Most rows in one forward pass: the prompt chunk. Default 512. */
  chunk?: number
  /** While others decode, a prompt chunk is cut so that a step takes about this long. Default 1000. */
  maxStallMs?: number
  /** Generations that may wait for a slot; one more is refused with a BusyError. Default: no limit. */
  maxWaiting?: number
}

/**
 * Steers one generation, id by id: says before each draw what is allowed, and after each id what the consumer sees and how it goes on.
 * A driver that throws ends its own generation with that error.
 */
export interface Driver<E> {
  /**
   * Called before each id is drawn, with how many ids `maxTokens` and the context leave (at least 1). A bitset of the allowed ids
   * (id i is bit i & 31 of word i >> 5; missing words: not allowed), or undefined: all. At least one id must be allowed, else the
   * generation fails with a RangeError.
   */
  mask?(tokensLeft: number): Uint32Array | undefined
  /** Called with each id as soon as it exists, forced ids included, before the next mask is asked for. */
  take(token: GeneratedToken): Taken<E>
}

export interface Taken<E> {
  /** What the iteration yields for this id, in order. */
  events?: readonly E[]
  /**
   * 'stop' ends the generation. Ids are forced: they were not drawn, go through the model like a prompt, are taken with `forced`, count
   * towards `maxTokens`, and never stop. Ignored for an id that is forced itself.
   */
  next?: 'stop' | readonly number[]
}

export interface GenerateOptions<E = GeneratedToken> {
  /** Limit of generated ids. Default: what the context leaves. */
  maxTokens?: number
  sampling?: SamplingOptions
  /** Ids that end the generation; the stop id is the last one delivered. Default: the architecture's eosTokenIds. */
  stopIds?: readonly number[]
  /** Ends the generation (reason 'abort') within one step, also while it waits. */
  signal?: AbortSignal
  /** Masks, forces, stops, and turns ids into events. Default: all ids are allowed and the iteration yields the tokens. */
  driver?: Driver<E>
  /** Report the log-probability of each id and of this many likeliest alternatives. Default: none are computed. */
  logprobs?: number
  /** Cached prefixes are shared only between generations with the same key. Default ''. */
  cacheKey?: string
  /**
   * Called when the generation has to wait for a slot and whenever its place in the queue changes, with the number of generations
   * ahead of it; undefined when it gets its slot.
   */
  onQueue?: (ahead: number | undefined) => void
}

export interface GeneratedToken {
  id: number
  /** Appended by the driver, not drawn. */
  forced?: true
  /** With `logprobs`, for drawn ids: natural logarithm of the probability in the model's own distribution, and the likeliest ids, best first. */
  logprob?: number
  top?: TokenLogprob[]
}

/**
 * stop: a stop id, or the driver said so · length: `maxTokens` reached · context: all positions of the slot are used ·
 * abort: the signal, or the consumer left the iteration.
 */
export type EndReason = 'stop' | 'length' | 'context' | 'abort'

export interface GenerationResult {
  reason: EndReason
  /** Ids generated, forced ones and the stop id included. */
  ids: number[]
  promptTokens: number
  /** Of these, how many were found in the KV cache. */
  cachedTokens: number
  completionTokens: number
  /** Wall clock: waiting for a slot; from there to the first id; from the first id to the last. */
  queuedMs: number
  prefillMs: number
  decodeMs: number
  /** The seed that was used, for a repetition. */
  seed: number
}

/**
 * A running generation. Iterate for the driver's events as they come, or await `result` alone. Leaving the iteration aborts. While
 * somebody iterates, a consumer that lags more than 256 ids behind pauses its generation. A failing backend or driver rejects both.
 */
export interface Generation<E = GeneratedToken> extends AsyncIterable<E> {
  readonly result: Promise<GenerationResult>
}

export interface ScoreOptions {
  /** Also report this many likeliest ids per position. Default 0. */
  top?: number
  signal?: AbortSignal
}

/** What the model thought of a given id. */
export interface ScoredToken extends TokenLogprob {
  top: TokenLogprob[]
}

/** A snapshot for schedulers, health checks and metrics. */
export interface EngineLoad {
  slots: number
  running: number
  waiting: number
  maxWaiting: number
  /** Positions reserved, and positions that hold keys and values of running or kept sequences. */
  cachePositions: number
  cachedPositions: number
  /** Totals since the start. */
  promptTokens: number
  cachedTokens: number
  completionTokens: number
  steps: number
  /** Smoothed speeds of recent steps, 0 before the first: prompt ids and decode steps per second. */
  promptTokensPerSecond: number
  stepsPerSecond: number
  /** When the last step ended (Date.now()), for a watchdog; 0 before the first. */
  lastStepAt: number
}

export interface Engine {
  readonly architecture: Architecture
  readonly context: number
  /**
   * Starts (or queues) a generation. Throws RangeError on an empty or too long prompt or an unknown id, BusyError when the queue is full,
   * BackendFailedError when the backend is dead; running generations end with the same error.
   */
  generate<E = GeneratedToken>(promptIds: readonly number[], options?: GenerateOptions<E>): Generation<E>
  /** Log-probabilities of ids[1…] given those before them (one entry fewer than ids). Shares the forward passes with the generations. */
  score(ids: readonly number[], options?: ScoreOptions): Promise<ScoredToken[]>
  load(): EngineLoad
  /** Ends every generation with reason 'abort', frees the cache; the backend and the weights stay with their owner. */
  close(): Promise<void>
}
