/**
 * Requests to a model hub. Follows redirects itself, so that a token never reaches another host.
 * Retries after the delay that the server asks for. Errors say what to do. Knows HTTP, not files.
 */
import { sleep } from '../files/sleep.ts'

/** A failure of the hub or of the connection to it. `message` says what to do. */
export class HubError extends Error {
  override name = 'HubError'
}
/** 401 or 403: a private or gated model, or a wrong token. */
export class HubAccessError extends HubError {
  override name = 'HubAccessError'
}
/** 404: no such model, revision or file. */
export class HubNotFoundError extends HubError {
  override name = 'HubNotFoundError'
}
/** The server gave no usable answer after all tries. */
export class HubUnreachableError extends HubError {
  override name = 'HubUnreachableError'
}

export interface HubHttpOptions {
  readonly token?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** Tries per request. Received bytes reset the count. */
  readonly tries?: number
  /** Delay before the second try, doubled each time. A Retry-After header takes precedence. */
  readonly retryMs?: number
  /** Longest delay that a server may ask for. */
  readonly longestWaitMs?: number
  /** A connection without data for this time is closed. */
  readonly stallMs?: number
  /** Added to the message when the server cannot be reached. */
  readonly hint?: string
  /** Called before every wait, for a message to the user. */
  readonly onWait?: ((reason: string, milliseconds: number) => void) | undefined
}

const RETRIED = new Set([408, 425, 429, 500, 502, 503, 504])
const REDIRECTS = new Set([301, 302, 303, 307, 308])
const MOST_REDIRECTS = 8
/** Statuses of an expired signed link. */
const EXPIRED = new Set([400, 401, 403, 404, 410])
const REMEMBER_MS = 240_000

/** The client of one pull. A delay that the server asks for applies to all its requests. */
export class HubClient {
  readonly #options: HubHttpOptions
  /** Last redirect target by URL. The next piece of a file goes there directly until the link expires. */
  readonly #redirects = new Map<string, { at: URL; until: number }>()
  #pausedUntil = 0

  constructor(options: HubHttpOptions = {}) {
    this.#options = options
  }

  get signal(): AbortSignal | undefined {
    return this.#options.signal
  }

  /** GET with retries. `use` reads the body; a TransferError that it throws, or a failed connection, is retried. */
  async get<T>(
    url: string,
    headers: () => Record<string, string>,
    use: (response: Response, watch: Watchdog) => Promise<T>,
    method: 'GET' | 'HEAD' = 'GET',
  ): Promise<T> {
    const { tries = 6, retryMs = 500, signal } = this.#options
    for (let attempt = 1; ; attempt++) {
      await this.#pause()
      const watch = new Watchdog(this.#options.stallMs ?? 30_000, signal)
      let problem: string
      let waitMs = retryMs * 2 ** (attempt - 1) * (0.75 + Math.random() / 2)
      try {
        const response = await this.#follow(url, headers(), watch, method)
        if (response.ok || (method === 'HEAD' && REDIRECTS.has(response.status))) return await use(response, watch)
        await response.body?.cancel()
        if (!RETRIED.has(response.status)) throw statusError(url, response, this.#options.token)
        problem = `status ${response.status}`
        const retryAfter = retryAfterMs(response.headers.get('retry-after'))
        if (retryAfter !== undefined) {
          const longest = this.#options.longestWaitMs ?? 300_000
          if (retryAfter > longest) {
            throw new HubUnreachableError(
              `${hostOf(url)} asks to wait ${Math.ceil(retryAfter / 1000)} s (status ${response.status}). Try again then.`,
            )
          }
          waitMs = retryAfter
        }
      } catch (error) {
        signal?.throwIfAborted()
        if (error instanceof HubError || !isTransferProblem(error)) throw error
        problem = reasonOf(error)
        // Bytes that arrived before the break are progress: start counting the tries again.
        if (error instanceof TransferError && error.receivedBytes > 0) {
          attempt = 1
          waitMs = Math.min(waitMs, retryMs)
        }
      } finally {
        watch.stop()
      }
      if (attempt >= tries) {
        throw new HubUnreachableError(
          `${hostOf(url)} failed ${tries} times; the last failure was: ${problem}. Check the connection (and HF_ENDPOINT, if set) and run the command again. Finished parts are kept.${this.#options.hint ?? ''}`,
        )
      }
      this.#options.onWait?.(problem, waitMs)
      this.#pausedUntil = Math.max(this.#pausedUntil, performance.now() + waitMs)
    }
  }

  async #pause(): Promise<void> {
    const { signal } = this.#options
    const remaining = () => this.#pausedUntil - performance.now()
    while (remaining() > 0) await sleep(Math.max(1, remaining()), signal)
    signal?.throwIfAborted()
  }

  /** The answers to HEAD about a file stand in the hub's own redirect, so redirects to other hosts end it. */
  async #follow(url: string, headers: Record<string, string>, watch: Watchdog, method: 'GET' | 'HEAD'): Promise<Response> {
    const home = new URL(url)
    const remembered = this.#redirects.get(url)
    if (method === 'GET' && remembered && performance.now() < remembered.until) {
      const response = await this.#request(remembered.at, home, headers, watch, method)
      if (!EXPIRED.has(response.status) && !REDIRECTS.has(response.status)) return response
      await response.body?.cancel()
      this.#redirects.delete(url)
    }
    let at = home
    for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
      const response = await this.#request(at, home, headers, watch, method)
      if (!REDIRECTS.has(response.status)) {
        if (response.ok && at.origin !== home.origin) this.#redirects.set(url, { at, until: performance.now() + REMEMBER_MS })
        return response
      }
      await response.body?.cancel()
      const location = response.headers.get('location')
      if (!location) throw new HubError(`${hostOf(url)} redirects without a location header (status ${response.status}).`)
      const next = new URL(location, at)
      if (method === 'HEAD' && next.origin !== home.origin) return response
      if (next.protocol !== 'https:' && next.protocol !== at.protocol) {
        throw new HubError(
          `${at.host} redirects to ${next.protocol}//${next.host}, which is not encrypted. Nothing was downloaded from there.`,
        )
      }
      at = next
    }
    throw new HubError(`${hostOf(url)} redirects more than ${MOST_REDIRECTS} times.`)
  }

  async #request(at: URL, home: URL, headers: Record<string, string>, watch: Watchdog, method: 'GET' | 'HEAD'): Promise<Response> {
    // The token goes to the hub's own origin (scheme, host and port) only.
    const authorization: Record<string, string> = {}
    if (this.#options.token && at.origin === home.origin) authorization.authorization = `Bearer ${this.#options.token}`
    const response = await fetch(at, {
      method,
      headers: { 'accept-encoding': 'identity', ...headers, ...authorization },
      redirect: 'manual',
      signal: watch.signal,
    })
    watch.feed()
    return response
  }
}

/** The transfer of a body stopped after `receivedBytes`. */
export class TransferError extends Error {
  override name = 'TransferError'
  readonly receivedBytes: number

  constructor(message: string, receivedBytes: number, options?: ErrorOptions) {
    super(message, options)
    this.receivedBytes = receivedBytes
  }
}

/** Aborts a request that receives no data for `stallMs`. */
export class Watchdog {
  readonly signal: AbortSignal
  readonly #stalled = new AbortController()
  readonly #stallMs: number
  #timer: ReturnType<typeof setTimeout>

  constructor(stallMs: number, signal: AbortSignal | undefined) {
    this.#stallMs = stallMs
    this.signal = signal ? AbortSignal.any([signal, this.#stalled.signal]) : this.#stalled.signal
    this.#timer = this.#start()
  }

  /** Restarts the timer: data arrived. */
  feed(): void {
    clearTimeout(this.#timer)
    this.#timer = this.#start()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #start(): ReturnType<typeof setTimeout> {
    const abort = () => this.#stalled.abort(new TransferError(`no data for ${this.#stallMs / 1000} s`, 0))
    return setTimeout(abort, this.#stallMs)
  }
}

/** A Retry-After header: seconds or a date. */
export function retryAfterMs(value: string | null, now = Date.now()): number | undefined {
  if (value === null) return undefined
  if (/^\s*\d+\s*$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

function statusError(url: string, response: Response, token: string | undefined): HubError {
  const detail = response.headers.get('x-error-message')?.slice(0, 200)
  const reason = detail ? ` (${token ? detail.replaceAll(token, '***') : detail})` : ''
  const { pathname, origin } = new URL(url)
  const id = /^\/(?:api\/models\/)?(.+?)\/(?:revision|resolve)\//.exec(pathname)?.[1] ?? ''
  const refused = `${hostOf(url)} refuses ${pathname} with status ${response.status}${reason}.`
  const sent = token ? 'The token that was sent does not allow it.' : 'No token was sent.'
  const page = `${origin}/${id}`
  const useToken = `set HF_TOKEN to a token that may read it (${origin}/settings/tokens)`
  const isGated = response.headers.get('x-error-code') === 'GatedRepo'
  switch (response.status) {
    case 401:
    case 403:
      return new HubAccessError(
        isGated
          ? `${refused} ${id} is gated: sign in at ${page}, accept its terms there, and ${useToken}. ${sent}`
          : `${refused} ${sent} The model may be misspelled, private or gated: check the id; if it is gated, accept its terms at ${page}; and ${useToken}.`,
      )
    case 404:
      return new HubNotFoundError(`${hostOf(url)} has nothing at ${pathname}${reason}. Check the spelling of the model and the revision.`)
    default:
      return new HubError(`${hostOf(url)} answers ${pathname} with status ${response.status}${reason}.`)
  }
}

function isTransferProblem(error: unknown): boolean {
  // fetch reports every failure of the network as a TypeError with a cause.
  return error instanceof TransferError || (error instanceof TypeError && error.cause !== undefined)
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : undefined
  return cause ? `${(error as Error).message} (${cause.message || (cause as { code?: string }).code})` : String((error as Error).message)
}

const hostOf = (url: string): string => new URL(url).host
