/**
 * Sixteen rows of weights in 16-bit integers times two rows of x in 16-bit integers: the tile that int8 weights and mxfp4 weights (faithful
 * precision) share in prefill, once their blocks are unpacked in scratch.
 *
 *   scratch, per block     columns 2j, 2j + 1 (in the order of x) of rows 0…3, 4…7, 8…11, 12…15     j = 0…15     1024 bytes
 *                          scales of the 16 rows as f32                                                           64 bytes
 *
 *              x: two rows
 *   16 rows    ▒ 4 vectors × 2 = 8 accumulators of 32-bit sums; lanes are rows; x is broadcast pair by pair
 *
 * After every block the sums become floats, are scaled and added to y.
 */
import { f32x4, i32, i32x4, type Local } from '../encoder.ts'
import type { KernelModule } from '../simd.ts'

/** Unpacked bytes of one block of a group. */
export const WIDE_BLOCK = 1088
/** Blocks unpacked together: 16 KiB. */
export const WIDE_CHUNK = 15

/** `x` says where the 32 integers of a block and their scale lie, and how far blocks are apart. */
export function emitWideTile(k: KernelModule, name: string, x: { bytes: number; integers: number; scale: number }): void {
  const { heap } = k
  k.module.func(
    name,
    { unpacked: 'i32', blocks: 'i32', list: 'i32', pairs: 'i32', xOffset: 'i32', yOffset: 'i32' },
    (f, { unpacked, blocks, list, pairs, xOffset, yOffset }) => {
      const sums = [0, 1].map(() => [0, 1, 2, 3].map(() => f.v128()))
      f.times(pairs, () => {
        const pointer = (at: number, offset: Local<'i32'>) => f.i32(i32.add(heap.i32(list, at), offset))
        const rows = [pointer(0, xOffset), pointer(8, xOffset)]
        const y = [pointer(4, yOffset), pointer(12, yOffset)]
        const w = f.i32(unpacked)
        f.times(blocks, () => {
          for (let four = 0; four < 4; four++) {
            const values = rows.map((at) => f.v128(heap.v128(at, x.integers + four * 16)))
            for (let lane = 0; lane < 4; lane++) {
              const pair = values.map((value) => f.v128(k.broadcast(value, lane)))
              const j = four * 4 + lane
              for (let q = 0; q < 4; q++) {
                const weight = f.v128(heap.v128(w, j * 64 + q * 16))
                for (const n of [0, 1]) {
                  const product = i32x4.dotI16x8S(weight, pair[n]!)
                  f.set(sums[n]![q]!, j === 0 ? product : i32x4.add(sums[n]![q]!, product))
                }
              }
            }
          }
          for (const n of [0, 1]) {
            const scale = f.v128(heap.splat32(rows[n]!, x.scale))
            for (let q = 0; q < 4; q++) {
              const factor = f32x4.mul(heap.v128(w, 1024 + q * 16), scale)
              f.do(heap.storeV128(y[n]!, k.madd(f32x4.convertI32x4S(sums[n]![q]!), factor, heap.v128(y[n]!, q * 16)), q * 16))
            }
          }
          for (const at of rows) f.advance(at, x.bytes)
          f.advance(w, WIDE_BLOCK)
        })
        f.advance(list, 16)
      })
      return undefined
    },
  )
}
