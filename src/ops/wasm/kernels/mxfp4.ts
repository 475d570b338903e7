/**
 * MXFP4 weights times quantised activations. OCP Microscaling v1.0.
 *
 * A code stands for half of an integer -12…12, which one table look-up finds for 16 codes at once; sums of products of integers are exact.
 *
 * One row of x (decode): codes are looked up on the fly. Many rows (prefill): some blocks of a group are unpacked in scratch first. With
 * activations of 16 bits that is the tile of product.ts; with 8 bits it is one of bytes, twice as fast:
 *
 *   scratch, per block     word j of rows 0…3, 4…7, 8…11, 12…15 (codes + 12)   j = 0…7     512 bytes
 *                          scales of the 16 rows as f32                                     64 bytes
 *
 * The int8 dot product of relaxed SIMD needs one factor in 0…127: with 12 added a code is in 0…24. Σ (w + 12)·x - 12·Σ x = Σ w·x: the sum
 * starts with the correction. Products of pairs add up in 16-bit lanes, two per row. A lane may wrap in between, but not at the end: 16 terms
 * of at most 12·128 fit.
 */
import { type FunctionBuilder, f32x4, i16x8, i32x4, type Local, type V128, v128 } from '../encoder.ts'
import { GROUP_BLOCK_BYTES } from '../formats.ts'
import { interleave, type KernelModule } from '../simd.ts'
import { emitRows, emitTile, type Product, UNPACKED } from './product.ts'
import { ACTIVATION_BYTES, type Activation } from './quantize.ts'

/** Twice the value of a code. */
const VALUES = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]
/** The same plus 12. */
const SHIFTED = VALUES.map((value) => value + 12)

/** The scales 2^(byte - 127) of a block's 16 rows: the byte moves to where an f32 has its exponent. */
const scalesOf = (k: KernelModule, f: FunctionBuilder, w: Local<'i32'>): V128[] =>
  [256, 264].flatMap((at) => {
    const eight = f.v128(k.weights.load8x8U(w, at))
    return [i32x4.shl(i32x4.extendLowI16x8U(eight), 23), i32x4.shl(i32x4.extendHighI16x8U(eight), 23)]
  })

/** 16-bit activations: codes become pairs of 16 bits. Scales are halved, since the integers are doubled values. */
function emitRows16(k: KernelModule): void {
  emitRows(
    k,
    'rows_mxfp4_i16',
    { weights: GROUP_BLOCK_BYTES, x: ACTIVATION_BYTES.i16 },
    (f, sums, w, x) => {
      const pairs: Local<'v128'>[][] = []
      eachCodes(k, f, w, VALUES, (j, half, values) => {
        pairs[j] ??= x.map((row) => f.v128(k.broadcast(k.heap.v128(row, (j & ~3) * 4), j & 3)))
        const wide = [f.v128(i16x8.extendLowI8x16S(values)), f.v128(i16x8.extendHighI8x16S(values))]
        sums.forEach((ofRow, n) => {
          wide.forEach((weights, i) => {
            k.accumulate(f, ofRow[2 * half + i]!, i32x4.dotI16x8S(weights, pairs[j]![n]!), j === 0)
          })
        })
      })
    },
    (f, w) => scalesOf(k, f, w),
    (x) => f32x4.mul(k.heap.splat32(x, 64), k.splat(0.5)),
  )
}

/** 8-bit activations: the int8 dot product, even and odd pairs of columns apart so that their 16-bit sums hold. */
function emitRows8(k: KernelModule): void {
  emitRows(
    k,
    'rows_mxfp4_i8',
    { weights: GROUP_BLOCK_BYTES, x: ACTIVATION_BYTES.i8 },
    (f, sums, w, x) => {
      const partial = x.map((row) => [0, 1].map(() => [0, 1].map((odd) => f.v128(k.heap.splat16(row, 32 + 2 * odd)))))
      const pairs: Local<'v128'>[][] = []
      eachCodes(k, f, w, SHIFTED, (j, half, values) => {
        pairs[j] ??= x.map((row) => f.v128(k.heap.splat16(row, 2 * j)))
        partial.forEach((ofRow, n) => {
          const sum = ofRow[half]![j & 1]!
          f.set(sum, i16x8.add(sum, k.dotPairs(pairs[j]![n]!, values)))
        })
      })
      partial.forEach((ofRow, n) => {
        ofRow.forEach(([even, odd], half) => {
          f.set(sums[n]![2 * half]!, i32x4.add(i32x4.extendLowI16x8S(even!), i32x4.extendLowI16x8S(odd!)))
          f.set(sums[n]![2 * half + 1]!, i32x4.add(i32x4.extendHighI16x8S(even!), i32x4.extendHighI16x8S(odd!)))
        })
      })
    },
    (f, w) => scalesOf(k, f, w),
    (x) => k.heap.splat32(x, 36),
  )
}

/** Looks up the columns 2j, 2j + 1 of rows 0…7 and 8…15 (`half`) of the block at `w`, j = 0…15. */
function eachCodes(
  k: KernelModule,
  f: FunctionBuilder,
  w: Local<'i32'>,
  values: readonly number[],
  each: (j: number, half: number, values: Local<'v128'>) => void,
): void {
  const table = f.v128(k.bytes(values))
  const nibble = f.v128(k.splatInteger(0x0f0f0f0f))
  for (let j = 0; j < 16; j += 2)
    for (const half of [0, 1]) {
      const codes = f.v128(k.weights.v128(w, j * 16 + half * 16))
      each(j, half, f.v128(k.lookup(table, v128.and(codes, nibble))))
      each(j + 1, half, f.v128(k.lookup(table, v128.and(i16x8.shrU(codes, 4), nibble))))
    }
}

/** Blocks into bytes for the tile of 8-bit activations. */
const DECODED = 576

function emitDecode(k: KernelModule): void {
  k.module.func('decode_mxfp4', { w: 'i32', to: 'i32', blocks: 'i32' }, (f, { w, to, blocks }) => {
    f.times(blocks, () => {
      const low: Local<'v128'>[] = []
      eachCodes(k, f, w, SHIFTED, (j, half, values) => {
        if (j % 2 === 0) low[half] = values
        else {
          const at = (j >> 1) * 64 + half * 32
          k.storeRun(f, to, [interleave(low[half]!, values, 2, 'low'), interleave(low[half]!, values, 2, 'high')], at)
        }
      })
      k.storeRun(f, to, scalesOf(k, f, w), 512)
      f.advance(w, GROUP_BLOCK_BYTES)
      f.advance(to, DECODED)
    })
  })
}

/** Blocks into 16-bit integers for the other tile; scales halved, since the integers are doubled values. */
function emitUnpack(k: KernelModule): void {
  k.module.func('unpack_mxfp4', { w: 'i32', to: 'i32', blocks: 'i32' }, (f, { w, to, blocks }) => {
    f.times(blocks, () => {
      eachCodes(k, f, w, VALUES, (j, half, values) => {
        k.storeRun(f, to, [i16x8.extendLowI8x16S(values), i16x8.extendHighI8x16S(values)], j * 64 + half * 32)
      })
      const halved = scalesOf(k, f, w).map((scales) => f32x4.mul(scales, k.splat(0.5)))
      k.storeRun(f, to, halved, 1024)
      f.advance(w, GROUP_BLOCK_BYTES)
      f.advance(to, UNPACKED)
    })
  })
}

/** How blocks of mxfp4 are multiplied with activations of 8 or 16 bits. */
export const MXFP4_PRODUCT: Record<Activation, Product> = {
  i8: {
    weightBytes: GROUP_BLOCK_BYTES,
    xBytes: ACTIVATION_BYTES.i8,
    unpacked: DECODED,
    few: 4,
    rows: 'rows_mxfp4_i8',
    unpack: 'decode_mxfp4',
    tile: 'tile_mxfp4_i8',
  },
  i16: {
    weightBytes: GROUP_BLOCK_BYTES,
    xBytes: ACTIVATION_BYTES.i16,
    unpacked: UNPACKED,
    few: 4,
    rows: 'rows_mxfp4_i16',
    unpack: 'unpack_mxfp4',
    tile: 'tile_i16',
  },
}

export function emitMxfp4(k: KernelModule): void {
  emitRows8(k)
  emitRows16(k)
  emitDecode(k)
  emitUnpack(k)
  emitTile(
    k,
    'tile_mxfp4_i8',
    { weights: DECODED, x: ACTIVATION_BYTES.i8, scales: 512, scale: 36 },
    (f, sums, w, x) => {
      sums.forEach((ofRow, n) => {
        const start = f.v128(k.heap.splat32(x[n]!, 32))
        for (const sum of ofRow) f.set(sum, start)
      })
      for (let j = 0; j < 8; j++) {
        const word = x.map((row) => f.v128(k.broadcast(k.heap.v128(row, (j & ~3) * 4), j & 3)))
        for (let q = 0; q < 4; q++) {
          const weight = f.v128(k.heap.v128(w, j * 64 + q * 16))
          sums.forEach((ofRow, n) => {
            f.set(ofRow[q]!, i16x8.add(ofRow[q]!, k.dotPairs(word[n]!, weight)))
          })
        }
      }
    },
    i32x4.extaddPairwiseI16x8S,
  )
}
