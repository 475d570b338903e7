/**
 * One piece of work for several equal requests: a client that retries, or sends the same idempotency key, joins what already runs
 * instead of starting it again. The work ends when the last of them leaves.
 */
import type { Scope, ServerContext } from '../http/context.ts'
import { linked } from '../http/signals.ts'

/** Ends when `signal` aborts; `gone` aborts when the last waiting client has disconnected. */
type Work = (signal: AbortSignal, gone: AbortSignal) => Promise<object>

interface Running {
  result: Promise<object>
  members: number
  controller: AbortController
}

export class Joins {
  readonly #running = new Map<string, Running>()

  /**
   * @param body the checked request; part of the identity, so that a reused key with another body starts anew
   */
  async run(ctx: ServerContext, scope: Scope, request: Request, body: unknown, work: Work): Promise<object> {
    const idempotencyKey = request.headers.get('idempotency-key')?.slice(0, 256) ?? ''
    const retries = Number(request.headers.get('x-stainless-retry-count') ?? 0) > 0
    scope.client.throwIfAborted() // before anything is started for it
    const key = JSON.stringify([scope.tenant, new URL(request.url).pathname, idempotencyKey, body])
    let running = idempotencyKey !== '' || retries ? this.#running.get(key) : undefined
    if (running) scope.facts.joined = true
    else running = this.#start(ctx, key, work)
    return this.#member(key, running, scope.client)
  }

  #start(ctx: ServerContext, key: string, work: Work): Running {
    const controller = new AbortController()
    const limited = linked([controller.signal, ctx.stopping], ctx.limits.requestMs)
    const result = work(limited.signal, controller.signal)
    const running = { result, members: 0, controller }
    result
      .catch(() => {})
      .finally(() => {
        limited.release()
        this.#forget(key, running)
      })
    if (!this.#running.has(key)) this.#running.set(key, running)
    return running
  }

  #forget(key: string, running: Running): void {
    if (this.#running.get(key) === running) this.#running.delete(key)
  }

  async #member(key: string, running: Running, client: AbortSignal): Promise<object> {
    running.members++
    const leave = () => {
      if (--running.members > 0) return
      this.#forget(key, running) // a retry starts anew while this work comes to its end
      running.controller.abort(client.reason)
    }
    client.addEventListener('abort', leave, { once: true })
    try {
      return await running.result
    } finally {
      client.removeEventListener('abort', leave)
    }
  }
}
