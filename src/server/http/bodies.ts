/**
 * The request bodies that are in memory or on their way: their bytes are bounded per key and in all, and one that stops arriving is given
 * up. A body counts as a request of its key only when it is whole, so half-sent ones keep nobody away.
 */
import { ApiError, overloaded, rateLimited } from './errors.ts'
import type { Limits } from './limits.ts'

type BodyLimits = Pick<Limits, 'bodyBytes' | 'bodyBytesPerKey' | 'bodyBytesInAll' | 'bodyIdleMs'>

/** A body that was silent this long makes room for others. */
const SILENT_MS = 1000

interface Body {
  tenant: string
  bytes: number
  /** When its last bytes came, as `performance.now()`; undefined: it is whole. */
  lastBytes: number | undefined
  giveUp(error: ApiError): void
}

export class Bodies {
  readonly #limits: BodyLimits
  readonly #bodies = new Set<Body>()
  #bytes = 0

  constructor(limits: BodyLimits) {
    this.#limits = limits
  }

  /**
   * Reads a body to its end. Its bytes count until `atEnd` calls back.
   * @param gone aborts when the client has left
   * @throws 408, 413, 429, 503, or the reason of `gone`
   */
  async read(
    stream: ReadableStream<Uint8Array>,
    tenant: string,
    gone: AbortSignal,
    atEnd: (action: () => void) => void,
  ): Promise<Uint8Array> {
    const reader = stream.getReader()
    let failure: ApiError | undefined
    const giveUp = (error: ApiError) => {
      failure ??= error
      reader.cancel().catch(() => {})
    }
    const body: Body = { tenant, bytes: 0, lastBytes: performance.now(), giveUp }
    this.#bodies.add(body)
    atEnd(() => this.#forget(body))
    const timer = setInterval(() => {
      if (performance.now() - body.lastBytes! >= this.#limits.bodyIdleMs) giveUp(tooSlow())
    }, this.#limits.bodyIdleMs / 4)
    try {
      const chunks: Uint8Array[] = []
      for (;;) {
        const { done, value } = await reader.read()
        if (failure) throw failure
        if (done) break
        chunks.push(value)
        this.#add(body, value.length)
        if (failure) throw failure
      }
      body.lastBytes = undefined
      return joined(chunks, body.bytes)
    } catch (error) {
      this.#forget(body)
      if (error instanceof ApiError) {
        reader.cancel().catch(() => {})
        throw error
      }
      throw gone.aborted ? gone.reason : new ApiError(400, 'invalid_request_error', 'The body ended before it was whole.', CLOSE)
    } finally {
      clearInterval(timer)
    }
  }

  #add(body: Body, bytes: number): void {
    const { bodyBytes, bodyBytesPerKey, bodyBytesInAll } = this.#limits
    body.bytes += bytes
    body.lastBytes = performance.now()
    this.#bytes += bytes
    if (body.bytes > bodyBytes) throw tooLarge(bodyBytes)
    if (this.#bytes <= Math.min(bodyBytesPerKey, bodyBytesInAll)) return
    const own = [...this.#bodies].filter(({ tenant }) => tenant === body.tenant)
    const ownBytes = own.reduce((sum, other) => sum + other.bytes, 0)
    if (ownBytes > bodyBytesPerKey && !this.#dropSilent(own))
      throw rateLimited(`The requests of one key may have ${bodyBytesPerKey} bytes together.`, 1)
    if (this.#bytes > bodyBytesInAll && !this.#dropSilent([...this.#bodies]))
      throw overloaded('Too many bytes of requests are in memory. Try again later.', 1)
  }

  /** Gives up the largest body that stopped arriving. False: there is none. */
  #dropSilent(bodies: readonly Body[]): boolean {
    const now = performance.now()
    const silent = bodies.filter(({ lastBytes }) => lastBytes !== undefined && now - lastBytes >= SILENT_MS)
    const largest = silent.sort((a, b) => b.bytes - a.bytes)[0]
    if (!largest) return false
    largest.giveUp(tooSlow())
    this.#forget(largest)
    return true
  }

  #forget(body: Body): void {
    if (this.#bodies.delete(body)) this.#bytes -= body.bytes
  }
}

function joined(chunks: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

const CLOSE = { headers: { connection: 'close' } }
const tooSlow = () => new ApiError(408, 'invalid_request_error', 'The body took too long to arrive.', CLOSE)

export const tooLarge = (limit: number) =>
  new ApiError(413, 'invalid_request_error', `The body is larger than ${limit} bytes, the limit of this server.`, CLOSE)
