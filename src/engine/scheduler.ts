/**
 * Continuous batching: every step is one forward pass over one row of each decoding sequence plus pieces of
 * the waiting prompts, so that all of them share one reading of the weights. Knows jobs, not their purpose.
 * Orca: Yu et al. 2022 (iteration-level scheduling); Sarathi: Agrawal et al. 2023 (chunked prefill).
 */
import { forward } from '../model/transformer.ts'
import type { Weights } from '../model/weights.ts'
import type { KvCache } from '../ops/backend.ts'
import { type Draw, drawId } from '../ops/draw.ts'
import type { Batch } from '../ops/ops.ts'
import type { Tensor } from '../ops/tensor.ts'
import type { Job } from './job.ts'
import { commonPrefix, PrefixCache } from './prefix-cache.ts'
import { promptRows } from './prompt-rows.ts'
import type { Model } from './read-logits.ts'

/** A job that has a slot; positions below `done` are in the cache. */
interface Running {
  readonly job: Job
  readonly slot: number
  done: number
  /** When it got the slot, and when its ids up to then were in the cache (0: not yet), as `performance.now()`. */
  readonly since: number
  caughtUp: number
  /** Positions of the prompt at which other jobs may continue: its end, and where they part from it. */
  readonly ends: number[]
}

/** The next `rows` ids of a job. */
interface Piece {
  readonly running: Running
  readonly rows: number
}

/** A row of a step whose logits a job needs. */
interface Row {
  readonly job: Job
  readonly position: number
}

/** While sequences decode, a step has at least this many prompt rows, even if it takes longer than `maxStallMs`. */
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
  readonly #model: Model
  readonly #adapters: ReadonlyMap<string, Weights>
  readonly #cache: KvCache
  readonly #maxStallMs: number
  /** Of the last step. */
  #pass = ''
  /** When a key last got a slot, as a count. Empty while there is no work. */
  readonly #served = new Map<string, number>()
  #admitted = 0
  #logits = new Float32Array(0)
  #waiting: Job[] = []
  #running: Running[] = []
  readonly #tasks = new Set<Promise<unknown>>()
  #active = false
  #closed = false
  #failure: Error | undefined
  #sleeper: (() => void) | undefined
  #idle: Promise<void> = Promise.resolve()

  constructor(model: Model, adapters: ReadonlyMap<string, Weights>, cache: KvCache, maxStallMs: number) {
    this.#model = model
    this.#adapters = adapters
    this.#cache = cache
    this.#maxStallMs = maxStallMs
    this.prefixes = new PrefixCache(cache)
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

  async close(): Promise<void> {
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
      if (this.#waiting.length + this.#running.length === 0) break
      await this.#admit()
      const pieces = this.#plan()
      if (pieces.length > 0) await this.#step(pieces)
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
    const rows = promptRows(waiting, Math.min(maxRows - pieces.length, bearable), maxRows)
    for (const [n, running] of prompts.entries()) if (rows[n]! > 0) pieces.push({ running, rows: rows[n]! })
    return pieces
  }

  /** A state can only be kept where it stands, so the rows after the reusable ones wait until the state before them is kept. */
  #rowsToSnapshot({ ends, done }: Running): number {
    if (!this.prefixes.hasStates) return Number.POSITIVE_INFINITY
    return Math.min(...ends.filter((end) => end > done).map((end) => end - done))
  }

  /** One forward pass. An error in it ends the jobs that took part, and no others. */
  async #step(pieces: readonly Piece[]): Promise<void> {
    const started = performance.now()
    let deliver: () => void
    try {
      deliver = await this.#forward(pieces)
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
    }
    this.#measure(pieces, performance.now() - started)
    deliver()
  }

  /** Runs the pieces as one batch. What comes back tells the jobs their ids or logits. */
  async #forward(pieces: readonly Piece[]): Promise<() => void> {
    const { backend, architecture } = this.#model
    const { adapter, output } = pieces[0]!.running.job
    const weights = adapter === undefined ? this.#model.weights : this.#adapters.get(adapter)!
    const count = pieces.reduce((sum, piece) => sum + piece.rows, 0)
    const batch: Batch = { ids: new Int32Array(count), slots: new Int32Array(count), positions: new Int32Array(count) }
    const logitRows: number[] = []
    const rows: Row[] = []
    let t = 0
    for (const piece of pieces) {
      const { job, slot, done } = piece.running
      for (let position = done; position < done + piece.rows; position++, t++) {
        batch.ids[t] = job.ids[position]!
        batch.slots[t] = slot
        batch.positions[t] = position
        if (!job.wants(position)) continue
        logitRows.push(t)
        rows.push({ job, position })
      }
    }
    const options = { cache: this.#cache, logitRows: Int32Array.from(logitRows), output }
    // All but the logits ends with this scope, before they are waited for: a backend that computes later lets the layers share memory.
    const run = () => backend.scope('pass', () => forward(backend, architecture, weights, batch, options))
    if (rows.length === 0) {
      // The middle of a prompt: only keys and values are needed.
      backend.scope('step', () => void run())
      await backend.settled()
      return () => {}
    }
    // The draws are made while the pass runs: a mask may take a moment.
    let draws: (Draw | undefined)[] = []
    const drawn = backend.scope('step', () => {
      const logits = run()
      draws = rows.map(drawOfRow)
      return backend.draw && draws.every((draw) => draw !== undefined)
        ? backend.draw(logits, draws as Draw[])
        : this.#read(logits, rows.length * (output ? architecture.hiddenSize : architecture.vocabSize))
    })
    const values = await drawn
    if (values instanceof Int32Array)
      return () => {
        for (const [r, row] of rows.entries()) tell(row, ({ job }) => job.chosen!(values[r]!))
      }
    const width = values.length / rows.length
    return () =>
      rows.forEach((row, r) => {
        const own = values.subarray(r * width, (r + 1) * width)
        if (draws[r]) tell(row, ({ job }) => job.chosen!(drawId(own, draws[r]!)))
        else tell(row, ({ job, position }) => job.receive(position, own)) // [V]
      })
  }

  /** Into one array for all steps: new megabytes in every step would cost garbage collection. */
  #read(logits: Tensor, size: number): Promise<Float32Array> {
    if (this.#logits.length < size) this.#logits = new Float32Array(size)
    return this.#model.backend.read(logits, this.#logits)
  }

  #measure(pieces: readonly Piece[], ms: number): void {
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
export const prefixKey = ({ adapter, cacheKey }: Pick<Job, 'adapter' | 'cacheKey'>): string =>
  adapter === undefined ? cacheKey : `${adapter}\0${cacheKey}`

/** An error of a job's own code ends this job alone. */
function tell(row: Row, what: (row: Row) => void): void {
  const { job, position } = row
  if (job.ended || !job.wants(position)) return
  try {
    what(row)
  } catch (error) {
    job.fail(error)
  }
}

/** How a row is drawn; undefined where its job wants logits. A job that failed here is drawn in vain. */
function drawOfRow(row: Row): Draw | undefined {
  let draw: Draw | undefined = GREEDY
  tell(row, ({ job, position }) => {
    draw = job.draw(position)
  })
  return draw
}

const GREEDY: Draw = { temperature: 0, topK: 0, topP: 1, minP: 0, noise: 0 }

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
