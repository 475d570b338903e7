/**
 * FP8 matrices: E4M3 bytes [O, I] and f32 scales, one for each block of some rows and columns (Qwen3-*-FP8, DeepSeek V3: 128 × 128), for each
 * row, or for the whole matrix. A number is code·scale. They become rows of the dtype fp8. Where blocks of 128 columns do not share a
 * scale, or widths are no multiples of 128, each run of columns with a scale is filled up with zeros (`ordered`), for backends that can do so
 * with activations; others get rows in f32. A matrix that the model needs transposed is read in f32 too (`plain`).
 */
import { E4M3_VALUES, FP8_BLOCK, FP8_BLOCK_BYTES } from '../../ops/dtype.ts'
import { size } from '../../ops/tensor.ts'
import { decode } from '../encode.ts'
import { TensorSizeError, UnreadableValueError } from '../errors.ts'
import type { PublishedDtype, TensorEntry } from '../safetensors.ts'
import { inRuns, viewOf } from './view.ts'

/** Dtypes that scales may have. */
const SCALES = ['F32', 'BF16']

/** @param block rows and columns that share a scale, where the configuration says them */
export function fp8View(name: string, codes: TensorEntry, scale: TensorEntry, block: readonly [number, number] | undefined): TensorEntry {
  const [rows, columns] = codes.shape as [number, number]
  const [blockRows, blockColumns] = blocksOf(codes, scale, block)
  const across = Math.ceil(columns / blockColumns)
  const placeOf = (row: number, column: number) => Math.floor(row / blockRows) * across + Math.floor(column / blockColumns)
  let scales: Promise<Float32Array> | undefined
  const readScales = async (signal?: AbortSignal) => {
    const bytes = new Uint8Array(scale.byteLength)
    await scale.source.read(scale.offset, bytes, signal)
    const values = decode(bytes, scale.dtype as PublishedDtype)
    const bad = values.findIndex((value) => !Number.isFinite(value))
    if (bad >= 0)
      throw new UnreadableValueError({
        file: scale.source.name,
        tensor: scale.name,
        expected: 'finite scales',
        came: `${values[bad]} at ${bad}`,
      })
    return values
  }
  const read = async (first: number, count: number, signal?: AbortSignal) => {
    scales ??= readScales(signal).catch((error) => {
      scales = undefined
      throw error
    })
    const bytes = new Uint8Array(count * columns)
    await codes.source.read(codes.offset + first * columns, bytes, signal)
    const bad = bytes.findIndex((code) => (code & 0x7f) === 0x7f)
    if (bad >= 0)
      throw new UnreadableValueError({
        file: codes.source.name,
        tensor: codes.name,
        expected: 'numbers',
        came: `NaN in row ${first + Math.floor(bad / columns)}`,
      })
    return { bytes, scales: await scales }
  }
  const inBlocks = (width: number, order?: Int32Array) => {
    const rowBytes = (width / FP8_BLOCK) * FP8_BLOCK_BYTES
    return viewOf(name, 'fp8', [rows, width], rowBytes, codes, async (first, count, signal) => {
      const { bytes, scales } = await read(first, count, signal)
      const out = new Uint8Array(count * rowBytes)
      const view = new DataView(out.buffer)
      for (let row = 0, to = 0; row < count; row++)
        for (let at = 0; at < width; at += FP8_BLOCK, to += FP8_BLOCK_BYTES) {
          const from = order ? order[at]! : at
          view.setFloat32(to, scales[placeOf(first + row, from)]!, true)
          // Zeros stand at the end of a run only.
          const end = order ? order.subarray(at, at + FP8_BLOCK).indexOf(-1) : -1
          const length = end < 0 ? FP8_BLOCK : end
          out.set(bytes.subarray(row * columns + from, row * columns + from + length), to + 4)
        }
      return out
    })
  }
  const plain = viewOf(name, 'F32', [rows, columns], columns * 4, codes, async (first, count, signal) => {
    const { bytes, scales } = await read(first, count, signal)
    const out = new Float32Array(count * columns)
    for (let row = 0, i = 0; row < count; row++)
      for (let column = 0; column < columns; column++, i++) out[i] = E4M3_VALUES[bytes[i]!]! * scales[placeOf(first + row, column)]!
    return new Uint8Array(out.buffer)
  })
  if (columns % FP8_BLOCK === 0 && blockColumns % FP8_BLOCK === 0) return { ...inBlocks(columns), plain }
  const order = inRuns(columns, FP8_BLOCK, (column) => Math.floor(column / blockColumns))
  // Many short runs would take more bytes than f32.
  return order.length <= 2 * columns ? { ...plain, ordered: { entry: inBlocks(order.length, order), order } } : plain
}

/** Rows and columns that share a scale, from the shape of the scales. @throws TensorSizeError */
function blocksOf(codes: TensorEntry, scale: TensorEntry, block: readonly [number, number] | undefined): readonly [number, number] {
  const [rows, columns] = codes.shape as [number, number]
  const fits = (shape: readonly number[]) =>
    shape.length === scale.shape.length && shape.every((length, axis) => length === scale.shape[axis])
  if (SCALES.includes(scale.dtype)) {
    if (size(scale.shape) === 1 && !(block && fits([1, 1]))) return [rows, columns]
    if (block && fits([Math.ceil(rows / block[0]), Math.ceil(columns / block[1])])) return block
    if (!block && (fits([rows]) || fits([rows, 1]))) return [1, columns]
  }
  const wanted = block ? `[${Math.ceil(rows / block[0])}, ${Math.ceil(columns / block[1])}]` : `one number, or one for each of ${rows} rows`
  throw new TensorSizeError({
    file: scale.source.name,
    tensor: scale.name,
    expected: `F32 or BF16 scales ${wanted} for a matrix [${rows}, ${columns}]`,
    came: `${scale.dtype} [${scale.shape.join(', ')}]`,
  })
}
