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
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`
  throw new DiskSpaceError(
    `${directory}: ${megabytes(needed)} are still to be written and ${megabytes(available)} are free. Make room or choose another disk, then run the command again.`,
  )
}
