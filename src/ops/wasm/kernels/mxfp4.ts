/**
 * MXFP4 weights: from the published order into groups of 16 rows, activations into integers, and the product of one activation row with a matrix.
 * Layout in formats.ts; arithmetic: OCP Microscaling v1.0.
 *
 * A code stands for half of an integer -12…12. With 12 added it lies in 0…24, so that one table look-up decodes 16 codes and the int8
 * dot product of relaxed SIMD is exact. Σ (w + 12)·x - 12·Σ x = Σ w·x: the correction is where the sum starts.
 * Products of pairs add up in 16-bit lanes, two per row, which may wrap on the way; 16 terms of at most 12·128 never do at the end.
 *
 *   activations of a block   int8:   16 even, 16 odd elements | correction 2 × i16 | scale/2 f32                      40 bytes
 *                            int16:  the high halves, the low halves (x = 256·high + low) | 2 corrections | scale/2   80 bytes
 *
 *   group of 16 rows, one block:  word i of rows 0…3, 4…7, 8…11, 12…15 are four vectors; two of them run together,
 *   so that a broadcast of four activations serves two vectors:     lanes are rows, no sums across lanes
 */
import { type FunctionBuilder, f32, f32x4, i8x16, i16x8, i32, i32x4, type Local, type V128, v128 } from '../encoder.ts'
import { GROUP_BLOCK_BYTES, GROUP_ROWS } from '../formats.ts'
import { type Context, type Kernel, share } from '../kernel.ts'
import { ZEROS } from '../layout.ts'
import type { KernelModule } from '../simd.ts'

/** Twice the value of a code, plus 12. */
export const CODE_TABLE = [12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0]
export type Activation = 'i8' | 'i16'
export const ACTIVATIONS = ['i8', 'i16'] as const
/** Bytes of one block of 32 quantised activations. */
export const ACTIVATION_BYTES: Record<Activation, number> = { i8: 40, i16: 80 }
const LARGEST: Record<Activation, number> = { i8: 127, i16: 32639 }

const EVEN = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27]
const ODD = EVEN.map((lane) => lane + 4)

/** Writes one block of activations; `values` are its 32 numbers in eight vectors. */
export function emitQuantize(k: KernelModule, f: FunctionBuilder, activation: Activation, values: readonly V128[], to: Local<'i32'>): void {
  const { heap } = k
  const largest = f.v128(f32x4.abs(values[0]!))
  for (const value of values.slice(1)) f.set(largest, f32x4.pmax(largest, f32x4.abs(value)))
  const most = f.f32(f32x4.extractLane(k.max(f, largest), 0))
  const inverse = f.v128(f32x4.splat(f32.select(f32.gt(most, 0), f32.div(LARGEST[activation], most), 0)))
  const rounded = (lanes: readonly number[]) =>
    [0, 1, 2, 3].map((i) => f.v128(k.truncate(f32x4.nearest(f32x4.mul(i8x16.shuffle(values[2 * i]!, values[2 * i + 1]!, lanes), inverse)))))
  const even = rounded(EVEN)
  const odd = rounded(ODD)
  const pack = (v: readonly V128[]) => f.v128(i8x16.narrowI16x8S(i16x8.narrowI32x4S(v[0]!, v[1]!), i16x8.narrowI32x4S(v[2]!, v[3]!)))
  /** Packs and stores one half of the digits and its correction. */
  const half = (e: readonly V128[], o: readonly V128[], at: number, correctionAt: number) => {
    const a = pack(e)
    const b = pack(o)
    f.do(heap.storeV128(to, a, at), heap.storeV128(to, b, at + 16))
    const sum = f.v128(i16x8.add(i16x8.extaddPairwiseI8x16S(a), i16x8.extaddPairwiseI8x16S(b)))
    f.set(sum, i16x8.add(sum, i8x16.shuffle(sum, sum, [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7])))
    f.set(sum, i16x8.add(sum, i8x16.shuffle(sum, sum, [4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11])))
    f.do(heap.storeLow32(to, i16x8.mul(sum, i16x8.splat(-12)), correctionAt))
  }
  const scale = f32.mul(most, 0.5 / LARGEST[activation])
  if (activation === 'i8') {
    half(even, odd, 0, 32)
    f.do(heap.storeF32(to, scale, 36))
    return
  }
  const low = (v: V128) => f.v128(i32x4.shrS(i32x4.shl(v, 24), 24))
  const [lowEven, lowOdd] = [even.map(low), odd.map(low)]
  const high = (v: V128, i: number, lows: readonly V128[]) => f.v128(i32x4.shrS(i32x4.sub(v, lows[i]!), 8))
  half(
    even.map((v, i) => high(v, i, lowEven)),
    odd.map((v, i) => high(v, i, lowOdd)),
    0,
    64,
  )
  half(lowEven, lowOdd, 32, 68)
  f.do(heap.storeF32(to, scale, 72))
}

/** [x, to, rows, columns, activation]: every row into blocks */
export const quantize: Kernel = {
  emit(k) {
    for (const activation of ACTIVATIONS)
      k.module.func(`quantize_${activation}`, { x: 'i32', to: 'i32', blocks: 'i32' }, (f, { x, to, blocks }) => {
        f.times(blocks, () => {
          const values = Array.from({ length: 8 }, (_, i) => f.v128(k.heap.v128(x, i * 16)))
          emitQuantize(k, f, activation, values, to)
          f.advance(x, 128)
          f.advance(to, ACTIVATION_BYTES[activation])
        })
        return undefined
      })
  },
  run(c, [x, to, rows, columns, activation]) {
    const kind = ACTIVATIONS[activation!]!
    const [from, end] = share(c, rows! * (columns! / 32))
    if (from < end) c.on(0)[`quantize_${kind}`]!(x! + from * 128, to! + from * ACTIVATION_BYTES[kind], end - from)
  },
}

/** Scale bytes of rows 4q…4q + 3 as four floats 2^(byte - 127). */
export function scaleLanes(k: KernelModule, scales: V128, q: number): V128 {
  // Each byte moves to the top of its lane; one place to the right it is an f32 exponent. Index 128 gives zero on every engine.
  const lanes = [0, 1, 2, 3].flatMap((r) => [128, 128, 128, 4 * q + r])
  return i32x4.shrU(k.lookup(scales, i8x16.const(lanes)), 1)
}

/** One activation row times `groups` groups of 16 rows. */
export function emitVector(k: KernelModule, activation: Activation): void {
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

/** Rows `from`…`to` (from a multiple of 16) of an mxfp4 matrix times one quantised row. */
export function vectorMxfp4(
  c: Context,
  activation: Activation,
  weight: { arena: number; address: number; columns: number },
  from: number,
  to: number,
  x: number,
  y: number,
  bias: number,
): void {
  const run = c.on(weight.arena)[`vector_mxfp4_${activation}`]!
  const blocks = weight.columns / 32
  const at = (row: number) => weight.address + (row / GROUP_ROWS) * blocks * GROUP_BLOCK_BYTES
  const whole = Math.floor((to - from) / GROUP_ROWS)
  const step = bias ? 4 * GROUP_ROWS : 0
  if (whole > 0) run(x, at(from), y + from * 4, bias ? bias + from * 4 : ZEROS, step, blocks, whole)
  const rest = from + whole * GROUP_ROWS
  if (rest === to) return
  // The last group is padded: its result goes through scratch, so that nothing behind y is touched.
  run(x, at(rest), c.scratch, bias ? bias + rest * 4 : ZEROS, step, blocks, 1)
  c.on(0).copyWithin!(y + rest * 4, c.scratch, (to - rest) * 4)
}

/** 4 × 4 words of four vectors, transposed. */
function transpose(f: FunctionBuilder, rows: readonly V128[]): V128[] {
  const low = [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23]
  const high = low.map((lane) => lane + 8)
  const first = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]
  const second = first.map((lane) => lane + 8)
  const [a, b, c, d] = rows as [V128, V128, V128, V128]
  const [ab, abHigh, cd, cdHigh] = [
    f.v128(i8x16.shuffle(a, b, low)),
    f.v128(i8x16.shuffle(a, b, high)),
    f.v128(i8x16.shuffle(c, d, low)),
    f.v128(i8x16.shuffle(c, d, high)),
  ]
  return [
    i8x16.shuffle(ab, cd, first),
    i8x16.shuffle(ab, cd, second),
    i8x16.shuffle(abHigh, cdHigh, first),
    i8x16.shuffle(abHigh, cdHigh, second),
  ]
}

/**
 * [arena, to, published blocks (same arena), published scales (heap), rows, columns, number of the matrix]: published order -> groups of 16 rows.
 * A matrix's blocks stand at the end of its own place: its scales fill the gap, group after group, and never overtake the reading.
 */
export const repackMxfp4: Kernel = {
  emit(k) {
    const { weights, heap } = k
    k.module.func(
      'repackMxfp4',
      { to: 'i32', from: 'i32', scales: 'i32', rows: 'i32', blocks: 'i32', scratch: 'i32' },
      (f, { to, from, scales, rows, blocks, scratch }) => {
        const rowBytes = f.i32(i32.shl(blocks, 4))
        f.while(
          () => i32.gtS(rows, 0),
          () => {
            const present = f.i32(rows)
            f.if(i32.gtS(present, GROUP_ROWS), () => f.set(present, GROUP_ROWS))
            f.do(heap.fill(scratch, 0, i32.mul(rowBytes, GROUP_ROWS)))
            f.do(heap.copy(scratch, from, i32.mul(rowBytes, present), weights))
            f.advance(from, i32.mul(rowBytes, GROUP_ROWS))
            const source = f.i32(scratch)
            const scale = f.i32(scales)
            f.times(blocks, () => {
              const row = f.i32(source)
              for (let q = 0; q < 4; q++) {
                const four: Local<'v128'>[] = []
                for (let r = 0; r < 4; r++) {
                  four.push(f.v128(heap.v128(row)))
                  f.advance(row, rowBytes)
                }
                transpose(f, four).forEach((word, i) => {
                  f.do(weights.storeV128(to, word, i * 64 + q * 16))
                })
              }
              f.do(weights.storeV128(to, v128.zero(), 256))
              const byte = f.i32(scale)
              const target = f.i32(to)
              f.times(present, () => {
                f.do(weights.storeU8(target, heap.u8(byte), 256))
                f.advance(byte, blocks)
                f.advance(target, 1)
              })
              f.advance(to, GROUP_BLOCK_BYTES)
              f.advance(source, 16)
              f.advance(scale, 1)
            })
            f.advance(scales, i32.mul(blocks, GROUP_ROWS))
            f.set(rows, i32.sub(rows, GROUP_ROWS))
          },
        )
        return undefined
      },
    )
  },
  run(c, [arena, to, from, scales, rows, columns, worker]) {
    // One matrix is one worker's: its groups depend on each other. Matrices go round.
    if (worker! % c.count !== c.index) return
    c.on(arena!).repackMxfp4!(to!, from!, scales!, rows!, columns! / 32, c.scratch)
  },
}
