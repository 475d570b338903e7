/**
 * Where published bytes come from: random access by offset, nothing else. A source never interprets what it reads.
 * Memory, Blob (a file chosen in a browser) and HTTP ranges are here; files of the operating system are in source-node.ts.
 */
import { MissingFileError, ReadFailedError, TruncatedFileError } from './errors.ts'

/** Random access to one file. Reads may run concurrently. */
export interface Source {
  /** For messages: path, URL or file name. */
  readonly name: string
  /** Bytes in the file when it was opened. */
  readonly size: number
  /**
   * Fills all of `into` with the bytes from `offset` on.
   * @throws TruncatedFileError when the file ends before, ReadFailedError when reading fails, the signal's reason when aborted.
   */
  read(offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void>
  /** The same while the caller waits, for a few KB. Only where no network and no promise is in between. Throws what `read` rejects with. */
  readNow?(offset: number, into: Uint8Array): void
  close(): Promise<void>
}

/** The files of one checkpoint. */
export interface Folder {
  readonly name: string
  /** Names of the files in it, or undefined where they cannot be listed (HTTP). */
  list(): Promise<string[] | undefined>
  /** Opens a file by its plain name; undefined when there is none. */
  open(file: string): Promise<Source | undefined>
}

/** A source over bytes in memory. */
export function bytesSource(bytes: Uint8Array, name = 'memory'): Source {
  const readNow = (offset: number, into: Uint8Array) => {
    if (offset + into.byteLength > bytes.byteLength) throw truncated(name, offset, into.byteLength, bytes.byteLength)
    into.set(bytes.subarray(offset, offset + into.byteLength))
  }
  return {
    name,
    size: bytes.byteLength,
    readNow,
    async read(offset, into, signal) {
      signal?.throwIfAborted()
      readNow(offset, into)
    },
    async close() {},
  }
}

/** A source over a Blob or a File chosen in a browser. */
export function blobSource(blob: Blob, name = 'name' in blob ? String(blob.name) : 'blob'): Source {
  return {
    name,
    size: blob.size,
    async read(offset, into, signal) {
      signal?.throwIfAborted()
      if (offset + into.byteLength > blob.size) throw truncated(name, offset, into.byteLength, blob.size)
      let bytes: ArrayBuffer
      try {
        bytes = await blob.slice(offset, offset + into.byteLength).arrayBuffer()
      } catch (cause) {
        throw readFailed(name, offset, into.byteLength, cause)
      }
      signal?.throwIfAborted()
      if (bytes.byteLength !== into.byteLength) throw truncated(name, offset, into.byteLength, offset + bytes.byteLength)
      into.set(new Uint8Array(bytes))
    },
    async close() {},
  }
}

/** The files a user chose in a browser (a directory picker or several files). */
export function blobFolder(files: Iterable<File>, name = 'chosen files'): Folder {
  const byName = new Map<string, File>()
  for (const file of files) byName.set(file.name, file)
  return {
    name,
    list: async () => [...byName.keys()],
    async open(file) {
      const blob = byName.get(file)
      return blob && blobSource(blob, file)
    },
  }
}

/** How an HTTP source talks: `fetch` may be replaced for tests, `headers` go to the file's own host only through `fetch` itself. */
export interface HttpOptions {
  readonly fetch?: typeof fetch
  readonly headers?: Record<string, string>
  /** Tries per read without a byte of progress, and the wait before the second, doubled each time. */
  readonly tries?: number
  readonly retryMs?: number
}

/**
 * Opens a URL for range requests. A server that ignores ranges is refused rather than downloaded once per tensor.
 * @returns undefined when the server answers 404.
 */
export async function httpSource(url: string, options: HttpOptions = {}): Promise<Source | undefined> {
  const get = options.fetch ?? fetch
  const request = async (from: number, length: number, signal?: AbortSignal): Promise<Response> => {
    try {
      const headers = { ...options.headers, range: `bytes=${from}-${from + length - 1}` }
      return await get(url, { headers, ...(signal ? { signal } : {}) })
    } catch (cause) {
      signal?.throwIfAborted()
      throw readFailed(url, from, length, cause)
    }
  }
  const first = await request(0, 1)
  await first.body?.cancel()
  if (first.status === 404) return undefined
  const total = /^bytes \d+-\d+\/(\d+)$/.exec(first.headers.get('content-range') ?? '')?.[1]
  // 416 is the answer for an empty file.
  if (first.status === 416) return bytesSource(new Uint8Array(0), url)
  if (first.status !== 206 || total === undefined) {
    throw new ReadFailedError({
      file: url,
      expected: 'status 206 with a Content-Range to a range request',
      came: `status ${first.status}`,
      remedy: first.ok ? 'Serve the files from a server that supports range requests.' : 'Check the address and your access to it.',
    })
  }
  const size = Number(total)
  return {
    name: url,
    size,
    async read(offset, into, signal) {
      if (into.byteLength === 0) return
      if (offset + into.byteLength > size) throw truncated(url, offset, into.byteLength, size)
      let at = 0
      for (let attempt = 1; ; attempt++) {
        const before = at
        try {
          const response = await request(offset + at, into.byteLength - at, signal)
          if (response.status !== 206 || !response.body) {
            await response.body?.cancel()
            throw new Error(`status ${response.status} instead of 206`)
          }
          for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
            if (at + chunk.byteLength > into.byteLength) throw new Error('more bytes than the requested range')
            into.set(chunk, at)
            at += chunk.byteLength
          }
          if (at === into.byteLength) return
          throw new Error(`the connection closed after ${at} of ${into.byteLength} bytes`)
        } catch (cause) {
          signal?.throwIfAborted()
          // A line that still delivers something is worth more patience.
          if (at > before) attempt = 1
          else if (attempt >= (options.tries ?? 4)) throw readFailed(url, offset + at, into.byteLength - at, cause)
          await new Promise((resolve) => setTimeout(resolve, (options.retryMs ?? 250) * 2 ** attempt))
        }
      }
    },
    async close() {},
  }
}

/** A directory on an HTTP server. Nothing is listed: only well-known names and those in the index are found. */
export function httpFolder(url: string, options: HttpOptions = {}): Folder {
  const base = url.endsWith('/') ? url : `${url}/`
  return { name: base, list: async () => undefined, open: (file) => httpSource(base + encodeURIComponent(file), options) }
}

/** Reads a whole small file as text, refusing one larger than `limit` bytes before allocating. */
export async function readText(source: Source, limit = 64 * 2 ** 20): Promise<string> {
  if (source.size > limit) {
    throw new ReadFailedError({ file: source.name, expected: `at most ${limit} bytes of text`, came: `${source.size} bytes` })
  }
  const bytes = new Uint8Array(source.size)
  await source.read(0, bytes)
  return new TextDecoder().decode(bytes)
}

/** Opens a file that must be there. */
export async function openRequired(folder: Folder, file: string): Promise<Source> {
  const source = await folder.open(file)
  if (source) return source
  throw new MissingFileError({
    file: `${folder.name.replace(/\/$/, '')}/${file}`,
    expected: 'a file',
    came: 'nothing at this place',
    remedy: 'Check the path, or pull the checkpoint again.',
  })
}

export function truncated(file: string, offset: number, length: number, size: number): TruncatedFileError {
  return new TruncatedFileError({
    file,
    expected: `${length} bytes at offset ${offset}`,
    came: `the end of the file at byte ${size}`,
    remedy: 'The file is incomplete or is being written: download it again.',
  })
}

export function readFailed(file: string, offset: number, length: number, cause: unknown): ReadFailedError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new ReadFailedError(
    {
      file,
      expected: `${length} bytes at offset ${offset}`,
      came: `"${reason}"`,
      remedy: 'Check the disk or the connection and try again.',
    },
    { cause },
  )
}
