/**
 * The files of a model that are in the cache before anything is downloaded: taking over what other tools left, checking bytes against
 * the hash in a file's name, and removing leftovers.
 */
import { copyFile, link, lstat, readdir, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { CheckpointError } from '../checkpoint/errors.ts'
import { diskFull } from '../files/disk-space-node.ts'
import { isIntact, type RemoteFile } from './download-node.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/**
 * Makes a blob of a file of the right size and hash that has no blob yet: a regular file in a snapshot (a cache without links), or a
 * complete download of another tool (`HASH.incomplete`). Where links are refused, a file of another commit's snapshot is copied.
 * @param commit the commit whose snapshot is made
 * @returns where the bytes are: the blob, or the file in this commit's snapshot where links are refused; undefined when there are none
 */
export async function adopt(file: RemoteFile, blob: string, commit: string, signal?: AbortSignal): Promise<string | undefined> {
  const blobs = dirname(blob)
  const snapshots = join(blobs, '../snapshots')
  const foreign = (await readdir(blobs).catch(() => [])).filter((name) => name.startsWith(file.hash.hex) && name.endsWith('.incomplete'))
  const inPlace = join(snapshots, commit, file.name)
  const others = (await readdir(snapshots).catch(() => [])).filter((other) => other !== commit)
  const elsewhere = others.map((other) => join(snapshots, other, file.name))
  for (const candidate of [inPlace, ...foreign.map((name) => join(blobs, name)), ...elsewhere]) {
    const status = await lstat(candidate).catch(() => undefined)
    if (!status?.isFile() || status.size !== file.size || !(await isIntact(file, candidate, signal))) continue
    const linked = await link(candidate, blob).then(
      () => true,
      () => false,
    )
    if (linked) return blob
    if (candidate === inPlace) return inPlace
    if (elsewhere.includes(candidate)) await copyTo(blob, candidate)
    else await rename(candidate, blob)
    return blob
  }
  return undefined
}

/** What an interrupted copy leaves is swept with the other unfinished files. */
async function copyTo(blob: string, from: string): Promise<void> {
  const temporary = `${blob}.copy.incomplete`
  try {
    await copyFile(from, temporary)
    await rename(temporary, blob)
  } catch (error) {
    await rm(temporary, { force: true })
    throw diskFull(error, blob)
  }
}

/** A file of a snapshot whose bytes are not those that its blob's name promises. */
export interface DamagedFile {
  readonly name: string
  readonly blob: string
}

export interface VerifyOptions {
  readonly signal?: AbortSignal
  readonly onFile?: (name: string) => void
  /** Only files of at most so many bytes; the hash of a large one takes seconds. */
  readonly mostBytes?: number
}

/** Checks every file of a snapshot (or beside a GGUF file in it) that is a link to a blob: the blob's name is the hash of its content. */
export async function damagedFiles(snapshot: string, options: VerifyOptions = {}): Promise<DamagedFile[]> {
  const directory = (await stat(snapshot)).isDirectory() ? snapshot : dirname(snapshot)
  const damaged: DamagedFile[] = []
  for (const name of await readdir(directory)) {
    const blob = await realpath(join(directory, name)).catch(() => undefined)
    const hex = blob && basename(dirname(blob)) === 'blobs' ? basename(blob) : ''
    if (blob === undefined || !/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(hex)) continue
    const { size } = await stat(blob)
    if (size > (options.mostBytes ?? Number.POSITIVE_INFINITY)) continue
    options.onFile?.(name)
    const kind = hex.length === 64 ? 'sha256' : 'git-sha1'
    if (!(await isIntact({ size, hash: { kind, hex } }, blob, options.signal))) damaged.push({ name, blob })
  }
  return damaged
}

const SMALL_BYTES = 64 << 20

/**
 * Removes the damaged files of a cached model whose loading failed, so that a pull fetches them again. After an error that is not
 * about weights only small files are compared with their hashes.
 * @returns their names
 */
export async function dropDamaged(snapshot: string, error: unknown): Promise<string[]> {
  const damaged = await damagedFiles(snapshot, { mostBytes: error instanceof CheckpointError ? undefined : SMALL_BYTES })
  for (const { blob } of damaged) await rm(blob, { force: true })
  return damaged.map(({ name }) => name)
}

/**
 * Removes unfinished files that nobody continues: parts and foreign `.incomplete` files of blobs that are complete, others after a day.
 * The caller holds the lock of the model.
 */
export async function sweepBlobs(blobs: string): Promise<void> {
  const names = await readdir(blobs).catch(() => [])
  const complete = new Set(names.filter((name) => !name.includes('.')))
  for (const name of names.filter((name) => /\.(part|part\.pieces|incomplete)$/.test(name))) {
    const path = join(blobs, name)
    const age = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now())
    if (age > (complete.has(name.split('.')[0]!) ? MINUTE_MS : DAY_MS)) await rm(path, { force: true })
  }
}

/** Removes what interrupted removals of models left. */
export async function sweepRemoved(cache: string): Promise<void> {
  for (const name of await readdir(cache).catch(() => []))
    if (/^\.removed-[0-9a-f-]{36}$/.test(name)) await rm(join(cache, name), { recursive: true, force: true })
}
