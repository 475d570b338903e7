/** What commands write to places that the user names. Nothing is replaced that the command did not make, unless it is told to. */
import { open, realpath, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { sweepTemporary, writeFileAtomically } from './write-node.ts'

/** Something else is at the place of an output. Nothing was changed. */
export class OutputExistsError extends Error {
  override name = 'OutputExistsError'

  constructor(place: string, what: string) {
    super(`${place}: ${what} Nothing was changed. Choose another place, or replace it with --force.`)
  }
}

export interface OutputOptions {
  /** Replaces what is there. */
  readonly force?: boolean | undefined
  /** How a file begins that an earlier run of the command wrote; such a file may be replaced. */
  readonly own?: RegExp
}

/** How the drawings and charts of this project begin (drawing/svg.ts). */
export const OWN_SVG = /^<svg xmlns="[^"]+" viewBox="[^"]+" width="[^"]+" height="[^"]+" role="img" font-family="system-ui, -apple-system/

const BEGIN_BYTES = 4096

/**
 * Makes sure that a file may be written at a path; long work calls it before it begins. Removes leftovers of killed runs.
 * @throws OutputExistsError
 */
export async function claimFile(path: string, { force = false, own }: OutputOptions = {}): Promise<void> {
  const directory = await stat(dirname(path)).catch(() => undefined)
  if (!directory?.isDirectory()) throw new Error(`${path}: there is no directory ${dirname(path)}. Make it first, or choose another place.`)
  await sweepTemporary(dirname(path))
  const found = await stat(path).catch(() => undefined)
  if (!found) return
  if (found.isDirectory()) throw new Error(`${path}: expected a place for a file, found a directory.`)
  if (force || !found.isFile() || found.size === 0 || own?.test(await beginOf(path))) return
  throw new OutputExistsError(path, 'there is a file that this command did not write.')
}

/** Writes a small file unless another one is at the place. @throws OutputExistsError */
export async function writeOutput(path: string, content: string, options: OutputOptions = {}): Promise<void> {
  await claimFile(path, options)
  await replaceFile(path, content)
}

/** Under these paths a process finds what it has open (`/dev/stdout`). A new file in its place would not get there. */
const OPEN_FILES = /^\/(dev|proc)\//

/** Writes a file at a place that was claimed: the file behind a link, and a pipe or a device as it is, without a temporary file. */
export async function replaceFile(path: string, content: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (found && (!found.isFile() || OPEN_FILES.test(path))) return writeFile(path, content)
  await writeFileAtomically(found ? await realpath(path) : path, content)
}

/** The first bytes of a file as text. */
export async function beginOf(path: string): Promise<string> {
  const handle = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(BEGIN_BYTES), 0, BEGIN_BYTES, 0)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await handle.close()
  }
}
