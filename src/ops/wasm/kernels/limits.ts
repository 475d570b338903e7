/**
 * What the machine can do at most, measured by the same threads that run the kernels: bytes read per second, and f32 multiply-adds per second.
 * Every speed is quoted as a share of these, taken in the same run.
 */
import { f32x4, i32, v128 } from '../encoder.ts'
import { type Kernel, share } from '../kernel.ts'

/** [arena, address, bytes, passes]: every worker reads its own contiguous part so many times. */
export const readLimit: Kernel = {
  emit(k) {
    k.module.func('readAll', { from: 'i32', bytes: 'i32', to: 'i32' }, (f, { from, bytes, to }) => {
      const sums = Array.from({ length: 8 }, () => f.v128(v128.zero()))
      f.times(i32.shrU(bytes, 8), () => {
        for (let i = 0; i < 16; i++) f.set(sums[i % 8]!, v128.xor(sums[i % 8]!, k.weights.v128(from, i * 16)))
        f.advance(from, 256)
      })
      f.do(
        k.heap.storeV128(
          to,
          sums.reduce((a, b) => v128.xor(a, b) as typeof a),
        ),
      )
      return undefined
    })
  },
  run(c, [arena, address, bytes, passes]) {
    const [from, to] = share(c, bytes!, 4096)
    for (let i = 0; i < passes!; i++) c.on(arena!).readAll!(address! + from, to - from, c.scratch)
  },
}

/** Vector multiply-adds per turn of the loop below. */
export const MADDS_PER_TURN = 36

/** [turns]: every worker does so many turns of independent multiply-adds in registers. */
export const maddLimit: Kernel = {
  emit(k) {
    k.module.func('maddAll', { turns: 'i32', to: 'i32' }, (f, { turns, to }) => {
      const sums = Array.from({ length: 12 }, (_, i) => f.v128(f32x4.splat(i)))
      const a = f.v128(f32x4.splat(k.heap.f32(to)))
      const b = f.v128(f32x4.splat(k.heap.f32(to, 4)))
      f.times(turns, () => {
        for (let i = 0; i < MADDS_PER_TURN; i++) f.set(sums[i % 12]!, k.madd(a, b, sums[i % 12]!))
      })
      f.do(
        k.heap.storeV128(
          to,
          sums.reduce((x, y) => f32x4.add(x, y) as typeof x),
          16,
        ),
      )
      return undefined
    })
  },
  run(c, [turns]) {
    c.floats[c.scratch / 4] = 1e-9
    c.floats[c.scratch / 4 + 1] = 1
    c.on(0).maddAll!(turns!, c.scratch)
  },
}
