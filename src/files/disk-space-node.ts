/** Whether a disk has room, asked before anything large is written to it. */
import { statfs } from 'node:fs/promises'

/** Too little room on the disk; nothing was written yet, or what was written is kept for later. */
export class DiskSpaceError extends Error {
  override name = 'DiskSpaceError'
}

/** Left free for everybody else. */
const MARGIN_BYTES = 64 << 20

/** Free bytes for this user on the disk of an existing directory. */
export async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize
}

/** @throws DiskSpaceError when fewer than `needed` bytes (and a little more) are free. */
export async function requireSpace(
  directory: string,
  needed: number,
  free: (directory: string) => Promise<number> = freeBytes,
): Promise<void> {
  if (needed <= 0) return
  const available = await free(directory)
  if (available >= needed + MARGIN_BYTES) return
  throw new DiskSpaceError(
    `${directory}: ${amount(needed)} are still to be written and ${amount(available)} are free. Make room or choose another disk, then run the command again.`,
  )
}

/** A failed write because of a full disk as a DiskSpaceError; everything else as it is. */
export function diskFull(error: unknown, path: string): unknown {
  if ((error as NodeJS.ErrnoException | undefined)?.code !== 'ENOSPC') return error
  return new DiskSpaceError(`${path}: the disk is full. Make room and run the command again; finished parts are kept.`, { cause: error })
}

const amount = (bytes: number): string => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(1)} MB`)
