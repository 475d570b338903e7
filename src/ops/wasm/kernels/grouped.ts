/**
 * Matrices in groups of 16 rows (mxfp4, int8; layouts in formats.ts) times rows of quantised activations: how the work is cut, not how a block is
 * multiplied. One row of x: a vector kernel walks the groups as one stream. Several: the groups one after the other, some blocks of each at a
 * time, which stay in the first-level cache for all rows of x; y holds the running sums and starts as the bias.
 */
import { i32 } from '../encoder.ts'
import { FORMAT, GROUP_ROWS } from '../formats.ts'
import { type Context, type Kernel, share } from '../kernel.ts'
import { ZEROS } from '../layout.ts'
import type { KernelModule } from '../simd.ts'
import { emitInt8, INT8_PRODUCT } from './int8.ts'
import { LIST, writeList } from './linear.ts'
import { emitMxfp4, MXFP4_PRODUCT } from './mxfp4.ts'
import { emitTile16, type Product } from './product.ts'
import { ACTIVATION_BYTES, ACTIVATIONS } from './quantize.ts'

/** Rows of x that share one chunk of weights. */
const TOKEN_BLOCK = 128
/** Bytes of unpacked weights of a chunk: half of the first-level cache, or all of the scratch for few rows of x, where calls cost more than the second level. */
const CHUNK_BYTES = 17 << 10
const FEW = 16
/** Results that are not y itself: of the partner of an odd row, and of a padded last group. */
const SPARE = LIST + 8 * (TOKEN_BLOCK + 2)

export interface Matrix {
  readonly arena: number
  readonly address: number
  readonly columns: number
}

/** Rows `from`…`to` (from a multiple of 16) of a matrix times `count` rows of blocks. */
export function multiplyGroups(
  c: Context,
  product: Product,
  weight: Matrix,
  from: number,
  to: number,
  count: number,
  at: (i: number) => [x: number, y: number],
  bias: number,
): void {
  const kernels = c.on(weight.arena)
  const blocks = weight.columns / 32
  const group = (row: number) => weight.address + (row / GROUP_ROWS) * blocks * product.weightBytes
  const spare = c.scratch + SPARE
  if (count === 1) {
    const vector = kernels[product.vector]!
    const [x, y] = at(0)
    const whole = Math.floor((to - from) / GROUP_ROWS)
    const step = bias ? 4 * GROUP_ROWS : 0
    if (whole > 0) vector(x, group(from), y + from * 4, bias ? bias + from * 4 : ZEROS, step, blocks, whole)
    const rest = from + whole * GROUP_ROWS
    if (rest === to) return
    // The last group is padded: its result goes through scratch, so that nothing behind y is touched.
    vector(x, group(rest), spare, bias ? bias + rest * 4 : ZEROS, step, blocks, 1)
    c.on(0).copyWithin!(y + rest * 4, spare, (to - rest) * 4)
    return
  }
  const list = c.scratch + LIST
  for (let first = 0; first < count; first += TOKEN_BLOCK) {
    const tokens = Math.min(TOKEN_BLOCK, count - first)
    writeList(c, tokens, (i) => at(first + i))
    const pairs = Math.ceil(tokens / 2)
    const chunkBlocks = Math.floor((tokens <= FEW ? LIST : CHUNK_BYTES) / product.unpacked)
    const partner = tokens % 2 === 1 ? list / 4 + 2 * tokens + 1 : -1
    for (let row = from; row < to; row += GROUP_ROWS) {
      const rows = Math.min(GROUP_ROWS, to - row)
      const padded = rows < GROUP_ROWS
      if (padded) for (let i = 0; i < tokens; i++) c.words[list / 4 + 2 * i + 1] = spare + 64 * (i + 1) - row * 4
      if (partner >= 0) c.words[partner] = spare - row * 4
      kernels.startRows!(list, 2 * pairs, row * 4, bias ? bias + row * 4 : ZEROS)
      for (let block = 0; block < blocks; block += chunkBlocks) {
        const chunk = Math.min(chunkBlocks, blocks - block)
        product.tile(kernels, c, group(row) + block * product.weightBytes, chunk, list, pairs, block * product.xBytes, row * 4)
      }
      if (padded) for (let i = 0; i < tokens; i++) c.on(0).copyWithin!(at(first + i)[1] + row * 4, spare + 64 * (i + 1), rows * 4)
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
    return undefined
  })
}

/** The product of a format with a kind of activation (index of ACTIVATIONS). */
export function productOf(format: number, activation: number): Product {
  return format === FORMAT.int8 ? INT8_PRODUCT : MXFP4_PRODUCT[ACTIVATIONS[activation]!]
}

/** [arena, weight, format, x (blocks), y, bias or 0, T, columns, rows, activation] */
export const linearGrouped: Kernel = {
  emit(k) {
    emitStartRows(k)
    emitTile16(k)
    emitMxfp4(k)
    emitInt8(k)
  },
  work: ([, , , , , , T, columns, rows]) => T! * columns! * rows!,
  run(c, [arena, address, format, x, y, bias, T, columns, rows, activation]) {
    const [from, to] = share(c, rows!, GROUP_ROWS)
    if (from >= to) return
    const xBytes = (columns! / 32) * ACTIVATION_BYTES[ACTIVATIONS[activation!]!]
    const weight = { arena: arena!, address: address!, columns: columns! }
    multiplyGroups(c, productOf(format!, activation!), weight, from, to, T!, (i) => [x! + i * xBytes, y! + i * rows! * 4], bias!)
  },
}
