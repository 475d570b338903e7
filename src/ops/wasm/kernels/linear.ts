/**
 * y = x·Wᵀ + b for dense weights as published, f32 or bf16; sums in f32.
 *
 * One row of x (decode): one weight row at a time, eight partial sums, one strictly sequential stream per worker.
 *
 *       x  ────────────────►            bf16: 16 bytes of W are 8 weights; two unpacks and two
 *   W   ════════════════════  → y[o]    multiply-adds finish them
 *
 * Several rows of x (batches, prefill): tiles of 2 weight rows × 4 tokens straight from the published bytes. 4 tokens × CHUNK of x stay in the
 * first-level cache while ROW_BLOCK weight rows pass by; these come from the second level for the next tokens.
 *
 *       k ──►                    k ──►
 *   W   ▒▒▒▒▒▒▒▒  2 rows     x   ▒▒▒▒▒▒▒▒  4 tokens     8 accumulators, lanes along k
 */
import { f32, f32x4, i32, i32x4, type Local, type V128 } from '../encoder.ts'
import { FORMAT, FORMAT_NAMES, rowBytes } from '../formats.ts'
import { type Context, type Kernel, share } from '../kernel.ts'
import { ZEROS } from '../layout.ts'
import { bf16High, bf16Low, type KernelModule, transpose } from '../simd.ts'

/** Columns of one visit: 4 tokens of f32 are 8 KiB. */
const CHUNK = 512
/** Rows of x of one visit. */
export const TOKEN_BLOCK = 128
/** Up to so many rows of x, weight rows are read whole. */
const FEW = 16
/** Weight rows of one visit. Their sums wait in scratch until all columns are done: y is written once, in runs. */
const ROW_BLOCK = 64
/** Where the list of rows of x and the sums lie in a worker's scratch. */
export const LIST = 65536
const SUMS = 2 * 65536

/** One weight row after the other times one x. */
function emitVector(k: KernelModule, format: 'f32' | 'bf16'): void {
  const { heap, weights } = k
  k.module.func(
    `vector_${format}`,
    { x: 'i32', w: 'i32', y: 'i32', bias: 'i32', biasStep: 'i32', columns: 'i32', rows: 'i32' },
    (f, { x, w, y, bias, biasStep, columns, rows }) => {
      const width = format === 'bf16' ? 2 : 4
      const zero = f.v128(k.splat(0))
      const sums = Array.from({ length: 8 }, () => f.v128())
      // 8 columns from byte offset `at` columns: two multiply-adds into two of the sums.
      const eight = (p: Local<'i32'>, at: number, pair: number) => {
        const a = sums[2 * pair]!
        const b = sums[2 * pair + 1]!
        const xa = heap.v128(p, at * 4)
        const xb = heap.v128(p, at * 4 + 16)
        if (format === 'bf16') {
          const eightWeights = f.v128(weights.v128(w, at * 2))
          f.set(a, k.madd(bf16Low(eightWeights, zero), xa, a))
          f.set(b, k.madd(bf16High(eightWeights, zero), xb, b))
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

/** Two weight rows times four rows of x at a time, for all rows and all groups of four; the sums of four tokens lie row after row. */
function emitMatrix(k: KernelModule, format: 'f32' | 'bf16'): void {
  const { heap, weights } = k
  const width = format === 'bf16' ? 2 : 4
  k.module.func(
    `matrix_${format}`,
    {
      w: 'i32',
      stride: 'i32',
      rows: 'i32',
      columns: 'i32',
      list: 'i32',
      groups: 'i32',
      xOffset: 'i32',
      sums: 'i32',
      groupBytes: 'i32',
      first: 'i32',
    },
    (f, { w, stride, rows, columns, list, groups, xOffset, sums, groupBytes, first }) => {
      const zero = f.v128(k.splat(0))
      const accumulators = [0, 1].map(() => [0, 1, 2, 3].map(() => f.v128()))
      f.times(groups, () => {
        const row = f.i32(w)
        const left = f.i32(rows)
        const target = f.i32(sums)
        f.while(
          () => i32.gtS(left, 0),
          () => {
            const w2 = [f.i32(row), f.i32(i32.select(i32.gtS(left, 1), i32.add(row, stride), row))]
            const x = [0, 1, 2, 3].map((t) => f.i32(i32.add(heap.i32(list, t * 8), xOffset)))
            for (const four of accumulators) for (const sum of four) f.set(sum, f32x4.splat(0))
            const multiply = (row: number, weight: V128, t: number, value: V128) => {
              const sum = accumulators[row]![t]!
              f.set(sum, k.madd(weight, value, sum))
            }
            const eight = (column: number) => {
              const packed = format === 'bf16' ? w2.map((pointer) => f.v128(weights.v128(pointer, column * 2))) : []
              for (const half of [0, 1]) {
                const unpacked = w2.map((pointer, r) =>
                  f.v128(format === 'bf16' ? [bf16Low, bf16High][half]!(packed[r]!, zero) : weights.v128(pointer, column * 4 + half * 16)),
                )
                x.forEach((pointer, t) => {
                  const value = f.v128(heap.v128(pointer, column * 4 + half * 16))
                  unpacked.forEach((weight, r) => {
                    multiply(r, weight, t, value)
                  })
                })
              }
            }
            const forward = (count: number) => {
              for (const pointer of w2) f.advance(pointer, count * width)
              for (const pointer of x) f.advance(pointer, count * 4)
            }
            f.times(i32.shrU(columns, 5), () => {
              for (let column = 0; column < 32; column += 8) eight(column)
              forward(32)
            })
            f.times(i32.and(i32.shrU(columns, 3), 3), () => {
              eight(0)
              forward(8)
            })
            f.times(i32.and(columns, 7), () => {
              const one = w2.map((pointer) =>
                f.v128(format === 'bf16' ? i32x4.splat(i32.shl(weights.u16(pointer), 16)) : weights.zero32(pointer)),
              )
              x.forEach((pointer, t) => {
                const value = f.v128(heap.zero32(pointer)) // the other lanes are zero
                one.forEach((weight, r) => {
                  multiply(r, weight, t, value)
                })
              })
              forward(1)
            })
            accumulators.forEach((four, r) => {
              const result = f.v128(k.sum4(four))
              f.if(i32.eqz(first), () => f.set(result, f32x4.add(result, heap.v128(target, r * 16))))
              f.do(heap.storeV128(target, result, r * 16))
            })
            f.advance(target, 32)
            f.set(row, i32.add(row, i32.shl(stride, 1)))
            f.set(left, i32.sub(left, 2))
          },
        )
        f.advance(list, 32)
        f.advance(sums, groupBytes)
      })
      return undefined
    },
  )
}

/** y[token][rows] = sums + bias: four tokens × four rows at a time, transposed. */
function emitSpread(k: KernelModule): void {
  const { heap } = k
  k.module.func(
    'spread',
    { sums: 'i32', groupBytes: 'i32', list: 'i32', tokens: 'i32', yOffset: 'i32', rows: 'i32', bias: 'i32', biasStep: 'i32' },
    (f, { sums, groupBytes, list, tokens, yOffset, rows, bias, biasStep }) => {
      f.while(
        () => i32.gtS(tokens, 0),
        () => {
          const y = [0, 1, 2, 3].map((t) => f.i32(i32.add(heap.i32(list, t * 8 + 4), yOffset)))
          const from = f.i32(sums)
          const b = f.i32(bias)
          const left = f.i32(rows)
          f.while(
            () => i32.gtS(left, 0),
            () => {
              const start = f.v128(heap.v128(b))
              transpose(
                f,
                [0, 1, 2, 3].map((r) => f.v128(heap.v128(from, r * 16))),
              ).forEach((vector, t) => {
                const value = f.v128(f32x4.add(vector, start))
                f.if(i32.gtS(tokens, t), () =>
                  f.if(
                    i32.geU(left, 4),
                    () => f.do(heap.storeV128(y[t]!, value)),
                    () => {
                      for (let r = 0; r < 3; r++)
                        f.if(i32.gtS(left, r), () => f.do(heap.storeF32(y[t]!, f32x4.extractLane(value, r), r * 4)))
                    },
                  ),
                )
                f.advance(y[t]!, 16)
              })
              f.advance(from, 64)
              f.advance(b, biasStep)
              f.set(left, i32.sub(left, 4))
            },
          )
          f.advance(sums, groupBytes)
          f.advance(list, 32)
          f.set(tokens, i32.sub(tokens, 4))
        },
      )
      return undefined
    },
  )
}

/** Rows of x and y as a list of addresses in scratch, a multiple of four of them: the last row is repeated. Gives the number of rows listed. */
export function writeList(c: Context, count: number, at: (i: number) => [x: number, y: number]): number {
  const word = (c.scratch + LIST) / 4
  const listed = Math.ceil(count / 4) * 4
  for (let i = 0; i < listed; i++) {
    const [x, y] = at(Math.min(i, count - 1))
    c.words[word + 2 * i] = x
    c.words[word + 2 * i + 1] = y
  }
  return listed
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
  // Few rows of x (batched decode) walk whole weight rows, one after the other, as memory likes it.
  const chunk = count <= FEW ? columns : CHUNK
  for (let token = 0; token < count; token += TOKEN_BLOCK) {
    const tokens = Math.min(TOKEN_BLOCK, count - token)
    const groups = writeList(c, tokens, (i) => at(token + i)) / 4
    for (let row = from; row < to; row += ROW_BLOCK) {
      const rows = Math.min(ROW_BLOCK, to - row)
      const groupBytes = Math.ceil(rows / 4) * 64
      for (let column = 0; column < columns; column += chunk) {
        const w = address + row * stride + column * width
        const depth = Math.min(chunk, columns - column)
        matrix(w, stride, rows, depth, list, groups, column * 4, sums, groupBytes, column === 0 ? 1 : 0)
      }
      kernels.spread!(sums, groupBytes, list, tokens, row * 4, rows, biasOf(row), bias ? 16 : 0)
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
