/**
 * Dense weights in fast precision: int8 with one bf16 scale per 32 columns (made while loading), times activations of 16 bits per block of 32.
 * Layout in formats.ts: 16 rows together, pairs of neighbouring columns, so that lanes are rows and a load widens to 16 bits for free.
 * A block's integers add up exactly: 32 · 127 · 32767 < 2^31.
 *
 *               pair j ──►
 *   16 rows     ▒▒▒▒▒▒▒▒  (2 bytes per row)         one row of x: 4 accumulators, one broadcast serves four loads
 *
 * Several rows of x (prefill) take the wide tile.
 */
import { f32, f32x4, i32, i32x4, type Local, type V128 } from '../encoder.ts'
import { GROUP_ROWS, INT8_BLOCK_BYTES } from '../formats.ts'
import type { KernelModule } from '../simd.ts'
import type { Product } from './product.ts'
import { ACTIVATION_BYTES } from './quantize.ts'
import { emitWideTile, WIDE_BLOCK, WIDE_CHUNK } from './wide-tile.ts'

const WIDE_BYTES = ACTIVATION_BYTES.wide

/** The four scales of rows 4q…4q + 3 of a block. */
const scalesOf = (k: KernelModule, w: Local<'i32'>, q: number): V128 => i32x4.shl(k.weights.load16x4U(w, 32 * GROUP_ROWS + q * 8), 16)

function emitVector(k: KernelModule): void {
  const { heap, weights } = k
  k.module.func(
    'vector_int8',
    { x: 'i32', w: 'i32', y: 'i32', bias: 'i32', biasStep: 'i32', blocks: 'i32', groups: 'i32' },
    (f, { x, w, y, bias, biasStep, blocks, groups }) => {
      const totals = [0, 1, 2, 3].map(() => f.v128())
      const sums = [0, 1, 2, 3].map(() => f.v128())
      f.times(groups, () => {
        for (const total of totals) f.set(total, f32x4.splat(0))
        const p = f.i32(x)
        f.times(blocks, () => {
          for (let j = 0; j < 16; j++) {
            const pair = f.v128(k.broadcast(heap.v128(p, (j & ~3) * 4), j & 3))
            for (let q = 0; q < 4; q++) {
              const product = i32x4.dotI16x8S(weights.load8x8S(w, j * 32 + q * 8), pair)
              f.set(sums[q]!, j === 0 ? product : i32x4.add(sums[q]!, product))
            }
          }
          const scale = f.v128(heap.splat32(p, 64))
          for (let q = 0; q < 4; q++)
            f.set(totals[q]!, k.madd(f32x4.convertI32x4S(sums[q]!), f32x4.mul(scalesOf(k, w, q), scale), totals[q]!))
          f.advance(w, INT8_BLOCK_BYTES)
          f.advance(p, WIDE_BYTES)
        })
        totals.forEach((total, q) => {
          f.do(heap.storeV128(y, f32x4.add(total, heap.v128(bias, q * 16)), q * 16))
        })
        f.advance(y, 64)
        f.advance(bias, biasStep)
      })
      return undefined
    },
  )
}

/** Blocks into 16-bit integers for the wide tile. */
function emitUnpack(k: KernelModule): void {
  const { heap, weights } = k
  k.module.func('unpack_int8', { w: 'i32', to: 'i32', blocks: 'i32' }, (f, { w, to, blocks }) => {
    f.times(blocks, () => {
      for (let i = 0; i < 64; i++) f.do(heap.storeV128(to, weights.load8x8S(w, i * 8), i * 16))
      for (let q = 0; q < 4; q++) f.do(heap.storeV128(to, scalesOf(k, w, q), 1024 + q * 16))
      f.advance(w, INT8_BLOCK_BYTES)
      f.advance(to, WIDE_BLOCK)
    })
    return undefined
  })
}

/** How blocks of int8 are multiplied. */
export const INT8_PRODUCT: Product = {
  weightBytes: INT8_BLOCK_BYTES,
  xBytes: WIDE_BYTES,
  chunk: WIDE_CHUNK,
  vector: 'vector_int8',
  tile(kernels, c, weight, blocks, list, pairs, xOffset, yOffset) {
    kernels.unpack_int8!(weight, c.scratch, blocks)
    kernels.tile_int8!(c.scratch, blocks, list, pairs, xOffset, yOffset)
  },
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
    return undefined
  })
}

export function emitInt8(k: KernelModule): void {
  emitVector(k)
  emitUnpack(k)
  emitWideTile(k, 'tile_int8', { bytes: WIDE_BYTES, integers: 0, scale: 64 })
  emitRow(k)
}
