/** Writes safetensors files. Tensors are streamed, so no tensor must fit into memory. */
import type { FileHandle } from 'node:fs/promises'
import { writeAtomically } from '../files/write-node.ts'
import { TensorSizeError } from './errors.ts'
import { layoutHeader, publishedBytes, type TensorShape } from './safetensors.ts'

/** A tensor to write. Its bytes come in pieces of any size. */
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
      await writeTensor(handle, { file: path, tensor: tensor.name, expected }, tensor.bytes(), options)
    }
  })
  return fileBytes
}

/** Writes the bytes of one tensor in pieces. @throws TensorSizeError when they are more or fewer than expected */
export async function writeTensor(
  handle: FileHandle,
  { file, tensor, expected }: { file: string; tensor: string; expected: number },
  bytes: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  { signal, onBytes }: Pick<WriteOptions, 'signal' | 'onBytes'>,
): Promise<void> {
  let written = 0
  for await (const piece of bytes) {
    signal?.throwIfAborted()
    written += piece.byteLength
    if (written > expected) break
    await handle.writeFile(piece)
    onBytes?.(piece.byteLength)
  }
  if (written === expected) return
  const problem = { file, tensor, expected: `${expected} bytes`, came: `${written} or more bytes` }
  throw new TensorSizeError({ ...problem, remedy: 'This is a bug of the program that writes; nothing was saved.' })
}
