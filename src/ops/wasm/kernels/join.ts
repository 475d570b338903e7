/** Columns of two tensors side by side for every head; workers take (row, head) pairs. */
import { columns, rowsOf, type Tensor } from '../../tensor.ts'
import type { OpContext } from '../context.ts'
import { integers, Kernel, share } from '../kernel.ts'
import type { WasmTensor } from '../tensor.ts'

export const joinKernel = new Kernel('join', integers('a', 'b', 'y', 'count', 'left', 'right'), {
  emit(k) {
    k.module.func(
      'join',
      { a: 'i32', b: 'i32', y: 'i32', count: 'i32', left: 'i32', right: 'i32' },
      (f, { a, b, y, count, left, right }) => {
        f.times(count, () => {
          k.walk(f, left, [a, y], (s) => s.store(y, s.load(a)))
          k.walk(f, right, [b, y], (s) => s.store(y, s.load(b)))
        })
      },
    )
  },
  work: ({ count, left, right }) => count * (left + right),
  run(c, { a, b, y, count, left, right }) {
    const [from, to] = share(c, count)
    if (from < to) c.on(0).join!(a + from * left * 4, b + from * right * 4, y + from * (left + right) * 4, to - from, left, right)
  },
})

export function join({ heap, pool }: OpContext, a: Tensor, b: Tensor, heads: number): WasmTensor {
  const y = heap.result([rowsOf(a), columns(a) + columns(b)], 'join')
  const [left, right] = [columns(a) / heads, columns(b) / heads]
  const count = rowsOf(a) * heads
  pool.enqueue(joinKernel, { a: heap.address(a, 'join'), b: heap.address(b, 'join'), y: y.address, count, left, right })
  return y
}
