/**
 * Files on an HTTP server, read with range requests. A request costs a round trip, and a checkpoint
 * has many small tensors: a file is therefore read in windows of 8 MB, which all reads that fall into
 * them share. A small file comes whole with the first request.
 */
import { ReadFailedError } from './errors.ts'
import { bytesSource, type Folder, readFailed, type Source, truncated } from './source.ts'

/** Bytes of the request that opens a file: the whole of a small file, and of most headers. */
const FIRST_BYTES = 1 << 20
const WINDOW_BYTES = 8 << 20
/** Bytes of windows that a folder keeps for reads to come. */
const KEPT_BYTES = 64 << 20

export interface HttpOptions {
  /** In place of the global `fetch`. */
  readonly fetch?: typeof fetch
  readonly headers?: Record<string, string>
  /** Tries per request without a byte of progress, and the wait before the second, doubled each time. */
  readonly tries?: number
  readonly retryMs?: number
  /** Bytes per request; default 8 MB. The first request of a file asks for at most 1 MB. */
  readonly windowBytes?: number
}

/**
 * A directory on an HTTP server. Nothing is listed: only well-known names and those in the index are
 * found. A file is opened once: later calls get the same source, or undefined where the server
 * answered 404, without a request.
 */
export function httpFolder(url: string, options: HttpOptions = {}): Folder {
  const base = url.endsWith('/') ? url : `${url}/`
  const windows = new Windows()
  const opened = new Map<string, Promise<Source | undefined>>()
  return {
    name: base,
    list: async () => undefined,
    open(file) {
      const known = opened.get(file)
      if (known) return known
      const source = httpSource(base + encodeURIComponent(file), options, windows)
      opened.set(file, source)
      source.catch(() => opened.delete(file))
      return source
    },
  }
}

/**
 * Opens a URL for range requests. A server that ignores ranges is refused.
 * @returns undefined when the server answers 404.
 * @throws ReadFailedError
 */
export async function httpSource(url: string, options: HttpOptions = {}, windows = new Windows()): Promise<Source | undefined> {
  const windowBytes = options.windowBytes ?? WINDOW_BYTES
  const firstBytes = Math.min(windowBytes, FIRST_BYTES)
  let response: Response
  try {
    response = await request(url, 0, firstBytes, options)
  } catch (cause) {
    throw readFailed(url, 0, firstBytes, cause)
  }
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
  const first = await receive({ url, from: 0, length: Math.min(size, firstBytes), size }, options, undefined, response)
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
  const { tries = 4, retryMs = 250 } = options
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
      await new Promise((resolve) => setTimeout(resolve, retryMs * 2 ** attempt))
    } finally {
      if (at < length && !response?.bodyUsed) await response?.body?.cancel().catch(() => {})
      response = undefined
    }
  }
}

interface Window {
  readonly bytes: Promise<Uint8Array>
  readonly stop: AbortController
  /** Bytes that came; 0 while they are on their way. */
  size: number
  readers: number
}

/** The windows that were read last, of all files of a folder together. */
class Windows {
  /** The one that was used last is the last. */
  readonly #windows = new Map<string, Window>()

  add(key: string, bytes: Uint8Array): void {
    this.#keep(key, { bytes: Promise.resolve(bytes), stop: new AbortController(), size: bytes.byteLength, readers: 0 })
  }

  /** A window that is here, on its way, or loaded now. Loading stops when no reader waits for it any more. */
  async read(key: string, load: (stop: AbortSignal) => Promise<Uint8Array>, signal?: AbortSignal): Promise<Uint8Array> {
    signal?.throwIfAborted()
    const window = this.#windows.get(key) ?? this.#start(load)
    this.#keep(key, window)
    window.readers++
    try {
      return await unlessAborted(window.bytes, signal)
    } finally {
      if (--window.readers === 0 && window.size === 0) {
        window.stop.abort()
        if (this.#windows.get(key) === window) this.#windows.delete(key)
      }
    }
  }

  drop(prefix: string): void {
    for (const key of this.#windows.keys()) if (key.startsWith(prefix)) this.#windows.delete(key)
  }

  #start(load: (stop: AbortSignal) => Promise<Uint8Array>): Window {
    const stop = new AbortController()
    const bytes = load(stop.signal).then((bytes) => {
      window.size = bytes.byteLength
      return bytes
    })
    const window: Window = { bytes, stop, size: 0, readers: 0 }
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

/** The promise, or the signal's reason as soon as it is aborted. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
