/** Generated SIMD that decodes published weights, copied into the memory of the kernels: bf16 and MXFP4 to f32. The values of `decodeStored`. */
import { f32x4, i8x16, i16x8, i32, i32x4, type Memory, type ModuleBuilder, type V128, v128 } from '../wasm/encoder.ts'
import { constant } from './vectors.ts'

/** Twice the values of FP4, by code: all of them are whole numbers. */
const TWICE = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]
const interleaved = (first: number): number[] => Array.from({ length: 16 }, (_, i) => (i % 2 ? 16 : 0) + first + (i >> 1))

export function decodeKernels(module: ModuleBuilder, memory: Memory): void {
  module.func('decodeBf16', { from: 'i32', to: 'i32', count: 'i32' }, (f, p) => {
    const zero = constant(f, 0)
    f.times(i32.shrU(p.count, 3), () => {
      const halves = f.v128(memory.v128(p.from))
      // The two bytes of a value become the upper ones of a word.
      const words = (first: number) => [0, 1, 2, 3].flatMap((i) => [0, 1, 16 + first + 2 * i, 17 + first + 2 * i])
      f.do(memory.storeV128(p.to, i8x16.shuffle(zero, halves, words(8)), 16))
      f.do(memory.storeV128(p.to, i8x16.shuffle(zero, halves, words(0))))
      f.advance(p.from, 16)
      f.advance(p.to, 32)
    })
  })
  module.func('decodeMxfp4', { blocks: 'i32', factors: 'i32', to: 'i32', count: 'i32' }, (f, p) => {
    const table = f.v128(i8x16.const(TWICE))
    const low = f.v128(i8x16.splat(15))
    f.times(i32.shrU(p.count, 5), () => {
      const bytes = f.v128(memory.v128(p.blocks))
      const factor = f.v128(memory.splat32(p.factors))
      const evens = f.v128(i8x16.swizzle(table, v128.and(bytes, low)))
      const odds = f.v128(i8x16.swizzle(table, v128.and(i16x8.shrU(bytes, 4), low)))
      const store = (words: V128, at: number) => f.do(memory.storeV128(p.to, f32x4.mul(f32x4.convertI32x4S(words), factor), at))
      for (const half of [0, 1]) {
        const values = f.v128(i8x16.shuffle(evens, odds, interleaved(8 * half)))
        for (const [part, extend] of [i16x8.extendLowI8x16S, i16x8.extendHighI8x16S].entries()) {
          const eight = f.v128(extend(values))
          store(i32x4.extendLowI16x8S(eight), 64 * half + 32 * part)
          store(i32x4.extendHighI16x8S(eight), 64 * half + 32 * part + 16)
        }
      }
      f.advance(p.blocks, 16)
      f.advance(p.factors, 4)
      f.advance(p.to, 128)
    })
  })
}
