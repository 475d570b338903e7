/**
 * Reads units of a grouped format (layout in formats.ts) inside a kernel: the codes of a run of columns as bytes, its scales and offsets as
 * f32 of 16 rows. What differs between formats is in their description; the kernels of product.ts are the same for all.
 */
import { type FunctionBuilder, f32x4, i16x8, i32x4, type Local, type V128, v128 } from '../encoder.ts'
import type { GroupFormat, Plane } from '../formats.ts'
import type { KernelModule } from '../simd.ts'
import type { Activation } from './quantize.ts'

/**
 * How codes become the integers that are multiplied: by a table, or as they are. The number of a code is its integer less `zero`.
 * With activations of 8 bits a sum begins with -centre·Σx, so that it fits into 16 bits.
 */
export interface Integers {
  readonly table: readonly number[] | undefined
  readonly zero: number
  readonly centre: number
}

/**
 * The integers of a format for a kind of activations. The 8-bit dot product needs them in 0…127: tables are shifted, and formats of 8 bits
 * have none (undefined). Half of the products of a run add up in 16 bits, which must hold them at the end, not in between.
 */
export function integersOf({ bits, table, zero, span }: GroupFormat, activation: Activation): Integers | undefined {
  if (activation === 'i16') return table ? { table, zero: 0, centre: 0 } : { table, zero, centre: 0 }
  const least = table ? Math.min(...table) : 0
  const most = table ? Math.max(...table) - least : (1 << bits) - 1
  if (most > 127) return undefined
  const shift = table ? -least : zero
  const fits = (centre: number) => Math.max(centre, most - centre) * 127 * (span / 2) <= 32767
  const centre = [shift, (most + 1) >> 1].find(fits)
  return centre === undefined ? undefined : { table: table?.map((value) => value - least), zero: shift, centre }
}

/**
 * Calls `each` with the integers of run `run` of the block at `w`: lanes of columns c·j … c·j + c - 1, where c is the columns of a lane,
 * of rows 0…16/c - 1 (`part` 0), 16/c … (`part` 1) and so on.
 */
export function eachLane(
  k: KernelModule,
  f: FunctionBuilder,
  { planes, span }: GroupFormat,
  { table }: Integers,
  columns: 2 | 4,
  w: Local<'i32'>,
  run: number,
  each: (j: number, part: number, integers: Local<'v128'>) => void,
): void {
  const entries = table && f.v128(k.bytes(table))
  const masks = planes.map(({ bits, to }) => f.v128(k.splatInteger((((1 << bits) - 1) << to) * 0x01010101)))
  const held = planes.map((): Local<'v128'>[] => [])
  for (let j = (run * span) / columns; j < ((run + 1) * span) / columns; j++)
    for (let part = 0; part < columns; part++) {
      const fields = planes.map((plane, p) => {
        const perByte = 8 / plane.bits
        const first = j === (run * span) / columns
        if (first || j % perByte === 0)
          held[p]![part] = f.v128(k.weights.v128(w, plane.at + (Math.floor(j / perByte) * columns + part) * 16))
        return fieldOf(held[p]![part]!, plane, (j % perByte) * plane.bits, masks[p]!)
      })
      const code = fields.reduce((a, b) => v128.or(a, b))
      each(j, part, f.v128(entries ? k.lookup(entries, code) : code))
    }
}

/** The bits of a plane from bit `from` of every byte on, moved to where a code has them. */
function fieldOf(bytes: V128, { bits, to }: Plane, from: number, mask: V128): V128 {
  if (bits === 8) return bytes
  const moved = from > to ? i16x8.shrU(bytes, from - to) : from < to ? i16x8.shl(bytes, to - from) : bytes
  return v128.and(moved, mask)
}

/** Scales of 16 rows, as four vectors of f32. */
function scalesAt(k: KernelModule, f: FunctionBuilder, format: GroupFormat['scale'], w: Local<'i32'>, at: number): V128[] {
  const { weights } = k
  // The engine joins operations only where both take the same constant from one local.
  const [mask, power] = format === 'f16' ? [f.v128(k.splatInteger(0x8fffe000)), f.v128(k.splat(2 ** 112))] : []
  return [0, 8].flatMap((row) => {
    if (format === 'e8m0') {
      // The byte moves to where an f32 has its exponent.
      const eight = f.v128(weights.load8x8U(w, at + row))
      return [i32x4.shl(i32x4.extendLowI16x8U(eight), 23), i32x4.shl(i32x4.extendHighI16x8U(eight), 23)]
    }
    const eight = f.v128(weights.v128(w, at + row * 2))
    if (format === 'bf16') return [i32x4.shl(i32x4.extendLowI16x8U(eight), 16), i32x4.shl(i32x4.extendHighI16x8U(eight), 16)]
    // f16: exponent and fraction move to where an f32 has them, which makes the number too small by 2^112, also where it is subnormal.
    const wide = [i32x4.extendLowI16x8S(eight), i32x4.extendHighI16x8S(eight)]
    return wide.map((half) => f32x4.mul(v128.and(i32x4.shl(half, 13), mask!), power!))
  })
}

/** Factors of 16 rows as f32: signed bytes, or one of two nibbles. */
function factorsAt(k: KernelModule, f: FunctionBuilder, w: Local<'i32'>, at: number, nibble: 'low' | 'high' | undefined): V128[] {
  return [0, 8].flatMap((row) => {
    const eight = f.v128(nibble ? k.weights.load8x8U(w, at + row) : k.weights.load8x8S(w, at + row))
    if (nibble) f.set(eight, nibble === 'low' ? v128.and(eight, k.splatInteger(0x000f000f)) : i16x8.shrU(eight, 4))
    return [i32x4.extendLowI16x8S(eight), i32x4.extendHighI16x8S(eight)].map((four) => f32x4.convertI32x4S(four))
  })
}

/** Scales of 16 rows for a run of the block at `w`, and what is added to all numbers of the run, before its sign. */
export interface Scales {
  readonly scales: readonly V128[]
  readonly offsets: readonly V128[] | undefined
}

/**
 * Walks one unit at `w`: calls `block` for each of its blocks, with a function that gives the scales of a run. `w` is at the block then,
 * and behind the unit afterwards.
 */
export function eachBlock(
  k: KernelModule,
  f: FunctionBuilder,
  format: GroupFormat,
  w: Local<'i32'>,
  block: (scalesOf: (run: number) => Scales) => void,
): void {
  const { columns, scale, offset, ofScale, factors, headerBytes, blockBytes, scaleAt, offsetAt } = format
  const shared = (at: number) => scalesAt(k, f, scale, w, at)
  if (!factors) {
    block(() => {
      if (!ofScale) return { scales: shared(scaleAt), offsets: offset && shared(offsetAt) }
      const scales = shared(scaleAt).map((vector) => f.v128(vector))
      return { scales, offsets: factorsAt(k, f, w, offsetAt, undefined).map((multiple, q) => f32x4.mul(multiple, scales[q]!)) }
    })
    f.advance(w, blockBytes)
    return
  }
  const [d, o] = [shared(scaleAt), offset ? shared(offsetAt) : undefined].map((vectors) => vectors?.map((vector) => f.v128(vector)))
  f.advance(w, headerBytes)
  f.times(columns / 32, () => {
    block((run) => {
      const [low, high] = factors === 'nibbles' ? (['low', 'high'] as const) : [undefined, undefined]
      const times = (at: number, nibble: 'low' | 'high' | undefined, by: readonly V128[]) =>
        factorsAt(k, f, w, at + run * 16, nibble).map((factor, q) => f32x4.mul(factor, by[q]!))
      const multiplesAt = factors === 'nibbles' ? format.factorsAt : format.multiplesAt
      return { scales: times(format.factorsAt, low, d!), offsets: o && times(multiplesAt, high, o) }
    })
    f.advance(w, blockBytes)
  })
}
