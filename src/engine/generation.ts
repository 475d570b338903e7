/**
 * One generation: from logits to the next id, through the driver, to the consumer. Holds the ids, the
 * pending events and the reason of the end. Knows no slots, batches or other generations.
 */
import { type Draw, drawId } from '../ops/draw.ts'
import { randomSeed } from '../random/counter.ts'
import type { Driver, EndReason, GeneratedToken, GenerateOptions, Generation, GenerationResult } from './engine-types.ts'
import type { Job } from './job.ts'
import { logprobs } from './logprobs.ts'
import { drawOf } from './sampler.ts'

/** Undelivered ids at which an iterated generation pauses. */
const MAX_BACKLOG = 256

export class GenerationJob<E> implements Job, Generation<E> {
  readonly ids: number[]
  readonly promptTokens: number
  readonly adapter: string | undefined
  readonly cacheKey: string
  readonly result: Promise<GenerationResult>
  readonly #options: GenerateOptions<E>
  readonly #driver: Driver<E>
  readonly #limit: number
  readonly #context: number
  readonly #stopIds: ReadonlySet<number>
  readonly #seed: number
  readonly #wake: () => void
  readonly #settle: PromiseWithResolvers<GenerationResult>
  readonly #generated: number[] = []
  readonly #counts = new Map<number, number>()
  /** Ids of prompt and answer, for the repetition penalty; of the answer alone without one. */
  readonly #all: Set<number>
  /** Ids drawn so far: the number of the next draw. */
  #draws = 0
  /** Whether the newest draw had a mask. Then the next one may have another. */
  #masked = false
  #cachedTokens = 0
  /** Generations ahead in the queue, as last reported. */
  #ahead: number | undefined
  #times = { created: performance.now(), started: 0, first: 0, last: 0 }
  #end: { reason: EndReason } | { error: unknown } | undefined
  /** One entry per id that the consumer has not seen. */
  #queue: (readonly E[])[] = []
  #iterated = false
  #notify: (() => void) | undefined
  readonly #onAbort = () => this.abort()

  /** `context`: positions of a slot; `wake`: called when the scheduler should look again. */
  constructor(
    promptIds: readonly number[],
    options: GenerateOptions<E>,
    { context, stopIds, adapter }: { context: number; stopIds: readonly number[]; adapter?: string },
    wake: () => void,
  ) {
    this.ids = promptIds.slice()
    this.promptTokens = promptIds.length
    this.adapter = adapter
    this.cacheKey = options.cacheKey ?? ''
    this.#options = options
    this.#driver = options.driver ?? { take: (token) => ({ events: [token as E] }) }
    this.#context = context
    this.#limit = options.maxTokens ?? Number.POSITIVE_INFINITY
    this.#stopIds = new Set(stopIds)
    const { seed = randomSeed(), repetitionPenalty = 1 } = options.sampling ?? {}
    this.#seed = seed
    this.#all = new Set(repetitionPenalty === 1 ? [] : promptIds)
    this.#wake = wake
    this.#settle = Promise.withResolvers()
    this.result = this.#settle.promise
    this.result.catch(() => {}) // the iteration reports a failure too
    if (options.signal?.aborted) this.abort()
    else options.signal?.addEventListener('abort', this.#onAbort)
  }

  get ended(): boolean {
    return this.#end !== undefined
  }

  /** The next id is drawn from the logits of the last one. */
  get reusable(): number {
    return this.ids.length - 1
  }

  maxRows(): number {
    return Number.POSITIVE_INFINITY
  }

  get paused(): boolean {
    return this.#iterated && this.#queue.length >= MAX_BACKLOG
  }

  wants(position: number): boolean {
    return position === this.ids.length - 1
  }

  waits(ahead: number): void {
    if (ahead === this.#ahead || this.#times.started > 0) return
    this.#ahead = ahead
    this.#tellQueue(ahead)
  }

  start(cachedTokens: number): boolean {
    if (this.#times.started > 0) return false
    this.#tellQueue(undefined)
    this.#cachedTokens = cachedTokens
    this.#times.started = performance.now()
    return true
  }

  draw(): Draw | undefined {
    return this.#options.logprobs === undefined ? this.#nextDraw() : undefined
  }

  drawAhead(): Draw | 'unknown' | 'none' {
    const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 } = this.#options.sampling ?? {}
    if (this.#masked || repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0) return 'unknown'
    return this.#tokensLeft <= 1 ? 'none' : this.#drawNumber(this.#draws + 1, undefined)
  }

  /** A draw without a mask does not hold where the driver has one by now. */
  holds(position: number): boolean {
    return !this.wants(position) || this.#mask() === undefined
  }

  receive(_position: number, logits: Float32Array): void {
    const own = logprobs(logits.slice(), this.#options.logprobs!)
    const id = drawId(logits, this.#nextDraw())
    this.chosen(id, id < 0 ? undefined : { id, logprob: own.of(id), top: own.top })
  }

  chosen(id: number, token: GeneratedToken = { id }): void {
    if (id < 0) throw new RangeError('no id can be drawn: the mask and bias forbid all, or the logits are not numbers')
    this.#draws++
    let next = this.#append(token)
    if (this.#stopIds.has(id)) next = 'stop'
    const forced: number[] = []
    for (let at = 0; ; at++) {
      if (next === 'stop') {
        this.#finish('stop')
        return
      }
      if (this.#full()) return
      for (const id of next ?? []) forced.push(id)
      if (at === forced.length) return
      next = this.#append({ id: forced[at]!, forced: true })
    }
  }

  #tellQueue(ahead: number | undefined): void {
    try {
      this.#options.onQueue?.(ahead)
    } catch (error) {
      this.fail(error)
    }
  }

  get #tokensLeft(): number {
    return Math.min(this.#limit - this.#generated.length, this.#context - this.ids.length)
  }

  #mask(): Uint32Array | undefined {
    const mask = this.#driver.mask?.(this.#tokensLeft)
    this.#masked = mask !== undefined
    return mask
  }

  #nextDraw(): Draw {
    return this.#drawNumber(this.#draws, this.#mask())
  }

  #drawNumber(index: number, mask: Uint32Array | undefined): Draw {
    return drawOf(this.#options.sampling ?? {}, this.#seed, index, { counts: this.#counts, all: this.#all }, mask)
  }

  fail(error: unknown): void {
    if (this.#end) return
    this.#end = { error }
    this.#close()
    this.#settle.reject(error)
  }

  abort(): void {
    this.#finish('abort')
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<E, void> {
    if (this.#iterated) throw new TypeError('a generation can be iterated once; keep the events or await `result`')
    this.#iterated = true
    try {
      for (;;) {
        const events = this.#queue.shift()
        if (events) {
          if (this.#queue.length === MAX_BACKLOG - 1) this.#wake()
          yield* events
        } else if (!this.#end) {
          await new Promise<void>((resolve) => {
            this.#notify = resolve
          })
        } else if ('error' in this.#end) throw this.#end.error
        else return
      }
    } finally {
      this.abort() // of no effect after the end
      this.#queue = []
    }
  }

  #append(token: GeneratedToken): 'stop' | readonly number[] | undefined {
    this.ids.push(token.id)
    this.#generated.push(token.id)
    this.#all.add(token.id)
    this.#counts.set(token.id, (this.#counts.get(token.id) ?? 0) + 1)
    this.#times.last = performance.now()
    this.#times.first ||= this.#times.last
    const { events = [], next } = this.#driver.take(token)
    this.#queue.push(events)
    this.#notify?.()
    return next
  }

  #full(): boolean {
    if (this.#generated.length >= this.#limit) this.#finish('length')
    else if (this.ids.length >= this.#context) this.#finish('context')
    return this.ended
  }

  #finish(reason: EndReason): void {
    if (this.#end) return
    this.#end = { reason }
    this.#close()
    const { created, started, first, last } = this.#times
    const end = performance.now()
    this.#settle.resolve({
      reason,
      ids: this.#generated,
      promptTokens: this.promptTokens,
      cachedTokens: this.#cachedTokens,
      completionTokens: this.#generated.length,
      queuedMs: (started || end) - created,
      prefillMs: started ? (first || end) - started : 0,
      decodeMs: last - first,
      seed: this.#seed,
    })
  }

  #close(): void {
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    this.#notify?.()
  }
}
