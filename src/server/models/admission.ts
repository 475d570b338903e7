/**
 * Who may ask now: limits per key of requests, and of answers that run or wait for a slot of a model. What cannot be served soon is refused
 * at once (429 for requests, 503 when the queue is full), with the time after which to come back. Who is next is the engine's decision.
 */
import type { EngineLoad } from '../../engine/engine.ts'
import { overloaded, rateLimited } from '../http/errors.ts'
import type { Limits } from '../http/limits.ts'
import type { Lease } from './registry.ts'

export class Admission {
  readonly #limits: Limits
  readonly #requests = new Counts()
  readonly #answers = new Counts()
  /** Smoothed duration of an answer, for Retry-After. */
  #answerMs = 2_000
  /** leaving: readiness fails, work is still taken; draining: no new work. */
  state: 'open' | 'leaving' | 'draining' = 'open'

  constructor(limits: Limits) {
    this.#limits = limits
  }

  /** Seconds after which a slot should be free, from the length of the queue and the measured duration of answers. */
  retryAfterSeconds({ slots, waiting }: Pick<EngineLoad, 'slots' | 'waiting'> = { slots: 1, waiting: 0 }): number {
    return Math.min(60, Math.max(1, ((waiting + 1) / Math.max(1, slots)) * (this.#answerMs / 1000)))
  }

  /** Throws 503 while draining. */
  checkOpen(): void {
    if (this.state === 'draining') throw overloaded('The server is shutting down and takes no new work.', 5, 'draining')
  }

  /** Counts a request of a tenant until the returned function is called. Throws 429 above the limit. */
  enter(tenant: string): () => void {
    if (this.#requests.of(tenant) >= this.#limits.concurrencyPerKey)
      throw rateLimited(`At most ${this.#limits.concurrencyPerKey} requests of one key may run at once.`, this.retryAfterSeconds())
    return this.#requests.add(tenant)
  }

  /**
   * Throws 503 unless so many answers more of this key fit into slots and queue; so a stream is refused before its headers leave. The queue
   * of a key is its own: another key cannot fill it.
   */
  check(tenant: string, { entry, model }: Lease, answers = 1): void {
    const load = model.engine.load()
    const own = this.#answers.of(answersKey(tenant, entry.id))
    if (own + answers > load.slots + this.#limits.queueLength)
      throw overloaded(`${own} answers already run or wait for a slot. Try again later.`, this.retryAfterSeconds(load))
  }

  /**
   * How many of the answers of one request may run or wait at once. The others begin as these end, so that a request of any size fits
   * into slots and queue of an idle server. As many wait as there are slots, so that a slot that becomes free has work.
   */
  width({ model }: Lease, answers: number): number {
    const { slots } = model.engine.load()
    return Math.max(1, Math.min(answers, 2 * slots, slots + this.#limits.queueLength))
  }

  /** Counts an answer until the returned function is called. */
  begin(tenant: string, { entry }: Lease): () => void {
    return this.#answers.add(answersKey(tenant, entry.id))
  }

  /** An answer took so long from its slot to its end. */
  answered(ms: number): void {
    this.#answerMs += (ms - this.#answerMs) * 0.1
  }
}

const answersKey = (tenant: string, model: string) => `${tenant} ${model}`

class Counts {
  readonly #counts = new Map<string, number>()

  of(key: string): number {
    return this.#counts.get(key) ?? 0
  }

  /** Counts one more until the returned function is called; calling it twice is harmless. */
  add(key: string): () => void {
    this.#counts.set(key, this.of(key) + 1)
    let left = false
    return () => {
      if (left) return
      left = true
      if (this.of(key) > 1) this.#counts.set(key, this.of(key) - 1)
      else this.#counts.delete(key)
    }
  }
}
