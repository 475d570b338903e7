/**
 * Continuous batching: every step is one forward pass over one row of each decoding sequence plus pieces of
 * the waiting prompts, so that all of them share one reading of the weights. Knows jobs, not their purpose.
 * Orca: Yu et al. 2022 (iteration-level scheduling); Sarathi: Agrawal et al. 2023 (chunked prefill).
 */
import type { Weights } from '../model/weights.ts'
import type { KvCache } from '../ops/backend.ts'
import type { Job } from './job.ts'
import { commonPrefix, PrefixCache } from './prefix-cache.ts'
import { promptRows } from './prompt-rows.ts'
import type { Model } from './read-logits.ts'
import { type Pass, Passes, type Piece, type Running, type Values, withoutDropped } from './step.ts'

/** While sequences decode, a step has at least this many prompt rows, even if it takes longer than `maxStallMs` or exceeds the chunk. */
const MIN_PIECE = 16
/** A job waits for another's prompt if that saves it at least this many rows. */
const WORTH_WAITING = 32
/** A job decodes at least this long, and as long as its prompt took, before its slot goes to a key that has none. */
const MIN_TURN_MS = 2000
/** So many times as long, if its key has no other slot: the ids of a job that comes back are computed again. */
const ONLY_SLOT_TURNS = 4
/** Weight of the newest step in the smoothed speeds. */
const SMOOTHING = 0.3

export class Scheduler {
  readonly totals = { promptTokens: 0, cachedTokens: 0, completionTokens: 0, steps: 0 }
  readonly speeds = { promptRowsPerMs: 0, stepsPerMs: 0 }
  lastStepAt = 0
  readonly prefixes: PrefixCache
  readonly #passes: Passes
  readonly #cache: KvCache
  readonly #maxStallMs: number
  /** Of the last step. */
  #pass = ''
  /** When a key last got a slot, as a count. Empty while there is no work. */
  readonly #served = new Map<string, number>()
  #admitted = 0
  /** The pass that was enqueued before the ids of the last one were known. */
  #ahead: Pass | undefined
  /** When the last step ended, as `performance.now()`. */
  #endedAt = 0
  #waiting: Job[] = []
  #running: Running[] = []
  readonly #tasks = new Set<Promise<unknown>>()
  #active = false
  #closed = false
  #ending: Promise<void> | undefined
  #failure: Error | undefined
  #sleeper: (() => void) | undefined
  #idle: Promise<void> = Promise.resolve()

  /** @param runAhead enqueue a step before the ids of the one before are known, where the backend can */
  constructor(model: Model, adapters: ReadonlyMap<string, Weights>, cache: KvCache, maxStallMs: number, runAhead: boolean) {
    // A state cannot be taken back when a row is dropped.
    const keeps = runAhead && model.backend.drawAndKeep !== undefined && !cache.spec.layers.some((layer) => 'state' in layer)
    this.#passes = new Passes(model, adapters, cache, keeps)
    this.#cache = cache
    this.#maxStallMs = maxStallMs
    this.prefixes = new PrefixCache(cache, keeps ? 1 : 0)
  }

  get running(): number {
    return this.#running.filter(({ job }) => !job.ended).length
  }

  get waiting(): number {
    return this.#waiting.filter((job) => !job.ended).length
  }

  submit(job: Job): void {
    if (this.#closed) throw new Error('the engine is closed')
    if (this.#failure) throw this.#failure
    this.#waiting.push(job)
    this.wake()
  }

  /** Runs the loop again after a change: a new job, an abort, a consumer that caught up. */
  wake = (): void => {
    this.#sleeper?.()
    if (this.#active || this.#closed || this.#waiting.length + this.#running.length === 0) return
    this.#active = true
    this.#idle = this.#run().catch((error) => this.#giveUp(error))
  }

  /** After a failure of the backend: ends all jobs with this error and refuses new ones. */
  fail(error: Error): void {
    this.#failure = error
    for (const job of this.#jobs()) job.fail(error)
    this.#sleeper?.()
  }

  /** Waits until a slot whose job has ended is free. */
  async swept(slot: number): Promise<void> {
    while (this.#running.some((running) => running.slot === slot && running.job.ended)) await nextTask()
  }

  /** Work on a slot that no job has; `close` waits for it. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new Error('the engine is closed')
    const task = work()
    this.#tasks.add(task)
    return task.finally(() => this.#tasks.delete(task))
  }

  close(): Promise<void> {
    return (this.#ending ??= this.#end())
  }

  async #end(): Promise<void> {
    this.#closed = true
    for (const job of this.#jobs()) job.abort()
    this.#sleeper?.()
    await this.#idle
    await Promise.allSettled(this.#tasks)
    this.prefixes.dispose()
  }

  #jobs(): Job[] {
    return [...this.#waiting, ...this.#running.map(({ job }) => job)]
  }

  async #run(): Promise<void> {
    for (;;) {
      // Lets timers, sockets and signals run, and new jobs join the next step.
      await nextTask()
      await this.#sweep()
      if (this.#waiting.length + this.#running.length === 0 && !this.#ahead) break
      await this.#admit()
      const pieces = this.#ahead ? [] : this.#plan()
      if (this.#ahead || pieces.length > 0) await this.#step(pieces)
      else if (!this.#running.some(({ job }) => job.ended || !job.paused))
        await new Promise<void>((resolve) => {
          this.#sleeper = resolve
        })
    }
    this.#active = false
    this.#served.clear()
  }

  /** A failure outside of a step ends all jobs, so that none waits for ever. */
  #giveUp(error: unknown): void {
    for (const job of this.#jobs()) job.fail(error)
    for (const { slot } of this.#running) this.prefixes.forget(slot)
    this.#waiting = []
    this.#running = []
    this.#ahead?.kept?.release()
    this.#ahead = undefined
    this.#active = false
  }

  /** Drops jobs that have ended; their cached positions stay for reuse. */
  async #sweep(): Promise<void> {
    this.#waiting = this.#waiting.filter((job) => !job.ended)
    for (const { job, slot, done } of this.#running) {
      if (!job.ended) continue
      if (!this.#closed && !this.#failure) await this.prefixes.remember(slot, done)
      this.prefixes.release(slot)
      this.totals.completionTokens += job.ids.length - job.promptTokens
    }
    this.#running = this.#running.filter(({ slot }) => this.prefixes.isBusy(slot))
  }

  /** Gives slots to waiting jobs in their turns. */
  async #admit(): Promise<void> {
    if (this.#waiting.length === 0) return
    const turns = this.#turns()
    for (const job of turns) {
      if (this.#shouldWait(job)) continue
      if (this.prefixes.freeSlots === 0 && !(await this.#freeSlot(job))) continue
      const { slot, cachedTokens, branch } = this.prefixes.acquire(job.ids, prefixKey(job), job.reusable)
      this.#served.set(job.cacheKey, ++this.#admitted)
      this.#waiting.splice(this.#waiting.indexOf(job), 1)
      const ends = [reusableOfPrompt(job), ...(branch >= cachedTokens + WORTH_WAITING ? [branch] : [])]
      this.#running.push({ job, slot, done: cachedTokens, since: performance.now(), caughtUp: 0, ends })
      if (job.start(cachedTokens)) {
        this.totals.promptTokens += job.promptTokens
        this.totals.cachedTokens += cachedTokens
      }
    }
    const waiting = new Set(this.#waiting)
    let ahead = 0
    for (const job of turns) if (waiting.has(job)) job.waits?.(ahead++)
  }

  /** The waiting jobs: those of keys with fewer slots first, then of keys that waited longer for one, then as they came. */
  #turns(): Job[] {
    const taken = this.#slotsByKey()
    const ready = this.#waiting.filter((job) => !job.paused)
    const turns = ready.map((job) => {
      const turn = taken.get(job.cacheKey) ?? 0
      taken.set(job.cacheKey, turn + 1)
      return { job, turn }
    })
    const served = ({ cacheKey }: Job) => this.#served.get(cacheKey) ?? 0
    return turns.sort((a, b) => a.turn - b.turn || served(a.job) - served(b.job)).map(({ job }) => job)
  }

  #slotsByKey(): Map<string, number> {
    const slots = new Map<string, number>()
    for (const { job } of this.#running) slots.set(job.cacheKey, (slots.get(job.cacheKey) ?? 0) + 1)
    return slots
  }

  /**
   * Takes a slot for a job: from one whose consumer does not read, or for a key without slots from a key that has most, after its turn. The
   * other job waits for its next turn, and continues with the same ids. False: all slots stay where they are.
   */
  async #freeSlot(job: Job): Promise<boolean> {
    const slots = this.#slotsByKey()
    const most = Math.max(...slots.values())
    const now = performance.now()
    const turns = most > 1 ? 1 : ONLY_SLOT_TURNS
    const hadTurn = ({ since, caughtUp }: Running) => caughtUp > 0 && now - caughtUp >= turns * Math.max(MIN_TURN_MS, caughtUp - since)
    const richest = this.#running.filter((running) => slots.get(running.job.cacheKey) === most && hadTurn(running))
    const byLength = (a: Running, b: Running) => a.job.ids.length - b.job.ids.length
    const victim = this.#running.find((running) => running.job.paused) ?? (slots.has(job.cacheKey) ? undefined : richest.sort(byLength)[0])
    if (!victim) return false
    await this.prefixes.remember(victim.slot, victim.done)
    this.prefixes.release(victim.slot)
    this.#running.splice(this.#running.indexOf(victim), 1)
    this.#waiting.push(victim.job)
    return true
  }

  /** Whether a running job is computing a prefix that this one needs too. Of states that job is told where the prefix ends. */
  #shouldWait(job: Job): boolean {
    if (job.reusable === 0) return false
    return this.#running.some((other) => {
      if (other.done >= other.job.promptTokens || prefixKey(other.job) !== prefixKey(job)) return false
      const common = commonPrefix(other.job.ids, job.ids, job.reusable)
      const waits = common > other.done && common >= this.prefixes.reusable(job.ids, prefixKey(job), job.reusable) + WORTH_WAITING
      if (waits && !other.ends.includes(common)) other.ends.push(common)
      return waits
    })
  }

  /** Decode rows first, then prompt rows up to the chunk or `maxStallMs`. */
  #plan(): Piece[] {
    const able = this.#running.filter(({ job }) => !job.ended && !job.paused)
    // A step has one pass with the weights of one adapter: the next kind of pass that has work has its turn.
    const kinds = [...new Set(able.map(({ job }) => passOf(job)))].sort()
    this.#pass = kinds[(kinds.indexOf(this.#pass) + 1) % kinds.length] ?? ''
    const ready = able.filter(({ job }) => passOf(job) === this.#pass)
    const pending = ({ job, done }: Running) => job.ids.length - done
    const pieces: Piece[] = ready.filter((r) => pending(r) === 1).map((running) => ({ running, rows: 1 }))
    const { maxRows } = this.#cache.spec
    const decodes = able.some((r) => pending(r) === 1)
    const bearable = decodes ? Math.max(MIN_PIECE, Math.floor(this.#maxStallMs * this.speeds.promptRowsPerMs)) : maxRows
    const prompts = ready.filter((r) => pending(r) > 1)
    const waiting = prompts.map((running) => ({
      pending: pending(running),
      most: Math.min(pending(running), running.job.maxRows(running.done), this.#rowsToSnapshot(running)),
    }))
    // Sequences that decode may fill the chunk; prompts still go on beside them.
    const beside = Math.max(maxRows - pieces.length, Math.min(MIN_PIECE, maxRows))
    const rows = promptRows(waiting, Math.min(beside, bearable), maxRows)
    for (const [n, running] of prompts.entries()) if (rows[n]! > 0) pieces.push({ running, rows: rows[n]! })
    return pieces
  }

  /** A state can only be kept where it stands, so the rows after the reusable ones wait until the state before them is kept. */
  #rowsToSnapshot({ ends, done }: Running): number {
    if (!this.prefixes.hasStates) return Number.POSITIVE_INFINITY
    return Math.min(...ends.filter((end) => end > done).map((end) => end - done))
  }

  /**
   * Waits for the pass that is enqueued already, without what was dropped of it, or starts one; before it waits, it enqueues the next one if
   * that can be. An error in a pass ends the jobs that took part, and no others.
   */
  async #step(planned: readonly Piece[]): Promise<void> {
    let pass = this.#ahead
    if (pass) pass.pieces = withoutDropped(pass, this.#running)
    const pieces = pass?.pieces ?? planned
    this.#ahead = undefined
    let values: Values
    try {
      pass ??= this.#passes.start(pieces)
      this.#ahead = this.#passes.follow(pass, this.#running)
      values = await pass.result
      for (const { running, rows: count } of pieces) {
        const { job, slot, done } = running
        this.prefixes.wrote(slot, job.ids.slice(done, done + count))
        running.done += count
        if (running.caughtUp === 0 && running.done >= job.ids.length) running.caughtUp = performance.now()
        if (done >= job.promptTokens || job.reusable === 0) continue
        // The next turn of a conversation and the same text with another ending continue here.
        const end = running.ends.find((end) => done < end && end <= running.done)
        if (end !== undefined) await this.prefixes.remember(slot, end)
        else await this.prefixes.rememberOnTheWay(slot, running.done)
      }
    } catch (error) {
      for (const { running } of pieces) {
        running.job.fail(error)
        running.done = 0
        this.prefixes.forget(running.slot)
      }
      return
    } finally {
      pass?.kept?.release()
    }
    if (pieces.length > 0) this.#measure(pass)
    this.#passes.deliver(pass, values)
  }

  #measure({ pieces, started }: Pass): void {
    // A pass that ran ahead begins on the device when the one before it has ended.
    const now = performance.now()
    const ms = now - Math.max(started, this.#endedAt)
    this.#endedAt = now
    this.totals.steps++
    this.lastStepAt = Date.now()
    const rows = pieces.reduce((sum, piece) => sum + piece.rows, 0)
    const smooth = (old: number, now: number) => (old === 0 ? now : old + SMOOTHING * (now - old))
    if (rows >= pieces.length + MIN_PIECE - 1) this.speeds.promptRowsPerMs = smooth(this.speeds.promptRowsPerMs, rows / ms)
    else this.speeds.stepsPerMs = smooth(this.speeds.stepsPerMs, 1 / ms)
  }
}

/** So many positions of the prompt are worth keeping for other jobs: the last row of a prompt is always computed. */
const reusableOfPrompt = ({ reusable, promptTokens }: Job): number => Math.min(reusable, promptTokens - 1)

/** Rows of jobs with the same value may be computed in one pass. */
const passOf = ({ adapter = '', output }: Job): string => `${output ?? ''}\0${adapter}`

/** Keys and values of one adapter are of no use to another. */
export const prefixKey = ({ adapter, cacheKey }: Pick<Job, 'adapter' | 'cacheKey'>): string => JSON.stringify([adapter ?? null, cacheKey])

/** Resolves after the pending events were handled; a resolved promise would not wait for them. */
function nextTask(): Promise<void> {
  if (typeof setImmediate === 'function') return new Promise((resolve) => setImmediate(resolve))
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(null)
  })
}
