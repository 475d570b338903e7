/**
 * Files on an HTTP server, read with range requests. A request costs a round trip, and a checkpoint
 * has many small tensors: a file is therefore read in windows of 8 MB, which all reads that fall into
 * them share. A small file comes whole with the first request.
 */
import { sleep } from '../files/sleep.ts'
import { ReadFailedError } from './errors.ts'
import { bytesSource, type Folder, readFailed, SharedWork, type Source, truncated } from './source.ts'

/** Bytes of the request that opens a file: the whole of a small file, and of most headers. */
const FIRST_BYTES = 1 << 20
const WINDOW_BYTES = 8 << 20
/** Bytes of windows that a folder keeps for reads to come. */
const KEPT_BYTES = 64 << 20
const DEFAULT_TRIES = 4
const DEFAULT_RETRY_MS = 250

export interface HttpOptions {
  /** In place of the global `fetch`. */
  readonly fetch?: typeof fetch
  readonly headers?: Record<string, string>
  /** Tries per request without a byte of progress; default 4. A file is opened again without an answer and after status 429 or 5xx. */
  readonly tries?: number
  /** The wait before the second try, doubled each time; default 250. */
  readonly retryMs?: number
  /** Bytes per request; default 8 MB. The first request of a file asks for at most 1 MB. */
  readonly windowBytes?: number
}

/**
 * A directory on an HTTP server. Nothing is listed: only well-known names and those in the index are
 * found. A file is opened once: later calls get the same source, or undefined where the server
 * answered 404, without a request.
 * @param url its query, such as a signature, goes with every file
 */
export function httpFolder(url: string, options: HttpOptions = {}): Folder {
  const [, path = '', query = ''] = /^([^?#]*)(\?[^#]*)?/.exec(url)!
  const base = path.endsWith('/') ? path : `${path}/`
  const windows = new Windows()
  const opened = new Map<string, SharedWork<Source | undefined>>()
  return {
    name: base,
    list: async () => undefined,
    async open(file, signal) {
      signal?.throwIfAborted()
      const known = opened.get(file)
      if (known?.isUsable) return known.result(signal)
      const source = new SharedWork((stop) => httpSource(base + encodeURIComponent(file) + query, options, windows, stop))
      opened.set(file, source)
      return source.result(signal)
    },
  }
}

/**
 * Opens a URL for range requests. A server that ignores ranges is refused.
 * @returns undefined when the server answers 404.
 * @throws ReadFailedError, the signal's reason
 */
export async function httpSource(
  url: string,
  options: HttpOptions = {},
  windows = new Windows(),
  signal?: AbortSignal,
): Promise<Source | undefined> {
  const windowBytes = options.windowBytes ?? WINDOW_BYTES
  const firstBytes = Math.min(windowBytes, FIRST_BYTES)
  const response = await firstAnswer(url, firstBytes, options, signal)
  const size = rangeOf(response)?.size
  if (response.status !== 206 || size === undefined) {
    await response.body?.cancel()
    if (response.status === 404) return undefined
    // The answer for an empty file.
    if (response.status === 416) return bytesSource(new Uint8Array(0), url)
    throw new ReadFailedError({
      file: url,
      expected: 'status 206 with a Content-Range to a range request',
      came: `status ${response.status}${response.status === 206 ? ' without one that can be read' : ''}`,
      remedy: response.ok
        ? 'Serve the files from a server that supports range requests; one of another origin must also expose the header Content-Range.'
        : 'Check the address and your access to it.',
    })
  }
  const first = await receive({ url, from: 0, length: Math.min(size, firstBytes), size }, options, signal, response)
  if (size <= firstBytes) return bytesSource(first, url)
  windows.add(`${url}#0`, first)
  return {
    name: url,
    size,
    async read(offset, into, signal) {
      if (offset + into.byteLength > size) throw truncated(url, offset, into.byteLength, size)
      for (let done = 0; done < into.byteLength; ) {
        const at = offset + done
        const from = at < firstBytes ? 0 : at - ((at - firstBytes) % windowBytes)
        const to = Math.min(size, at < firstBytes ? firstBytes : from + windowBytes)
        const range = { url, from, length: to - from, size }
        const window = await windows.read(`${url}#${from}`, (stop) => receive(range, options, stop), signal)
        const part = window.subarray(at - from, at - from + into.byteLength - done)
        into.set(part, done)
        done += part.byteLength
      }
    },
    close: async () => windows.drop(`${url}#`),
  }
}

interface Range {
  readonly url: string
  readonly from: number
  readonly length: number
  /** Bytes of the whole file, as the server said when it was opened. */
  readonly size: number
}

const request = (url: string, from: number, length: number, options: HttpOptions, signal?: AbortSignal): Promise<Response> =>
  (options.fetch ?? fetch)(url, { headers: { ...options.headers, range: `bytes=${from}-${from + length - 1}` }, signal })

/**
 * The answer to the request that opens a file. It is made again where no answer comes, and where the server says that it has none now.
 * @throws ReadFailedError, the signal's reason
 */
async function firstAnswer(url: string, length: number, options: HttpOptions, signal?: AbortSignal): Promise<Response> {
  const { tries = DEFAULT_TRIES } = options
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await request(url, 0, length, options, signal)
      const isRefusal = response.status === 429 || response.status >= 500
      if (!isRefusal || attempt >= tries) return response
      await response.body?.cancel()
    } catch (cause) {
      signal?.throwIfAborted()
      if (attempt >= tries) throw readFailed(url, 0, length, cause)
    }
    await pause(attempt, options, signal)
  }
}

/** The wait after a try that failed. */
const pause = (attempt: number, { retryMs = DEFAULT_RETRY_MS }: HttpOptions, signal: AbortSignal | undefined): Promise<void> =>
  sleep(retryMs * 2 ** (attempt - 1), signal)

function rangeOf(response: Response): { from: number; size: number } | undefined {
  const match = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get('content-range') ?? '')
  return match ? { from: Number(match[1]), size: Number(match[2]) } : undefined
}

/**
 * The bytes of a range, asked for again where the connection broke off.
 * @param response the answer to a request for the range that was made before
 */
async function receive(range: Range, options: HttpOptions, signal?: AbortSignal, response?: Response): Promise<Uint8Array> {
  const { url, from, length, size } = range
  const { tries = DEFAULT_TRIES } = options
  const bytes = new Uint8Array(length)
  let at = 0
  for (let attempt = 1; ; attempt++) {
    const before = at
    try {
      response ??= await request(url, from + at, length - at, options, signal)
      const came = rangeOf(response)
      if (response.status !== 206 || !response.body) throw new Error(`status ${response.status} instead of 206`)
      if (came && (came.from !== from + at || came.size !== size)) {
        const expected = `the bytes from ${from + at} of a file of ${size}`
        const remedy = 'The file changed on the server, or a proxy in between answers wrongly: load again.'
        throw new ReadFailedError({ file: url, expected, came: `bytes from ${came.from} of a file of ${came.size}`, remedy })
      }
      const reader = response.body.getReader()
      for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
        if (at + chunk.value.byteLength > length) throw new Error('more bytes than the requested range')
        bytes.set(chunk.value, at)
        at += chunk.value.byteLength
      }
      if (at === length) return bytes
      throw new Error(`the connection closed after ${at} of ${length} bytes`)
    } catch (cause) {
      signal?.throwIfAborted()
      if (cause instanceof ReadFailedError) throw cause
      // Progress resets the number of tries.
      if (at > before) attempt = 1
      else if (attempt >= tries) throw readFailed(url, from + at, length - at, cause)
      await pause(attempt, options, signal)
    } finally {
      if (at < length && !response?.bodyUsed) await response?.body?.cancel().catch(() => {})
      response = undefined
    }
  }
}

interface Window {
  readonly bytes: SharedWork<Uint8Array>
  /** Bytes that came; 0 while they are on their way. */
  size: number
}

/** The windows that were read last, of all files of a folder together. */
class Windows {
  /** The one that was used last is the last. */
  readonly #windows = new Map<string, Window>()

  add(key: string, bytes: Uint8Array): void {
    this.#keep(key, { bytes: new SharedWork(async () => bytes), size: bytes.byteLength })
  }

  /** A window that is here, on its way, or loaded now. Loading stops when no reader waits for it any more. */
  async read(key: string, load: (stop: AbortSignal) => Promise<Uint8Array>, signal?: AbortSignal): Promise<Uint8Array> {
    signal?.throwIfAborted()
    const window = this.#windows.get(key) ?? this.#start(load)
    this.#keep(key, window)
    try {
      return await window.bytes.result(signal)
    } finally {
      if (!window.bytes.isUsable && this.#windows.get(key) === window) this.#windows.delete(key)
    }
  }

  drop(prefix: string): void {
    for (const key of this.#windows.keys()) if (key.startsWith(prefix)) this.#windows.delete(key)
  }

  #start(load: (stop: AbortSignal) => Promise<Uint8Array>): Window {
    const bytes = new SharedWork(async (stop) => {
      const loaded = await load(stop)
      window.size = loaded.byteLength
      return loaded
    })
    const window: Window = { bytes, size: 0 }
    return window
  }

  #keep(key: string, window: Window): void {
    this.#windows.delete(key)
    this.#windows.set(key, window)
    let kept = 0
    for (const { size } of this.#windows.values()) kept += size
    for (const [key, { size }] of this.#windows) {
      if (kept <= KEPT_BYTES) break
      if (size === 0) continue
      this.#windows.delete(key)
      kept -= size
    }
  }
}
