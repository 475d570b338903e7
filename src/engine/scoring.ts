/**
 * A job that computes the log-probabilities of given ids. The ids before `from` are read only: without logits, and from the cache where
 * another job has read them.
 */
import type { ScoredToken, ScoreOptions } from './engine-types.ts'
import type { Job } from './job.ts'
import { logprobs } from './logprobs.ts'

/** Most rows with logits in one step: 32 rows of a vocabulary of 200,000 take 26 MB. */
const LOGIT_ROWS = 32

export class ScoringJob implements Job {
  readonly ids: readonly number[]
  readonly promptTokens: number
  readonly adapter: string | undefined
  readonly cacheKey: string
  readonly reusable: number
  readonly paused = false
  readonly result: Promise<ScoredToken[]>
  readonly #target: readonly number[]
  readonly #top: number
  readonly #signal: AbortSignal | undefined
  readonly #scores: ScoredToken[] = []
  readonly #settle = Promise.withResolvers<ScoredToken[]>()
  readonly #onAbort = () => this.abort()
  #ended = false

  constructor(ids: readonly number[], options: ScoreOptions, adapter?: string) {
    this.adapter = adapter
    this.cacheKey = options.cacheKey ?? ''
    this.reusable = (options.from ?? 1) - 1
    this.ids = ids.slice(0, -1)
    this.#target = ids.slice(1)
    this.promptTokens = this.ids.length
    this.#top = options.top ?? 0
    this.#signal = options.signal
    this.result = this.#settle.promise
    if (this.#signal?.aborted) this.abort()
    else this.#signal?.addEventListener('abort', this.#onAbort)
  }

  get ended(): boolean {
    return this.#ended
  }

  maxRows(done: number): number {
    return Math.max(0, this.reusable - done) + LOGIT_ROWS
  }

  wants(position: number): boolean {
    return position >= this.reusable
  }

  start(): boolean {
    return true
  }

  draw(): undefined {}

  receive(position: number, logits: Float32Array): void {
    const id = this.#target[position]!
    const { of, top } = logprobs(logits, this.#top)
    this.#scores.push({ id, logprob: of(id), top })
    if (this.#scores.length < this.#target.length - this.reusable) return
    this.#close()
    this.#settle.resolve(this.#scores)
  }

  fail(error: unknown): void {
    this.#close()
    this.#settle.reject(error)
  }

  abort(): void {
    this.fail(this.#signal?.reason ?? new DOMException('the engine was closed', 'AbortError'))
  }

  #close(): void {
    this.#ended = true
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }
}
