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
 * Many rows of x (prefill): some blocks of a group are decoded to one byte per value, 17 KiB, and used for every row of x:
 *
 *   scratch, per block     word j of rows 0…3, 4…7, 8…11, 12…15 (codes + 12)   j = 0…7     512 bytes
 *                          scales of the 16 rows as f32                                     64 bytes
 *
 *              x of two rows (int8), or the high and the low half of one (int16)
 *   16 rows    ▒ 4 vectors × 2 = 8 accumulators of 16-bit pairs; each broadcast of x serves 4 vectors, each vector of W two broadcasts
 *
 * After every block the integers become floats, are scaled and added to y, which holds the running sums.
 */
import { f32x4, i8x16, i16x8, i32, i32x4, type Local, type V128, v128 } from '../encoder.ts'
import { GROUP_BLOCK_BYTES } from '../formats.ts'
import type { KernelModule } from '../simd.ts'
import type { Product } from './product.ts'
import { ACTIVATION_BYTES } from './quantize.ts'

/** What mxfp4 weights are multiplied with. */
export type Digits = 'i8' | 'i16'
const DIGITS: readonly Digits[] = ['i8', 'i16']

/** Twice the value of a code, plus 12. */
const CODE_TABLE = [12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0]

/** Scale bytes of rows 4q…4q + 3 as four floats 2^(byte - 127). */
function scaleLanes(k: KernelModule, scales: V128, q: number): V128 {
  // Each byte moves to the top of its lane; one place to the right it is an f32 exponent. Index 128 gives zero on every engine.
  const lanes = [0, 1, 2, 3].flatMap((r) => [128, 128, 128, 4 * q + r])
  return i32x4.shrU(k.lookup(scales, i8x16.const(lanes)), 1)
}

/** One activation row times `groups` groups of 16 rows. */
function emitVector(k: KernelModule, activation: Digits): void {
  const { heap, weights } = k
  const bytes = ACTIVATION_BYTES[activation]
  const halves = activation === 'i8' ? 1 : 2
  k.module.func(
    `vector_mxfp4_${activation}`,
    { x: 'i32', w: 'i32', y: 'i32', bias: 'i32', biasStep: 'i32', blocks: 'i32', groups: 'i32' },
    (f, { x, w, y, bias, biasStep, blocks, groups }) => {
      const table = f.v128(i8x16.const(CODE_TABLE))
      const nibble = f.v128(i8x16.splat(15))
      const totals = [0, 1, 2, 3].map(() => f.v128())
      const sums = Array.from({ length: 2 * halves }, () => f.v128())
      f.times(groups, () => {
        for (const total of totals) f.set(total, f32x4.splat(0))
        const p = f.i32(x)
        f.times(blocks, () => {
          const scale = f.v128(heap.splat32(p, bytes === 40 ? 36 : 72))
          const scales = f.v128(weights.v128(w, 256))
          for (const pair of [0, 2]) {
            for (let h = 0; h < halves; h++)
              for (let q = 0; q < 2; q++) f.set(sums[2 * h + q]!, heap.splat32(p, halves === 1 ? 32 : 64 + 4 * h))
            for (let i = 0; i < 4; i++) {
              const even = Array.from({ length: halves }, (_, h) => f.v128(heap.splat32(p, 32 * h + 4 * i)))
              const odd = Array.from({ length: halves }, (_, h) => f.v128(heap.splat32(p, 32 * h + 16 + 4 * i)))
              for (let q = 0; q < 2; q++) {
                const codes = f.v128(weights.v128(w, i * 64 + (pair + q) * 16))
                const low = f.v128(k.lookup(table, v128.and(codes, nibble)))
                for (let h = 0; h < halves; h++) f.set(sums[2 * h + q]!, i16x8.add(sums[2 * h + q]!, k.dotPairs(even[h]!, low)))
                const high = f.v128(k.lookup(table, v128.and(i16x8.shrU(codes, 4), nibble)))
                for (let h = 0; h < halves; h++) f.set(sums[2 * h + q]!, i16x8.add(sums[2 * h + q]!, k.dotPairs(odd[h]!, high)))
              }
            }
            for (let q = 0; q < 2; q++) {
              const sum =
                halves === 1
                  ? i32x4.extaddPairwiseI16x8S(sums[q]!)
                  : i32x4.add(i32x4.dotI16x8S(sums[q]!, i16x8.splat(256)), i32x4.extaddPairwiseI16x8S(sums[2 + q]!))
              const total = totals[pair + q]!
              f.set(total, k.madd(f32x4.convertI32x4S(sum), f32x4.mul(scaleLanes(k, scales, pair + q), scale), total))
            }
          }
          f.advance(w, GROUP_BLOCK_BYTES)
          f.advance(p, bytes)
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
    const table = f.v128(i8x16.const(CODE_TABLE))
    const nibble = f.v128(i8x16.splat(15))
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

/** y of the listed rows += decoded weights × x, for `turns` entries (int16) or pairs of entries (int8) of the list. */
function emitTile(k: KernelModule, activation: Digits): void {
  const { heap } = k
  const pair = activation === 'i8'
  const bytes = ACTIVATION_BYTES[activation]
  k.module.func(
    `tile_mxfp4_${activation}`,
    { decoded: 'i32', blocks: 'i32', list: 'i32', turns: 'i32', xOffset: 'i32', yOffset: 'i32' },
    (f, { decoded, blocks, list, turns, xOffset, yOffset }) => {
      const sums = [0, 1].map(() => [0, 1, 2, 3].map(() => f.v128()))
      f.times(turns, () => {
        const pointer = (at: number, offset: Local<'i32'>) => f.i32(i32.add(heap.i32(list, at), offset))
        // Where the two broadcasts of a turn come from: two rows, or two halves of one.
        const x = pair ? [pointer(0, xOffset), pointer(8, xOffset)] : [pointer(0, xOffset)]
        const y = pair ? [pointer(4, yOffset), pointer(12, yOffset)] : [pointer(4, yOffset)]
        const source = [x[0]!, x[1] ?? x[0]!]
        const half = (n: number) => (pair ? 0 : n)
        const w = f.i32(decoded)
        f.times(blocks, () => {
          for (const n of [0, 1]) {
            const start = f.v128(heap.splat32(source[n]!, pair ? 32 : 64 + 4 * n))
            for (let q = 0; q < 4; q++) f.set(sums[n]![q]!, start)
          }
          for (let j = 0; j < 8; j++) {
            const values = [0, 1].map((n) => f.v128(heap.splat32(source[n]!, 32 * half(n) + 4 * j)))
            for (let q = 0; q < 4; q++) {
              const weight = f.v128(heap.v128(w, j * 64 + q * 16))
              for (const n of [0, 1]) f.set(sums[n]![q]!, i16x8.add(sums[n]![q]!, k.dotPairs(values[n]!, weight)))
            }
          }
          y.forEach((target, n) => {
            const scale = f.v128(heap.splat32(x[n]!, pair ? 36 : 72))
            for (let q = 0; q < 4; q++) {
              const sum = pair
                ? i32x4.extaddPairwiseI16x8S(sums[n]![q]!)
                : i32x4.add(i32x4.dotI16x8S(sums[0]![q]!, i16x8.splat(256)), i32x4.extaddPairwiseI16x8S(sums[1]![q]!))
              const factor = f32x4.mul(heap.v128(w, 512 + q * 16), scale)
              f.do(heap.storeV128(target, k.madd(f32x4.convertI32x4S(sum), factor, heap.v128(target, q * 16)), q * 16))
            }
          })
          for (const p of x) f.advance(p, bytes)
          f.advance(w, DECODED)
        })
        f.advance(list, pair ? 16 : 8)
      })
      return undefined
    },
  )
}

const product = (activation: Digits): Product => ({
  weightBytes: GROUP_BLOCK_BYTES,
  xBytes: ACTIVATION_BYTES[activation],
  vector: `vector_mxfp4_${activation}`,
  tile(kernels, c, weight, blocks, list, tokens, xOffset, yOffset) {
    kernels.decode_mxfp4!(weight, c.scratch, blocks)
    kernels[`tile_mxfp4_${activation}`]!(c.scratch, blocks, list, activation === 'i8' ? (tokens + 1) >> 1 : tokens, xOffset, yOffset)
  },
})

/** How blocks of mxfp4 are multiplied with activations of 8 or 16 bits. */
export const MXFP4_PRODUCT: Record<Digits, Product> = { i8: product('i8'), i16: product('i16') }

export function emitMxfp4(k: KernelModule): void {
  emitDecode(k)
  for (const activation of DIGITS) {
    emitVector(k, activation)
    emitTile(k, activation)
  }
}
