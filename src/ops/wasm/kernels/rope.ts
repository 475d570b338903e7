/**
 * Rotary embedding: pair i of every head is rotated by an angle that depends on the position of the row. Su et al. 2021.
 * The table holds R/2 cosines, then R/2 sines per row, made in f64 on the host. Workers take (row, head) pairs. Pairs (i, i + R/2)
 * are read as two vectors, interleaved pairs (2i, 2i + 1) one by one. What follows the first R values of a head is copied.
 */
import type { Batch, Rotation } from '../../ops.ts'
import { columns, rowsOf, type Tensor } from '../../tensor.ts'
import type { OpContext } from '../context.ts'
import { f32, f32x4, i32 } from '../encoder.ts'
import { integers, Kernel, share } from '../kernel.ts'
import type { WasmTensor } from '../tensor.ts'

const PARAMETERS = { x: 'i32', table: 'i32', y: 'i32', heads: 'i32', half: 'i32', rest: 'i32' } as const

export const ropeKernel = new Kernel('rope', integers('x', 'table', 'y', 'rows', 'heads', 'headDim', 'rotaryDim', 'interleaved'), {
  emit(k) {
    k.module.func('rope', PARAMETERS, (f, { x, table, y, heads, half, rest }) => {
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
        k.walk(f, rest, [b, yb], (s) => s.store(yb, s.load(b)))
        f.set(x, b)
        f.set(y, yb)
      })
    })
    k.module.func('ropeInterleaved', PARAMETERS, (f, { x, table, y, heads, half, rest }) => {
      const bytes = f.i32(i32.shl(half, 2))
      f.times(heads, () => {
        const at = f.i32(table)
        f.times(half, () => {
          const [first, second] = [f.f32(k.heap.f32(x)), f.f32(k.heap.f32(x, 4))]
          const [cos, sin] = [f.f32(k.heap.f32(at)), f.f32(k.heap.f32(i32.add(at, bytes)))]
          f.do(k.heap.storeF32(y, f32.sub(f32.mul(first, cos), f32.mul(second, sin))))
          f.do(k.heap.storeF32(i32.add(y, 4), f32.add(f32.mul(second, cos), f32.mul(first, sin))))
          f.advance(x, 8)
          f.advance(y, 8)
          f.advance(at, 4)
        })
        k.walk(f, rest, [x, y], (s) => s.store(y, s.load(x)))
      })
    })
  },
  work: ({ rows, heads, headDim }) => rows * heads * headDim * 4,
  run(c, { x, table, y, rows, heads, headDim, rotaryDim, interleaved }) {
    const [from, to] = share(c, rows * heads)
    const rotate = interleaved ? c.on(0).ropeInterleaved! : c.on(0).rope!
    for (let unit = from; unit < to; ) {
      const row = Math.floor(unit / heads)
      const count = Math.min(to, (row + 1) * heads) - unit
      const at = unit * headDim * 4
      rotate(x + at, table + row * rotaryDim * 4, y + at, count, rotaryDim / 2, headDim - rotaryDim)
      unit += count
    }
  },
})

export function rope({ heap, pool, batches }: OpContext, x: Tensor, rotation: Rotation, batch: Batch): WasmTensor {
  const y = heap.result(x.shape, 'rope')
  const table = batches.rotationTable(batches.of(batch), rotation)
  const { headDim, rotaryDim } = rotation
  const [rows, heads, interleaved] = [rowsOf(x), columns(x) / headDim, Number(rotation.pairing === 'interleaved')]
  pool.enqueue(ropeKernel, { x: heap.address(x, 'rope'), table, y: y.address, rows, heads, headDim, rotaryDim, interleaved })
  return y
}
