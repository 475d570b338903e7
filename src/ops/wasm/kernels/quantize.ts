/**
 * Activations into integers, per block of 32 values with one scale. Two kinds; all sums are of the integers:
 *
 *   i16   32 × i16 in order | scale f32 | sums of all, of the first and of the last 16 values (i32)                  80 bytes
 *   i8    32 bytes in order | the same three sums, each as two i16 | scale f32                                       48 bytes
 *
 * The two halves of a sum of i8: over the even and over the odd ones of the pairs of neighbours. So no sum in 16 bits is too large.
 */
import { columns, rowsOf, type Tensor } from '../../tensor.ts'
import type { OpContext } from '../context.ts'
import { type FunctionBuilder, f32, f32x4, i8x16, i16x8, i32x4, type Local, type V128 } from '../encoder.ts'
import { integers, Kernel, share } from '../kernel.ts'
import type { Block } from '../memory.ts'
import { interleave, type KernelModule } from '../simd.ts'
import type { WasmTensor } from '../tensor.ts'

export const ACTIVATIONS = ['i8', 'i16'] as const
export type Activation = (typeof ACTIVATIONS)[number]
/** Of a block of 32 values: its bytes, and where its scale and its sums are. */
export const ACTIVATION: Readonly<Record<Activation, { bytes: number; scale: number; sums: number }>> = {
  i8: { bytes: 48, scale: 44, sums: 32 },
  i16: { bytes: 80, scale: 64, sums: 68 },
}
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
  const at = ACTIVATION[activation]
  f.do(heap.storeF32(to, f32.mul(most, 1 / LARGEST[activation]), at.scale))
  /** Lanes 0 and 1: of the first 16 values, 2 and 3: of the last. */
  const sums = f.v128()
  const halves = (a: V128, b: V128) => [interleave(a, b, 8, 'low'), interleave(a, b, 8, 'high')] as const
  const swapped = (pieces: readonly number[]) =>
    i8x16.shuffle(
      sums,
      sums,
      pieces.flatMap((n) => [0, 1, 2, 3].map((i) => 4 * n + i)),
    )
  const add = activation === 'i16' ? i32x4.add : i16x8.add
  if (activation === 'i16') {
    k.storeRun(f, to, words)
    const [first, last] = [0, 2].map((i) => i32x4.add(i32x4.extaddPairwiseI16x8S(words[i]!), i32x4.extaddPairwiseI16x8S(words[i + 1]!)))
    f.set(sums, i32x4.add(...halves(f.v128(first!), f.v128(last!))))
  } else {
    const bytes = [0, 2].map((i) => f.v128(i8x16.narrowI16x8S(words[i]!, words[i + 1]!)))
    k.storeRun(f, to, bytes)
    const [first, last] = bytes.map((values) => f.v128(i16x8.extaddPairwiseI8x16S(values)))
    f.set(sums, i16x8.add(...halves(first!, last!)))
  }
  f.set(sums, add(sums, swapped([1, 0, 3, 2])))
  f.do(heap.storeLow32(to, add(sums, swapped([2, 3, 0, 1])), at.sums), heap.storeLow32(to, sums, at.sums + 4))
  f.do(heap.storeI32(to, i32x4.extractLane(sums, 2), at.sums + 8))
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
          f.advance(to, ACTIVATION[activation].bytes)
        })
      })
  },
  work: ({ rows, columns }) => rows * columns * 8,
  run(c, { x, to, rows, columns, activation }) {
    const kind = ACTIVATIONS[activation]!
    const [from, end] = share(c, rows * (columns / 32))
    if (from < end) c.on(0)[`quantize_${kind}`]!(x + from * 128, to + from * ACTIVATION[kind].bytes, end - from)
  },
})

/** What the rounding to 16 bits took away: to = x - blocks, in f32. */
export const remainderKernel = new Kernel('remainder', integers('x', 'blocks', 'to', 'rows', 'columns'), {
  emit(k) {
    k.module.func('remainder', { x: 'i32', blocks: 'i32', to: 'i32', count: 'i32' }, (f, { x, blocks, to, count }) => {
      f.times(count, () => {
        const scale = f.v128(k.heap.splat32(blocks, ACTIVATION.i16.scale))
        const words = [0, 16, 32, 48].map((at) => f.v128(k.heap.v128(blocks, at)))
        words.forEach((word, i) => {
          const halves = [i32x4.extendLowI16x8S(word), i32x4.extendHighI16x8S(word)]
          halves.forEach((half, h) => {
            const at = (2 * i + h) * 16
            f.do(k.heap.storeV128(to, f32x4.sub(k.heap.v128(x, at), f32x4.mul(f32x4.convertI32x4S(half), scale)), at))
          })
        })
        f.advance(x, 128)
        f.advance(blocks, ACTIVATION.i16.bytes)
        f.advance(to, 128)
      })
    })
  },
  work: ({ rows, columns }) => rows * columns * 4,
  run(c, { x, blocks, to, rows, columns }) {
    const [from, end] = share(c, rows * (columns / 32))
    if (from < end) c.on(0).remainder!(x + from * 128, blocks + from * ACTIVATION.i16.bytes, to + from * 128, end - from)
  },
})

/** Bytes of `rows` rows of `width` values. */
export const blockBytes = (kind: Activation, rows: number, width: number): number => rows * (width / 32) * ACTIVATION[kind].bytes

const quantized: Record<Activation, WeakMap<Tensor, Block>> = { i8: new WeakMap(), i16: new WeakMap() }

/** Address of x in blocks of integers; made once for all products of the same x in one scope (q, k and v). */
export function inBlocks({ heap, pool }: OpContext, x: WasmTensor, kind: Activation): number {
  const known = quantized[kind].get(x)
  if (known && !known.released) return known.address
  const [rows, width] = [rowsOf(x), columns(x)]
  const block = heap.scoped(blockBytes(kind, rows, width), 'activations')
  pool.enqueue(quantizeKernel, { x: x.address, to: block.address, rows, columns: width, activation: ACTIVATIONS.indexOf(kind) })
  quantized[kind].set(x, block)
  return block.address
}
