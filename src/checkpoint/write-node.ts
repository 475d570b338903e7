/**
 * Writing files so that a crash never leaves half a file under the final name: everything goes to a temporary name in the same
 * directory, is flushed, and is renamed at the end. Tensors are streamed; no tensor needs to be in memory as a whole.
 */
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { diskFull } from './disk-space-node.ts'
import { TensorSizeError } from './errors.ts'
import { layoutHeader, publishedBytes, type TensorShape } from './safetensors.ts'

/** A tensor on its way to a file: its bytes come in pieces of any size. */
export interface OutgoingTensor extends TensorShape {
  bytes(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>
}

export interface WriteOptions {
  readonly metadata?: Record<string, string>
  readonly signal?: AbortSignal | undefined
  /** Called with the number of bytes after every piece. */
  readonly onBytes?: ((count: number) => void) | undefined
}

/** Writes one safetensors file with these tensors in this order. Creates the directory. Returns the file's size. */
export async function writeSafetensors(path: string, tensors: readonly OutgoingTensor[], options: WriteOptions = {}): Promise<number> {
  const { header, fileBytes } = layoutHeader(tensors, options.metadata)
  await writeAtomically(path, async (handle) => {
    await handle.writeFile(header)
    for (const tensor of tensors) {
      const expected = publishedBytes(tensor.dtype, tensor.shape)
      let written = 0
      for await (const piece of tensor.bytes()) {
        options.signal?.throwIfAborted()
        written += piece.byteLength
        if (written > expected) break
        await handle.writeFile(piece)
        options.onBytes?.(piece.byteLength)
      }
      if (written !== expected) {
        const problem = { file: path, tensor: tensor.name, expected: `${expected} bytes`, came: `${written} or more bytes` }
        throw new TensorSizeError({ ...problem, remedy: 'This is a fault of the program that writes; nothing was saved.' })
      }
    }
  })
  return fileBytes
}

/** Writes a small file under a temporary name and renames it. */
export async function writeFileAtomically(path: string, content: string | Uint8Array): Promise<void> {
  await writeAtomically(path, (handle) => handle.writeFile(content))
}

/** Runs `write` on a temporary file beside `path` and renames it when that succeeds; otherwise nothing is left behind. */
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
