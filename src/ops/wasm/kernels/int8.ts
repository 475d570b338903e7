/**
 * Dense weights in fast precision: int8 with one bf16 scale per 32 columns (made while loading), times activations of 16 bits per block of 32.
 * Layout in formats.ts: 16 rows together, pairs of neighbouring columns, so that lanes are rows and widening to 16 bits costs nothing.
 * A block's integers add up exactly: 32 · 127 · 32767 < 2^31.
 */
import { type FunctionBuilder, f32, i16x8, i32, i32x4, type Local, type V128 } from '../encoder.ts'
import { GROUP_ROWS, INT8_BLOCK_BYTES } from '../formats.ts'
import type { KernelModule } from '../simd.ts'
import { emitRows, type Product, UNPACKED } from './product.ts'
import { ACTIVATION_BYTES } from './quantize.ts'

/** The scales of a block's 16 rows. */
const scalesOf = (k: KernelModule, f: FunctionBuilder, w: Local<'i32'>): V128[] =>
  [0, 16].flatMap((at) => {
    const eight = f.v128(k.weights.v128(w, 32 * GROUP_ROWS + at))
    return [i32x4.shl(i32x4.extendLowI16x8U(eight), 16), i32x4.shl(i32x4.extendHighI16x8U(eight), 16)]
  })

/** Blocks into 16-bit integers for the tile. */
function emitUnpack(k: KernelModule): void {
  const { weights } = k
  k.module.func('unpack_int8', { w: 'i32', to: 'i32', blocks: 'i32' }, (f, { w, to, blocks }) => {
    f.times(blocks, () => {
      for (let i = 0; i < 32; i++) {
        const values = f.v128(weights.v128(w, i * 16))
        k.storeRun(f, to, [i16x8.extendLowI8x16S(values), i16x8.extendHighI8x16S(values)], i * 32)
      }
      k.storeRun(f, to, scalesOf(k, f, w), 1024)
      f.advance(w, INT8_BLOCK_BYTES)
      f.advance(to, UNPACKED)
    })
  })
}

/** How blocks of int8 are multiplied. */
export const INT8_PRODUCT: Product = {
  weightBytes: INT8_BLOCK_BYTES,
  xBytes: ACTIVATION_BYTES.i16,
  unpacked: UNPACKED,
  few: 16,
  rows: 'rows_int8',
  unpack: 'unpack_int8',
  tile: 'tile_i16',
}

/** y = one row of an int8 matrix, for `embed` of a table that is also the output matrix. */
function emitRow(k: KernelModule): void {
  const { heap, weights } = k
  k.module.func('embed_int8', { w: 'i32', y: 'i32', blocks: 'i32', scale: 'f32' }, (f, { w, y, blocks, scale }) => {
    const half = f.i32()
    const factor = f.f32()
    f.times(blocks, () => {
      f.set(factor, f32.mul(f32.reinterpretI32(i32.shl(weights.u16(w, 32 * GROUP_ROWS), 16)), scale))
      for (let j = 0; j < 16; j++) {
        f.set(half, weights.u16(w, j * 2 * GROUP_ROWS))
        const byte = (shift: number) => f32.mul(f32.convertI32(i32.shrS(i32.shl(half, shift), 24)), factor)
        f.do(heap.storeF32(y, byte(24), j * 8), heap.storeF32(y, byte(16), j * 8 + 4))
      }
      f.advance(w, INT8_BLOCK_BYTES)
      f.advance(y, 128)
    })
  })
}

export function emitInt8(k: KernelModule): void {
  emitRows(
    k,
    'rows_int8',
    { weights: INT8_BLOCK_BYTES, x: ACTIVATION_BYTES.i16 },
    (f, sums, w, x) => {
      for (let j = 0; j < 16; j++) {
        const pairs = x.map((row) => f.v128(k.broadcast(k.heap.v128(row, (j & ~3) * 4), j & 3)))
        for (const half of [0, 1]) {
          const values = f.v128(k.weights.v128(w, j * 32 + half * 16))
          const wide = [f.v128(i16x8.extendLowI8x16S(values)), f.v128(i16x8.extendHighI8x16S(values))]
          sums.forEach((ofRow, n) => {
            wide.forEach((weights, i) => {
              k.accumulate(f, ofRow[2 * half + i]!, i32x4.dotI16x8S(weights, pairs[n]!), j === 0)
            })
          })
        }
      }
    },
    (f, w) => scalesOf(k, f, w),
    (x) => k.heap.splat32(x, 64),
  )
  emitUnpack(k)
  emitRow(k)
}
