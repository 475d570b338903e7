/**
 * Files of the operating system as sources. Reads run on libuv's threads, so several may be under way at once;
 * the event loop stays free. A missing file is `undefined`, everything else that fails is a named error.
 */
import { readSync } from 'node:fs'
import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { MissingFileError } from './errors.ts'
import { type Folder, readFailed, type Source, truncated } from './source.ts'

/** One call to the operating system never asks for more than this, so an abort is noticed soon. */
const READ_BYTES = 8 * 2 ** 20

/** Opens a file for reading, or returns undefined when there is none. */
export async function fileSource(path: string): Promise<Source | undefined> {
  let handle: FileHandle
  try {
    handle = await open(path, 'r')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw readFailed(path, 0, 0, cause)
  }
  const status = await handle.stat()
  if (!status.isFile()) {
    await handle.close()
    throw new MissingFileError({
      file: path,
      expected: 'a file',
      came: status.isDirectory() ? 'a directory' : 'a special file',
      remedy: 'Check the path.',
    })
  }
  return {
    name: path,
    size: status.size,
    async read(offset, into, signal) {
      let done = 0
      while (done < into.byteLength) {
        signal?.throwIfAborted()
        const length = Math.min(READ_BYTES, into.byteLength - done)
        let bytesRead: number
        try {
          ;({ bytesRead } = await handle.read(into, done, length, offset + done))
        } catch (cause) {
          throw readFailed(path, offset + done, length, cause)
        }
        if (bytesRead === 0) throw truncated(path, offset, into.byteLength, offset + done)
        done += bytesRead
      }
    },
    readNow(offset, into) {
      for (let done = 0; done < into.byteLength; ) {
        const length = into.byteLength - done
        let bytesRead: number
        try {
          bytesRead = readSync(handle.fd, into, done, length, offset + done)
        } catch (cause) {
          throw readFailed(path, offset + done, length, cause)
        }
        if (bytesRead === 0) throw truncated(path, offset, into.byteLength, offset + done)
        done += bytesRead
      }
    },
    close: () => handle.close(),
  }
}

/** A directory of the operating system; a path to a single `.safetensors` file is a folder with that file as its checkpoint. */
export async function fileFolder(path: string): Promise<Folder> {
  let status: Awaited<ReturnType<typeof stat>>
  try {
    status = await stat(path)
  } catch (cause) {
    const missing = {
      file: path,
      expected: 'a directory with config.json and safetensors files',
      came: 'nothing at this place',
      remedy: 'Check the path.',
    }
    throw new MissingFileError(missing, { cause })
  }
  if (status.isDirectory()) {
    return { name: path, list: () => readdir(path), open: (file) => fileSource(join(path, file)) }
  }
  const only = basename(path)
  const directory = dirname(path)
  return {
    name: directory,
    list: async () => [only],
    open: async (file) =>
      file.endsWith('.safetensors') || file.endsWith('.index.json')
        ? file === only
          ? fileSource(path)
          : undefined
        : fileSource(join(directory, file)),
  }
}
