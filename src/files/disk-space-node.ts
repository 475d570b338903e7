/** Checks the free space of a disk before large files are written. */
import { statfs } from 'node:fs/promises'
import { binary } from '../numbers/bytes.ts'

/** Too little free disk space. Nothing was written yet, or what was written is kept for the next run. */
export class DiskSpaceError extends Error {
  override name = 'DiskSpaceError'
}

/** Always left free. */
const MARGIN_BYTES = 64 << 20

/** Free bytes for this user on the disk of an existing directory. */
export async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize
}

/** @throws DiskSpaceError when fewer than `needed` bytes and the margin are free. */
export async function requireSpace(
  directory: string,
  needed: number,
  free: (directory: string) => Promise<number> = freeBytes,
): Promise<void> {
  if (needed <= 0) return
  const available = await free(directory)
  if (available >= needed + MARGIN_BYTES) return
  throw new DiskSpaceError(
    `${directory}: ${binary(needed)} must still be written, but only ${binary(available)} are free, of which ${binary(MARGIN_BYTES)} stay free. Free some space or choose another disk, then run the command again.`,
  )
}

/** Turns the error of a full disk into a DiskSpaceError. Returns any other error unchanged. */
export function diskFull(error: unknown, path: string): unknown {
  if ((error as NodeJS.ErrnoException | undefined)?.code !== 'ENOSPC') return error
  return new DiskSpaceError(`${path}: the disk is full. Free some space and run the command again; finished parts are kept.`, {
    cause: error,
  })
}
