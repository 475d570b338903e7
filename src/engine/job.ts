/**
 * What the scheduler knows of a generation or a scoring: ids that must pass through the model, and rows whose logits are wanted.
 */
export interface Job {
  /** Ids known so far, prompt first. Only the job appends. */
  readonly ids: readonly number[]
  readonly promptTokens: number
  /** Prefixes are shared only between jobs with the same key. */
  readonly cacheKey: string
  /** Whether logits of cached positions are dispensable. */
  readonly reusesPrefix: boolean
  /** Most rows in one step (rows with wanted logits are large). */
  readonly maxRows: number
  /** The consumer lags behind: skip for now. */
  readonly paused: boolean
  /** Over, for whatever reason; the scheduler lets go of it. */
  readonly ended: boolean
  /** Whether the logits after this position are wanted. */
  wants(position: number): boolean
  /** No slot is free; so many jobs are ahead in the queue. */
  waits?(ahead: number): void
  /** A slot was found. */
  start(cachedTokens: number): void
  /** Logits [V] after `position`, the job's own until this returns. May append ids or end; may throw. */
  receive(position: number, logits: Float32Array): void
  fail(error: unknown): void
  abort(): void
}
