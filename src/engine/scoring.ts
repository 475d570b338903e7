/**
 * A job that computes the log-probabilities of given ids. The ids before `from` are read only: without logits, and from the cache where
 * another job has read them.
 */
import type { ScoredToken, ScoreOptions } from './engine-types.ts'
import { logprobs } from './logprobs.ts'
import { ReadingJob } from './reading.ts'

/** Most rows with logits in one step: 32 rows of a vocabulary of 200,000 take 26 MB. */
const LOGIT_ROWS = 32

export class ScoringJob extends ReadingJob<ScoredToken[]> {
  readonly #target: readonly number[]
  readonly #top: number
  readonly #scores: ScoredToken[] = []

  constructor(ids: readonly number[], options: ScoreOptions, adapter?: string) {
    super(ids.slice(0, -1), (options.from ?? 1) - 1, options, adapter)
    this.#target = ids.slice(1)
    this.#top = options.top ?? 0
  }

  maxRows(done: number): number {
    return Math.max(0, this.reusable - done) + LOGIT_ROWS
  }

  receive(position: number, logits: Float32Array): void {
    const id = this.#target[position]!
    const { of, top } = logprobs(logits, this.#top)
    this.#scores.push({ id, logprob: of(id), top })
    if (this.#scores.length === this.#target.length - this.reusable) this.finish(this.#scores)
  }
}
