/** A generation, scoring or embedding as the scheduler sees it: ids to process, and rows whose results are wanted. */
import type { Draw } from '../ops/draw.ts'

export interface Job {
  /** Ids known so far, prompt first. Only the job appends. */
  readonly ids: readonly number[]
  readonly promptTokens: number
  /** Name of the adapter that it runs with; undefined: the weights alone. */
  readonly adapter: string | undefined
  /** Prefixes are shared only between jobs with the same key and adapter. Waiting jobs of different keys take turns. */
  readonly cacheKey: string
  /** So many first positions may come from the cache, because their logits are not wanted. */
  readonly reusable: number
  /** Most rows in the next step, when the first `done` positions are processed (rows with wanted logits are large). */
  maxRows(done: number): number
  /** The consumer is behind; the scheduler skips the job for now, and may take its slot. */
  readonly paused: boolean
  /** The job has ended; the scheduler drops it. */
  readonly ended: boolean
  /** What is wanted of a row: the row after the final norm; missing: its logits. */
  readonly output?: 'hidden'
  /** Whether the result of this position is wanted. */
  wants(position: number): boolean
  /** No slot is free; `ahead` jobs are before this one in the queue. Like `start` it must not throw. */
  waits?(ahead: number): void
  /** A slot was found. False: the job had one before, and continues. */
  start(cachedTokens: number): boolean
  /** How the id after `position` is drawn; undefined: the job wants the logits themselves. May throw. */
  draw(position: number): Draw | undefined
  /**
   * How the id after the one that is being drawn will be drawn, whatever that one is. 'unknown': this depends on it. 'none': it is the last.
   * Called only where `draw` has given a draw. Absent: 'unknown'.
   */
  drawAhead?(): Draw | 'unknown' | 'none'
  /** Whether the draw that `drawAhead` gave for the id after `position` is right, now that the ids before are known. May throw. */
  holds?(position: number): boolean
  /** Logits [V], or what `output` says, at `position`, valid until this returns. May append ids, end the job, or throw. */
  receive(position: number, row: Float32Array): void
  /** The id that `draw` asked for; -1: none was allowed. May append ids, end the job, or throw. */
  chosen?(id: number): void
  fail(error: unknown): void
  abort(): void
}
