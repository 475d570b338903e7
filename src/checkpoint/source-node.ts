/**
 * Files of the operating system as sources. Reads run on libuv's threads, so several can run at once and
 * the event loop stays free. A missing file gives `undefined`; any other failure is a named error.
 */
import { constants, readSync } from 'node:fs'
import { type FileHandle, open, readdir, readlink, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { DISK_ALIGNMENT } from '../ops/backend.ts'
import { MissingFileError, WrongFormatError } from './errors.ts'
import { ggufFolder, isGguf, splitNames, withGguf } from './gguf/folder.ts'
import { GGUF_MAGIC } from './gguf/header.ts'
import { otherFormat } from './other-formats.ts'
import { type Folder, readFailed, type Source, truncated } from './source.ts'

/** Largest read per system call, so that an abort is noticed soon. */
const READ_BYTES = 8 * 2 ** 20
/** Smaller reads go through the file cache. */
const LEAST_DIRECT_BYTES = 256 * 2 ** 10
const LARGE = 0.4

export interface FileOptions {
  /**
   * Bypasses the file cache where the system supports it and offset and address are aligned
   * (DISK_ALIGNMENT). Useful when file cache and weights do not fit into memory together: then filling
   * the cache costs more than reading.
   */
  readonly direct?: boolean | undefined
}

/** Opens a file for reading, or returns undefined when there is none. */
export async function fileSource(path: string, options: FileOptions = {}): Promise<Source | undefined> {
  let handle: FileHandle
  try {
    handle = await open(path, 'r')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
      const target = await readlink(path).catch(() => undefined)
      if (target === undefined) return undefined
      throw new MissingFileError({
        file: path,
        expected: 'a file',
        came: `a link to ${target}, which is not there`,
        remedy: 'Copy the files instead of the links, or pull the model again.',
      })
    }
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
  const direct =
    options.direct && constants.O_DIRECT ? await open(path, constants.O_RDONLY | constants.O_DIRECT).catch(() => undefined) : undefined
  /** The range of a read that can bypass the file cache: whole pages, if offset and address are aligned alike. */
  const straight = (offset: number, { byteOffset, byteLength }: Uint8Array): { from: number; to: number } => {
    const from = -offset & (DISK_ALIGNMENT - 1)
    const inStep = direct && ((byteOffset - offset) & (DISK_ALIGNMENT - 1)) === 0
    return inStep && byteLength >= from + LEAST_DIRECT_BYTES
      ? { from, to: byteLength - ((byteLength - from) % DISK_ALIGNMENT) }
      : { from: 0, to: 0 }
  }
  return {
    name: path,
    size: status.size,
    async read(offset, into, signal) {
      const { from, to } = straight(offset, into)
      let refused = false
      for (let done = 0; done < into.byteLength; ) {
        signal?.throwIfAborted()
        const aligned: boolean = !refused && done >= from && done < to && (done - from) % DISK_ALIGNMENT === 0
        const end = aligned ? to : done < from ? from : into.byteLength
        const length = Math.min(READ_BYTES, end - done)
        let bytesRead: number
        try {
          ;({ bytesRead } = await (aligned ? direct! : handle).read(into, done, length, offset + done))
        } catch (cause) {
          // The memory is not really aligned, or the file system refuses direct reads after all.
          refused = aligned && (cause as NodeJS.ErrnoException).code === 'EINVAL'
          if (refused) continue
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
    close: async () => {
      await direct?.close()
      await handle.close()
    },
  }
}

/**
 * A directory of the operating system. The path of a `.safetensors` file is a folder with only that
 * checkpoint; the path of a GGUF file, or of a directory with nothing else, is a folder with its model. If `direct` is not set, the file cache is bypassed when the files exceed the share LARGE
 * of the available memory.
 */
export async function fileFolder(path: string, options: FileOptions = {}): Promise<Folder> {
  let status: Awaited<ReturnType<typeof stat>>
  try {
    status = await stat(path)
  } catch (cause) {
    const missing = {
      file: path,
      expected: 'a directory with config.json and safetensors files, or a GGUF file',
      came: 'nothing at this place',
      remedy: 'Check the path.',
    }
    throw new MissingFileError(missing, { cause })
  }
  if (status.isDirectory()) {
    const direct = options.direct ?? (await weightBytes(path)) > LARGE * process.availableMemory()
    const open = (file: string) => fileSource(join(path, file), { direct: direct && isWeights(file) })
    return withGguf({ name: path, list: () => readdir(path), open })
  }
  const only = basename(path)
  if (isGguf(only) || (await isGgufContent(path))) return ggufFile(path, status.size, options)
  if (!only.endsWith('.safetensors')) {
    const expected = 'a directory with config.json and safetensors files, or a .safetensors or GGUF file'
    const other = otherFormat([only]) ?? { came: 'another file', remedy: 'Give the directory of the model.' }
    throw new WrongFormatError({ file: path, expected, ...other })
  }
  const direct = options.direct ?? status.size > LARGE * process.availableMemory()
  const directory = dirname(path)
  return {
    name: directory,
    list: async () => [only],
    open: async (file) =>
      file.endsWith('.safetensors') || file.endsWith('.index.json')
        ? file === only
          ? fileSource(path, { direct })
          : undefined
        : fileSource(join(directory, file)),
  }
}

/** The model of a GGUF file, whose name may be any: Ollama names files by their hashes. */
function ggufFile(path: string, bytes: number, { direct = bytes > LARGE * process.availableMemory() }: FileOptions): Folder {
  const directory = dirname(path)
  return ggufFolder(
    { name: directory, list: () => readdir(directory), open: (file) => fileSource(join(directory, file), { direct }) },
    basename(path),
  )
}

/** Whether a path is a directory or a file of weights, and no configuration. */
export const isModelPath = async (path: string): Promise<boolean> =>
  isWeights(path) || (await stat(path)).isDirectory() || (await isGgufContent(path))

async function isGgufContent(path: string): Promise<boolean> {
  const source = await fileSource(path)
  try {
    const head = new Uint8Array(Math.min(GGUF_MAGIC.length, source?.size ?? 0))
    await source?.read(0, head)
    return String.fromCharCode(...head) === GGUF_MAGIC
  } finally {
    await source?.close()
  }
}

/** Whether a file holds weights, by its name. */
export const isWeights = (file: string): boolean => file.endsWith('.safetensors') || isGguf(file)

/** A file of weights on the disk. */
export interface WeightFile {
  readonly file: string
  readonly bytes: number
  /** Milliseconds since 1970. */
  readonly modified: number
}

/** The weight files of a path that `fileFolder` takes. Unreadable ones are left out; opening them reports the error. */
export async function weightFilesAt(path: string): Promise<WeightFile[]> {
  const isDirectory = (await stat(path)).isDirectory()
  const directory = isDirectory ? path : dirname(path)
  const names = isDirectory ? (await readdir(path)).filter(isWeights) : splitNames(basename(path))
  const files = await Promise.all(
    names.map(async (file): Promise<WeightFile[]> => {
      const status = await stat(join(directory, file)).catch(() => undefined)
      return status ? [{ file, bytes: status.size, modified: Math.floor(status.mtimeMs) }] : []
    }),
  )
  return files.flat()
}

const weightBytes = async (path: string): Promise<number> => (await weightFilesAt(path)).reduce((sum, { bytes }) => sum + bytes, 0)
