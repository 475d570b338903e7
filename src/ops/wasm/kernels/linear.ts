/**
 * y = x·Wᵀ + b for a weight of any format: chooses between dense.ts and grouped.ts, and puts matrices together that no single arena could hold.
 */
import { columns, matricesOf, rowsOf, type Tensor } from '../../tensor.ts'
import type { OpContext } from '../context.ts'
import { isGrouped } from '../formats.ts'
import { type Band, own, type WasmTensor } from '../tensor.ts'
import { denseKernel } from './dense.ts'
import { groupedKernel } from './grouped.ts'
import { inOrder } from './order.ts'
import { activationFor } from './product.ts'
import { ACTIVATIONS, inBlocks } from './quantize.ts'

/** Writes y [T, rows] = x·Wᵀ + b to address `y`. `x` is f32 in the heap; `bias` is an address or 0; a packed weight has one group. */
export function product(
  context: OpContext,
  x: WasmTensor,
  w: WasmTensor,
  bias: number,
  y: number,
  T: number,
  rows: number,
  groups = 1,
): void {
  const { pool, precision } = context
  const { arena, address, format } = w
  const width = columns(x) / groups
  if (!isGrouped(format)) {
    pool.enqueue(denseKernel, { arena, address, format, x: x.address, y, bias, T, columns: width, rows, groups })
    return
  }
  const kind = activationFor(format, precision)
  const [blocks, activation] = [inBlocks(context, x, kind), ACTIVATIONS.indexOf(kind)]
  pool.enqueue(groupedKernel, { arena, address, format, x: blocks, y, bias, T, columns: width, rows, activation })
}

/** The same for a matrix in several places: its bands are columns of y. */
function bandedProduct(context: OpContext, x: WasmTensor, w: WasmTensor, bands: readonly Band[], bias: number, y: number, T: number): void {
  const { heap } = context
  const rows = w.shape[0]!
  for (const { row, rows: count, arena, address } of bands) {
    const part = { ...w, arena, address }
    const partBias = bias && bias + row * 4
    if (T === 1) product(context, x, part, partBias, y + row * 4, 1, count)
    else
      heap.withScratch([T * count * 4 + 64], (narrow) => {
        product(context, x, part, partBias, narrow!, T, count)
        for (let t = 0; t < T; t++)
          heap.copy({ arena: 0, address: y + (t * rows + row) * 4 }, { arena: 0, address: narrow! + t * count * 4 }, count * 4)
      })
  }
}

export function linear(context: OpContext, x: Tensor, weight: Tensor, bias?: Tensor): WasmTensor {
  const { heap } = context
  const w = own(weight, 'linear')
  const [groups, each, width] = matricesOf(w)
  const rows = groups * each
  if (groups * width !== columns(x))
    throw new RangeError(`linear: x [${x.shape}] times ${w.name ?? 'weight'} [${w.shape}]: the last axes differ`)
  if (groups > 1 && (isGrouped(w.format) || w.bands))
    throw new RangeError(`linear: ${w.name ?? 'weight'} [${w.shape}]: expected f32, bf16 or f16 in one memory, got ${w.dtype}`)
  const T = rowsOf(x)
  const y = heap.result([...x.shape.slice(0, -1), rows], 'linear')
  const [given, b] = [heap.tensor(x, 'linear'), heap.address(bias, 'linear')]
  const input = w.order ? inOrder(context, given, w.order) : given
  if (w.bands) bandedProduct(context, input, w, w.bands, b, y.address, T)
  else product(context, input, w, b, y.address, T, rows, groups)
  return y
}
