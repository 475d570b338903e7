/** Background responses: they outlive their request, keep their events for late readers and can be cancelled. Bounded, in memory. */
import type { ResponseEvent } from './builder.ts'

export class ResponseJob {
  readonly events: ResponseEvent[] = []
  readonly controller = new AbortController()
  readonly tenant: string
  ended = false
  #wake: (() => void)[] = []

  constructor(tenant: string) {
    this.tenant = tenant
  }

  add(events: readonly ResponseEvent[]): void {
    this.events.push(...events)
    this.#notify()
  }

  end(): void {
    this.ended = true
    this.#notify()
  }

  /** Aborts the work and waits until its last state is stored. */
  async stop(): Promise<void> {
    this.controller.abort(new Error('cancelled'))
    while (!this.ended) await new Promise<void>((resolve) => this.#wake.push(resolve))
  }

  /** The events after a sequence number: those that were, then those to come. */
  async *follow(after: number, signal: AbortSignal): AsyncGenerator<ResponseEvent> {
    for (let i = after + 1; ; ) {
      while (i < this.events.length) yield this.events[i++]!
      if (this.ended) return
      signal.throwIfAborted()
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve)
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}

export class ResponseJobs {
  readonly #jobs = new Map<string, ResponseJob>()
  /** Of one tenant. */
  readonly #mostEnded = 64

  add(id: string, job: ResponseJob): void {
    this.#jobs.set(id, job)
    const ended = [...this.#jobs].filter(([, { tenant, ended }]) => ended && tenant === job.tenant)
    for (const [key] of ended.slice(0, Math.max(0, ended.length - this.#mostEnded))) this.#jobs.delete(key)
  }

  get(tenant: string, id: string): ResponseJob | undefined {
    const job = this.#jobs.get(id)
    return job?.tenant === tenant ? job : undefined
  }

  delete(id: string): void {
    this.#jobs.delete(id)
  }
}
