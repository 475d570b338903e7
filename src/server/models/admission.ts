/**
 * Who may ask now: a limit of requests per key, and a limit of answers that wait in the engines' queues. What cannot be served soon
 * is refused at once (429 per key, 503 when the queue is full), with the time after which to come back.
 */
import type { EngineLoad } from '../../engine/engine.ts'
import { overloaded, rateLimited } from '../http/errors.ts'
import type { Limits } from '../http/limits.ts'

export class Admission {
  readonly #limits: Limits
  readonly #perTenant = new Map<string, number>()
  /** Smoothed duration of an answer, for Retry-After. */
  #answerMs = 2_000
  draining = false

  constructor(limits: Limits) {
    this.#limits = limits
  }

  /** Seconds after which a slot should be free, from the length of the queue and the measured duration of answers. */
  retryAfterSeconds({ slots, waiting }: Pick<EngineLoad, 'slots' | 'waiting'> = { slots: 1, waiting: 0 }): number {
    return Math.min(60, Math.max(1, ((waiting + 1) / Math.max(1, slots)) * (this.#answerMs / 1000)))
  }

  /** Counts a request of a tenant until the returned function is called. Throws 429 above the limit, 503 while draining. */
  enter(tenant: string): () => void {
    if (this.draining) throw overloaded('The server is shutting down and takes no new work.', 5, 'draining')
    const count = this.#perTenant.get(tenant) ?? 0
    if (count >= this.#limits.concurrencyPerKey)
      throw rateLimited(`At most ${this.#limits.concurrencyPerKey} requests of one key may run at once.`, this.retryAfterSeconds())
    this.#perTenant.set(tenant, count + 1)
    let left = false
    return () => {
      if (left) return
      left = true
      const now = (this.#perTenant.get(tenant) ?? 1) - 1
      if (now > 0) this.#perTenant.set(tenant, now)
      else this.#perTenant.delete(tenant)
    }
  }

  /** Throws 503 unless so many answers more fit into slots and queue; so a stream is refused before its headers leave. */
  check(load: EngineLoad, answers = 1): void {
    const { slots, running, waiting } = load
    if (running + waiting + answers > slots + this.#limits.queueLength)
      throw overloaded(`${waiting} answers already wait for a slot. Try again later.`, this.retryAfterSeconds(load))
  }

  /** An answer took so long from its slot to its end. */
  answered(ms: number): void {
    this.#answerMs += (ms - this.#answerMs) * 0.1
  }
}
