/**
 * Matrices in groups of 16 rows (layouts in formats.ts) times rows of quantised activations: how the work is divided, not how a block is
 * multiplied. Two properties of memory decide: a jump in a stream costs half a microsecond, and rows of x should stay in the
 * first-level cache while the weights are read.
 */
import { i32 } from '../encoder.ts'
import { GROUP_ROWS } from '../formats.ts'
import { type Context, integers, Kernel, productWork, share } from '../kernel.ts'
import { spillAt, ZEROS } from '../layout.ts'
import type { KernelModule } from '../simd.ts'
import { LIST, writeList } from './dense.ts'
import { type Product, productOf } from './product.ts'
import { ACTIVATION, ACTIVATIONS } from './quantize.ts'

/** Up to so many rows of x packed weights are faster than unpacking. */
const FEW = 3
/** Rows of x that share one chunk of weights. */
const TOKEN_BLOCK = 128
/** Bytes of unpacked weights that stay in the first-level cache, and of packed ones that stay in the second. */
const CHUNK_BYTES = 17 << 10
const SLICE_BYTES = 384 << 10
/** Results that are not y itself: of the partner of an odd row, and of a padded last group. */
const SPARE = LIST + 8 * (TOKEN_BLOCK + 4)

export interface Matrix {
  readonly arena: number
  readonly address: number
  readonly format: number
  readonly columns: number
}

/** Rows `from`…`to` (from a multiple of 16) of a matrix times `count` rows of blocks; `at` says where row i of x and of y lie. */
type Multiply = (
  c: Context,
  product: Product,
  weight: Matrix,
  from: number,
  to: number,
  count: number,
  at: (i: number) => [x: number, y: number],
  bias: number,
) => void

export const multiplyGroups: Multiply = (c, product, weight, from, to, count, at, bias) => {
  const end = from + Math.floor((to - from) / GROUP_ROWS) * GROUP_ROWS
  // The last group may be padded: its results go through scratch, so that nothing behind a row of y is touched.
  const spare = c.scratch + SPARE + 64
  for (let first = 0; first < count; first += TOKEN_BLOCK) {
    const tokens = Math.min(TOKEN_BLOCK, count - first)
    const multiply = tokens <= FEW ? multiplyFew : multiplyMany
    if (from < end) multiply(c, product, weight, from, end, tokens, (i) => at(first + i), bias)
    if (end === to) continue
    multiply(c, product, weight, end, end + GROUP_ROWS, tokens, (i) => [at(first + i)[0], spare + i * 64 - end * 4], bias)
    for (let i = 0; i < tokens; i++) c.on(0).copyWithin!(at(first + i)[1] + end * 4, spare + 64 * i, (to - end) * 4)
  }
}

/**
 * One or two rows of x: packed weights as one stream. More rows: slices of the stream, which the first pair of rows reads from memory and the
 * other pairs from the second-level cache.
 */
const multiplyFew: Multiply = (c, product, weight, from, end, count, at, bias) => {
  const kernels = c.on(weight.arena, weight.format)
  const { rows_1: one, rows_2: two } = kernels
  const spill = weight.arena === 0 ? c.scratch : spillAt(c.index)
  const units = weight.columns / product.columns
  const groupBytes = units * product.weightBytes
  const step = bias ? 4 * GROUP_ROWS : 0
  const slice = count <= 2 ? end - from : Math.max(1, Math.floor(SLICE_BYTES / groupBytes)) * GROUP_ROWS
  for (let row = from; row < end; row += slice) {
    const groups = Math.min(slice, end - row) / GROUP_ROWS
    const w = weight.address + (row / GROUP_ROWS) * groupBytes
    const start = bias ? bias + row * 4 : ZEROS
    for (let i = 0; i < count; i += 2) {
      const [x, y] = at(i)
      if (i + 1 === count) one!(w, units, groups, start, step, spill, x, y + row * 4)
      else {
        const [x1, y1] = at(i + 1)
        two!(w, units, groups, start, step, spill, x, y + row * 4, x1, y1 + row * 4)
      }
    }
  }
}

/** Up to TOKEN_BLOCK rows of x: some blocks of a group are unpacked and stay in the first-level cache for all of them; y holds the running sums. */
const multiplyMany: Multiply = (c, product, weight, from, end, count, at, bias) => {
  const { unpack, tile } = c.on(weight.arena, weight.format)
  const { startRows } = c.on(0)
  const units = weight.columns / product.columns
  const list = c.scratch + LIST
  const chunkUnits = Math.floor(CHUNK_BYTES / product.unpacked)
  writeList(c, count, at)
  const pairs = Math.ceil(count / 2)
  const partner = count % 2 === 1 ? list / 4 + 2 * count + 1 : -1
  for (let row = from; row < end; row += GROUP_ROWS) {
    if (partner >= 0) c.words[partner] = c.scratch + SPARE - row * 4
    startRows!(list, 2 * pairs, row * 4, bias ? bias + row * 4 : ZEROS)
    for (let unit = 0; unit < units; unit += chunkUnits) {
      const chunk = Math.min(chunkUnits, units - unit)
      unpack!(weight.address + ((row / GROUP_ROWS) * units + unit) * product.weightBytes, c.scratch, chunk)
      tile!(c.scratch, (chunk * product.columns) / 32, list, pairs, unit * product.xBytes, row * 4)
    }
  }
}

/** y[16 rows] of every listed row = bias (or zeros). */
function emitStartRows(k: KernelModule): void {
  k.module.func('startRows', { list: 'i32', count: 'i32', yOffset: 'i32', bias: 'i32' }, (f, { list, count, yOffset, bias }) => {
    const vectors = [0, 16, 32, 48].map((at) => ({ at, value: f.v128(k.heap.v128(bias, at)) }))
    f.times(count, () => {
      const y = f.i32(i32.add(k.heap.i32(list, 4), yOffset))
      for (const { at, value } of vectors) f.do(k.heap.storeV128(y, value, at))
      f.advance(list, 8)
    })
  })
}

/** `x` in blocks of integers (quantize.ts), `activation` their kind; `bias` may be 0. */
export const groupedKernel = new Kernel(
  'grouped',
  integers('arena', 'address', 'format', 'x', 'y', 'bias', 'T', 'columns', 'rows', 'activation'),
  {
    emit: emitStartRows,
    work: ({ T, columns, rows }) => productWork(T, columns * rows),
    run(c, { arena, address, format, x, y, bias, T, columns, rows, activation }) {
      const [from, to] = share(c, rows, GROUP_ROWS)
      if (from >= to) return
      const xBytes = (columns / 32) * ACTIVATION[ACTIVATIONS[activation]!].bytes
      const weight = { arena, address, format, columns }
      multiplyGroups(c, productOf(format, activation), weight, from, to, T, (i) => [x + i * xBytes, y + i * rows * 4], bias)
    },
  },
)
