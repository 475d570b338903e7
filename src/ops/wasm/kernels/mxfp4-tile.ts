/**
 * MXFP4 weights times many activation rows (prefill): a group of 16 rows is decoded once, to one byte per value, CHUNK blocks at a time,
 * and used for every row of the expert. Arithmetic as in mxfp4.ts, the same bits as its vector kernel up to the order of f32 sums.
 *
 *   scratch, per block     word j of rows 0…3, 4…7, 8…11, 12…15 (codes + 12, one byte each)   j = 0…7     512 bytes
 *                          scales of the 16 rows as f32                                                    64 bytes
 *
 *              x of two rows (int8), or the high and the low half of one (int16)
 *   16 rows    ▒ 4 vectors × 2 = 8 accumulators of 16-bit pairs; each broadcast of x serves 4 vectors, each vector of W two broadcasts
 *
 * After every block the integers become floats, are scaled and added to y, which holds the running sums.
 */
import { f32x4, i8x16, i16x8, i32, i32x4, type Local, v128 } from '../encoder.ts'
import { GROUP_BLOCK_BYTES, GROUP_ROWS } from '../formats.ts'
import { type Context, type Kernel, share } from '../kernel.ts'
import { ZEROS } from '../layout.ts'
import type { KernelModule } from '../simd.ts'
import { LIST, writeList } from './linear.ts'
import { ACTIVATION_BYTES, ACTIVATIONS, type Activation, CODE_TABLE, emitVector, scaleLanes, vectorMxfp4 } from './mxfp4.ts'

/** Decoded bytes of one block of a group. */
const DECODED = 576
/** Blocks decoded together: 30 are 17 KiB, a third of gpt-oss's rows, and stay in the first-level cache. */
const CHUNK = 30

function emitDecode(k: KernelModule): void {
  const { heap, weights } = k
  k.module.func('decode_mxfp4', { w: 'i32', to: 'i32', blocks: 'i32' }, (f, { w, to, blocks }) => {
    const table = f.v128(i8x16.const(CODE_TABLE))
    const nibble = f.v128(i8x16.splat(15))
    f.times(blocks, () => {
      for (let i = 0; i < 4; i++)
        for (let q = 0; q < 4; q++) {
          const codes = f.v128(weights.v128(w, i * 64 + q * 16))
          f.do(heap.storeV128(to, k.lookup(table, v128.and(codes, nibble)), i * 64 + q * 16))
          f.do(heap.storeV128(to, k.lookup(table, v128.and(i16x8.shrU(codes, 4), nibble)), (4 + i) * 64 + q * 16))
        }
      const scales = f.v128(weights.v128(w, 256))
      for (let q = 0; q < 4; q++) f.do(heap.storeV128(to, scaleLanes(k, scales, q), 512 + q * 16))
      f.advance(w, GROUP_BLOCK_BYTES)
      f.advance(to, DECODED)
    })
    return undefined
  })
}

/** y of the listed rows += decoded weights × x, for `turns` entries (int16) or pairs of entries (int8) of the list. */
function emitTile(k: KernelModule, activation: Activation): void {
  const { heap } = k
  const pair = activation === 'i8'
  const bytes = ACTIVATION_BYTES[activation]
  k.module.func(
    `tile_mxfp4_${activation}`,
    { decoded: 'i32', blocks: 'i32', list: 'i32', turns: 'i32', xOffset: 'i32', yOffset: 'i32' },
    (f, { decoded, blocks, list, turns, xOffset, yOffset }) => {
      const sums = [0, 1].map(() => [0, 1, 2, 3].map(() => f.v128()))
      f.times(turns, () => {
        const pointer = (at: number, offset: Local<'i32'>) => f.i32(i32.add(heap.i32(list, at), offset))
        // Where the two broadcasts of a turn come from: two rows, or two halves of one.
        const x = pair ? [pointer(0, xOffset), pointer(8, xOffset)] : [pointer(0, xOffset)]
        const y = pair ? [pointer(4, yOffset), pointer(12, yOffset)] : [pointer(4, yOffset)]
        const source = [x[0]!, x[1] ?? x[0]!]
        const half = (n: number) => (pair ? 0 : n)
        const w = f.i32(decoded)
        f.times(blocks, () => {
          for (const n of [0, 1]) {
            const start = f.v128(heap.splat32(source[n]!, pair ? 32 : 64 + 4 * n))
            for (let q = 0; q < 4; q++) f.set(sums[n]![q]!, start)
          }
          for (let j = 0; j < 8; j++) {
            const values = [0, 1].map((n) => f.v128(heap.splat32(source[n]!, 32 * half(n) + 4 * j)))
            for (let q = 0; q < 4; q++) {
              const weight = f.v128(heap.v128(w, j * 64 + q * 16))
              for (const n of [0, 1]) f.set(sums[n]![q]!, i16x8.add(sums[n]![q]!, k.dotPairs(values[n]!, weight)))
            }
          }
          y.forEach((target, n) => {
            const scale = f.v128(heap.splat32(x[n]!, pair ? 36 : 72))
            for (let q = 0; q < 4; q++) {
              const sum = pair
                ? i32x4.extaddPairwiseI16x8S(sums[n]![q]!)
                : i32x4.add(i32x4.dotI16x8S(sums[0]![q]!, i16x8.splat(256)), i32x4.extaddPairwiseI16x8S(sums[1]![q]!))
              const factor = f32x4.mul(heap.v128(w, 512 + q * 16), scale)
              f.do(heap.storeV128(target, k.madd(f32x4.convertI32x4S(sum), factor, heap.v128(target, q * 16)), q * 16))
            }
          })
          for (const p of x) f.advance(p, bytes)
          f.advance(w, DECODED)
        })
        f.advance(list, pair ? 16 : 8)
      })
      return undefined
    },
  )
}

/** Where y starts: the bias, or zero. */
function emitStart(k: KernelModule): void {
  k.module.func('start_rows', { list: 'i32', count: 'i32', yOffset: 'i32', bias: 'i32' }, (f, { list, count, yOffset, bias }) => {
    const vectors = [0, 16, 32, 48].map((at) => ({ at, value: f.v128(k.heap.v128(bias, at)) }))
    f.times(count, () => {
      const y = f.i32(i32.add(k.heap.i32(list, 4), yOffset))
      for (const { at, value } of vectors) f.do(k.heap.storeV128(y, value, at))
      f.advance(list, 8)
    })
    return undefined
  })
}

/** Rows of x that share one decoded chunk. */
const TOKEN_BLOCK = 128
/** Results that are not y itself: of the partner of an odd row, and of a padded last group. */
const SPARE = LIST + 8 * (TOKEN_BLOCK + 2)

/** Rows `from`…`to` (from a multiple of 16) of an mxfp4 matrix times `count` quantised rows. */
export function multiplyMxfp4(
  c: Context,
  activation: Activation,
  weight: { arena: number; address: number; columns: number },
  from: number,
  to: number,
  count: number,
  at: (i: number) => [x: number, y: number],
  bias: number,
): void {
  if (count === 1) {
    const [x, y] = at(0)
    vectorMxfp4(c, activation, weight, from, to, x, y, bias)
    return
  }
  const { start_rows: start, decode_mxfp4: decode, [`tile_mxfp4_${activation}`]: tile } = c.on(weight.arena)
  const blocks = weight.columns / 32
  const list = c.scratch + LIST
  const spare = c.scratch + SPARE
  for (let first = 0; first < count; first += TOKEN_BLOCK) {
    const tokens = Math.min(TOKEN_BLOCK, count - first)
    const turns = writeList(c, tokens, (i) => at(first + i), spare)
    const partner = tokens % 2 === 1 ? list / 4 + 2 * tokens + 1 : -1
    for (let row = from; row < to; row += GROUP_ROWS) {
      const rows = Math.min(GROUP_ROWS, to - row)
      // A padded group writes to scratch first, so that nothing behind y is touched.
      if (rows < GROUP_ROWS) for (let i = 0; i < tokens; i++) c.words[list / 4 + 2 * i + 1] = spare + 64 * (i + 1) - row * 4
      if (partner >= 0) c.words[partner] = spare - row * 4
      start!(list, 2 * turns, row * 4, bias ? bias + row * 4 : ZEROS)
      for (let block = 0; block < blocks; block += CHUNK) {
        const chunk = Math.min(CHUNK, blocks - block)
        decode!(weight.address + ((row / GROUP_ROWS) * blocks + block) * GROUP_BLOCK_BYTES, c.scratch, chunk)
        tile!(c.scratch, chunk, list, activation === 'i8' ? turns : tokens, block * ACTIVATION_BYTES[activation], row * 4)
      }
      if (rows < GROUP_ROWS)
        for (let i = 0; i < tokens; i++) c.on(0).copyWithin!(at(first + i)[1] + row * 4, spare + 64 * (i + 1), rows * 4)
    }
  }
}

/** [arena, weight, x (quantised), y, bias or 0, T, columns, rows, activation] */
export const linearMxfp4: Kernel = {
  emit(k) {
    emitDecode(k)
    emitStart(k)
    for (const activation of ACTIVATIONS) {
      emitVector(k, activation)
      emitTile(k, activation)
    }
  },
  run(c, [arena, address, x, y, bias, T, columns, rows, activation]) {
    const kind = ACTIVATIONS[activation!]!
    const [from, to] = share(c, rows!, GROUP_ROWS)
    if (from >= to) return
    const xBytes = (columns! / 32) * ACTIVATION_BYTES[kind]
    const weight = { arena: arena!, address: address!, columns: columns! }
    multiplyMxfp4(c, kind, weight, from, to, T!, (i) => [x! + i * xBytes, y! + i * rows! * 4], bias!)
  },
}
