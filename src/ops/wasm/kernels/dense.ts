/**
 * y = x·Wᵀ + b for weights by rows, f32, bf16 or fp8; sums in f32. The 128 columns of an fp8 block are a chunk, whose sum is multiplied by its scale.
 *
 * A sum over columns is sixteen sums (column modulo 16) within every chunk, which become one at its end; chunks add up in order. Every kernel
 * adds in this order. So a row of x has the same result alone and among others, and with vectors of 4 or 8 lanes.
 *
 * One row of x (decode): one weight row at a time. Several (batches, prefill): tiles of 2 weight rows × 4 tokens straight from the published
 * bytes. 4 tokens × CHUNK of x stay in the first-level cache while ROW_BLOCK weight rows are read; for the next 4 tokens these weights come
 * from the second-level cache.
 *
 *       k ──►                    k ──►
 *   W   ▒▒▒▒▒▒▒▒  2 rows     x   ▒▒▒▒▒▒▒▒  4 tokens     8 accumulators of 8 lanes along k
 */
import { FP8_BLOCK } from '../../dtype.ts'
import { type FunctionBuilder, f32, f32x4, i32, i32x4, type Local, type Memory, type V128, v128 } from '../encoder.ts'
import { FORMAT, FORMAT_NAMES, rowBytes } from '../formats.ts'
import { type Context, integers, Kernel, productWork, share } from '../kernel.ts'
import { ZEROS } from '../layout.ts'
import { interleave, type KernelModule, transpose } from '../simd.ts'

/** Columns of one block of work: 4 tokens of f32 are 16 KiB. */
const CHUNK = 1024
/** Rows of x of one block of work. */
export const TOKEN_BLOCK = 128
/** Weight rows of one block of work. Their sums wait in scratch until all columns are done: y is written once, in runs. */
const ROW_BLOCK = 64
/** Places in a worker's scratch: the list of rows of x, accumulators that are being added up, the sums, copied weights. */
export const LIST = 65536
const SPILL = 2 * 65536 - 1024
const SUMS = 2 * 65536
const GATHERED = 4 * 65536

const DENSE = ['f32', 'bf16', 'fp8'] as const
type DenseFormat = (typeof DENSE)[number]

/**
 * Dot products of some weight rows with some rows of x along `columns`. Calls `each` at the end of every chunk with its sums, one vector per
 * pair of rows, whose four lanes are still to be added up. The pointers end behind the last column.
 *
 *   sixteen columns      half 0: columns 0…7        half 1: columns 8…15
 *   of one row           quad 0  | quad 1           quad 0  | quad 1            an accumulator per quad and pair of rows
 *
 * A tile of several pairs has registers for one half only: it passes over a chunk twice. A single pair passes once, with both halves.
 */
function emitDots(
  k: KernelModule,
  f: FunctionBuilder,
  format: DenseFormat,
  p: { weights: Memory; w: readonly Local<'i32'>[]; x: readonly Local<'i32'>[]; columns: Local<'i32'>; spill: Local<'i32'> },
  each: (sums: Local<'v128'>[][]) => void,
): void {
  const { heap } = k
  const { weights } = p
  const width = { f32: 4, bf16: 2, fp8: 1 }[format]
  const chunk = format === 'fp8' ? FP8_BLOCK : CHUNK
  const exponent = format === 'fp8' ? f.v128(f32x4.splat(2 ** 120)) : undefined
  const passes = p.w.length * p.x.length === 1 ? [[0, 1]] : [[0], [1]]
  const left = f.i32(p.columns)
  f.while(
    () => i32.gtS(left, 0),
    () => {
      const count = f.i32(i32.select(i32.gtS(left, chunk), chunk, left))
      const scales = format === 'fp8' && p.w.map((pointer) => f.f32(weights.f32(pointer)))
      if (scales) for (const pointer of p.w) f.advance(pointer, 4)
      const sums = p.w.map(() => p.x.map(() => [0, 1].map((): V128[] => [])))
      passes.forEach((halves, pass) => {
        const [w, x] = [p.w.map((pointer) => f.i32(pointer)), p.x.map((pointer) => f.i32(pointer))]
        const accumulators = halves.map(() => w.map(() => x.map(() => [0, 1].map(() => f.v128(f32x4.splat(0))))))
        const multiply = (index: number, column: number) => {
          const rows = w.map((pointer) => {
            if (format === 'f32') return [0, 16].map((quad) => f.v128(weights.v128(pointer, column * 4 + quad)))
            if (format === 'fp8') {
              // Exponent and fraction move to where an f32 has them, which makes the number too small by 2^120, also where it is subnormal.
              const eight = f.v128(weights.load8x8S(pointer, column))
              return [i32x4.extendLowI16x8S(eight), i32x4.extendHighI16x8S(eight)].map((code) =>
                f.v128(f32x4.mul(v128.and(i32x4.shl(code, 20), k.splatInteger(0x87f00000)), exponent!)),
              )
            }
            const packed = f.v128(weights.v128(pointer, column * 2))
            return [i32x4.extendLowI16x8U(packed), i32x4.extendHighI16x8U(packed)].map((quad) => f.v128(i32x4.shl(quad, 16)))
          })
          x.forEach((pointer, t) => {
            const values = [0, 16].map((quad) => f.v128(heap.v128(pointer, column * 4 + quad)))
            rows.forEach((weight, r) => {
              accumulators[index]![r]![t]!.forEach((sum, quad) => {
                f.set(sum, k.madd(weight[quad]!, values[quad]!, sum))
              })
            })
          })
        }
        const forward = (columns: number) => {
          for (const pointer of w) f.advance(pointer, columns * width)
          for (const pointer of x) f.advance(pointer, columns * 4)
        }
        const sixteen = (at: number) =>
          halves.forEach((half, index) => {
            multiply(index, at + half * 8)
          })
        f.times(i32.shrU(count, 6), () => {
          for (let at = 0; at < 64; at += 16) sixteen(at)
          forward(64)
        })
        f.times(i32.and(i32.shrU(count, 4), 3), () => {
          sixteen(0)
          forward(16)
        })
        if (halves[0] === 0) f.if(i32.and(count, 8), () => multiply(0, 0))
        const flat = accumulators.flat(3)
        k.storeRun(f, p.spill, flat, pass * flat.length * 16)
        halves.forEach((half, index) => {
          accumulators[index]!.forEach((tokens, r) => {
            tokens.forEach((quads, t) => {
              sums[r]![t]![half] = quads.map((quad) => heap.v128(p.spill, (pass * flat.length + flat.indexOf(quad)) * 16))
            })
          })
        })
      })
      const add = ([a, b]: V128[]) => f32x4.add(a!, b!)
      const results = sums.map((tokens, r) =>
        tokens.map((halves) => {
          const sum = add(halves.map(add))
          return f.v128(scales ? f32x4.mul(sum, f32x4.splat(scales[r]!)) : sum)
        }),
      )
      const whole = f.i32(i32.and(count, -8))
      const [w, x] = [p.w, p.x]
      for (const pointer of w) f.advance(pointer, i32.mul(whole, width))
      for (const pointer of x) f.advance(pointer, i32.mul(whole, 4))
      if (format !== 'fp8')
        f.times(i32.and(count, 7), () => {
          const one = w.map((pointer) =>
            f.v128(format === 'bf16' ? i32x4.splat(i32.shl(weights.u16(pointer), 16)) : weights.zero32(pointer)),
          )
          x.forEach((pointer, t) => {
            const value = f.v128(heap.zero32(pointer)) // the other lanes are zero
            one.forEach((weight, r) => {
              f.set(results[r]![t]!, k.madd(weight, value, results[r]![t]!))
            })
            f.advance(pointer, 4)
          })
          for (const pointer of w) f.advance(pointer, width)
        })
      each(results)
      f.set(left, i32.sub(left, count))
    },
  )
}

/** One weight row after the other times one x: a strictly sequential stream, which memory delivers fastest. */
function emitVector(k: KernelModule, format: DenseFormat): void {
  const { heap } = k
  k.module.func(
    `vector_${format}`,
    { x: 'i32', w: 'i32', y: 'i32', bias: 'i32', biasStep: 'i32', columns: 'i32', rows: 'i32', spill: 'i32' },
    (f, { x, w, y, bias, biasStep, columns, rows, spill }) => {
      f.times(rows, () => {
        const total = f.f32(0)
        const values = f.i32(x)
        const dots = (columns: Local<'i32'>, sum: Local<'f32'>) =>
          emitDots(k, f, format, { weights: k.weights, w: [w], x: [values], columns, spill }, (sums) => {
            f.set(sum, f32.add(sum, k.sum(f, sums[0]![0]!)))
          })
        if (format !== 'fp8') dots(columns, total)
        else {
          // The tiles add up CHUNK columns before they add these to the sum so far.
          const left = f.i32(columns)
          f.while(
            () => i32.gtS(left, 0),
            () => {
              const sum = f.f32(0)
              dots(f.i32(i32.select(i32.gtS(left, CHUNK), CHUNK, left)), sum)
              f.set(total, f32.add(total, sum))
              f.set(left, i32.sub(left, CHUNK))
            },
          )
        }
        f.do(heap.storeF32(y, f32.add(total, heap.f32(bias))))
        f.advance(y, 4)
        f.advance(bias, biasStep)
      })
    },
  )
}

/** Two weight rows times four rows of x at a time, for all rows and all groups of four; the sums of four tokens are stored row after row. */
function emitMatrix(k: KernelModule, format: DenseFormat): void {
  const { heap } = k
  // Pairs of loads are joined only in the first memory: f32 is copied there, bf16 has no pairs (a load is eight weights).
  const weights = format === 'f32' ? heap : k.weights
  // Without vectors of eight lanes there are registers for two tokens only. Their sums: row 0 of both, row 1 of both.
  const byRow = ([a]: V128[], [b]: V128[]) => [interleave(a!, b!, 8, 'low'), interleave(a!, b!, 8, 'high')]
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
      spill: 'i32',
    },
    (f, { w, stride, rows, columns, list, groups, xOffset, sums, groupBytes, first, spill }) => {
      f.times(groups, () => {
        const row = f.i32(w)
        const left = f.i32(rows)
        const target = f.i32(sums)
        f.while(
          () => i32.gtS(left, 0),
          () => {
            const second = i32.select(i32.gtS(left, 1), i32.add(row, stride), row)
            /** Sums of both rows for some of the four tokens, four to a vector. */
            const dots = (tokens: number[]) => {
              const totals = Array.from({ length: tokens.length / 2 }, () => f.v128(f32x4.splat(0)))
              const x = tokens.map((t) => f.i32(i32.add(heap.i32(list, t * 8), xOffset)))
              emitDots(k, f, format, { weights, w: [f.i32(row), f.i32(second)], x, columns, spill }, (sums) => {
                const flat = sums.flat()
                totals.forEach((total, i) => {
                  f.set(total, f32x4.add(total, k.sum4(flat.slice(4 * i, 4 * i + 4))))
                })
              })
              return totals
            }
            const results = k.features.wide ? dots([0, 1, 2, 3]) : byRow(dots([0, 1]), dots([2, 3]))
            results.forEach((result, r) => {
              const total = f.v128(result)
              f.if(i32.eqz(first), () => f.set(total, f32x4.add(heap.v128(target, r * 16), total)))
              f.do(heap.storeV128(target, total, r * 16))
            })
            f.advance(target, 32)
            f.set(row, i32.add(row, i32.shl(stride, 1)))
            f.set(left, i32.sub(left, 2))
          },
        )
        f.advance(list, 32)
        f.advance(sums, groupBytes)
      })
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
    },
  )
}

/** Some columns of some rows of a matrix into the heap, one row behind the other. */
function emitGather(k: KernelModule): void {
  k.module.func('gather', { w: 'i32', stride: 'i32', rows: 'i32', bytes: 'i32', to: 'i32' }, (f, { w, stride, rows, bytes, to }) => {
    f.times(rows, () => {
      f.do(k.heap.copy(to, w, bytes, k.weights))
      f.advance(w, stride)
      f.advance(to, bytes)
    })
  })
}

/** Reads one word of every cache line. The tile's own loads are several streams at once, which memory delivers at a third of the speed. */
function emitTouch(k: KernelModule): void {
  k.module.func('touch', { from: 'i32', bytes: 'i32' }, (f, { from, bytes }) => {
    f.times(i32.shrU(bytes, 8), () => {
      for (let at = 0; at < 256; at += 64) f.drop(k.weights.i32(from, at))
      f.advance(from, 256)
    })
  })
}

/** Writes the addresses of rows of x and y as a list into scratch. The last row is repeated up to a multiple of four. Returns the rows listed. */
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
  const spill = c.scratch + SPILL
  if (count === 1) {
    const vector = kernels[`vector_${FORMAT_NAMES[format]}`]!
    const [x, y] = at(0)
    vector(x, address + from * stride, y + from * 4, biasOf(from), bias ? 4 : 0, columns, to - from, spill)
    return
  }
  const matrix = kernels[`matrix_${FORMAT_NAMES[format]}`]!
  const list = c.scratch + LIST
  const sums = c.scratch + SUMS
  const gathered = format === FORMAT.f32 && arena !== 0 ? c.scratch + GATHERED : 0
  for (let token = 0; token < count; token += TOKEN_BLOCK) {
    const tokens = Math.min(TOKEN_BLOCK, count - token)
    const groups = writeList(c, tokens, (i) => at(token + i)) / 4
    for (let row = from; row < to; row += ROW_BLOCK) {
      const rows = Math.min(ROW_BLOCK, to - row)
      const groupBytes = Math.ceil(rows / 4) * 64
      if (!gathered) kernels.touch!(address + row * stride, rows * stride)
      for (let column = 0; column < columns; column += CHUNK) {
        const w = address + row * stride + rowBytes(format, column)
        const depth = Math.min(CHUNK, columns - column)
        if (gathered) kernels.gather!(w, stride, rows, depth * 4, gathered)
        const [from, step] = gathered ? [gathered, depth * 4] : [w, stride]
        matrix(from, step, rows, depth, list, groups, column * 4, sums, groupBytes, column === 0 ? 1 : 0, spill)
      }
      kernels.spread!(sums, groupBytes, list, tokens, row * 4, rows, biasOf(row), bias ? 16 : 0)
    }
  }
}

/** `bias` may be 0. Rows of the weight in `groups` of equal size meet the columns of x group by group. */
export const denseKernel = new Kernel('dense', integers('arena', 'address', 'format', 'x', 'y', 'bias', 'T', 'columns', 'rows', 'groups'), {
  emit(k) {
    for (const format of DENSE) {
      emitVector(k, format)
      emitMatrix(k, format)
    }
    emitSpread(k)
    emitGather(k)
    emitTouch(k)
  },
  work: ({ T, columns, rows }) => productWork(T, columns * rows),
  run(c, { arena, address, format, x, y, bias, T, columns, rows, groups }) {
    const [from, to] = share(c, rows, 4)
    const own = rows / groups
    for (let row = from; row < to; ) {
      const group = Math.floor(row / own)
      const end = Math.min(to, (group + 1) * own)
      const at = (i: number): [number, number] => [x + (i * groups + group) * columns * 4, y + i * rows * 4]
      multiply(c, { arena, address, format, columns }, row, end, T, at, bias)
      row = end
    }
  },
})
