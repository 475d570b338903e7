/**
 * Who may decode now: a fixed number of answers per model at once, a bounded first-come queue for the rest, a limit per key.
 * It refuses at once what it cannot serve soon (429 per key, 503 when the queue is full) and says when to come back.
 */
import { overloaded, rateLimited } from '../http/errors.ts'
import type { Limits } from '../http/limits.ts'

interface Waiter {
  key: object
  start(): void
  position(ahead: number): void
}

/** The right to decode one answer. */
export interface Turn {
  queuedMs: number
  /** Frees the slot for the next; calling it twice is harmless. */
  end(): void
}

export class Admission {
  readonly #limits: Limits
  readonly #waiting: Waiter[] = []
  readonly #running = new Map<object, number>()
  readonly #perTenant = new Map<string, number>()
  /** Smoothed duration of an answer, for Retry-After. */
  #answerMs = 2_000
  draining = false

  constructor(limits: Limits) {
    this.#limits = limits
  }

  get waiting(): number {
    return this.#waiting.length
  }

  waitingFor(key: object): number {
    return this.#waiting.filter((waiter) => waiter.key === key).length
  }

  get running(): number {
    return [...this.#running.values()].reduce((sum, count) => sum + count, 0)
  }

  /** Seconds after which a slot should be free, from the queue's length and the measured duration of answers. */
  retryAfterSeconds(slots = 1): number {
    return Math.min(60, Math.max(1, ((this.#waiting.length + 1) / Math.max(1, slots)) * (this.#answerMs / 1000)))
  }

  /** Counts a request of a tenant for as long as it lives; throws 429 above the limit, 503 while draining. */
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

  /** Whether `answers` more would fit into slots and queue; throws 503 otherwise. Lets a stream be refused before its headers leave. */
  check(key: object, slots: number, answers = 1): void {
    const free = Math.max(0, slots - (this.#running.get(key) ?? 0))
    if (answers > free + this.#limits.queueLength - this.#waiting.length)
      throw overloaded(
        `${this.#waiting.length} answers already wait for a slot. Try again later.`,
        this.retryAfterSeconds(slots),
        'overloaded',
      )
  }

  /**
   * Waits for one of `slots` of a model (`key`). Rejects with the signal's reason when it aborts, with 503 when the wait is too long.
   * @param onPosition told the number of answers ahead whenever it changes
   */
  turn(key: object, slots: number, signal: AbortSignal, onPosition: (ahead: number) => void = () => {}): Promise<Turn> {
    signal.throwIfAborted()
    this.check(key, slots)
    const asked = performance.now()
    const begin = (): Turn => {
      this.#running.set(key, (this.#running.get(key) ?? 0) + 1)
      const started = performance.now()
      let ended = false
      return {
        queuedMs: started - asked,
        end: () => {
          if (ended) return
          ended = true
          this.#answerMs += (performance.now() - started - this.#answerMs) * 0.1
          const left = (this.#running.get(key) ?? 1) - 1
          if (left > 0) this.#running.set(key, left)
          else this.#running.delete(key)
          this.#next(key, slots)
        },
      }
    }
    if ((this.#running.get(key) ?? 0) < slots && this.waitingFor(key) === 0) return Promise.resolve(begin())
    return new Promise((resolve, reject) => {
      const cleanUp = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', aborted)
      }
      const leave = (reason: unknown) => {
        cleanUp()
        const index = this.#waiting.indexOf(waiter)
        if (index >= 0) this.#waiting.splice(index, 1)
        this.#positions()
        reject(reason)
      }
      const aborted = () => leave(signal.reason)
      const timedOut = () =>
        leave(overloaded(`No slot became free within ${this.#limits.queueWaitMs} ms.`, this.retryAfterSeconds(slots), 'queue_timeout'))
      const waiter: Waiter = {
        key,
        start: () => {
          cleanUp()
          resolve(begin())
        },
        position: onPosition,
      }
      const timer = setTimeout(timedOut, this.#limits.queueWaitMs)
      signal.addEventListener('abort', aborted, { once: true })
      this.#waiting.push(waiter)
      onPosition(this.#waiting.length - 1)
    })
  }

  #next(key: object, slots: number): void {
    while ((this.#running.get(key) ?? 0) < slots) {
      const index = this.#waiting.findIndex((waiter) => waiter.key === key)
      if (index < 0) break
      this.#waiting.splice(index, 1)[0]!.start()
    }
    this.#positions()
  }

  #positions(): void {
    this.#waiting.forEach((waiter, ahead) => {
      waiter.position(ahead)
    })
  }
}
