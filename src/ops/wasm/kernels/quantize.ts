/**
 * Activations into integers, per block of 32 values with one scale. Two kinds:
 *
 *   i16   32 × i16 in order | scale f32                                                                              68 bytes
 *   i8    32 bytes in order | correction 2 × i16 | scale/2 f32                                                       40 bytes
 *
 * Corrections: -12·Σx over the elements of each half of a 32-bit word (mxfp4.ts says why).
 */
import { columns, rowsOf, type Tensor } from '../../tensor.ts'
import type { OpContext, Precision } from '../context.ts'
import { type FunctionBuilder, f32, f32x4, i8x16, i16x8, i32x4, type Local, type V128 } from '../encoder.ts'
import { FORMAT, type Format } from '../formats.ts'
import { integers, Kernel, share } from '../kernel.ts'
import type { Block } from '../memory.ts'
import type { KernelModule } from '../simd.ts'
import type { WasmTensor } from '../tensor.ts'

export const ACTIVATIONS = ['i8', 'i16'] as const
export type Activation = (typeof ACTIVATIONS)[number]
/** Bytes of one block of 32 values. */
export const ACTIVATION_BYTES: Record<Activation, number> = { i8: 40, i16: 68 }
const LARGEST: Record<Activation, number> = { i8: 127, i16: 32767 }

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
  const integers = (i: number) => k.truncate(f32x4.nearest(f32x4.mul(values[i]!, inverse)))
  const words = [0, 2, 4, 6].map((i) => f.v128(i16x8.narrowI32x4S(integers(i), integers(i + 1))))
  if (activation === 'i16') {
    k.storeRun(f, to, words)
    f.do(heap.storeF32(to, f32.mul(most, 1 / LARGEST.i16), 64))
    return
  }
  const bytes = [0, 2].map((i) => f.v128(i8x16.narrowI16x8S(words[i]!, words[i + 1]!)))
  f.do(heap.storeV128(to, bytes[0]!), heap.storeV128(to, bytes[1]!, 16))
  const sum = f.v128(i16x8.add(i16x8.extaddPairwiseI8x16S(bytes[0]!), i16x8.extaddPairwiseI8x16S(bytes[1]!)))
  f.set(sum, i16x8.add(sum, i8x16.shuffle(sum, sum, [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7])))
  f.set(sum, i16x8.add(sum, i8x16.shuffle(sum, sum, [4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11])))
  f.do(heap.storeLow32(to, i16x8.mul(sum, i16x8.splat(-12)), 32), heap.storeF32(to, f32.mul(most, 0.5 / LARGEST.i8), 36))
}

/** Every row into blocks; `activation`: index of ACTIVATIONS. */
export const quantizeKernel = new Kernel('quantize', integers('x', 'to', 'rows', 'columns', 'activation'), {
  emit(k) {
    for (const activation of ACTIVATIONS)
      k.module.func(`quantize_${activation}`, { x: 'i32', to: 'i32', blocks: 'i32' }, (f, { x, to, blocks }) => {
        f.times(blocks, () => {
          const values = Array.from({ length: 8 }, (_, i) => f.v128(k.heap.v128(x, i * 16)))
          emitQuantize(k, f, activation, values, to)
          f.advance(x, 128)
          f.advance(to, ACTIVATION_BYTES[activation])
        })
      })
  },
  work: ({ rows, columns }) => rows * columns * 8,
  run(c, { x, to, rows, columns, activation }) {
    const kind = ACTIVATIONS[activation]!
    const [from, end] = share(c, rows * (columns / 32))
    if (from < end) c.on(0)[`quantize_${kind}`]!(x + from * 128, to + from * ACTIVATION_BYTES[kind], end - from)
  },
})

/** What the rounding to 16 bits took away: to = x - blocks, in f32. */
export const remainderKernel = new Kernel('remainder', integers('x', 'blocks', 'to', 'rows', 'columns'), {
  emit(k) {
    k.module.func('remainder', { x: 'i32', blocks: 'i32', to: 'i32', count: 'i32' }, (f, { x, blocks, to, count }) => {
      f.times(count, () => {
        const scale = f.v128(k.heap.splat32(blocks, 64))
        const words = [0, 16, 32, 48].map((at) => f.v128(k.heap.v128(blocks, at)))
        words.forEach((word, i) => {
          const halves = [i32x4.extendLowI16x8S(word), i32x4.extendHighI16x8S(word)]
          halves.forEach((half, h) => {
            const at = (2 * i + h) * 16
            f.do(k.heap.storeV128(to, f32x4.sub(k.heap.v128(x, at), f32x4.mul(f32x4.convertI32x4S(half), scale)), at))
          })
        })
        f.advance(x, 128)
        f.advance(blocks, ACTIVATION_BYTES.i16)
        f.advance(to, 128)
      })
    })
  },
  work: ({ rows, columns }) => rows * columns * 4,
  run(c, { x, blocks, to, rows, columns }) {
    const [from, end] = share(c, rows * (columns / 32))
    if (from < end) c.on(0).remainder!(x + from * 128, blocks + from * ACTIVATION_BYTES.i16, to + from * 128, end - from)
  },
})

/** The kind of activations that a format of weights is multiplied with. */
export const activationFor = (format: Format, precision: Precision): Activation =>
  format === FORMAT.mxfp4 && precision === 'fast' ? 'i8' : 'i16'

/** Bytes of `rows` rows of `width` values. */
export const blockBytes = (kind: Activation, rows: number, width: number): number => rows * (width / 32) * ACTIVATION_BYTES[kind]

const quantized = new WeakMap<Tensor, { kind: Activation; block: Block }>()

/** Address of x in blocks of integers; made once for all products of the same x in one scope (q, k and v). */
export function inBlocks({ heap, pool }: OpContext, x: WasmTensor, kind: Activation): number {
  const known = quantized.get(x)
  if (known && known.kind === kind && !known.block.released) return known.block.address
  const [rows, width] = [rowsOf(x), columns(x)]
  const block = heap.scoped(blockBytes(kind, rows, width), 'activations')
  pool.enqueue(quantizeKernel, { x: x.address, to: block.address, rows, columns: width, activation: ACTIVATIONS.indexOf(kind) })
  quantized.set(x, { kind, block })
  return block.address
}
