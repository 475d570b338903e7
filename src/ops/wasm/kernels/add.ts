/** y = a + factor·b, elementwise over any number of values; workers take runs of 64. */
import { size, type Tensor } from '../../tensor.ts'
import type { OpContext } from '../context.ts'
import { f32x4 } from '../encoder.ts'
import { floats, integers, Kernel, share } from '../kernel.ts'
import type { WasmTensor } from '../tensor.ts'

export const addKernel = new Kernel(
  'add',
  { ...integers('a', 'b', 'y', 'count'), ...floats('factor') },
  {
    emit(k) {
      k.module.func('add', { a: 'i32', b: 'i32', y: 'i32', count: 'i32', factor: 'f32' }, (f, { a, b, y, count, factor }) => {
        k.walk(f, count, [a, b, y], (s) => s.store(y, f32x4.add(s.load(a), f32x4.mul(s.load(b), f32x4.splat(factor)))))
      })
    },
    work: ({ count }) => count,
    run(c, { a, b, y, count, factor }) {
      const [from, to] = share(c, count, 64)
      if (from < to) c.on(0).add!(a + from * 4, b + from * 4, y + from * 4, to - from, factor)
    },
  },
)

export function add({ heap, pool }: OpContext, a: Tensor, b: Tensor, factor = 1): WasmTensor {
  const y = heap.result(a.shape, 'add')
  pool.enqueue(addKernel, { a: heap.address(a, 'add'), b: heap.address(b, 'add'), y: y.address, count: size(a.shape), factor })
  return y
}
