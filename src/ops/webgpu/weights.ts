/**
 * Weights: pieces of whole rows (of whole experts), each in a buffer that one binding can hold, filled in bands of a few MB. What the device
 * does not read as published is rearranged on the way: rows that are no whole units, FP8 blocks, the blocks of block-formats.ts.
 */
import type { Fill, WeightSpec } from '../backend.ts'
import { BLOCK_FORMATS, type BlockFormat, type Field, requireFiniteScales, scalePlaces } from '../block-formats.ts'
import { weightValues } from '../decode.ts'
import { FP8_BLOCK, FP8_BLOCK_BYTES, isBlocks, requirePublished, requireScales, storedBytes } from '../dtype.ts'
import { size } from '../tensor.ts'
import type { Buffers } from './buffers.ts'
import { formatOf, planeBytes, planesOf, UNIT, unitsOf, type WeightFormat } from './formats.ts'
import type { Piece, Vector, Weight } from './tensor.ts'

/** Bytes of a band, about. */
const BAND_BYTES = 8 << 20
/** Bands have a multiple of so many rows, so that each of their planes is a multiple of four bytes. */
const BAND_ROWS = 32
/** The host waits for the device after so many bytes. */
const WAIT_BYTES = 64 << 20

let weights = 0

export async function loadVector(buffers: Buffers, spec: WeightSpec, fill: Fill): Promise<Vector> {
  const { name, shape, dtype } = spec
  const values = await weightValues(spec, fill)
  return { name, shape, dtype, at: buffers.vector(values), bytes: storedBytes(dtype, values.length) }
}

/** @throws MemoryError that names the weight; whatever `fill` throws */
export async function loadWeight(buffers: Buffers, spec: WeightSpec, fill: Fill): Promise<{ weight: Weight; bytes: number }> {
  const { name, shape, dtype, use } = spec
  requirePublished(spec)
  const format = formatOf(dtype)
  const width = shape.at(-1)!
  const rows = size(shape) / width
  const padded = unitsOf(width) * UNIT
  const together = use === 'experts' ? shape.at(-2)! : 1
  const rowBytes = planeBytes(format, padded).reduce((a, b) => a + b, 0)
  const most = Math.max(1, Math.floor((buffers.largestBinding - 64) / (rowBytes * together))) * together
  const pieces: Piece[] = []
  let sent = 0
  let bytes = 0
  try {
    for (let row = 0; row < rows; row += most) {
      const count = Math.min(most, rows - row)
      const { planes, words } = planesOf(format, count * padded)
      const buffer = await buffers.allocate(rows > most ? `${name}, rows from ${row} on` : name, words * 4)
      bytes += buffer.size
      pieces.push({ buffer, row, rows: count, planes })
      const band = Math.max(BAND_ROWS, Math.floor(BAND_BYTES / rowBytes / BAND_ROWS) * BAND_ROWS)
      for (let from = 0; from < count; from += band) {
        const some = Math.min(band, count - from)
        const parts = await readRows(spec, format, fill, row + from, some, width, padded)
        parts.forEach((part, n) => {
          if (part.length === 0) return
          const at = planes[n]! * 4 + planeBytes(format, from * padded)[n]!
          const even = part.length % 4 === 0 ? part : withZeros(part, 4 - (part.length % 4))
          buffers.device.queue.writeBuffer(buffer, at, even)
          sent += part.length
        })
        if (sent < WAIT_BYTES) continue
        sent = 0
        await buffers.device.queue.onSubmittedWorkDone()
      }
    }
  } catch (error) {
    for (const { buffer } of pieces) buffers.release(buffer)
    throw error
  }
  return { weight: { name, shape, dtype, format, pieces, id: weights++ }, bytes }
}

function withZeros(part: Uint8Array, zeros: number): Uint8Array<ArrayBuffer> {
  const longer = new Uint8Array(part.length + zeros)
  longer.set(part)
  return longer
}

/** The planes of some rows. */
async function readRows(
  spec: WeightSpec,
  format: WeightFormat,
  fill: Fill,
  row: number,
  count: number,
  width: number,
  padded: number,
): Promise<Uint8Array<ArrayBuffer>[]> {
  const { name, dtype } = spec
  const none = new Uint8Array(0)
  if (dtype === 'mxfp4') {
    const blocks = new Uint8Array((count * width) / 2)
    const scales = new Uint8Array((count * width) / 32)
    await Promise.all([fill('blocks', (row * width) / 2, blocks), fill('scales', (row * width) / 32, scales)])
    requireScales(name, scales, (row * width) / 32)
    return [blocks, none, none, scales]
  }
  const raw = new Uint8Array(storedBytes(dtype, count * width))
  await fill('data', storedBytes(dtype, row * width), raw)
  if (dtype === 'fp8') return fp8Planes(raw)
  if (isBlocks(dtype)) {
    requireFiniteScales(name, dtype, raw, storedBytes(dtype, row * width))
    return blockPlanes(format, BLOCK_FORMATS[dtype], raw)
  }
  if (padded === width) return [raw, none, none, none]
  const each = raw.length / count / width
  const wide = new Uint8Array(count * padded * each)
  for (let r = 0; r < count; r++) wide.set(raw.subarray(r * width * each, (r + 1) * width * each), r * padded * each)
  return [wide, none, none, none]
}

function fp8Planes(raw: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const blocks = raw.length / FP8_BLOCK_BYTES
  const codes = new Uint8Array(blocks * FP8_BLOCK)
  const scales = new Uint8Array(blocks * 4)
  for (let b = 0; b < blocks; b++) {
    scales.set(raw.subarray(b * FP8_BLOCK_BYTES, b * FP8_BLOCK_BYTES + 4), b * 4)
    codes.set(raw.subarray(b * FP8_BLOCK_BYTES + 4, (b + 1) * FP8_BLOCK_BYTES), b * FP8_BLOCK)
  }
  return [codes, new Uint8Array(0), new Uint8Array(0), scales]
}

/** A string of bits, written from its beginning. */
class Bits {
  readonly words: Uint32Array<ArrayBuffer>
  #at = 0

  constructor(bytes: number) {
    this.words = new Uint32Array(Math.ceil(bytes / 4) + 1)
  }

  put(value: number, bits: number): void {
    const [word, shift] = [this.#at >>> 5, this.#at & 31]
    this.words[word]! |= value << shift
    if (shift + bits > 32) this.words[word + 1]! |= value >>> (32 - shift)
    this.#at += bits
  }

  bytes(count: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.words.buffer, 0, count)
  }
}

/** What the fields of a number are, as arrays: up to two per number. */
function fieldTable(of: (i: number) => readonly Field[], count: number) {
  const table = new Int32Array(count * 8)
  for (let i = 0; i < count; i++)
    for (const [n, { at, shift, bits, to }] of of(i).entries()) table.set([at, shift, 2 ** bits - 1, to], i * 8 + n * 4)
  return (raw: Uint8Array, block: number, i: number): number => {
    const f = i * 8
    return (
      (((raw[block + table[f]!]! >> table[f + 1]!) & table[f + 2]!) << table[f + 3]!) |
      (((raw[block + table[f + 4]!]! >> table[f + 5]!) & table[f + 6]!) << table[f + 7]!)
    )
  }
}

/** Published blocks, sorted into planes. */
function blockPlanes(format: WeightFormat, blocks: BlockFormat, raw: Uint8Array): Uint8Array<ArrayBuffer>[] {
  const { low, high, block: length, span, factorBits, multipleBits } = format
  const count = raw.length / blocks.bytes
  const bytes = planeBytes(format, count * length)
  const [lows, highs, runs] = bytes.map((n) => new Bits(n)) as [Bits, Bits, Bits]
  const scales = new Uint8Array(bytes[3]!)
  const code = fieldTable(blocks.code, length)
  const { factor, offset, scale } = blocks
  const factorOf = factor ? fieldTable(factor.of, length / span) : undefined
  const multipleOf = offset?.of ? fieldTable(offset.of, length / span) : undefined
  const lowMask = 2 ** low - 1
  const places = scalePlaces(blocks)
  const scaleBytes = scale.format === 'e8m0' ? 1 : 2
  for (let b = 0, at = 0; b < count; b++) {
    const from = b * blocks.bytes
    for (let i = 0; i < length; i++) {
      const value = code(raw, from, i)
      lows.put(value & lowMask, low)
      if (high) highs.put(value >> low, high)
    }
    for (let s = 0; s < length / span; s++) {
      if (factorOf) runs.put(factorOf(raw, from, s), factorBits)
      if (multipleOf) runs.put(multipleOf(raw, from, s), multipleBits)
    }
    for (const place of places) for (let i = 0; i < scaleBytes; i++) scales[at++] = raw[from + place + i]!
  }
  return [lows.bytes(bytes[0]!), highs.bytes(bytes[1]!), runs.bytes(bytes[2]!), scales]
}
