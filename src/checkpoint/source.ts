/**
 * Where published bytes come from: random access by offset, nothing else. A source never interprets
 * what it reads. Memory and Blob (a file chosen in a browser) are here, HTTP in source-http.ts, files
 * of the operating system in source-node.ts.
 */
import type { Checkpoint } from './checkpoint.ts'
import { ReadFailedError, TruncatedFileError } from './errors.ts'
import { refuseOtherContent } from './other-formats.ts'

/** Random access to one file. Reads may run concurrently. */
export interface Source {
  /** For messages: path, URL or file name. */
  readonly name: string
  /** Bytes in the file when it was opened. */
  readonly size: number
  /**
   * Fills all of `into` with the bytes from `offset` on.
   * @throws TruncatedFileError when the file ends before, ReadFailedError when reading fails, the
   * signal's reason when aborted.
   */
  read(offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void>
  /** Synchronous `read` for a few KB; absent where reading needs a network or a promise. */
  readNow?(offset: number, into: Uint8Array): void
  close(): Promise<void>
}

/** The files of one checkpoint. */
export interface Folder {
  readonly name: string
  /** Names of the files in it, or undefined where they cannot be listed (HTTP). */
  list(): Promise<string[] | undefined>
  /** Opens a file by its plain name; undefined when there is none. Throws the signal's reason where it waits for a server. */
  open(file: string, signal?: AbortSignal): Promise<Source | undefined>
  /** Opens the tensors, where they are not in safetensors files. The caller closes them. */
  checkpoint?(signal?: AbortSignal): Promise<Checkpoint>
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

/**
 * The files that a user chose in a browser: several files, or a directory (`<input type="file"
 * webkitdirectory>`). A file of the directory itself hides files of the same name in its
 * subdirectories.
 */
export function blobFolder(files: Iterable<File> | null, name = 'chosen files'): Folder {
  const depth = ({ webkitRelativePath = '' }: File) => webkitRelativePath.split('/').length
  const byName = new Map([...(files ?? [])].sort((a, b) => depth(b) - depth(a)).map((file) => [file.name, file]))
  return {
    name,
    list: async () => [...byName.keys()],
    async open(file) {
      const blob = byName.get(file)
      return blob && blobSource(blob, file)
    },
  }
}

/**
 * Reads a whole small file as text, refusing one larger than `limit` bytes before allocating.
 * @throws WrongFormatError for a pointer, an HTML page or a binary file in its place
 */
export async function readText(source: Source, limit = 64 * 2 ** 20): Promise<string> {
  if (source.size > limit) {
    throw new ReadFailedError({ file: source.name, expected: `at most ${limit} bytes of text`, came: `${source.size} bytes` })
  }
  const bytes = new Uint8Array(source.size)
  await source.read(0, bytes)
  refuseOtherContent(source.name, bytes, 'a text file of a checkpoint')
  return new TextDecoder().decode(bytes)
}

/**
 * The folder with a signal that ends all waiting for it, also where the folder itself does not know signals. A file that opens after the
 * abort is closed.
 */
export function cancellable(folder: Folder, signal: AbortSignal | undefined): Folder {
  if (!signal) return folder
  const close = (late: { close(): Promise<void> } | undefined) => late?.close()
  return {
    name: folder.name,
    list: () => unlessAborted(() => folder.list(), signal),
    async open(file) {
      const source = await unlessAborted(() => folder.open(file, signal), signal, close)
      return source && withSignal(source, signal)
    },
    checkpoint: folder.checkpoint && (() => unlessAborted(() => folder.checkpoint!(signal), signal, close)),
  }
}

/** The source with a signal for the reads that have none. A read ends before its error is thrown, so that nothing is written afterwards. */
const withSignal = (source: Source, signal: AbortSignal): Source => ({
  name: source.name,
  size: source.size,
  read: (offset, into, own = signal) => source.read(offset, into, own),
  readNow: source.readNow && ((offset, into) => source.readNow!(offset, into)),
  close: () => source.close(),
})

/**
 * What `work` gives, or the signal's reason as soon as it is aborted.
 * @param late gets a result that comes after the abort
 */
export async function unlessAborted<T>(
  work: () => Promise<T>,
  signal: AbortSignal | undefined,
  late: (result: T) => unknown = () => {},
): Promise<T> {
  if (!signal) return work()
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  const result = new Promise<T>((resolve) => resolve(work()))
  try {
    return await Promise.race([result, aborted.promise])
  } catch (error) {
    if (signal.aborted) result.then(late).catch(() => {})
    throw error
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** Work that several wait for. It is stopped when none of them waits any more. */
export class SharedWork<T> {
  readonly #stop = new AbortController()
  readonly #result: Promise<T>
  #state: 'running' | 'done' | 'failed' = 'running'
  #waiting = 0

  constructor(work: (stop: AbortSignal) => Promise<T>) {
    this.#result = work(this.#stop.signal)
    this.#result.then(
      () => {
        this.#state = 'done'
      },
      () => {
        this.#state = 'failed'
      },
    )
  }

  /** Whether it has a result or is on the way to one: it was not stopped and has not failed. */
  get isUsable(): boolean {
    return this.#state !== 'failed'
  }

  async result(signal?: AbortSignal): Promise<T> {
    this.#waiting++
    try {
      return await unlessAborted(() => this.#result, signal)
    } finally {
      if (--this.#waiting === 0 && this.#state === 'running') {
        this.#state = 'failed'
        this.#stop.abort()
      }
    }
  }
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
