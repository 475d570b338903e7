/**
 * A matrix as other bytes than those of the file: rows of it are made when they are read. The rest of the loader sees a tensor of the
 * published name and shape.
 */
import { size } from '../../ops/tensor.ts'
import type { PackedName, TensorEntry } from '../safetensors.ts'

/** Rows are made in bands of about this size. */
const BAND_BYTES = 1 << 20

/** Makes rows [first, first + count) of a matrix. */
export type MakeRows = (first: number, count: number, signal?: AbortSignal) => Promise<Uint8Array>

/** @param near a tensor of the file that the rows come from: it gives the place in the order of reading */
export function viewOf(
  name: string,
  dtype: PackedName | 'F32',
  shape: readonly number[],
  rowBytes: number,
  near: TensorEntry,
  make: MakeRows,
): TensorEntry {
  const byteLength = (size(shape) / shape.at(-1)!) * rowBytes
  const band = Math.max(1, Math.floor(BAND_BYTES / rowBytes))
  const read = async (offset: number, into: Uint8Array, signal?: AbortSignal) => {
    const end = offset + into.byteLength
    for (let row = Math.floor(offset / rowBytes); row * rowBytes < end; row += band) {
      const rows = await make(row, Math.min(band, Math.ceil(end / rowBytes) - row), signal)
      const from = Math.max(0, offset - row * rowBytes)
      const to = Math.min(rows.byteLength, end - row * rowBytes)
      into.set(rows.subarray(from, to), row * rowBytes + from - offset)
    }
  }
  return { name, dtype, shape, offset: 0, byteLength, source: { name: near.source.name, size: byteLength, read, close: async () => {} } }
}

/**
 * Inputs in the order of their groups, those of each filled up with -1 to whole blocks. Within a group the order stays.
 * @param group of an input
 */
export function inRuns(inputs: number, block: number, group: (input: number) => number): Int32Array {
  const groups = new Map<number, number[]>()
  for (let input = 0; input < inputs; input++) {
    const known = groups.get(group(input))
    if (known) known.push(input)
    else groups.set(group(input), [input])
  }
  const order = [...groups]
    .sort(([a], [b]) => a - b)
    .flatMap(([, run]) => [...run, ...new Array<number>((block - (run.length % block)) % block).fill(-1)])
  return Int32Array.from(order)
}
