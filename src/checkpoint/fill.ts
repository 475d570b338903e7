/**
 * Reads the bytes of one inner weight from its published tensors: any range of the row-major weight, in
 * any published form. Moves bytes and converts no numbers. Memory is limited to a band of rows, or to
 * one matrix where it must be transposed.
 */
import { type Recipe, rowOf, type Slice } from '../architecture/recipes.ts'
import type { Fill, WeightPart } from '../ops/backend.ts'
import { size } from '../ops/tensor.ts'
import type { TensorEntry } from './safetensors.ts'

/** Rows of gate and up are read in bands of about this size and then interleaved. */
const BAND_BYTES = 1 << 20
/** Cache of published matrices to transpose: q, k and v of one layer come from the same matrix. */
const CACHE_BYTES = 32 << 20
const SPARE_MATRICES = 4

/** The fill function of a weight. Its published tensors are in the order of `publishedParts` and already checked. */
export function fillFrom(
  recipe: Recipe,
  shape: readonly number[],
  entries: readonly TensorEntry[],
  cache: MatrixCache,
  signal: AbortSignal | undefined,
): Fill {
  const first = entries[0]!
  switch (recipe.form) {
    case 'asStored': {
      const { slice } = recipe
      if (slice?.every) return (_, offset, into) => readRuns(first, shape, slice, offset, into, signal)
      const start = ((recipe.slice?.from ?? 0) * first.byteLength) / first.shape[0]!
      const fill: Fill = (_, offset, into) => read(first, start + offset, into, signal)
      return Object.assign(fill, { at: (_: WeightPart, offset: number) => first.offset + start + offset })
    }
    case 'mxfp4': {
      const entry = (part: WeightPart) => (part === 'scales' ? entries[1]! : first)
      const fill: Fill = (part, offset, into) => read(entry(part), offset, into, signal)
      return Object.assign(fill, { at: (part: WeightPart, offset: number) => entry(part).offset + offset })
    }
    case 'perExpert': {
      const each = first.byteLength
      const fill: Fill = (_, offset, into) => readExperts(entries, offset, into, signal)
      return Object.assign(fill, { at: (_: WeightPart, offset: number) => entries[Math.floor(offset / each)]!.offset + (offset % each) })
    }
    case 'interleaved':
      return (_, offset, into) => readInterleaved(entries, shape, offset, into, signal)
    case 'transposedRuns':
      return (_, offset, into) => readTransposedRuns(first, shape, recipe.slice, offset, into, signal)
    case 'transposed':
      return (_, offset, into) => readTransposed(first, shape, recipe.slice?.from ?? 0, cache, offset, into, signal)
  }
}

const read = (entry: TensorEntry, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void> =>
  entry.source.read(entry.offset + offset, into, signal)

/** Runs of rows that lie apart in the tensor, one after the other. */
async function readRuns(
  entry: TensorEntry,
  shape: readonly number[],
  slice: Slice,
  offset: number,
  into: Uint8Array,
  signal?: AbortSignal,
): Promise<void> {
  const rowBytes = entry.byteLength / slice.total
  const runBytes = rowBytes * (slice.run ?? shape[0]!)
  const reads: Promise<void>[] = []
  for (let done = 0; done < into.byteLength; ) {
    const within = (offset + done) % runBytes
    const length = Math.min(runBytes - within, into.byteLength - done)
    const at = rowOf(slice, (offset + done - within) / rowBytes) * rowBytes + within
    reads.push(read(entry, at, into.subarray(done, done + length), signal))
    done += length
  }
  await Promise.all(reads)
}

/** Tensors of equal size, concatenated. */
async function readExperts(entries: readonly TensorEntry[], offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void> {
  const each = entries[0]!.byteLength
  for (let done = 0; done < into.byteLength; ) {
    const expert = Math.floor((offset + done) / each)
    const from = offset + done - expert * each
    const length = Math.min(each - from, into.byteLength - done)
    await read(entries[expert]!, from, into.subarray(done, done + length), signal)
    done += length
  }
}

/** Row 2j from gate, row 2j + 1 from up, expert after expert. `entries` alternate gate and up. */
async function readInterleaved(
  entries: readonly TensorEntry[],
  shape: readonly number[],
  offset: number,
  into: Uint8Array,
  signal?: AbortSignal,
): Promise<void> {
  const pairs = shape[1]! / 2
  const rowBytes = entries[0]!.byteLength / pairs
  const end = offset + into.byteLength
  const bandPairs = Math.max(1, Math.floor(BAND_BYTES / rowBytes))
  const scratch = new Uint8Array(2 * Math.min(bandPairs, Math.ceil(into.byteLength / (2 * rowBytes)) + 1) * rowBytes)
  let pair = Math.floor(offset / (2 * rowBytes)) // counted over all experts
  while (pair * 2 * rowBytes < end) {
    const expert = Math.floor(pair / pairs)
    const inExpert = pair - expert * pairs
    const last = Math.ceil(end / (2 * rowBytes))
    const count = Math.min(scratch.byteLength / (2 * rowBytes), pairs - inExpert, last - pair)
    const gate = scratch.subarray(0, count * rowBytes)
    const up = scratch.subarray(count * rowBytes, 2 * count * rowBytes)
    await Promise.all([
      read(entries[2 * expert]!, inExpert * rowBytes, gate, signal),
      read(entries[2 * expert + 1]!, inExpert * rowBytes, up, signal),
    ])
    for (let j = 0; j < count; j++) {
      const row = gate.subarray(j * rowBytes, (j + 1) * rowBytes)
      copyClipped(row, (pair + j) * 2 * rowBytes - offset, into)
      copyClipped(up.subarray(j * rowBytes, (j + 1) * rowBytes), ((pair + j) * 2 + 1) * rowBytes - offset, into)
    }
    pair += count
  }
}

/** Copies `bytes` to position `at` of `into` and drops what lies outside. */
function copyClipped(bytes: Uint8Array, at: number, into: Uint8Array): void {
  const from = Math.max(0, -at)
  const to = Math.min(bytes.byteLength, into.byteLength - at)
  if (from < to) into.set(from === 0 && to === bytes.byteLength ? bytes : bytes.subarray(from, to), at + from)
}

/** Inner [.., O, I] from published [.., I, total]; inner row o is published column `firstColumn` + o. */
async function readTransposed(
  entry: TensorEntry,
  shape: readonly number[],
  firstColumn: number,
  cache: MatrixCache,
  offset: number,
  into: Uint8Array,
  signal?: AbortSignal,
): Promise<void> {
  const [rows, columns] = shape.slice(-2) as [number, number]
  const total = entry.shape.at(-1)!
  const elementBytes = entry.byteLength / size(entry.shape)
  const rowBytes = columns * elementBytes
  const end = offset + into.byteLength
  for (let row = Math.floor(offset / rowBytes); row * rowBytes < end; ) {
    const matrix = Math.floor(row / rows)
    const inMatrix = row - matrix * rows
    const at = row * rowBytes - offset
    const whole = at < 0 ? 0 : Math.min(rows - inMatrix, Math.floor((into.byteLength - at) / rowBytes))
    await cache.use(entry, matrix, columns * total * elementBytes, signal, (published) => {
      const transpose = (count: number, target: Uint8Array) =>
        transposeColumns(published, columns, total, firstColumn + inMatrix, count, elementBytes, target)
      if (whole > 0 && (into.byteOffset + at) % elementBytes === 0) {
        transpose(whole, into.subarray(at, at + whole * rowBytes))
        row += whole
        return
      }
      // Only a part of this row is wanted.
      const one = new Uint8Array(rowBytes)
      transpose(1, one)
      copyClipped(one, at, into)
      row++
    })
  }
}

/** Inner [H, I, N]: every run of N published rows of I values as I rows of N. */
async function readTransposedRuns(
  entry: TensorEntry,
  shape: readonly number[],
  { from, run, every }: Required<Slice>,
  offset: number,
  into: Uint8Array,
  signal?: AbortSignal,
): Promise<void> {
  const columns = entry.shape[1]!
  const elementBytes = entry.byteLength / size(entry.shape)
  const runBytes = run * columns * elementBytes
  const [published, matrix] = [new Uint8Array(runBytes), new Uint8Array(runBytes)]
  const last = Math.min(shape[0]!, Math.ceil((offset + into.byteLength) / runBytes))
  for (let n = Math.floor(offset / runBytes); n < last; n++) {
    await read(entry, (from + n * every) * columns * elementBytes, published, signal)
    transposeColumns(published, run, columns, 0, columns, elementBytes, matrix)
    copyClipped(matrix, n * runBytes - offset, into)
  }
}

/** Columns [from, from + count) of a row-major [rows, total] matrix as rows of `into`. */
function transposeColumns(
  matrix: Uint8Array<ArrayBuffer>,
  rows: number,
  total: number,
  from: number,
  count: number,
  elementBytes: number,
  into: Uint8Array,
): void {
  const Elements = elementBytes === 2 ? Uint16Array : Uint32Array
  const source = new Elements(matrix.buffer, matrix.byteOffset, rows * total)
  const target = new Elements(into.buffer as ArrayBuffer, into.byteOffset, count * rows)
  const tile = 32 // source and target of a tile fit in the L1 cache
  for (let r0 = 0; r0 < rows; r0 += tile) {
    const length = Math.min(rows, r0 + tile) - r0
    for (let c = 0; c < count; c++) {
      let read = r0 * total + from + c
      const begin = c * rows + r0
      for (let write = begin; write < begin + length; write++, read += total) target[write] = source[read]!
    }
  }
}

interface HeldMatrix {
  readonly into: Uint8Array<ArrayBuffer>
  readonly bytes: Promise<unknown>
  users: number
}

/** A cache of the matrices that were read last: adjacent weights need the same ones. */
export class MatrixCache {
  readonly #held = new Map<string, HeldMatrix>()
  /** Buffers for reuse: allocating costs more than reading from the file cache. */
  readonly #spare: Uint8Array<ArrayBuffer>[] = []
  #heldBytes = 0

  /** Calls `body` with matrix `index` of a published tensor [.., I, O], valid until `body` returns. */
  async use(
    entry: TensorEntry,
    index: number,
    byteLength: number,
    signal: AbortSignal | undefined,
    body: (bytes: Uint8Array<ArrayBuffer>) => void,
  ): Promise<void> {
    const key = `${entry.name}#${index}`
    let held = this.#held.get(key)
    if (held) this.#held.delete(key)
    else {
      const into = this.#memory(byteLength)
      held = { into, bytes: read(entry, index * byteLength, into, signal), users: 0 }
      this.#heldBytes += byteLength
    }
    this.#held.set(key, held) // the most recently used
    held.users++
    try {
      await held.bytes
      body(held.into)
    } catch (error) {
      this.#drop(key) // do not cache a failed read
      throw error
    } finally {
      held.users--
      for (const [oldest, { users }] of this.#held) {
        if (this.#heldBytes <= CACHE_BYTES) break
        if (users === 0) this.#drop(oldest)
      }
    }
  }

  #memory(byteLength: number): Uint8Array<ArrayBuffer> {
    const at = this.#spare.findIndex((one) => one.byteLength === byteLength)
    return at < 0 ? new Uint8Array(byteLength) : this.#spare.splice(at, 1)[0]!
  }

  #drop(key: string): void {
    const held = this.#held.get(key)
    if (!held) return
    this.#held.delete(key)
    this.#heldBytes -= held.into.byteLength
    if (held.users > 0) return
    this.#spare.push(held.into)
    if (this.#spare.length > SPARE_MATRICES) this.#spare.shift()
  }
}
