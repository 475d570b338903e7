/**
 * Downloads one file from the hub: parallel range requests, a record of every finished piece so that it
 * is never fetched again, and the final name only after the hash of the whole file is correct. Copes
 * with servers that ignore ranges, and checks everything that a server sends.
 */
import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { fileSource } from '../checkpoint/source-node.ts'
import { diskFull } from '../files/disk-space-node.ts'
import { PieceFile, piecesOnDisk, removePieceFile } from '../files/piece-file-node.ts'
import { type HubClient, HubError, TransferError, type Watchdog } from './http.ts'

/** The bytes from the hub repeatedly fail the published hash. */
export class HashMismatchError extends HubError {
  override name = 'HashMismatchError'
}

export interface RemoteFile {
  /** Name in the repository. */
  readonly name: string
  readonly url: string
  readonly size: number
  /** sha256 of large files, git's blob sha1 of small ones; also the name of the blob in the cache. */
  readonly hash: { readonly kind: 'sha256' | 'git-sha1'; readonly hex: string }
}

export interface DownloadOptions {
  readonly client: HubClient
  /** Waits for a free connection and runs the transfer. Shared by all files of a pull. */
  readonly connection: <T>(task: () => Promise<T>) => Promise<T>
  readonly pieceBytes: number
  /** Called with the number of received bytes; negative when bytes are discarded. */
  readonly onBytes: (count: number) => void
  /** Ends the other transfers of the pull after a failure. */
  readonly abort: (reason: unknown) => void
}

const partOf = (path: string): string => `${path}.part`

const pieceOptions = (file: RemoteFile, pieceBytes: number) => ({
  size: file.size,
  pieceBytes,
  identity: `${file.hash.kind} ${file.hash.hex}`,
})

/** Bytes of a file that an earlier run finished: all of them, those of its finished pieces, or none. */
export async function bytesOnDisk(file: RemoteFile, path: string, pieceBytes: number): Promise<number> {
  if (await isFinal(file, path)) return file.size
  return piecesOnDisk(partOf(path), pieceOptions(file, pieceBytes))
}

const isFinal = (file: RemoteFile, path: string): Promise<boolean> =>
  stat(path).then(
    ({ size }) => size === file.size,
    () => false,
  )

/**
 * Downloads a file to `path` unless it exists. Bytes that fail the hash are discarded and fetched
 * once more.
 * @throws HashMismatchError, HubError, DiskSpaceError, or the signal's reason; finished pieces are
 * kept for the next run.
 */
export async function download(file: RemoteFile, path: string, options: DownloadOptions): Promise<void> {
  // A run that was killed after renaming may have left its journal.
  if (await isFinal(file, path)) return removePieceFile(partOf(path))
  for (let attempt = 1; ; attempt++) {
    const part = await PieceFile.open(partOf(path), pieceOptions(file, options.pieceBytes))
    let found: string
    try {
      found = await fetchPieces(file, part, options)
    } catch (error) {
      await part.close()
      throw diskFull(error, path)
    }
    if (found === file.hash.hex) return part.finish(path)
    await part.close()
    await removePieceFile(partOf(path))
    options.onBytes(-file.size)
    if (attempt === 2) {
      throw new HashMismatchError(
        `${file.name}: expected ${file.hash.kind} ${file.hash.hex}, got ${found} from ${new URL(file.url).host}, twice. Nothing was kept. Something between here and the hub changes the bytes: try another network or HF_ENDPOINT.`,
      )
    }
  }
}

/** Fetches the missing pieces and hashes the file meanwhile. Returns the hash of the whole file. */
async function fetchPieces(file: RemoteFile, part: PieceFile, options: DownloadOptions): Promise<string> {
  const failure = new AbortController()
  const progress = new PieceProgress(part)
  const whole = new WholeFile(file, part, progress, options)
  const tasks: Promise<unknown>[] = []
  for (let piece = 0; piece < part.pieceCount; piece++) {
    if (part.isDone(piece)) continue
    tasks.push(
      options.connection(async () => {
        failure.signal.throwIfAborted()
        if (!part.isDone(piece)) await fetchPiece(file, part, piece, progress, whole, options)
      }),
    )
  }
  const stop = (problem: unknown) => {
    const error = diskFull(problem, part.path)
    failure.abort(error)
    progress.fail(error)
    options.abort(error)
    throw error
  }
  const hashed = hashAsItGrows(file, part, progress)
  const outcomes = await Promise.allSettled([hashed, ...tasks.map((task) => task.catch(stop))])
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed) throw failed.reason
  return hashed
}

/** One range request. After a break it is repeated from the last received byte until the piece is complete. */
async function fetchPiece(
  file: RemoteFile,
  part: PieceFile,
  piece: number,
  progress: PieceProgress,
  whole: WholeFile,
  options: DownloadOptions,
): Promise<void> {
  const { offset, length } = part.range(piece)
  let received = 0
  const headers = () => ({ range: `bytes=${offset + received}-${offset + length - 1}` })
  try {
    await options.client.get(file.url, headers, async (response, watch) => {
      if (response.status !== 206) return whole.take(response, watch)
      const expected = `bytes ${offset + received}-${offset + length - 1}/${file.size}`
      const range = response.headers.get('content-range')
      if (range !== expected) {
        await response.body?.cancel()
        throw new TransferError(`the server sent "${range}" for "${expected}"`, 0)
      }
      const before = received
      try {
        for await (const chunk of bodyOf(response)) {
          watch.feed()
          if (received + chunk.byteLength > length) throw new TransferError('the server sent more bytes than requested', 0)
          await part.write(offset + received, chunk)
          received += chunk.byteLength
          options.onBytes(chunk.byteLength)
        }
      } catch (error) {
        throw transferError(error, received - before)
      }
      if (received < length) throw new TransferError(`the connection closed after ${received} of ${length} bytes`, received - before)
    })
  } catch (error) {
    options.onBytes(-received)
    throw error
  }
  if (part.isDone(piece)) {
    // The stream of the whole file has written this piece meanwhile.
    options.onBytes(-received)
    return
  }
  await part.mark(piece)
  progress.wake()
}

/** A server that ignores ranges sends the whole file. One such stream fills all pieces; the others wait for it. */
class WholeFile {
  readonly #file: RemoteFile
  readonly #part: PieceFile
  readonly #progress: PieceProgress
  readonly #options: DownloadOptions
  #running: Promise<void> | undefined

  constructor(file: RemoteFile, part: PieceFile, progress: PieceProgress, options: DownloadOptions) {
    this.#file = file
    this.#part = part
    this.#progress = progress
    this.#options = options
  }

  /** Uses this response for all pieces. If another response is in use already, cancels this one and waits. */
  async take(response: Response, watch: Watchdog): Promise<void> {
    if (response.status !== 200) {
      await response.body?.cancel()
      throw new HubError(`${this.#file.name}: the server answers a range request with status ${response.status}.`)
    }
    if (this.#running) {
      await response.body?.cancel()
      // This connection now waits; that must not count as a stall.
      watch.stop()
      return this.#running
    }
    this.#running = this.#stream(response, watch).finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #stream(response: Response, watch: Watchdog): Promise<void> {
    const part = this.#part
    let at = 0
    let kept = 0 // bytes of the piece that is being written
    let finished = 0 // bytes of pieces this stream completed
    try {
      for await (const chunk of bodyOf(response)) {
        watch.feed()
        if (at + chunk.byteLength > part.size) throw new TransferError(`more than the ${part.size} bytes of ${this.#file.name}`, 0)
        // Skip finished pieces.
        for (let from = 0; from < chunk.byteLength; ) {
          const piece = Math.floor((at + from) / part.pieceBytes)
          const end = part.range(piece).offset + part.range(piece).length
          const to = Math.min(chunk.byteLength, end - at)
          if (!part.isDone(piece)) {
            await part.write(at + from, chunk.subarray(from, to))
            kept += to - from
            this.#options.onBytes(to - from)
            if (at + to === end) {
              await part.mark(piece)
              kept = 0
              finished += part.range(piece).length
              this.#progress.wake()
            }
          }
          from = to
        }
        at += chunk.byteLength
      }
    } catch (error) {
      this.#options.onBytes(-kept)
      throw transferError(error, finished)
    }
    if (at < part.size) {
      this.#options.onBytes(-kept)
      throw new TransferError(`the connection closed after ${at} of ${part.size} bytes`, finished)
    }
  }
}

/** Lets the hash computation wait for a piece. */
class PieceProgress {
  readonly #part: PieceFile
  #waiting: (() => void)[] = []
  #error: { reason: unknown } | undefined

  constructor(part: PieceFile) {
    this.#part = part
  }

  wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }

  fail(reason: unknown): void {
    this.#error ??= { reason }
    this.wake()
  }

  async done(piece: number): Promise<void> {
    while (!this.#part.isDone(piece)) {
      if (this.#error) throw this.#error.reason
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    if (this.#error) throw this.#error.reason
  }
}

/** Hashes the file in order while its pieces arrive, so that no second pass is needed. */
async function hashAsItGrows(file: RemoteFile, part: PieceFile, progress: PieceProgress): Promise<string> {
  const hash = startHash(file)
  const buffer = new Uint8Array(Math.min(1 << 20, part.pieceBytes))
  for (let piece = 0; piece < part.pieceCount; piece++) {
    await progress.done(piece)
    const { offset, length } = part.range(piece)
    for (let at = 0; at < length; at += buffer.byteLength) {
      const bytes = buffer.subarray(0, Math.min(buffer.byteLength, length - at))
      await part.read(offset + at, bytes)
      hash.update(bytes)
    }
  }
  return hash.digest('hex')
}

function startHash({ hash, size }: Pick<RemoteFile, 'hash' | 'size'>): Hash {
  if (hash.kind === 'sha256') return createHash('sha256')
  return createHash('sha1').update(`blob ${size}\0`)
}

/** The hash of these bytes, of the kind that the file has. */
export function hashOf(file: Pick<RemoteFile, 'hash' | 'size'>, chunks: Iterable<Uint8Array>): string {
  const hash = startHash(file)
  for (const chunk of chunks) hash.update(chunk)
  return hash.digest('hex')
}

/** Whether a file on disk has the size and the hash that were published. */
export async function isIntact(file: Pick<RemoteFile, 'hash' | 'size'>, path: string, signal?: AbortSignal): Promise<boolean> {
  const status = await stat(path).catch(() => undefined)
  if (!status?.isFile() || status.size !== file.size) return false
  const hash = startHash(file)
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, signal })) hash.update(chunk as Buffer)
  return hash.digest('hex') === file.hash.hex
}

/** Reads bytes that an earlier run downloaded, of the whole file or of its finished pieces; false where they are not on disk. */
export async function readOnDisk(file: RemoteFile, path: string, pieceBytes: number, offset: number, into: Uint8Array): Promise<boolean> {
  if (await isFinal(file, path)) {
    const source = (await fileSource(path))!
    await source.read(offset, into).finally(() => source.close())
    return true
  }
  const options = pieceOptions(file, pieceBytes)
  if ((await piecesOnDisk(partOf(path), options)) === 0) return false
  const part = await PieceFile.open(partOf(path), options)
  try {
    for (let piece = Math.floor(offset / pieceBytes); piece * pieceBytes < offset + into.byteLength; piece++)
      if (!part.isDone(piece)) return false
    await part.read(offset, into)
    return true
  } finally {
    await part.close()
  }
}

export async function* bodyOf(response: Response): AsyncGenerator<Uint8Array> {
  if (response.body) yield* response.body as unknown as AsyncIterable<Uint8Array>
}

/** Marks network failures for another try. Failures of the disk are returned as they are. */
export function transferError(error: unknown, receivedBytes: number): unknown {
  if (error instanceof TransferError) return new TransferError(error.message, receivedBytes, { cause: error.cause })
  if (error instanceof TypeError || (error as { code?: string }).code === 'UND_ERR_SOCKET') {
    return new TransferError('the connection broke', receivedBytes, { cause: error })
  }
  return error
}
