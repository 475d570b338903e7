/** Columns of activations in the order of a packed weight: y[t, j] = x[t, columns[j]], or 0 where that is -1. Workers take runs of values. */
import { columns, rowsOf } from '../../tensor.ts'
import type { OpContext } from '../context.ts'
import { integers, Kernel, share } from '../kernel.ts'
import type { WasmTensor } from '../tensor.ts'

export const orderKernel = new Kernel('order', integers('x', 'y', 'columns', 'inputs', 'width', 'T'), {
  work: ({ width, T }) => 4 * width * T,
  run(c, { x, y, columns, inputs, width, T }) {
    const [from, to] = share(c, T * width, 64)
    const { words, floats } = c
    const [source, table] = [x / 4, columns / 4]
    for (let at = from, j = from % width, row = source + Math.floor(from / width) * inputs; at < to; at++) {
      const column = words[table + j]!
      floats[y / 4 + at] = column < 0 ? 0 : floats[row + column]!
      if (++j === width) {
        j = 0
        row += inputs
      }
    }
  },
})

/** x [T, inputs] as the weight wants it. */
export function inOrder({ heap, pool }: OpContext, x: WasmTensor, order: NonNullable<WasmTensor['order']>): WasmTensor {
  const [T, inputs] = [rowsOf(x), columns(x)]
  const y = heap.result([...x.shape.slice(0, -1), order.width], 'linear')
  pool.enqueue(orderKernel, { x: x.address, y: y.address, columns: order.address, inputs, width: order.width, T })
  return y
}
