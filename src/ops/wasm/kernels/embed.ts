/**
 * y[t] = table[index[t]]·scale. Rows of a table that stays as published (f32 or bf16), or of a grouped one, whose group is unpacked for it.
 * Workers take rows; `select` is the same with a temporary as table.
 */
import type { ReadRow } from '../../backend.ts'
import { columns, type Tensor } from '../../tensor.ts'
import type { OpContext } from '../context.ts'
import { f32, f32x4, i32, i32x4 } from '../encoder.ts'
import { FORMAT, GROUP_ROWS, isGrouped, rowBytes } from '../formats.ts'
import type { Location } from '../heap.ts'
import { floats, integers, Kernel, share } from '../kernel.ts'
import { SCRATCH_BYTES } from '../layout.ts'
import type { Block } from '../memory.ts'
import { own, type WasmTensor } from '../tensor.ts'
import { activationFor, productOf } from './product.ts'
import { ACTIVATIONS } from './quantize.ts'

/** `index`: list of rows of the table, one word each. `activation`: index of ACTIVATIONS, which a grouped format is laid out for. */
export const embedKernel = new Kernel(
  'embed',
  { ...integers('arena', 'table', 'format', 'index', 'y', 'rows', 'columns', 'activation'), ...floats('scale') },
  {
    emit(k) {
      const parameters = { w: 'i32', y: 'i32', columns: 'i32', scale: 'f32' } as const
      k.module.func('embed_f32', parameters, (f, { w, y, columns, scale }) => {
        k.walk(f, columns, [w, y], (s) => s.store(y, f32x4.mul(s.load(w, k.weights), f32x4.splat(scale))))
      })
      k.module.func('embed_bf16', parameters, (f, { w, y, columns, scale }) => {
        f.times(i32.shrU(columns, 2), () => {
          f.do(k.heap.storeV128(y, f32x4.mul(i32x4.shl(k.weights.load16x4U(w), 16), f32x4.splat(scale))))
          f.advance(w, 8)
          f.advance(y, 16)
        })
        f.times(i32.and(columns, 3), () => {
          f.do(k.heap.storeF32(y, f32.mul(f32.reinterpretI32(i32.shl(k.weights.u16(w), 16)), scale)))
          f.advance(w, 2)
          f.advance(y, 4)
        })
      })
    },
    work: ({ rows, columns }) => rows * columns * 2,
    run(c, { arena, table, format, index, y, rows, columns, activation, scale }) {
      const [from, to] = share(c, rows)
      const kernels = c.on(arena)
      if (isGrouped(format)) {
        const product = productOf(format, activation)
        const { unpack, pick } = c.on(arena, format)
        const units = columns / product.columns
        const chunk = Math.floor(SCRATCH_BYTES / 4 / product.unpacked)
        for (let t = from; t < to; t++) {
          const id = c.words[index / 4 + t]!
          for (let unit = 0; unit < units; unit += chunk) {
            const count = Math.min(chunk, units - unit)
            unpack!(table + (Math.floor(id / GROUP_ROWS) * units + unit) * product.weightBytes, c.scratch, count)
            const y0 = y + (t * columns + unit * product.columns) * 4
            pick!(c.scratch + (id % GROUP_ROWS) * 4, y0, (count * product.columns) / 32, scale)
          }
        }
        return
      }
      const row = format === FORMAT.bf16 ? kernels.embed_bf16! : kernels.embed_f32!
      for (let t = from; t < to; t++) {
        const at = table + c.words[index / 4 + t]! * rowBytes(format, columns)
        row(at, y + t * columns * 4, columns, scale)
      }
    },
  },
)

/** Rows of a table (`embed`) or of a temporary (`select`). @throws RangeError that names a row the table does not have */
export function rowsOfTable(context: OpContext, table: Tensor, index: Int32Array, scale: number, what: string): WasmTensor {
  const { heap, pool } = context
  const w = own(table, what)
  const [height, width] = w.shape as [number, number]
  for (const row of index)
    if (!(row >= 0 && row < height)) throw new RangeError(`${what}: row ${row} of ${w.name ?? 'a tensor'} with ${height} rows`)
  const T = index.length
  const activation = isGrouped(w.format) ? ACTIVATIONS.indexOf(activationFor(w.format, context.precision)) : 0
  const y = heap.result([T, width], what)
  /** Rows `first`…`end` of y, from rows of `from` that are listed in `list`. */
  const run = ({ arena, address }: Location, list: Block, first: number, end: number) => {
    const [entries, to] = [list.address + first * 4, y.address + first * width * 4]
    const rows = end - first
    pool.enqueue(embedKernel, { arena, table: address, format: w.format, index: entries, y: to, rows, columns: width, activation, scale })
  }
  if (w.bands) {
    const bands = Array.from(index, (row) => w.bands!.findLast((band) => band.row <= row)!)
    const list = heap.stage(index.map((row, t) => row - bands[t]!.row))
    for (let t = 0, end = 0; t < T; t = end) {
      while (end < T && bands[end] === bands[t]) end++
      run(bands[t]!, list, t, end)
    }
    heap.retire(list)
    return y
  }
  const gathered = w.readRow && gather(context, w, w.readRow, index)
  const list = heap.stage(gathered ? index.map((_, t) => t) : index)
  run(gathered ? { arena: 0, address: gathered.address } : w, list, 0, T)
  heap.retire(list)
  if (gathered) heap.retire(gathered)
  return y
}

/** The rows of a table that is not in memory, one after the other, read while the caller waits. */
function gather({ heap }: OpContext, w: WasmTensor, readRow: ReadRow, index: Int32Array): Block {
  const each = rowBytes(w.format, columns(w))
  const block = heap.hostBlock(index.length * each)
  try {
    index.forEach((row, t) => {
      readRow(row, heap.bytes.subarray(block.address + t * each, block.address + (t + 1) * each))
    })
    return block
  } catch (error) {
    heap.retire(block)
    throw error
  }
}
