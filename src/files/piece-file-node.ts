/**
 * A large file that several tasks or threads write in pieces, in any order. It can be resumed after the
 * process was killed: a journal beside it has one byte per finished piece. A piece is marked after its
 * bytes were passed to the operating system, so a finished piece is never written again. Used by
 * downloads and by synthesis.
 */
import { writeSync } from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

const IDENTITY_BYTES = 1024
const DONE = 0x23 // '#'
const OPEN = 0x2e // '.'

export interface PieceFileOptions {
  /** The final file's size. */
  readonly size: number
  readonly pieceBytes: number
  /** Identifies the content (an etag, a seed). A journal with another identity is discarded with its file. */
  readonly identity: string
}

/** A file in progress. `close` keeps it for later, `finish` gives it its final name. */
export class PieceFile {
  readonly path: string
  readonly size: number
  readonly pieceBytes: number
  readonly #data: FileHandle
  readonly #journal: FileHandle
  readonly #marks: Uint8Array

  private constructor(path: string, options: PieceFileOptions, data: FileHandle, journal: FileHandle, marks: Uint8Array) {
    this.path = path
    this.size = options.size
    this.pieceBytes = options.pieceBytes
    this.#data = data
    this.#journal = journal
    this.#marks = marks
  }

  /** Opens the file at `path` (and its journal `path`.pieces) or starts both anew. */
  static async open(path: string, options: PieceFileOptions): Promise<PieceFile> {
    await mkdir(dirname(path), { recursive: true })
    const identity = identityBytes(options)
    const count = Math.ceil(options.size / options.pieceBytes)
    const data = await openOrCreate(path)
    const journal = await openOrCreate(journalOf(path))
    try {
      const head = Buffer.alloc(IDENTITY_BYTES)
      await journal.read(head, 0, IDENTITY_BYTES, 0)
      const marks = Buffer.alloc(count)
      const { bytesRead } = count > 0 ? await journal.read(marks, 0, count, IDENTITY_BYTES) : { bytesRead: 0 }
      const same = head.equals(identity) && bytesRead === count && (await data.stat()).size === options.size
      if (!same) {
        marks.fill(OPEN)
        // Empty the journal first: until it is complete again, the content of the file is not trusted.
        await journal.truncate(0)
        await data.truncate(0)
        await data.truncate(options.size)
        await journal.write(marks, 0, count, IDENTITY_BYTES)
        await journal.write(identity, 0, IDENTITY_BYTES, 0)
      }
      return new PieceFile(path, options, data, journal, marks)
    } catch (error) {
      await data.close()
      await journal.close()
      throw error
    }
  }

  get pieceCount(): number {
    return this.#marks.byteLength
  }

  isDone(piece: number): boolean {
    return this.#marks[piece] === DONE
  }

  /** Where a piece lies in the file. */
  range(piece: number): { offset: number; length: number } {
    const offset = piece * this.pieceBytes
    return { offset, length: Math.min(this.pieceBytes, this.size - offset) }
  }

  /** Bytes in finished pieces. */
  get doneBytes(): number {
    let bytes = 0
    for (let piece = 0; piece < this.pieceCount; piece++) if (this.isDone(piece)) bytes += this.range(piece).length
    return bytes
  }

  /** Writes all of `bytes` at an absolute offset. */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.byteLength; ) {
      const { bytesWritten } = await this.#data.write(bytes, done, bytes.byteLength - done, offset + done)
      done += bytesWritten
    }
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    for (let done = 0; done < into.byteLength; ) {
      const { bytesRead } = await this.#data.read(into, done, into.byteLength - done, offset + done)
      if (bytesRead === 0) throw new Error(`${this.path} became shorter while it was read`)
      done += bytesRead
    }
  }

  /** Records that all bytes of a piece are written. */
  async mark(piece: number): Promise<void> {
    await this.#journal.write(Uint8Array.of(DONE), 0, 1, IDENTITY_BYTES + piece)
    this.#marks[piece] = DONE
  }

  async close(): Promise<void> {
    await this.#data.close()
    await this.#journal.close()
  }

  /** Flushes the file, renames it to `path` and removes the journal. Every piece must be done. */
  async finish(path: string): Promise<void> {
    await this.#data.sync()
    await this.close()
    await rename(this.path, path)
    await rm(journalOf(this.path), { force: true })
  }
}

/** Removes a file in progress that nobody has open. */
export async function removePieceFile(path: string): Promise<void> {
  await rm(journalOf(path), { force: true })
  await rm(path, { force: true })
}

/** Finished bytes of a file in progress, read from its journal; 0 when there is none. */
export async function piecesOnDisk(path: string, options: PieceFileOptions): Promise<number> {
  const found = await stat(journalOf(path)).catch(() => undefined)
  if (!found) return 0
  const file = await PieceFile.open(path, options)
  try {
    return file.doneBytes
  } finally {
    await file.close()
  }
}

/** Marks a piece in the journal, for threads that write through their own descriptor. */
export function markSync(journalDescriptor: number, piece: number): void {
  writeSync(journalDescriptor, Uint8Array.of(DONE), 0, 1, IDENTITY_BYTES + piece)
}

export const journalOf = (path: string): string => `${path}.pieces`

function identityBytes({ size, pieceBytes, identity }: PieceFileOptions): Buffer {
  const text = JSON.stringify({ size, pieceBytes, identity })
  const bytes = Buffer.alloc(IDENTITY_BYTES, ' ')
  if (bytes.write(text) !== Buffer.byteLength(text))
    throw new RangeError(`identity of a piece file: expected at most ${IDENTITY_BYTES} bytes, got ${Buffer.byteLength(text)}`)
  bytes[IDENTITY_BYTES - 1] = 0x0a
  return bytes
}

async function openOrCreate(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    // 'wx+' fails when another process has just created the file; then open that one.
    return open(path, 'wx+').catch(() => open(path, 'r+'))
  }
}
