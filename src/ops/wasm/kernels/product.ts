/**
 * What the grouped formats (mxfp4, int8) have in common: weights in groups of 16 rows times integers (quantize.ts), lanes are rows, sums of a
 * block exact in integers, then scaled and added to the f32 sums of the rows, block after block. All kernels add in the same order, so that
 * a row of x has the same result alone and among others.
 *
 * Few rows of x: one or two at a time, weights as they are packed.       Many: blocks unpacked in scratch, two rows at a time.
 *
 *   16 rows   ▒ ▒ 2 × 4 sums of a block and 2 × 4 totals                  16 rows   ▒ ▒ 2 × 4 sums of a block and 2 × 4 totals
 *
 * The scratch of 16-bit tiles, per block: columns 2j, 2j + 1 of rows 0…3, 4…7, 8…11, 12…15 (j = 0…15, 1024 bytes), then the 16 scales as f32.
 *
 * Neighbouring vectors go through the same operations and are stored together, so that the engine can join them (features.ts, `wide`).
 */
import { type FunctionBuilder, f32x4, i32, i32x4, type Local, type V128 } from '../encoder.ts'
import type { KernelModule } from '../simd.ts'
import { ACTIVATION_BYTES } from './quantize.ts'

/** What grouped.ts knows of a format: sizes, and its kernels. */
export interface Product {
  /** Bytes of one block of a group, and of one block of a row of x. */
  readonly weightBytes: number
  readonly xBytes: number
  /** Bytes of one unpacked block. */
  readonly unpacked: number
  /** Name of the kernels for one and for two rows of x, less _1 and _2. */
  readonly rows: string
  /** Up to so many rows of x they are faster than unpacking. */
  readonly few: number
  /** Name of the kernel that unpacks some blocks of a group, and of the one that adds their products to pairs of rows of the list. */
  readonly unpack: string
  readonly tile: string
}

/** Unpacked bytes of one block for 16-bit tiles. */
export const UNPACKED = 1088

const four = <T>(make: (q: number) => T): T[] => [0, 1, 2, 3].map(make)

/**
 * Kernels for one and for two rows of x, `name`_1 and `name`_2: groups of blocks as one stream. `multiply` adds the products of one block at `w` to
 * the sums of every row; `scales` gives the scales of the 16 weight rows, `scale` that of a row of x.
 */
export function emitRows(
  k: KernelModule,
  name: string,
  bytes: { weights: number; x: number },
  multiply: (f: FunctionBuilder, sums: readonly Local<'v128'>[][], w: Local<'i32'>, x: readonly Local<'i32'>[]) => void,
  scales: (f: FunctionBuilder, w: Local<'i32'>) => readonly V128[],
  scale: (x: Local<'i32'>) => V128,
): void {
  const { heap } = k
  const emit = (suffix: string, rows: readonly number[]) =>
    k.module.func(
      `${name}_${suffix}`,
      { ...RUN, ...Object.fromEntries(rows.flatMap((n) => [`x${n}`, `y${n}`].map((pointer) => [pointer, 'i32' as const]))) },
      (f, run) => {
        const pointers = (kind: string) => rows.map((n) => (run as Record<string, Local<'i32'>>)[`${kind}${n}`]!)
        const [x, y] = [pointers('x'), pointers('y')]
        const totals = rows.map(() => four(() => f.v128()))
        const sums = rows.map(() => four(() => f.v128()))
        f.times(run.groups, () => {
          totals.forEach((ofRow) => {
            ofRow.forEach((total, q) => {
              f.set(total, heap.v128(run.bias, q * 16))
            })
          })
          const p = x.map((row) => f.i32(row))
          f.times(run.blocks, () => {
            multiply(f, sums, run.w, p)
            const ofWeights = scales(f, run.w).map((vector) => f.v128(vector))
            totals.forEach((ofRow, n) => {
              const factor = f.v128(scale(p[n]!))
              ofRow.forEach((total, q) => {
                f.set(total, k.madd(f32x4.convertI32x4S(sums[n]![q]!), f32x4.mul(ofWeights[q]!, factor), total))
              })
              f.advance(p[n]!, bytes.x)
            })
            f.advance(run.w, bytes.weights)
          })
          f.advance(run.bias, run.biasStep)
          totals.forEach((ofRow, n) => {
            k.storeRun(f, y[n]!, ofRow)
            f.advance(y[n]!, 64)
          })
        })
      },
    )
  emit('1', [0])
  emit('2', [0, 1])
}

const RUN = { w: 'i32', blocks: 'i32', groups: 'i32', bias: 'i32', biasStep: 'i32' } as const

/** Two rows of x at a time. `finish` widens sums to 32 bits where they have 16. */
export function emitTile(
  k: KernelModule,
  name: string,
  at: { weights: number; x: number; scales: number; scale: number },
  multiply: (f: FunctionBuilder, sums: readonly Local<'v128'>[][], w: Local<'i32'>, x: readonly Local<'i32'>[]) => void,
  finish: (sum: V128) => V128 = (sum) => sum,
): void {
  const { heap } = k
  k.module.func(
    name,
    { unpacked: 'i32', blocks: 'i32', list: 'i32', pairs: 'i32', xOffset: 'i32', yOffset: 'i32' },
    (f, { unpacked, blocks, list, pairs, xOffset, yOffset }) => {
      const sums = [0, 1].map(() => four(() => f.v128()))
      const totals = [0, 1].map(() => four(() => f.v128()))
      f.times(pairs, () => {
        const pointer = (entry: number, offset: Local<'i32'>) => f.i32(i32.add(heap.i32(list, entry), offset))
        const x = [pointer(0, xOffset), pointer(8, xOffset)]
        const y = [pointer(4, yOffset), pointer(12, yOffset)]
        const w = f.i32(unpacked)
        totals.forEach((ofRow, n) => {
          ofRow.forEach((total, q) => {
            f.set(total, heap.v128(y[n]!, q * 16))
          })
        })
        f.times(blocks, () => {
          multiply(f, sums, w, x)
          sums.forEach((ofRow, n) => {
            const scale = f.v128(heap.splat32(x[n]!, at.scale))
            ofRow.forEach((sum, q) => {
              const factor = f32x4.mul(heap.v128(w, at.scales + q * 16), scale)
              const total = totals[n]![q]!
              f.set(total, k.madd(f32x4.convertI32x4S(finish(sum)), factor, total))
            })
          })
          for (const row of x) f.advance(row, at.x)
          f.advance(w, at.weights)
        })
        totals.forEach((ofRow, n) => {
          k.storeRun(f, y[n]!, ofRow)
        })
        f.advance(list, 16)
      })
    },
  )
}

/** The tile over 16-bit integers on both sides. */
export function emitTile16(k: KernelModule): void {
  emitTile(k, 'tile_i16', { weights: UNPACKED, x: ACTIVATION_BYTES.i16, scales: 1024, scale: 64 }, (f, sums, w, x) => {
    for (let j = 0; j < 16; j++) {
      const pair = x.map((row) => f.v128(k.broadcast(k.heap.v128(row, (j & ~3) * 4), j & 3)))
      for (let q = 0; q < 4; q++) {
        const weight = f.v128(k.heap.v128(w, j * 64 + q * 16))
        sums.forEach((ofRow, n) => {
          k.accumulate(f, ofRow[q]!, i32x4.dotI16x8S(weight, pair[n]!), j === 0)
        })
      }
    }
  })
}
