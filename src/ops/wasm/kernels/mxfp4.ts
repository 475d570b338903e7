/**
 * MXFP4 weights times quantised activations. OCP Microscaling v1.0.
 *
 * A code stands for half of an integer -12…12. With 12 added it lies in 0…24, so that one table look-up decodes 16 codes and the int8
 * dot product of relaxed SIMD is exact. Σ (w + 12)·x - 12·Σ x = Σ w·x: the correction is where the sum starts.
 * Products of pairs add up in 16-bit lanes, two per row, which may wrap on the way; 16 terms of at most 12·128 never do at the end.
 *
 * One row of x (decode), codes decoded on the fly; two of the four vectors of a word run together, so that a broadcast serves two:
 *
 *   16 rows   ▒ word i of rows 0…3 | 4…7 | 8…11 | 12…15         lanes are rows: no sums across lanes
 *
 * Many rows of x (prefill): some blocks of a group are unpacked in scratch and used for every row of x. With activations of 16 bits that is
 * the wide tile (wide-tile.ts); with 8 bits one byte per value, 17 KiB:
 *
 *   scratch, per block     word j of rows 0…3, 4…7, 8…11, 12…15 (codes + 12)   j = 0…7     512 bytes
 *                          scales of the 16 rows as f32                                     64 bytes
 *
 *              x: two rows
 *   16 rows    ▒ 4 vectors × 2 = 8 accumulators of 16-bit pairs; each broadcast of x serves 4 vectors, each vector of W two broadcasts
 *
 * After every block the integers become floats, are scaled and added to y, which holds the running sums.
 */
import { f32x4, i16x8, i32, i32x4, type Local, type V128, v128 } from '../encoder.ts'
import { GROUP_BLOCK_BYTES } from '../formats.ts'
import type { KernelModule } from '../simd.ts'
import type { Product } from './product.ts'
import { ACTIVATION_BYTES } from './quantize.ts'
import { emitWideTile, WIDE_BLOCK, WIDE_CHUNK } from './wide-tile.ts'

/** What mxfp4 weights are multiplied with. */
export type Digits = 'i8' | 'i16'
const DIGITS: readonly Digits[] = ['i8', 'i16']

/** Twice the value of a code, plus 12. */
const CODE_TABLE = [12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0]

/** Scale bytes of rows 4q…4q + 3 as four floats 2^(byte - 127): byte q of every lane moves to where an f32 has its exponent. */
function scaleLanes(k: KernelModule, scales: V128, q: number): V128 {
  const moved = q === 3 ? i32x4.shrU(scales, 1) : i32x4.shl(scales, 23 - 8 * q)
  return v128.and(moved, k.splatInteger(0x7f800000))
}

/** One activation row times `groups` groups of 16 rows. */
function emitVector(k: KernelModule, activation: Digits): void {
  const { heap, weights } = k
  const halves = activation === 'i8' ? 1 : 2
  k.module.func(
    `vector_mxfp4_${activation}`,
    { x: 'i32', w: 'i32', y: 'i32', bias: 'i32', biasStep: 'i32', blocks: 'i32', groups: 'i32' },
    (f, { x, w, y, bias, biasStep, blocks, groups }) => {
      const table = f.v128(k.bytes(CODE_TABLE))
      const nibble = f.v128(k.splatInteger(0x0f0f0f0f))
      const totals = [0, 1, 2, 3].map(() => f.v128())
      const sums = Array.from({ length: 2 * halves }, () => f.v128())
      f.times(groups, () => {
        for (const total of totals) f.set(total, f32x4.splat(0))
        const p = f.i32(x)
        f.times(blocks, () => {
          for (const pair of [0, 2]) {
            for (let h = 0; h < halves; h++)
              for (let q = 0; q < 2; q++) f.set(sums[2 * h + q]!, heap.splat32(p, halves === 1 ? 32 : 64 + 4 * h))
            for (let i = 0; i < 4; i++) {
              const codes = [0, 1].map((q) => f.v128(weights.v128(w, i * 64 + (pair + q) * 16)))
              for (const odd of [0, 1]) {
                const four = Array.from({ length: halves }, (_, h) => f.v128(k.broadcast(heap.v128(p, 32 * h + 16 * odd), i)))
                for (let q = 0; q < 2; q++) {
                  const values = f.v128(k.lookup(table, v128.and(odd ? i16x8.shrU(codes[q]!, 4) : codes[q]!, nibble)))
                  for (let h = 0; h < halves; h++) f.set(sums[2 * h + q]!, i16x8.add(sums[2 * h + q]!, k.dotPairs(four[h]!, values)))
                }
              }
            }
            const scale = f.v128(heap.splat32(p, halves === 1 ? 36 : 72))
            const scales = f.v128(weights.v128(w, 256))
            for (let q = 0; q < 2; q++) {
              const sum = f.v128(i32x4.extaddPairwiseI16x8S(sums[q]!))
              if (halves === 2) f.set(sum, i32x4.add(i32x4.shl(sum, 8), i32x4.extaddPairwiseI16x8S(sums[2 + q]!)))
              const total = totals[pair + q]!
              f.set(total, k.madd(f32x4.convertI32x4S(sum), f32x4.mul(scaleLanes(k, scales, pair + q), scale), total))
            }
          }
          f.advance(w, GROUP_BLOCK_BYTES)
          f.advance(p, ACTIVATION_BYTES[activation])
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

/** Decoded bytes of one block of a group. */
const DECODED = 576

function emitDecode(k: KernelModule): void {
  const { heap, weights } = k
  k.module.func('decode_mxfp4', { w: 'i32', to: 'i32', blocks: 'i32' }, (f, { w, to, blocks }) => {
    const table = f.v128(k.bytes(CODE_TABLE))
    const nibble = f.v128(k.splatInteger(0x0f0f0f0f))
    f.times(blocks, () => {
      for (let i = 0; i < 4; i++)
        for (let q = 0; q < 4; q++) {
          const codes = f.v128(weights.v128(w, i * 64 + q * 16))
          f.do(heap.storeV128(to, k.lookup(table, v128.and(codes, nibble)), i * 64 + q * 16))
          f.do(heap.storeV128(to, k.lookup(table, v128.and(i16x8.shrU(codes, 4), nibble)), (4 + i) * 64 + q * 16))
        }
      const scales = f.v128(weights.v128(w, 256))
      for (let q = 0; q < 4; q++) f.do(heap.storeV128(to, scaleLanes(k, scales, q), 512 + q * 16))
      f.advance(w, GROUP_BLOCK_BYTES)
      f.advance(to, DECODED)
    })
    return undefined
  })
}

/** Blocks into 16-bit integers for the wide tile: even elements, then odd ones, in pairs; scales halved, since the integers are doubled values. */
function emitUnpack(k: KernelModule): void {
  const { heap, weights } = k
  k.module.func('unpack_mxfp4', { w: 'i32', to: 'i32', blocks: 'i32' }, (f, { w, to, blocks }) => {
    const table = f.v128(k.bytes(CODE_TABLE.map((value) => value - 12)))
    const nibble = f.v128(k.splatInteger(0x0f0f0f0f))
    // Bytes 2n, 2n + 1 of every lane into the upper halves of its two 16-bit halves; index 128 gives zero.
    const places = [0, 1].map((n) => f.v128(k.bytes([0, 1, 2, 3].flatMap((r) => [128, 4 * r + 2 * n, 128, 4 * r + 2 * n + 1]))))
    f.times(blocks, () => {
      for (let i = 0; i < 4; i++)
        for (let q = 0; q < 4; q++) {
          const codes = f.v128(weights.v128(w, i * 64 + q * 16))
          for (const odd of [0, 1]) {
            const values = f.v128(k.lookup(table, v128.and(odd ? i16x8.shrU(codes, 4) : codes, nibble)))
            for (const n of [0, 1])
              f.do(heap.storeV128(to, i16x8.shrS(k.lookup(values, places[n]!), 8), (odd * 8 + 2 * i + n) * 64 + q * 16))
          }
        }
      const scales = f.v128(weights.v128(w, 256))
      for (let q = 0; q < 4; q++) f.do(heap.storeV128(to, f32x4.mul(scaleLanes(k, scales, q), k.splat(0.5)), 1024 + q * 16))
      f.advance(w, GROUP_BLOCK_BYTES)
      f.advance(to, WIDE_BLOCK)
    })
    return undefined
  })
}

/** y of the listed pairs of rows += decoded weights × x, with activations of 8 bits. */
function emitTile(k: KernelModule): void {
  const { heap } = k
  k.module.func(
    'tile_mxfp4_i8',
    { decoded: 'i32', blocks: 'i32', list: 'i32', pairs: 'i32', xOffset: 'i32', yOffset: 'i32' },
    (f, { decoded, blocks, list, pairs, xOffset, yOffset }) => {
      const sums = [0, 1].map(() => [0, 1, 2, 3].map(() => f.v128()))
      f.times(pairs, () => {
        const pointer = (at: number, offset: Local<'i32'>) => f.i32(i32.add(heap.i32(list, at), offset))
        const x = [pointer(0, xOffset), pointer(8, xOffset)]
        const y = [pointer(4, yOffset), pointer(12, yOffset)]
        const w = f.i32(decoded)
        f.times(blocks, () => {
          for (const n of [0, 1]) {
            const start = f.v128(heap.splat32(x[n]!, 32))
            for (let q = 0; q < 4; q++) f.set(sums[n]![q]!, start)
          }
          for (const odd of [0, 1]) {
            const values = x.map((at) => f.v128(heap.v128(at, 16 * odd)))
            for (let i = 0; i < 4; i++) {
              const four = values.map((value) => f.v128(k.broadcast(value, i)))
              for (let q = 0; q < 4; q++) {
                const weight = f.v128(heap.v128(w, (4 * odd + i) * 64 + q * 16))
                for (const n of [0, 1]) f.set(sums[n]![q]!, i16x8.add(sums[n]![q]!, k.dotPairs(four[n]!, weight)))
              }
            }
          }
          for (const n of [0, 1]) {
            const scale = f.v128(heap.splat32(x[n]!, 36))
            for (let q = 0; q < 4; q++) {
              const factor = f32x4.mul(heap.v128(w, 512 + q * 16), scale)
              const sum = f32x4.convertI32x4S(i32x4.extaddPairwiseI16x8S(sums[n]![q]!))
              f.do(heap.storeV128(y[n]!, k.madd(sum, factor, heap.v128(y[n]!, q * 16)), q * 16))
            }
          }
          for (const at of x) f.advance(at, ACTIVATION_BYTES.i8)
          f.advance(w, DECODED)
        })
        f.advance(list, 16)
      })
      return undefined
    },
  )
}

/** How blocks of mxfp4 are multiplied with activations of 8 or 16 bits. */
export const MXFP4_PRODUCT: Record<Digits, Product> = {
  i8: {
    weightBytes: GROUP_BLOCK_BYTES,
    xBytes: ACTIVATION_BYTES.i8,
    chunk: 30,
    vector: 'vector_mxfp4_i8',
    tile(kernels, c, weight, blocks, list, pairs, xOffset, yOffset) {
      kernels.decode_mxfp4!(weight, c.scratch, blocks)
      kernels.tile_mxfp4_i8!(c.scratch, blocks, list, pairs, xOffset, yOffset)
    },
  },
  i16: {
    weightBytes: GROUP_BLOCK_BYTES,
    xBytes: ACTIVATION_BYTES.i16,
    chunk: WIDE_CHUNK,
    vector: 'vector_mxfp4_i16',
    tile(kernels, c, weight, blocks, list, pairs, xOffset, yOffset) {
      kernels.unpack_mxfp4!(weight, c.scratch, blocks)
      kernels.tile_mxfp4_i16!(c.scratch, blocks, list, pairs, xOffset, yOffset)
    },
  },
}

export function emitMxfp4(k: KernelModule): void {
  for (const activation of DIGITS) emitVector(k, activation)
  emitDecode(k)
  emitTile(k)
  emitUnpack(k)
  emitWideTile(k, 'tile_mxfp4_i16', { bytes: ACTIVATION_BYTES.i16, integers: 80, scale: 76 })
}
