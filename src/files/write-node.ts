/**
 * Atomic writes: a file is written under a temporary name in the same directory, flushed, and renamed.
 * A crash never leaves half a file under the final name.
 */
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { diskFull } from './disk-space-node.ts'

/** Writes a small file under a temporary name and renames it. */
export async function writeFileAtomically(path: string, content: string | Uint8Array): Promise<void> {
  await writeAtomically(path, (handle) => handle.writeFile(content))
}

/** Runs `write` on a temporary file and renames it to `path`. Removes the temporary file on failure. */
export async function writeAtomically(path: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const temporary = `${path}.${process.pid}.${Math.random().toString(36).slice(2, 8)}.tmp`
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
