/**
 * Zeroes values with probability p and scales the rest by 1/(1 - p). Whether value i survives is `dropoutKeeps` of the seed and i
 * (ops/dropout-mask.ts), so any number of workers, and any backend, draws the same mask.
 */
import { f32, type I32, i32 } from '../encoder.ts'
import { type Kernel, share } from '../kernel.ts'

/** [x, y, count, seed·0x85ebca6b, threshold (p·2^32), scale (float)] */
export const dropout: Kernel = {
  emit(k) {
    k.module.func(
      'dropout',
      { x: 'i32', y: 'i32', from: 'i32', to: 'i32', seed: 'i32', threshold: 'i32', scale: 'f32' },
      (f, { x, y, from, to, seed, threshold, scale }) => {
        f.for(from, to, 1, (i) => {
          const hash = f.i32(i32.xor(i32.mul(i, 0x9e3779b1 | 0), seed))
          const mix = (shift: number): I32 => i32.xor(hash, i32.shrU(hash, shift))
          f.set(hash, i32.mul(mix(16), 0x85ebca6b | 0))
          f.set(hash, i32.mul(mix(13), 0xc2b2ae35 | 0))
          f.set(hash, mix(16))
          const at = i32.shl(i, 2)
          const kept = f32.mul(k.heap.f32(i32.add(x, at)), scale)
          f.do(k.heap.storeF32(i32.add(y, at), f32.select(i32.ltU(hash, threshold), 0, kept)))
        })
        return undefined
      },
    )
  },
  work: ([, , count]) => 16 * count!,
  run(c, [x, y, count, seed, threshold], floats) {
    const [from, to] = share(c, count!, 64)
    if (from < to) c.on(0).dropout!(x!, y!, from, to, seed!, threshold!, floats[5]!)
  },
}
