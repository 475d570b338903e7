/**
 * Atomic writes: a file is written under a temporary name in the same directory, flushed, and renamed.
 * A crash never leaves half a file under the final name. What a killed process leaves under the temporary name is swept later.
 */
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { fnv1a } from '../random/hash.ts'
import { diskFull } from './disk-space-node.ts'

/** This machine in the names of temporary files, since a disk may be shared with others: eight hexadecimal digits. */
const HOST = (fnv1a(hostname()) >>> 0).toString(16).padStart(8, '0')

const temporaryName = (path: string): string =>
  `${path}.${process.pid}-${HOST}.${Math.random().toString(36).slice(2, 8).padEnd(6, '0')}.tmp`

/** Exactly such a name: users have files that end in `.tmp` too. */
const TEMPORARY = /^.+\.([1-9]\d*)-([0-9a-f]{8})\.[a-z0-9]{6}\.tmp$/
const DAY_MS = 86_400_000

/** Removes temporary files of processes that have ended; those of other machines after a day. */
export async function sweepTemporary(directory: string): Promise<void> {
  for (const name of await readdir(directory).catch(() => [])) {
    const [, pid, host] = TEMPORARY.exec(name) ?? []
    if (pid === undefined) continue
    const path = join(directory, name)
    const age = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now())
    if (host === HOST ? !isAlive(Number(pid)) : age > DAY_MS) await rm(path, { recursive: true, force: true })
  }
}

/** Whether a process of this machine runs. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Writes a small file under a temporary name and renames it. */
export async function writeFileAtomically(path: string, content: string | Uint8Array): Promise<void> {
  await writeAtomically(path, (handle) => handle.writeFile(content))
}

/** Runs `write` on a temporary directory and renames it to `path`, in place of the directory that is there. Removes it on failure. */
export async function writeDirectoryAtomically(path: string, write: (directory: string) => Promise<void>): Promise<void> {
  const temporary = temporaryName(path)
  const replaced = temporaryName(path)
  try {
    await mkdir(temporary, { recursive: true })
    await write(temporary)
    await rename(path, replaced).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
    await rename(temporary, path).catch(async (error) => {
      await rename(replaced, path).catch(() => {})
      throw error
    })
    await rm(replaced, { recursive: true, force: true })
  } catch (error) {
    await rm(temporary, { recursive: true, force: true })
    throw diskFull(error, path)
  }
}

/** Runs `write` on a temporary file and renames it to `path`. Removes the temporary file on failure. */
export async function writeAtomically(path: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const temporary = temporaryName(path)
  const handle = await open(temporary, 'wx')
  try {
    try {
      await write(handle)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw diskFull(error, path)
  }
}
