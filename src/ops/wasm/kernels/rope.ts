/**
 * Rotary embedding: pairs (i, i + K/2) of every head are rotated by an angle that depends on the row's position. Su et al. 2021.
 * The table holds K/2 cosines, then K/2 sines per row, made in f64 on the host. Workers take (row, head) pairs.
 */
import type { Batch, Rotation } from '../../ops.ts'
import { columns, rowsOf, type Tensor } from '../../tensor.ts'
import type { OpContext } from '../context.ts'
import { f32x4, i32 } from '../encoder.ts'
import { integers, Kernel, share } from '../kernel.ts'
import type { WasmTensor } from '../tensor.ts'

export const ropeKernel = new Kernel('rope', integers('x', 'table', 'y', 'rows', 'heads', 'headDim'), {
  emit(k) {
    k.module.func('rope', { x: 'i32', table: 'i32', y: 'i32', heads: 'i32', half: 'i32' }, (f, { x, table, y, heads, half }) => {
      const bytes = f.i32(i32.shl(half, 2))
      f.times(heads, () => {
        const a = f.i32(x)
        const b = f.i32(i32.add(x, bytes))
        const ya = f.i32(y)
        const yb = f.i32(i32.add(y, bytes))
        const cos = f.i32(table)
        const sin = f.i32(i32.add(table, bytes))
        k.walk(f, half, [a, b, ya, yb, cos, sin], (s) => {
          const first = f.v128(s.load(a))
          const second = f.v128(s.load(b))
          s.store(ya, f32x4.sub(f32x4.mul(first, s.load(cos)), f32x4.mul(second, s.load(sin))))
          s.store(yb, f32x4.add(f32x4.mul(second, s.load(cos)), f32x4.mul(first, s.load(sin))))
        })
        f.set(x, b)
        f.set(y, yb)
      })
      return undefined
    })
  },
  work: ({ rows, heads, headDim }) => rows * heads * headDim * 4,
  run(c, { x, table, y, rows, heads, headDim }) {
    const [from, to] = share(c, rows * heads)
    for (let unit = from; unit < to; ) {
      const row = Math.floor(unit / heads)
      const count = Math.min(to, (row + 1) * heads) - unit
      const at = unit * headDim * 4
      c.on(0).rope!(x + at, table + row * headDim * 4, y + at, count, headDim / 2)
      unit += count
    }
  },
})

export function rope({ heap, pool, batches }: OpContext, x: Tensor, rotation: Rotation, batch: Batch): WasmTensor {
  const y = heap.result(x.shape, 'rope')
  const table = batches.rotationTable(batches.of(batch), rotation)
  const { headDim } = rotation
  const [rows, heads] = [rowsOf(x), columns(x) / headDim]
  pool.enqueue(ropeKernel, { x: heap.address(x, 'rope'), table, y: y.address, rows, heads, headDim })
  return y
}
