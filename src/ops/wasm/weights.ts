/**
 * Brings published weights into memory: which format each gets, its place, and how its bytes get there. Every weight exists once: bytes that
 * keep their published form are read into their place, bytes that are repacked go through a small staging area.
 */
import { DISK_ALIGNMENT, type Fill, type ReadRow, type WeightPart, type WeightSpec } from '../backend.ts'
import { decodeBlocks, requireFiniteScales } from '../block-formats.ts'
import {
  type BlockDType,
  type DType,
  decodeFp8,
  fromBf16,
  fromF16,
  isBlocks,
  requirePublished,
  requireScales,
  storedBytes,
} from '../dtype.ts'
import { size } from '../tensor.ts'
import type { OpContext, Precision } from './context.ts'
import { FORMAT, type Format, formatOfBlocks, GROUP_ROWS, isGrouped, matrixBytes } from './formats.ts'
import type { Heap } from './heap.ts'
import { packInt8Kernel } from './kernels/pack.ts'
import { repackKernel } from './kernels/repack.ts'
import type { Memories, Place } from './memories.ts'
import type { Block } from './memory.ts'
import type { Pool } from './pool.ts'
import type { WasmTensor } from './tensor.ts'

/** How many bytes of the host's area weights take up on their way to their places. */
const STAGING_BYTES = 128 << 20

/** What loading needs from the backend, and the heap blocks that are being filled. */
export class LoadingContext {
  readonly pool: Pool
  readonly heap: Heap
  readonly memories: Memories
  readonly precision: Precision
  /** Blocks that readers are filling, and the calls that wait until one is free. */
  #lent = 0
  readonly #waiting: (() => void)[] = []
  #draining: Promise<void> | undefined
  readonly #attachKernels: (format: Format) => Promise<void>
  readonly #attached = new Map<Format, Promise<void>>()

  constructor({ pool, heap, precision }: OpContext, memories: Memories, attachKernels: (format: Format) => Promise<void>) {
    this.#attachKernels = attachKernels
    this.pool = pool
    this.heap = heap
    this.memories = memories
    this.precision = precision
  }

  /** Waits until the kernels of a format are there. */
  async kernelsOf(format: Format): Promise<void> {
    if (!isGrouped(format)) return
    const known = this.#attached.get(format)
    if (known) return known
    const attached = this.#attachKernels(format)
    this.#attached.set(format, attached)
    return attached
  }

  /**
   * A heap block that the host may write; give it back with `retire` after the commands that read it. Loading may run ahead of the readers
   * that fill blocks and of the workers that convert them: then this waits until some blocks are free again.
   */
  async block(bytes: number): Promise<Block> {
    const { heap, pool } = this
    for (;;) {
      heap.reclaim()
      if (heap.hostUsed + bytes <= STAGING_BYTES || (!heap.pending && this.#lent === 0)) {
        const block = heap.hostBlock(bytes)
        this.#lent++
        return block
      }
      if (heap.pending) await (this.#draining ??= pool.settled().finally(() => (this.#draining = undefined)))
      else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  retire(block: Block): void {
    this.#lent--
    this.heap.retire(block)
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  bytes(address: number, length: number): Uint8Array<ArrayBuffer> {
    return this.heap.bytes.subarray(address, address + length)
  }
}

/** Matrices with fewer rows stay as published in fast precision. They are small, and routers are among them: rounding could change what these choose. */
const LEAST_ROUNDED_ROWS = 257
/** Bytes of published rows that are converted at a time. */
const BAND_BYTES = 8 << 20
/** Bytes reserved behind a place: kernels may read a vector beyond its end, and `aligned` moves its beginning. */
const SLACK = 64 + DISK_ALIGNMENT

/** The first address from `address` on into which a disk can read byte `offset` of a weight directly (DISK_ALIGNMENT). */
function aligned(address: number, fill: Fill, part: WeightPart, offset: number): number {
  const at = fill.at?.(part, offset)
  if (at === undefined || at % 8 !== 0) return address
  return address + ((at - address) & (DISK_ALIGNMENT - 1))
}

export async function loadWeight(context: LoadingContext, spec: WeightSpec, fill: Fill): Promise<{ tensor: WasmTensor; bytes: number }> {
  const { name, shape, dtype, use } = spec
  requirePublished(spec)
  if (use === 'vector') return loadVector(context, spec, fill)
  const width = shape.at(-1)!
  const matrices = use === 'experts' ? size(shape.slice(0, -2)) : 1 // other matrices of one weight lie one after the other
  const rows = size(shape) / width / matrices
  const format = formatOf(context, spec, rows, width)
  await context.kernelsOf(format)
  const each = matrixBytes(format, rows, width)
  context.memories.mustFit(each * matrices, name)
  // Experts get a place each: they may lie in different arenas.
  const places: Place[] = []
  const load = isBlocks(dtype) ? loadBlocks : format === FORMAT.mxfp4 ? loadMxfp4 : format === FORMAT.int8 ? loadInt8 : loadDense
  const bands = use === 'experts' ? [] : bandsOf(format, rows, width, context.memories.largestPlace - SLACK)
  try {
    const straight = load === loadDense && dtype !== 'f16' && dtype !== 'fp8'
    const allocate = (bytes: number, offset: number) => {
      const place = context.memories.allocate(bytes + SLACK, name)
      places.push(straight ? { ...place, address: aligned(place.address, fill, 'data', offset) } : place)
    }
    if (bands.length > 1) for (const band of bands) allocate(matrixBytes(format, band.rows, width), storedBytes(dtype, band.row * width))
    else for (let m = 0; m < matrices; m++) allocate(each, m * each)
    if (context.memories.reused) await context.pool.settled()
    if (bands.length > 1)
      await Promise.all(bands.map((band, n) => load(context, spec, places[n]!, 0, band.rows, width, fromRow(fill, dtype, band.row, width))))
    else await Promise.all(places.map((place, m) => load(context, spec, place, m, rows, width, fill)))
  } catch (error) {
    for (const place of places) context.memories.release(place)
    throw error
  }
  const first = places[0]!
  if (bands.length > 1) {
    const placed = bands.map((band, n) => ({ ...band, arena: places[n]!.arena, address: places[n]!.address }))
    return { tensor: { name, shape, dtype, arena: first.arena, address: first.address, format, bands: placed }, bytes: each }
  }
  const tensor = { name, shape, dtype, arena: first.arena, address: first.address, format }
  const bytes = each * matrices
  if (use !== 'experts') return { tensor, bytes }
  const table = Int32Array.from(places.flatMap(({ arena, address }) => [arena, address]))
  return { tensor: { ...tensor, parts: context.heap.keep(table).address }, bytes }
}

/** The rows of a matrix in ranges of at most `largest` bytes, of whole groups: one range, unless arenas are small or the matrix is very large. */
function bandsOf(format: Format, rows: number, width: number, largest: number): { row: number; rows: number }[] {
  const most = Math.max(1, Math.floor(largest / matrixBytes(format, GROUP_ROWS, width))) * GROUP_ROWS
  const count = Math.ceil(rows / most)
  return Array.from({ length: count }, (_, n) => ({ row: n * most, rows: Math.min(most, rows - n * most) }))
}

/** `fill` for the rows of a matrix from `row` on. */
function fromRow(fill: Fill, dtype: DType, row: number, width: number): Fill {
  const values = row * width
  const skipped = { data: dtype === 'mxfp4' ? 0 : storedBytes(dtype, values), blocks: values / 2, scales: values / 32 }
  const rest: Fill = (part, offset, into) => fill(part, skipped[part] + offset, into)
  return Object.assign(rest, { at: fill.at && ((part: WeightPart, offset: number) => fill.at!(part, skipped[part] + offset)) })
}

/** A table that stays in its file: nothing of it is kept, `embed` gathers the rows it needs. */
export function tableOnDemand({ name, shape, dtype }: WeightSpec, readRow: ReadRow): WasmTensor {
  const converted = dtype === 'f16' || dtype === 'fp8' || isBlocks(dtype) // to f32
  const gather: ReadRow = (row, into) => {
    if (!converted) return readRow(row, into)
    const raw = new Uint8Array(storedBytes(dtype, shape.at(-1)!))
    readRow(row, raw)
    const values = isBlocks(dtype) ? decodeBlocks(dtype, raw) : toF32(raw, dtype)
    into.set(new Uint8Array(values.buffer))
  }
  return { name, shape, dtype, arena: 0, address: 0, format: dtype === 'bf16' ? FORMAT.bf16 : FORMAT.f32, readRow: gather }
}

function formatOf(context: LoadingContext, { dtype, use, exact }: WeightSpec, rows: number, width: number): Format {
  if (dtype === 'mxfp4') return FORMAT.mxfp4
  if (isBlocks(dtype)) return formatOfBlocks(dtype)
  const rounded = !exact && (use === 'experts' || (use === 'matrix' && rows >= LEAST_ROUNDED_ROWS))
  if (context.precision === 'fast' && rounded && width % 32 === 0) return FORMAT.int8
  if (dtype === 'fp8') return use === 'table' ? FORMAT.f32 : FORMAT.fp8
  return dtype === 'bf16' ? FORMAT.bf16 : FORMAT.f32
}

async function loadVector(context: LoadingContext, { name, shape, dtype }: WeightSpec, fill: Fill) {
  const raw = new Uint8Array(storedBytes(dtype, size(shape)))
  await fill('data', 0, raw)
  const { address } = context.heap.keep(toF32(raw, dtype))
  return { tensor: { name, shape, dtype, arena: 0, address, format: FORMAT.f32 }, bytes: 0 }
}

/** Brings matrix `m` of a weight, `rows` by `width`, to its place. */
type LoadMatrix = (
  context: LoadingContext,
  spec: WeightSpec,
  place: Place,
  m: number,
  rows: number,
  width: number,
  fill: Fill,
) => Promise<void>

/** f32, bf16 and fp8 go straight to their place; f16, and fp8 in tables, become f32 on the way, in pieces. */
const loadDense: LoadMatrix = async (context, spec, place, m, rows, width, fill) => {
  const bytes = storedBytes(spec.dtype, rows * width)
  if (spec.dtype !== 'f16' && (spec.dtype !== 'fp8' || spec.use !== 'table'))
    return fill('data', m * bytes, context.memories.bytes(place, bytes))
  const target = context.memories.bytes(place, rows * width * 4)
  const rowBytes = storedBytes(spec.dtype, width)
  const piece = Math.max(1, Math.floor(BAND_BYTES / rowBytes)) * rowBytes
  for (let at = 0; at < bytes; at += piece) {
    const raw = new Uint8Array(Math.min(piece, bytes - at))
    await fill('data', m * bytes + at, raw)
    target.set(new Uint8Array(toF32(raw, spec.dtype).buffer), (at / rowBytes) * width * 4)
  }
}

/** Bands of published rows stay in the staging area until a worker has rounded them. */
const loadInt8: LoadMatrix = async (context, spec, place, m, rows, width, fill) => {
  const rowBytes = storedBytes(spec.dtype, width)
  const band = Math.max(1, Math.floor(BAND_BYTES / rowBytes / GROUP_ROWS)) * GROUP_ROWS
  const convert = async (row: number) => {
    const count = Math.min(band, rows - row)
    const widened = spec.dtype === 'f16' || spec.dtype === 'fp8'
    const block = await context.block(count * (widened ? width * 4 : rowBytes) + DISK_ALIGNMENT)
    const offset = (m * rows + row) * rowBytes
    const from = widened ? block.address : aligned(block.address, fill, 'data', offset)
    const raw = widened ? new Uint8Array(count * rowBytes) : context.bytes(from, count * rowBytes)
    try {
      await fill('data', offset, raw)
      if (widened) context.bytes(from, count * width * 4).set(new Uint8Array(toF32(raw, spec.dtype).buffer))
      const to = place.address + matrixBytes(FORMAT.int8, row, width)
      const bf16 = spec.dtype === 'bf16' ? 1 : 0
      context.pool.enqueue(packInt8Kernel, { arena: place.arena, to, from, rows: count, columns: width, bf16 })
    } finally {
      context.retire(block)
    }
  }
  await Promise.all(Array.from({ length: Math.ceil(rows / band) }, (_, i) => convert(i * band)))
}

/** Published blocks and scales of a matrix stay in the staging area until the workers have sorted them into groups. */
const loadMxfp4: LoadMatrix = async (context, spec, place, m, rows, width, fill) => {
  const count = rows * (width / 32)
  const block = await context.block(count * 17 + 2 * DISK_ALIGNMENT)
  try {
    const blocks = aligned(block.address, fill, 'blocks', m * count * 16)
    const scales = aligned(blocks + count * 16, fill, 'scales', m * count)
    const bytes = context.bytes(scales, count)
    await Promise.all([fill('blocks', m * count * 16, context.bytes(blocks, count * 16)), fill('scales', m * count, bytes)])
    requireScales(spec.name, bytes, m * count)
    const { arena, address } = place
    context.pool.enqueue(repackKernel, { arena, to: address, from: blocks, scales, format: FORMAT.mxfp4, rows, columns: width })
  } finally {
    context.retire(block)
  }
}

/** Bands of rows in blocks stay in the staging area until the workers have sorted them into groups. */
const loadBlocks: LoadMatrix = async (context, { name, dtype }, place, m, rows, width, fill) => {
  const format = formatOfBlocks(dtype as BlockDType)
  const rowBytes = storedBytes(dtype, width)
  const band = Math.max(1, Math.floor(BAND_BYTES / rowBytes / GROUP_ROWS)) * GROUP_ROWS
  const convert = async (row: number) => {
    const count = Math.min(band, rows - row)
    const block = await context.block(count * rowBytes + DISK_ALIGNMENT)
    const offset = (m * rows + row) * rowBytes
    const from = aligned(block.address, fill, 'data', offset)
    const bytes = context.bytes(from, count * rowBytes)
    try {
      await fill('data', offset, bytes)
      requireFiniteScales(name, dtype as BlockDType, bytes, offset)
      const to = place.address + matrixBytes(format, row, width)
      context.pool.enqueue(repackKernel, { arena: place.arena, to, from, scales: 0, format, rows: count, columns: width })
    } finally {
      context.retire(block)
    }
  }
  await Promise.all(Array.from({ length: Math.ceil(rows / band) }, (_, i) => convert(i * band)))
}

/** Published bytes as f32. Exact. */
function toF32(raw: Uint8Array<ArrayBuffer>, dtype: DType): Float32Array<ArrayBuffer> {
  if (dtype === 'f32') return new Float32Array(raw.buffer, raw.byteOffset, raw.byteLength / 4)
  if (dtype === 'fp8') return decodeFp8(raw)
  const halves = new Uint16Array(raw.buffer, raw.byteOffset, raw.byteLength / 2)
  return Float32Array.from(halves, dtype === 'bf16' ? fromBf16 : fromF16)
}
