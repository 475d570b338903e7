/** A job that only reads given ids and gives back what the model computes at some of them. Nothing is drawn. */
import type { Job } from './job.ts'

export interface ReadingOptions {
  signal?: AbortSignal
  /** As for generations: prefixes are shared within a key, and different keys take turns. Default ''. */
  cacheKey?: string
}

export abstract class ReadingJob<T> implements Job {
  readonly ids: readonly number[]
  readonly promptTokens: number
  readonly adapter: string | undefined
  readonly cacheKey: string
  readonly reusable: number
  readonly paused = false
  readonly result: Promise<T>
  readonly #signal: AbortSignal | undefined
  readonly #settle = Promise.withResolvers<T>()
  readonly #onAbort = () => this.abort()
  #ended = false

  /** @param reusable so many first positions are read only: their results are not wanted, and may come from the cache */
  constructor(ids: readonly number[], reusable: number, { signal, cacheKey = '' }: ReadingOptions, adapter: string | undefined) {
    this.ids = ids
    this.promptTokens = ids.length
    this.reusable = reusable
    this.cacheKey = cacheKey
    this.adapter = adapter
    this.#signal = signal
    this.result = this.#settle.promise
    if (signal?.aborted) this.abort()
    else signal?.addEventListener('abort', this.#onAbort)
  }

  get ended(): boolean {
    return this.#ended
  }

  abstract maxRows(done: number): number
  abstract receive(position: number, row: Float32Array): void

  wants(position: number): boolean {
    return position >= this.reusable
  }

  start(): boolean {
    return true
  }

  draw(): undefined {}

  fail(error: unknown): void {
    this.#close()
    this.#settle.reject(error)
  }

  abort(): void {
    this.fail(this.#signal?.reason ?? new DOMException('the engine was closed', 'AbortError'))
  }

  protected finish(result: T): void {
    this.#close()
    this.#settle.resolve(result)
  }

  #close(): void {
    this.#ended = true
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }
}
