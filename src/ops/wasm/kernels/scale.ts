/** y = factor·x, elementwise; workers take runs of 64. */
import { size, type Tensor } from '../../tensor.ts'
import type { OpContext } from '../context.ts'
import { f32x4 } from '../encoder.ts'
import { floats, integers, Kernel, share } from '../kernel.ts'
import type { WasmTensor } from '../tensor.ts'

export const scaleKernel = new Kernel(
  'scale',
  { ...integers('x', 'y', 'count'), ...floats('factor') },
  {
    emit(k) {
      k.module.func('scale', { x: 'i32', y: 'i32', count: 'i32', factor: 'f32' }, (f, { x, y, count, factor }) => {
        k.walk(f, count, [x, y], (s) => s.store(y, f32x4.mul(s.load(x), f32x4.splat(factor))))
      })
    },
    work: ({ count }) => count,
    run(c, { x, y, count, factor }) {
      const [from, to] = share(c, count, 64)
      if (from < to) c.on(0).scale!(x + from * 4, y + from * 4, to - from, factor)
    },
  },
)

export function scale({ heap, pool }: OpContext, x: Tensor, factor: number): WasmTensor {
  const y = heap.result(x.shape, 'scale')
  pool.enqueue(scaleKernel, { x: heap.address(x, 'scale'), y: y.address, count: size(x.shape), factor })
  return y
}
