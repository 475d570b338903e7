/**
 * y = x·Wᵀ + b for dense weights as published, f32 or bf16; sums in f32.
 *
 * One row of x (decode): one weight row at a time, eight partial sums, one strictly sequential stream per worker.
 *
 *       x  ────────────────►            bf16: 16 bytes of W are 8 weights; two unpacks and two
 *   W   ════════════════════  → y[o]    multiply-adds finish them
 *
 * Many rows of x (prefill): tiles of 4 weight rows × 2 tokens. 4 × CHUNK weights are unpacked to f32 scratch once and used for
 * a block of tokens; partial sums of the chunks meet in scratch.
 *
 *            k ──►                    k ──►
 *   scratch  ▒▒▒▒▒▒▒▒  4 rows    x    ▒▒▒▒▒▒▒▒  2 tokens     8 accumulators, lanes along k
 */
import { type FunctionBuilder, f32, f32x4, i32, type Local, type V128 } from '../encoder.ts'
import { FORMAT, FORMAT_NAMES, rowBytes } from '../formats.ts'
import { type Context, type Kernel, share } from '../kernel.ts'
import { ZEROS } from '../layout.ts'
import { bf16High, bf16Low, type KernelModule } from '../simd.ts'

/** Columns of a weight tile: 4 rows of f32 are 8 KiB and stay in the first-level cache. */
export const CHUNK = 512
const STRIDE = CHUNK * 4
/** Rows of x that share one unpacked tile: their chunk of x stays in the second-level cache. */
export const TOKEN_BLOCK = 128
/** Rows whose sums wait in scratch until all columns are done: y is written once, in runs (a large power-of-two stride would thrash caches). */
const ROW_BLOCK = 64
/** Where the list of rows of x and the sums lie in a worker's scratch, behind the tile. */
export const LIST = 65536
export const SUMS = 2 * 65536

/** One weight row after the other times one x. */
function emitVector(k: KernelModule, format: 'f32' | 'bf16'): void {
  const { heap, weights } = k
  k.module.func(
    `vector_${format}`,
    { x: 'i32', w: 'i32', y: 'i32', bias: 'i32', biasStep: 'i32', columns: 'i32', rows: 'i32' },
    (f, { x, w, y, bias, biasStep, columns, rows }) => {
      const width = format === 'bf16' ? 2 : 4
      const sums = Array.from({ length: 8 }, () => f.v128())
      // 8 columns from byte offset `at` columns: two multiply-adds into two of the sums.
      const eight = (p: Local<'i32'>, at: number, pair: number) => {
        const a = sums[2 * pair]!
        const b = sums[2 * pair + 1]!
        const xa = heap.v128(p, at * 4)
        const xb = heap.v128(p, at * 4 + 16)
        if (format === 'bf16') {
          const eightWeights = f.v128(weights.v128(w, at * 2))
          f.set(a, k.madd(bf16Low(eightWeights), xa, a))
          f.set(b, k.madd(bf16High(eightWeights), xb, b))
        } else {
          f.set(a, k.madd(weights.v128(w, at * 4), xa, a))
          f.set(b, k.madd(weights.v128(w, at * 4 + 16), xb, b))
        }
      }
      f.times(rows, () => {
        const p = f.i32(x)
        for (const sum of sums) f.set(sum, f32x4.splat(0))
        f.times(i32.shrU(columns, 5), () => {
          for (let i = 0; i < 4; i++) eight(p, i * 8, i)
          f.advance(w, 32 * width)
          f.advance(p, 128)
        })
        f.times(i32.and(i32.shrU(columns, 3), 3), () => {
          eight(p, 0, 0)
          f.advance(w, 8 * width)
          f.advance(p, 32)
        })
        const add = (a: V128, b: V128) => f32x4.add(a, b)
        const quarter = sums.slice(0, 4).map((sum, i) => add(sum, sums[i + 4]!))
        const result = f.f32(f32.add(k.sum(f, add(add(quarter[0]!, quarter[1]!), add(quarter[2]!, quarter[3]!))), heap.f32(bias)))
        f.times(i32.and(columns, 7), () => {
          const weight = format === 'bf16' ? f32.reinterpretI32(i32.shl(weights.u16(w), 16)) : weights.f32(w)
          f.set(result, f32.add(result, f32.mul(weight, heap.f32(p))))
          f.advance(w, width)
          f.advance(p, 4)
        })
        f.do(heap.storeF32(y, result))
        f.advance(y, 4)
        f.advance(bias, biasStep)
      })
      return undefined
    },
  )
}

/** Unpacks `count` columns of one row into f32 scratch. */
function emitUnpackRow(
  k: KernelModule,
  f: FunctionBuilder,
  format: 'f32' | 'bf16',
  from: Local<'i32'>,
  to: Local<'i32'>,
  count: Local<'i32'>,
): void {
  if (format === 'f32') {
    f.do(k.heap.copy(to, from, i32.shl(count, 2), k.weights))
    return
  }
  const source = f.i32(from)
  const target = f.i32(to)
  f.times(i32.shrU(count, 3), () => {
    const w = f.v128(k.weights.v128(source))
    f.do(k.heap.storeV128(target, bf16Low(w)), k.heap.storeV128(target, bf16High(w), 16))
    f.advance(source, 16)
    f.advance(target, 32)
  })
  f.times(i32.and(count, 7), () => {
    f.do(k.heap.storeI32(target, i32.shl(k.weights.u16(source), 16)))
    f.advance(source, 2)
    f.advance(target, 4)
  })
}

/** Four rows of scratch times every pair of the list, `columns` deep; results go to (or are added to) 8 sums per pair. */
function emitTile(
  k: KernelModule,
  f: FunctionBuilder,
  p: Record<'scratch' | 'columns' | 'list' | 'pairs' | 'xOffset' | 'sums' | 'first', Local<'i32'>>,
): void {
  const { heap } = k
  const entry = f.i32(p.list)
  f.times(p.pairs, () => {
    const x = [f.i32(i32.add(heap.i32(entry), p.xOffset)), f.i32(i32.add(heap.i32(entry, 8), p.xOffset))]
    const w = f.i32(p.scratch)
    const sums = [0, 1].map(() => [0, 1, 2, 3].map(() => f.v128(f32x4.splat(0))))
    const step = (at: number, load: (p: Local<'i32'>, offset: number) => V128) => {
      const values = x.map((pointer) => f.v128(load(pointer, at)))
      for (let r = 0; r < 4; r++) {
        const weight = f.v128(load(w, r * STRIDE + at))
        for (let t = 0; t < 2; t++) f.set(sums[t]![r]!, k.madd(weight, values[t]!, sums[t]![r]!))
      }
    }
    const forward = (bytes: number) => {
      for (const pointer of [...x, w]) f.advance(pointer, bytes)
    }
    f.times(i32.shrU(p.columns, 3), () => {
      step(0, (pointer, at) => heap.v128(pointer, at))
      step(16, (pointer, at) => heap.v128(pointer, at))
      forward(32)
    })
    f.times(i32.and(p.columns, 7), () => {
      step(0, (pointer, at) => heap.zero32(pointer, at))
      forward(4)
    })
    const results = sums.map((four) => f.v128(k.sum4(four)))
    f.if(i32.eqz(p.first), () => {
      results.forEach((result, t) => {
        f.set(result, f32x4.add(result, heap.v128(p.sums, t * 16)))
      })
    })
    for (let t = 0; t < 2; t++) f.do(heap.storeV128(p.sums, results[t]!, t * 16))
    f.advance(p.sums, 32)
    f.advance(entry, 16)
  })
}

function emitMatrix(k: KernelModule, format: 'f32' | 'bf16'): void {
  k.module.func(
    `matrix_${format}`,
    {
      w: 'i32',
      stride: 'i32',
      rows: 'i32',
      columns: 'i32',
      list: 'i32',
      pairs: 'i32',
      xOffset: 'i32',
      sums: 'i32',
      first: 'i32',
      scratch: 'i32',
    },
    (f, { w, stride, rows, columns, list, pairs, xOffset, sums, first, scratch }) => {
      f.while(
        () => i32.gtS(rows, 0),
        () => {
          const from = f.i32(w)
          const to = f.i32(scratch)
          for (let r = 0; r < 4; r++) {
            f.if(i32.gtS(rows, r), () => emitUnpackRow(k, f, format, from, to, columns))
            f.advance(from, stride)
            f.advance(to, STRIDE)
          }
          emitTile(k, f, { scratch, columns, list, pairs, xOffset, sums, first })
          f.set(w, from)
          f.set(rows, i32.sub(rows, 4))
        },
      )
      return undefined
    },
  )
}

/** y[token][rows] = sums + bias; the sums of four rows lie token after token. */
function emitSpread(k: KernelModule): void {
  const { heap } = k
  k.module.func(
    'spread',
    { sums: 'i32', tileBytes: 'i32', list: 'i32', tokens: 'i32', yOffset: 'i32', rows: 'i32', bias: 'i32', biasStep: 'i32' },
    (f, { sums, tileBytes, list, tokens, yOffset, rows, bias, biasStep }) => {
      f.times(tokens, () => {
        const y = f.i32(i32.add(heap.i32(list, 4), yOffset))
        const sum = f.i32(sums)
        const b = f.i32(bias)
        const left = f.i32(rows)
        const value = () => f32x4.add(heap.v128(sum), heap.v128(b))
        f.while(
          () => i32.geU(left, 4),
          () => {
            f.do(heap.storeV128(y, value()))
            f.advance(sum, tileBytes)
            f.advance(y, 16)
            f.advance(b, biasStep)
            f.set(left, i32.sub(left, 4))
          },
        )
        for (let r = 0; r < 3; r++) f.if(i32.gtU(left, r), () => f.do(heap.storeF32(y, f32x4.extractLane(value(), r), r * 4)))
        f.advance(sums, 16)
        f.advance(list, 8)
      })
      return undefined
    },
  )
}

/** Rows of x and y as a list of addresses in scratch, an even number of them: a last odd row is repeated. */
export function writeList(c: Context, count: number, at: (i: number) => [x: number, y: number]): number {
  const word = (c.scratch + LIST) / 4
  for (let i = 0; i < count + (count % 2); i++) {
    const [x, y] = at(Math.min(i, count - 1))
    c.words[word + 2 * i] = x
    c.words[word + 2 * i + 1] = y
  }
  return Math.ceil(count / 2)
}

/** Rows `from`…`to` of a dense matrix times `count` rows of x. */
export function multiply(
  c: Context,
  weight: { arena: number; address: number; format: number; columns: number },
  from: number,
  to: number,
  count: number,
  at: (i: number) => [x: number, y: number],
  bias: number,
): void {
  const { arena, address, format, columns } = weight
  const kernels = c.on(arena)
  const stride = rowBytes(format, columns)
  const biasOf = (row: number) => (bias ? bias + row * 4 : ZEROS)
  if (count === 1) {
    const [x, y] = at(0)
    kernels[`vector_${FORMAT_NAMES[format]}`]!(x, address + from * stride, y + from * 4, biasOf(from), bias ? 4 : 0, columns, to - from)
    return
  }
  const matrix = kernels[`matrix_${FORMAT_NAMES[format]}`]!
  const width = format === FORMAT.bf16 ? 2 : 4
  const list = c.scratch + LIST
  const sums = c.scratch + SUMS
  for (let token = 0; token < count; token += TOKEN_BLOCK) {
    const tokens = Math.min(TOKEN_BLOCK, count - token)
    const pairs = writeList(c, tokens, (i) => at(token + i))
    for (let row = from; row < to; row += ROW_BLOCK) {
      const rows = Math.min(ROW_BLOCK, to - row)
      for (let column = 0; column < columns; column += CHUNK) {
        const w = address + row * stride + column * width
        const chunk = Math.min(CHUNK, columns - column)
        matrix(w, stride, rows, chunk, list, pairs, column * 4, sums, column === 0 ? 1 : 0, c.scratch)
      }
      kernels.spread!(sums, pairs * 32, list, tokens, row * 4, rows, biasOf(row), bias ? 16 : 0)
    }
  }
}

/** [arena, weight, format, x, y, bias or 0, T, columns, rows] */
export const linear: Kernel = {
  emit(k) {
    for (const format of ['f32', 'bf16'] as const) {
      emitVector(k, format)
      emitMatrix(k, format)
    }
    emitSpread(k)
  },
  work: ([, , , , , , T, columns, rows]) => T! * columns! * rows!,
  run(c, [arena, address, format, x, y, bias, T, columns, rows]) {
    const [from, to] = share(c, rows!, 4)
    if (from >= to) return
    const weight = { arena: arena!, address: address!, format: format!, columns: columns! }
    multiply(c, weight, from, to, T!, (i) => [x! + i * columns! * 4, y! + i * rows! * 4], bias!)
  },
}
