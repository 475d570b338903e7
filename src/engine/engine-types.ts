/**
 * The engine's contract: what goes in (ids, sampling, callbacks on ids), what comes out (ids, log-probabilities, a result), and
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

export interface GenerateOptions {
  /** Limit of generated ids. Default: what the context leaves. */
  maxTokens?: number
  sampling?: SamplingOptions
  /** Ids that end the generation; the stop id is the last one delivered. Default: the architecture's eosTokenIds. */
  stopIds?: readonly number[]
  /** Ends the generation (reason 'abort') within one step, also while it waits. */
  signal?: AbortSignal
  /**
   * Called before each id is drawn. A bitset of the allowed ids (id i is bit i & 31 of word i >> 5; missing words: not allowed), or
   * undefined: all. At least one id must be allowed, else the generation fails with a RangeError.
   */
  logitMask?: (state: GenerationState) => Uint32Array | undefined
  /** Report the log-probability of each id and of this many likeliest alternatives. Default: none are computed. */
  logprobs?: number
  /**
   * Called with each id as soon as it exists, before the next mask is asked for. May end the generation (reason 'stop') or append ids
   * that were not drawn: these go through the model like a prompt, are delivered with `forced`, count towards `maxTokens`, and never stop.
   */
  onToken?: (token: GeneratedToken, state: GenerationState) => 'stop' | readonly number[] | undefined
  /** Cached prefixes are shared only between generations with the same key. Default ''. */
  cacheKey?: string
}

export interface GenerationState {
  readonly promptIds: readonly number[]
  /** Ids generated so far, forced ones included. */
  readonly ids: readonly number[]
}

export interface GeneratedToken {
  id: number
  /** Appended by `onToken`, not drawn. */
  forced?: true
  /** With `logprobs`, for drawn ids: natural logarithm of the probability in the model's own distribution, and the likeliest ids, best first. */
  logprob?: number
  top?: TokenLogprob[]
}

/**
 * stop: a stop id, or `onToken` said so · length: `maxTokens` reached · context: all positions of the slot are used ·
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
 * A running generation. Iterate for the ids as they come, or await `result` alone. Leaving the iteration aborts. While somebody iterates,
 * a consumer that lags more than 256 ids behind pauses its generation. A failing backend or callback rejects both.
 */
export interface Generation extends AsyncIterable<GeneratedToken> {
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
  /** Starts (or queues) a generation. Throws RangeError on an empty or too long prompt or an unknown id, BusyError when the queue is full. */
  generate(promptIds: readonly number[], options?: GenerateOptions): Generation
  /** Log-probabilities of ids[1…] given those before them (one entry fewer than ids). Shares the forward passes with the generations. */
  score(ids: readonly number[], options?: ScoreOptions): Promise<ScoredToken[]>
  load(): EngineLoad
  /** Ends every generation with reason 'abort', frees the cache; the backend and the weights stay with their owner. */
  close(): Promise<void>
}
