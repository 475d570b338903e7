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
  /** Opens a file by its plain name; undefined when there is none. */
  open(file: string): Promise<Source | undefined>
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
