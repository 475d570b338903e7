/** Rows of a table. Contract in ops.ts. */
import type { Tensor } from '../tensor.ts'
import { type Allocate, type HostTensor, values } from './values.ts'

export function embed(allocate: Allocate, table: Tensor, index: Int32Array, scale: number): HostTensor {
  const [rows, D] = table.shape as [number, number]
  const y = allocate([index.length, D])
  const source = values(table)
  index.forEach((row, t) => {
    if (row < 0 || row >= rows) throw new RangeError(`${table.name ?? 'table'}: row ${row} of ${rows}`)
    for (let d = 0; d < D; d++) y.data[t * D + d] = source[row * D + d]! * scale
  })
  return y
}
