/** Limits of single values: cap·tanh(x / cap) (Gemma 2), and min(max(x, -limit), limit); workers take runs of 64. */
import { size, type Tensor } from '../../tensor.ts'
import type { OpContext } from '../context.ts'
import { f32, f32x4 } from '../encoder.ts'
import { floats, integers, Kernel, share } from '../kernel.ts'
import type { WasmTensor } from '../tensor.ts'

export const softcapKernel = new Kernel(
  'softcap',
  { ...integers('x', 'y', 'count'), ...floats('cap') },
  {
    emit(k) {
      k.module.func('softcap', { x: 'i32', y: 'i32', count: 'i32', cap: 'f32' }, (f, { x, y, count, cap }) => {
        const inverse = f.v128(f32x4.splat(f32.div(1, cap)))
        k.walk(f, count, [x, y], (s) => s.store(y, f32x4.mul(k.tanh(f, f32x4.mul(s.load(x), inverse)), f32x4.splat(cap))))
      })
    },
    work: ({ count }) => 24 * count,
    run(c, { x, y, count, cap }) {
      const [from, to] = share(c, count, 64)
      if (from < to) c.on(0).softcap!(x + from * 4, y + from * 4, to - from, cap)
    },
  },
)

export const clampKernel = new Kernel(
  'clamp',
  { ...integers('x', 'y', 'count'), ...floats('limit') },
  {
    emit(k) {
      k.module.func('clamp', { x: 'i32', y: 'i32', count: 'i32', limit: 'f32' }, (f, { x, y, count, limit }) => {
        const [low, high] = [f.v128(f32x4.splat(f32.neg(limit))), f.v128(f32x4.splat(limit))]
        k.walk(f, count, [x, y], (s) => s.store(y, f32x4.pmin(f32x4.pmax(s.load(x), low), high)))
      })
    },
    work: ({ count }) => count,
    run(c, { x, y, count, limit }) {
      const [from, to] = share(c, count, 64)
      if (from < to) c.on(0).clamp!(x + from * 4, y + from * 4, to - from, limit)
    },
  },
)

export function clamp({ heap, pool }: OpContext, x: Tensor, limit: number): WasmTensor {
  const y = heap.result(x.shape, 'clamp')
  pool.enqueue(clampKernel, { x: heap.address(x, 'clamp'), y: y.address, count: size(x.shape), limit })
  return y
}

export function softcap({ heap, pool }: OpContext, x: Tensor, cap: number): WasmTensor {
  const y = heap.result(x.shape, 'softcap')
  pool.enqueue(softcapKernel, { x: heap.address(x, 'softcap'), y: y.address, count: size(x.shape), cap })
  return y
}
