/**
 * Activations into integers, per block of 32 values with one scale. Three kinds, for the weights they meet:
 *
 *   i8    (mxfp4)   16 even, 16 odd elements as bytes | correction 2 × i16 | scale/2 f32                               40 bytes
 *   i16   (mxfp4)   the high bytes, the low bytes (x = 256·high + low), likewise | 2 corrections | scale/2 | scale
 *                   | 16 even, 16 odd elements as i16                                                                 144 bytes
 *   wide  (int8)    32 × i16 in order | scale f32                                                                      68 bytes
 *
 * Corrections: -12·Σx over the elements of each half of a 32-bit word (mxfp4.ts says why).
 */
import { type FunctionBuilder, f32, f32x4, i8x16, i16x8, i32x4, type Local, type V128 } from '../encoder.ts'
import { type Kernel, share } from '../kernel.ts'
import type { KernelModule } from '../simd.ts'

export const ACTIVATIONS = ['i8', 'i16', 'wide'] as const
export type Activation = (typeof ACTIVATIONS)[number]
/** Bytes of one block of 32 values. */
export const ACTIVATION_BYTES: Record<Activation, number> = { i8: 40, i16: 144, wide: 68 }
const LARGEST: Record<Activation, number> = { i8: 127, i16: 32639, wide: 32767 }

const EVEN = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27]
const ODD = EVEN.map((lane) => lane + 4)

/** The largest |value| of some vectors. */
export function largestMagnitude(k: KernelModule, f: FunctionBuilder, values: readonly V128[]): Local<'f32'> {
  const largest = f.v128(f32x4.abs(values[0]!))
  for (const value of values.slice(1)) f.set(largest, f32x4.pmax(largest, f32x4.abs(value)))
  return f.f32(f32x4.extractLane(k.max(f, largest), 0))
}

/** Writes one block of activations; `values` are its 32 numbers in eight vectors. */
function emitQuantize(k: KernelModule, f: FunctionBuilder, activation: Activation, values: readonly V128[], to: Local<'i32'>): void {
  const { heap } = k
  const most = largestMagnitude(k, f, values)
  const inverse = f.v128(f32x4.splat(f32.select(f32.gt(most, 0), f32.div(LARGEST[activation], most), 0)))
  const integers = (v: V128) => k.truncate(f32x4.nearest(f32x4.mul(v, inverse)))
  if (activation === 'wide') {
    for (let i = 0; i < 8; i += 2) f.do(heap.storeV128(to, i16x8.narrowI32x4S(integers(values[i]!), integers(values[i + 1]!)), i * 8))
    f.do(heap.storeF32(to, f32.mul(most, 1 / LARGEST.wide), 64))
    return
  }
  const rounded = (lanes: readonly number[]) =>
    [0, 1, 2, 3].map((i) => f.v128(integers(i8x16.shuffle(values[2 * i]!, values[2 * i + 1]!, lanes))))
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
  f.do(heap.storeF32(to, scale, 72), heap.storeF32(to, f32.mul(scale, 2), 76))
  ;[even, odd].forEach((v, n) => {
    f.do(
      heap.storeV128(to, i16x8.narrowI32x4S(v[0]!, v[1]!), 80 + 32 * n),
      heap.storeV128(to, i16x8.narrowI32x4S(v[2]!, v[3]!), 96 + 32 * n),
    )
  })
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
  work: ([, , rows, columns]) => rows! * columns! * 8,
  run(c, [x, to, rows, columns, activation]) {
    const kind = ACTIVATIONS[activation!]!
    const [from, end] = share(c, rows! * (columns! / 32))
    if (from < end) c.on(0)[`quantize_${kind}`]!(x! + from * 128, to! + from * ACTIVATION_BYTES[kind], end - from)
  },
}
