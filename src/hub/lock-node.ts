/**
 * A lock between processes without native code: a file that only one process can create. Its holder
 * updates the file's time regularly. A lock is taken over when its process has ended, or when its time is
 * too old: the process may run on another machine, or its number may be in use again by another process.
 */
import { randomUUID } from 'node:crypto'
import { link, mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { sleep } from '../files/sleep.ts'
import { isAlive } from '../files/write-node.ts'

const REFRESH_MS = 5_000
const STALE_MS = 60_000
/** The same for a lock whose process runs on this machine: it may only be busy. */
const RUNNING_STALE_MS = 10 * STALE_MS
const POLL_MS = 200

/** The ids of the locks that this thread holds. */
const OWN = new Set<string>()
const PROCESS_BEGAN = Date.now() - process.uptime() * 1000

export interface LockOptions {
  readonly signal?: AbortSignal | undefined
  /** Called once when another process holds the lock. */
  readonly onWait?: ((holder: string) => void) | undefined
}

/** Waits for the lock, runs `body`, and always releases the lock. */
export async function withLock<T>(path: string, body: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  const id = randomUUID()
  const token = JSON.stringify({ process: process.pid, host: hostname(), id })
  OWN.add(id)
  await acquire(path, token, options).catch((error) => {
    OWN.delete(id)
    throw error
  })
  const refresh = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), REFRESH_MS)
  refresh.unref()
  try {
    return await body()
  } finally {
    clearInterval(refresh)
    // Remove only our own lock: another process may have taken it over while the machine slept.
    if ((await readText(path)) === token) await rm(path, { force: true })
    OWN.delete(id)
  }
}

/** Whether a running process holds the lock. */
export async function isLocked(path: string): Promise<boolean> {
  const held = await readText(path)
  return held !== undefined && (await stateOf(path, held)) === 'held'
}

async function acquire(path: string, token: string, { signal, onWait }: LockOptions): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  for (let reported = false, silentPolls = 0; ; ) {
    signal?.throwIfAborted()
    if (await create(path, token)) return
    const held = await readText(path)
    const state = held === undefined ? 'held' : await stateOf(path, held)
    silentPolls = state === 'silent' ? silentPolls + 1 : 0
    // When the machine has slept, a running holder needs a moment to refresh its lock.
    if (held !== undefined && (state === 'left' || silentPolls * POLL_MS > 2 * REFRESH_MS)) {
      silentPolls = 0
      await takeAway(path, held)
      continue
    }
    if (!reported && held !== undefined) onWait?.(describe(held))
    reported = true
    await sleep(POLL_MS, signal)
  }
}

/** Creates the lock with its content in one step: link fails where the name exists. */
async function create(path: string, token: string): Promise<boolean> {
  const mine = `${path}.${randomUUID()}`
  await writeFile(mine, token)
  try {
    await link(mine, path)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    // A disk without hard links: create exclusively. The content follows a moment later.
    return await writeFile(path, token, { flag: 'wx' }).then(
      () => true,
      (failure: NodeJS.ErrnoException) => {
        if (failure.code === 'EEXIST') return false
        throw failure
      },
    )
  } finally {
    await rm(mine, { force: true })
  }
}

/** Removes a stale lock, unless another process has replaced it meanwhile. */
async function takeAway(path: string, stale: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`
  try {
    await rename(path, aside)
  } catch {
    return
  }
  if ((await readText(aside)) !== stale) await link(aside, path).catch(() => {})
  await rm(aside, { force: true })
}

/** `left`: the process that held the lock has ended. `silent`: the lock was not refreshed for so long that nobody seems to hold it. */
async function stateOf(path: string, held: string): Promise<'held' | 'silent' | 'left'> {
  const now = Date.now()
  const refreshed = await stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => now,
  )
  const isSilent = (most: number) => (now - refreshed > most ? 'silent' : 'held')
  const { process: pid, host, id } = parse(held)
  // Empty or partial content may be a lock that is just being created.
  if (pid === undefined || host !== hostname()) return isSilent(STALE_MS)
  if (!isAlive(pid)) return 'left'
  if (pid !== process.pid) return isSilent(RUNNING_STALE_MS)
  if (id !== undefined && OWN.has(id)) return 'held'
  // An earlier process had the number of this one, as in a container that was started again; or another thread holds the lock.
  return refreshed < PROCESS_BEGAN ? 'left' : isSilent(RUNNING_STALE_MS)
}

function parse(held: string): { process?: number; host?: string; id?: string } {
  try {
    return JSON.parse(held) as { process?: number; host?: string; id?: string }
  } catch {
    return {}
  }
}

function describe(held: string): string {
  const { process: pid, host } = parse(held)
  return pid === undefined ? 'another process' : `process ${pid}${host === hostname() ? '' : ` on ${host}`}`
}

const readText = (path: string): Promise<string | undefined> => readFile(path, 'utf8').catch(() => undefined)
