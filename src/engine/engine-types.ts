/**
 * The types of the engine: its input (ids, sampling, a driver), its output (events, log-probabilities, a
 * result) and its load.
 */
import type { Architecture } from '../architecture/architecture.ts'
import type { Weights } from '../model/weights.ts'
import type { Backend } from '../ops/backend.ts'
import type { TokenLogprob } from './logprobs.ts'
import type { ReadingOptions } from './reading.ts'
import type { SamplingOptions } from './sampling-options.ts'
import type { SlotOptions, SlotResult, SlotSource, Slots } from './saved-slots.ts'

export type { ReadingOptions, SamplingOptions, SlotOptions, SlotResult, SlotSource, Slots, TokenLogprob }

export interface EngineOptions {
  backend: Backend
  architecture: Architecture
  weights: Weights
  /** Trees that share the tensors of `weights` and have adapters beside some of them, by name. */
  adapters?: Readonly<Record<string, Weights>>
  /** Positions per slot: longest prompt plus answer. Default: maxPositionEmbeddings, at most 8192, and no more than LongRoPE's original context. */
  context?: number
  /** Sequences that can be resident, running or kept for reuse. Default 4. */
  slots?: number
  /** Most rows in one forward pass: the prompt chunk. Where running sequences leave fewer than 16 of them to prompts, a pass has more. Default 512. */
  chunk?: number
  /** While others decode, a prompt chunk is cut so that a step takes about this long. Default 1000. */
  maxStallMs?: number
  /**
   * On a backend that keeps drawn ids (WebGPU) the next step is enqueued before the ids of this one have come back, where it does not depend on
   * them. false: it waits for them. The answers are the same. Default true.
   */
  runAhead?: boolean
  /** Generations that may wait for a slot; one more is refused with a BusyError. Default: no limit. */
  maxWaiting?: number
}

/** Controls one generation: the ids allowed before each draw; events and next step after each id. */
export interface Driver<E> {
  /**
   * Called before each draw with the number of ids that may still come (at least 1). Returns a bitset
   * of the allowed ids (id i is bit i & 31 of word i >> 5; missing words: none allowed), or undefined
   * for all ids. If no id is allowed, the generation fails with a RangeError. May be called more than once before the same draw.
   */
  mask?(tokensLeft: number): Uint32Array | undefined
  /** Called with each id, forced ids included, before the next call of `mask`. */
  take(token: GeneratedToken): Taken<E>
}

export interface Taken<E> {
  /** What the iteration yields for this id, in order. */
  events?: readonly E[]
  /**
   * 'stop' ends the generation; ids that were to be appended are not. Ids are appended without a draw, after those that are to be appended
   * already, and count in `maxTokens`.
   */
  next?: 'stop' | readonly number[]
}

export interface GenerateOptions<E = GeneratedToken> {
  /** Limit of generated ids. Default: the rest of the context. */
  maxTokens?: number
  sampling?: SamplingOptions
  /** Ids that end the generation; the stop id is the last one delivered. Default: the architecture's eosTokenIds. */
  stopIds?: readonly number[]
  /** Ends the generation (reason 'abort') within one step, also in the queue. */
  signal?: AbortSignal
  /** Controls masks, forced ids, stops and events. Default: every id is allowed and the events are the tokens. */
  driver?: Driver<E>
  /** Report the log-probability of each id and of this many likeliest alternatives. Default: none are computed. */
  logprobs?: number
  /** Cached prefixes are shared only between generations with the same key. Waiting generations of different keys take turns. Default ''. */
  cacheKey?: string
  /** Called in the queue with the number of generations ahead, on every change; undefined: a slot was found. An error ends the generation. */
  onQueue?: (ahead: number | undefined) => void
}

export interface GeneratedToken {
  id: number
  /** Set for an id that the driver appended. */
  forced?: true
  /** With `logprobs`, for drawn ids: log-probability in the model's own distribution. */
  logprob?: number
  top?: TokenLogprob[]
}

/** stop: a stop id or the driver · length: `maxTokens` · context: the slot is full · abort: signal or consumer. */
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
  /** The seed that was used; the same seed repeats the result. */
  seed: number
}

/**
 * A running generation. Iterate it for the driver's events, or await `result` only. Leaving the
 * iteration aborts. The generation pauses when its iterator is more than 256 ids behind; then another may take its slot. An error of
 * backend or driver rejects both.
 */
export interface Generation<E = GeneratedToken> extends AsyncIterable<E> {
  readonly result: Promise<GenerationResult>
}

export interface ScoreOptions extends ReadingOptions {
  /** Also report this many likeliest ids per position. Default 0. */
  top?: number
  /** Index of the first id whose log-probability is wanted, at least 1. Equal ids before it are computed once for several calls. Default 1. */
  from?: number
}

/** The log-probability of a given id. */
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
   * Starts or queues a generation. Throws RangeError on an empty or too long prompt or an unknown id,
   * BusyError when the queue is full, BackendFailedError when the backend has failed; that error ends
   * running generations too.
   */
  generate<E = GeneratedToken>(promptIds: readonly number[], options?: GenerateOptions<E>): Generation<E>
  /** Log-probabilities of ids[from…], each given all ids before it. Shares forward passes with the generations. */
  score(ids: readonly number[], options?: ScoreOptions): Promise<ScoredToken[]>
  /** The row [D] of the last id after the final norm, not normalised to length 1. Shares forward passes with the generations' prompts. */
  embed(ids: readonly number[], options?: ReadingOptions): Promise<Float32Array>
  load(): EngineLoad
  /** The conversations that are kept in the cache: listed, saved to files, restored. */
  readonly slots: Slots
  /**
   * The same engine with one of its adapters: slots, queue and `close` are shared. Each step of the engine runs the rows of one adapter, or
   * those without one, so an answer does not depend on the others.
   * @throws RangeError for an unknown name
   */
  withAdapter(name: string): Engine
  /** Ends every generation with reason 'abort' and frees the cache, not the backend and the weights. */
  close(): Promise<void>
}
