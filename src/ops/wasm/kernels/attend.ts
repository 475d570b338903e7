/**
 * The kernel of causal attention with grouped heads, window, sinks and soft cap. Online softmax (Milakov & Gimelshein 2018). Keys outside
 * of every row's window are never visited, except those before it in the same block: blocks begin at multiples of 32, so that the sums
 * of a row do not depend on the rows beside it.
 *
 *              block of 32 keys ──►
 *   ▒▒▒▒  q    S: scores, then probabilities          a task: one key/value head, some rows of one
 *   ▒▒▒▒       ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒                 sequence, all query heads that share the keys
 *   rows × heads of the group                         scores: 2 q × 4 or 8 keys; sums: 4 rows × 8 or 16 columns
 */
import { BLOCK, type Storage } from '../cache-layout.ts'
import { type FunctionBuilder, f32, f32x4, type I32, i32, i32x4, type Local, type V128, v128 } from '../encoder.ts'
import type { KernelModule } from '../simd.ts'

/** The score of a key that a row may not see. */
const NEVER = -3e38

/** Pointers to queries, keys and scores; bytes of a query and of a key; how many keys and queries. */
interface Scores {
  readonly q: Local<'i32'>
  readonly keys: Local<'i32'>
  readonly head: Local<'i32'>
  readonly keyBytes: Local<'i32'>
  readonly scores: Local<'i32'>
  readonly count: I32
  readonly rows: Local<'i32'>
}

/** Dot products of the queries with the keys of a block: two queries at a time where there are registers for them, and a last single one. */
function emitScores(k: KernelModule, f: FunctionBuilder, storage: Storage, p: Scores): void {
  const q = f.i32(p.q)
  const row = f.i32(p.scores)
  const tile = (rows: number) => {
    const queries = rows === 2 ? [q, f.i32(i32.add(q, p.head))] : [q]
    if (storage === 'bf16') emitTileBf16(k, f, p, queries, row)
    else emitTile(k, f, storage, p, queries, row)
  }
  const two = storage !== 'bf16' || k.features.wide
  f.times(two ? i32.shrU(p.rows, 1) : p.rows, () => {
    tile(two ? 2 : 1)
    f.set(q, i32.add(q, two ? i32.shl(p.head, 1) : p.head))
    f.advance(row, (two ? 2 : 1) * BLOCK * 4)
  })
  if (two) f.if(i32.and(p.rows, 1), () => tile(1))
}

/** Queries that begin at `starts` with four keys, at every fourth key of the block. Keys are rows of f32, or of bf16 with half the bytes. */
function emitTile(
  k: KernelModule,
  f: FunctionBuilder,
  storage: 'f32' | 'bf16Rows',
  p: Scores,
  starts: Local<'i32'>[],
  row: Local<'i32'>,
): void {
  const half = storage === 'f32' ? 1 : 2
  const load = (pointer: Local<'i32'>, at: number) =>
    storage === 'f32' ? k.weights.v128(pointer, at) : i32x4.shl(k.weights.load16x4U(pointer, at / 2), 16)
  const key = f.i32(p.keys)
  const score = f.i32(row)
  f.times(i32.shrU(i32.add(p.count, 3), 2), () => {
    const queries = starts.map((start) => f.i32(start))
    const keys = [f.i32(key)]
    for (let i = 1; i < 4; i++) keys.push(f.i32(i32.add(keys[i - 1]!, p.keyBytes)))
    const sums = queries.map(() => [0, 1, 2, 3].map(() => f.v128(f32x4.splat(0))))
    const step = (at: number) => {
      const values = queries.map((pointer) => f.v128(k.heap.v128(pointer, at)))
      keys.forEach((pointer, i) => {
        const value = f.v128(load(pointer, at))
        values.forEach((query, t) => {
          f.set(sums[t]![i]!, k.madd(query, value, sums[t]![i]!))
        })
      })
    }
    const forward = (bytes: number) => {
      for (const pointer of queries) f.advance(pointer, bytes)
      for (const pointer of keys) f.advance(pointer, bytes / half)
    }
    f.times(i32.shrU(p.head, 6), () => {
      for (let at = 0; at < 64; at += 16) step(at)
      forward(64)
    })
    f.times(i32.and(i32.shrU(p.head, 4), 3), () => {
      step(0)
      forward(16)
    })
    sums.forEach((four, t) => {
      f.do(k.heap.storeV128(score, k.sum4(four), t * BLOCK * 4))
    })
    f.set(key, keys[3]!)
    f.advance(score, 16)
  })
}

/** The same over keys in bf16, eight at a time, which lie so that neighbouring vectors meet the same values of a query. */
function emitTileBf16(k: KernelModule, f: FunctionBuilder, p: Scores, starts: Local<'i32'>[], row: Local<'i32'>): void {
  const key = f.i32(p.keys)
  const score = f.i32(row)
  f.times(i32.shrU(i32.add(p.count, 7), 3), () => {
    const queries = starts.map((start) => f.i32(start))
    const sums = queries.map(() => Array.from({ length: 8 }, () => f.v128(f32x4.splat(0))))
    f.times(i32.shrU(p.head, 4), () => {
      const values = queries.map((pointer) => f.v128(k.heap.v128(pointer)))
      for (let i = 0; i < 4; i++) {
        widened(k, f, key, i * 16).forEach((four, half) => {
          values.forEach((query, t) => {
            const sum = sums[t]![i + 4 * half]!
            f.set(sum, k.madd(query, four, sum))
          })
        })
      }
      for (const pointer of queries) f.advance(pointer, 16)
      f.advance(key, 64)
    })
    sums.forEach((eight, t) => {
      k.storeRun(f, score, [f.v128(k.sum4(eight.slice(0, 4))), f.v128(k.sum4(eight.slice(4)))], t * BLOCK * 4)
    })
    f.advance(score, 32)
  })
}

/** Eight numbers in bf16 as two vectors. */
function widened(k: KernelModule, f: FunctionBuilder, pointer: Local<'i32'>, at: number): Local<'v128'>[] {
  const packed = f.v128(k.weights.v128(pointer, at))
  return [i32x4.extendLowI16x8U(packed), i32x4.extendHighI16x8U(packed)].map((half) => f.v128(i32x4.shl(half, 16)))
}

/** sums += probabilities × values for `rows` rows at a time, four keys per iteration. */
function emitSums(
  k: KernelModule,
  f: FunctionBuilder,
  storage: Storage,
  rows: number,
  p: { scores: Local<'i32'>; values: Local<'i32'>; valueStep: Local<'i32'>; head: Local<'i32'>; sums: Local<'i32'>; count: I32 },
): void {
  /** Vectors of columns that 16 bytes hold. */
  const unit = storage === 'f32' ? 1 : 2
  const load = (pointer: Local<'i32'>, i: number) =>
    storage === 'f32' ? [f.v128(k.weights.v128(pointer, i * 16))] : widened(k, f, pointer, i * 16)
  const columns = (units: number, value: Local<'i32'>, sum: Local<'i32'>) => {
    const rowAddress = [f.i32(sum)]
    for (let r = 1; r < rows; r++) rowAddress.push(f.i32(i32.add(rowAddress[r - 1]!, p.head)))
    const accumulators = rowAddress.map((at) => Array.from({ length: units * unit }, (_, i) => f.v128(k.heap.v128(at, i * 16))))
    const score = f.i32(p.scores)
    const bytes = p.valueStep
    const keys = [f.i32(value)]
    for (let i = 1; i < 4; i++) keys.push(f.i32(i32.add(keys[i - 1]!, bytes)))
    const step = f.i32(i32.shl(bytes, 2))
    const key = (pointer: Local<'i32'>, weightOf: (r: number) => V128) => {
      const weights = rowAddress.map((_, r) => f.v128(weightOf(r)))
      for (let i = 0; i < units; i++)
        load(pointer, i).forEach((loaded, half) => {
          for (let r = 0; r < rows; r++) {
            const accumulator = accumulators[r]![i * unit + half]!
            f.set(accumulator, k.madd(weights[r]!, loaded, accumulator))
          }
        })
    }
    f.times(i32.shrU(p.count, 2), () => {
      keys.forEach((pointer, lane) => {
        key(pointer, (r) => k.broadcast(k.heap.v128(score, r * BLOCK * 4), lane))
        f.advance(pointer, step)
      })
      f.advance(score, 16)
    })
    f.times(i32.and(p.count, 3), () => {
      key(keys[0]!, (r) => k.heap.splat32(score, r * BLOCK * 4))
      f.advance(keys[0]!, bytes)
      f.advance(score, 4)
    })
    for (let r = 0; r < rows; r++) k.storeRun(f, rowAddress[r]!, accumulators[r]!)
  }
  const value = f.i32(p.values)
  const sum = f.i32(p.sums)
  const units = (unit === 2 && k.features.wide ? 16 : 8) / rows / unit
  const run = (count: number) => () => {
    columns(count, value, sum)
    f.advance(value, 16 * count)
    f.advance(sum, 16 * count * unit)
  }
  f.times(i32.divU(p.head, 16 * units * unit), run(units))
  if (units > 1) f.times(i32.divU(i32.remU(p.head, 16 * units * unit), 16 * unit), run(1))
}

/** The arguments of the kernel, and what it keeps in scratch for n = rows · group queries. All of them are addresses, counts or bytes. */
interface Task {
  readonly group: Local<'i32'>
  readonly keyDim: Local<'i32'>
  readonly valueDim: Local<'i32'>
  readonly valueStep: Local<'i32'>
  readonly position: Local<'i32'>
  readonly window: Local<'i32'>
  readonly scale: Local<'f32'>
  readonly cap: Local<'f32'>
  readonly sinks: Local<'i32'>
  readonly n: Local<'i32'>
  /** Bytes of one query, and of the sums of one query; whole vectors. */
  readonly queryBytes: Local<'i32'>
  readonly sumBytes: Local<'i32'>
  /** Scaled queries; sums of values; scores of a block; largest score and sum of the probabilities so far. */
  readonly queries: Local<'i32'>
  readonly sums: Local<'i32'>
  readonly scores: Local<'i32'>
  readonly largest: Local<'i32'>
  readonly weight: Local<'i32'>
}

/** `body` for every query: its number r, its row and its head in the group. */
function emitForQueries(f: FunctionBuilder, { n, group }: Task, body: (r: Local<'i32'>, row: Local<'i32'>, h: Local<'i32'>) => void): void {
  const row = f.i32(0)
  const h = f.i32(0)
  f.for(0, n, 1, (r) => {
    body(r, row, h)
    f.advance(h, 1)
    f.if(i32.eq(h, group), () => {
      f.set(h, 0)
      f.advance(row, 1)
    })
  })
}

/** Queries times the scale into scratch, sums to zero; a sink is a key with score `sink` and no value. */
function emitStart(k: KernelModule, f: FunctionBuilder, task: Task, q: Local<'i32'>, qRow: Local<'i32'>): void {
  const { heap } = k
  const { keyDim, queries, queryBytes, scores, scale, sinks, largest, weight } = task
  f.do(heap.fill(queries, 0, i32.sub(scores, queries)))
  emitForQueries(f, task, (r, row, h) => {
    const from = f.i32(i32.add(i32.add(q, i32.mul(row, qRow)), i32.shl(i32.mul(h, keyDim), 2)))
    const to = f.i32(i32.add(queries, i32.mul(r, queryBytes)))
    k.walk(f, keyDim, [from, to], (s) => s.store(to, f32x4.mul(s.load(from), f32x4.splat(scale))))
    const at = i32.shl(r, 2)
    f.if(
      sinks,
      () => f.do(heap.storeF32(i32.add(largest, at), heap.f32(i32.add(sinks, i32.shl(h, 2)))), heap.storeF32(i32.add(weight, at), 1)),
      () => f.do(heap.storeF32(i32.add(largest, at), -1e30), heap.storeF32(i32.add(weight, at), 0)),
    )
  })
}

/** Scores of `count` keys from position `s` on become probabilities relative to the largest score so far; sums and weight shrink when it grows. */
function emitSoftmax(k: KernelModule, f: FunctionBuilder, task: Task, s: Local<'i32'>, count: Local<'i32'>): void {
  const { heap } = k
  const { position, window, cap, scores, largest, weight, sums, sumBytes } = task
  emitForQueries(f, task, (r, row) => {
    // Keys low…high of this block are visible to this row.
    const high = f.i32(i32.sub(i32.add(position, row), s))
    const low = f.i32(i32.add(i32.sub(high, window), 1))
    f.if(i32.geS(high, count), () => f.set(high, i32.sub(count, 1)))
    const lowLanes = f.v128(i32x4.splat(i32.sub(low, 1)))
    const highLanes = f.v128(i32x4.splat(i32.add(high, 1)))
    const lanes = f.v128(i32x4.const([0, 1, 2, 3]))
    const from = f.i32(i32.add(scores, i32.mul(r, BLOCK * 4)))
    const at = f.i32(from)
    const vectors = f.i32(i32.shrU(i32.add(count, 3), 2))
    const old = f.f32(heap.f32(i32.add(largest, i32.shl(r, 2))))
    const most = f.v128(f32x4.splat(old))
    // The common case first: every key of the block is visible, and there is no cap.
    const whole = i32.and(i32.and(i32.leS(low, 0), i32.eq(high, i32.sub(count, 1))), i32.eqz(i32.and(count, 3)))
    f.if(
      i32.and(whole, f32.eq(cap, 0)),
      () =>
        f.times(vectors, () => {
          f.set(most, f32x4.pmax(most, heap.v128(at)))
          f.advance(at, 16)
        }),
      () =>
        f.times(vectors, () => {
          const score = f.v128(heap.v128(at))
          f.if(f32.gt(cap, 0), () => f.set(score, f32x4.mul(k.tanh(f, f32x4.div(score, f32x4.splat(cap))), f32x4.splat(cap))))
          const visible = v128.and(i32x4.gtS(lanes, lowLanes), i32x4.gtS(highLanes, lanes))
          f.set(score, v128.bitselect(score, k.splat(NEVER), visible))
          f.set(most, f32x4.pmax(most, score))
          f.do(heap.storeV128(at, score))
          f.set(lanes, i32x4.add(lanes, k.splatInteger(4)))
          f.advance(at, 16)
        }),
    )
    f.set(most, k.max(f, most))
    f.set(at, from)
    const total = f.v128(f32x4.splat(0))
    f.times(vectors, () => {
      const probability = k.exp(f, f32x4.sub(heap.v128(at), most))
      f.set(total, f32x4.add(total, probability))
      f.do(heap.storeV128(at, probability))
      f.advance(at, 16)
    })
    const shrink = f.v128(k.exp(f, f32x4.sub(f32x4.splat(old), most)))
    const factor = f32x4.extractLane(shrink, 0)
    const w = f.i32(i32.add(weight, i32.shl(r, 2)))
    f.do(
      heap.storeF32(w, f32.add(f32.mul(heap.f32(w), factor), k.sum(f, total))),
      heap.storeF32(i32.add(largest, i32.shl(r, 2)), f32x4.extractLane(most, 0)),
    )
    f.if(f32.ne(factor, 1), () => {
      const sum = f.i32(i32.add(sums, i32.mul(r, sumBytes)))
      f.times(i32.shrU(sumBytes, 4), () => {
        f.do(heap.storeV128(sum, f32x4.mul(heap.v128(sum), shrink)))
        f.advance(sum, 16)
      })
    })
  })
}

/** sums += probabilities × values of a block, for four queries at a time, then two, then one. */
function emitBlockSums(k: KernelModule, f: FunctionBuilder, storage: Storage, task: Task, values: Local<'i32'>, count: Local<'i32'>): void {
  const score = f.i32(task.scores)
  const sum = f.i32(task.sums)
  const left = f.i32(task.n)
  for (const tile of [4, 2, 1]) {
    const step = () => {
      emitSums(k, f, storage, tile, { scores: score, values, valueStep: task.valueStep, head: task.sumBytes, sums: sum, count })
      f.advance(score, tile * BLOCK * 4)
      f.advance(sum, i32.mul(task.sumBytes, tile))
      f.set(left, i32.sub(left, tile))
    }
    if (tile === 4) f.while(() => i32.geU(left, 4), step)
    else f.if(i32.geU(left, tile), step)
  }
}

/** y = sums / weight. */
function emitResults(k: KernelModule, f: FunctionBuilder, task: Task, y: Local<'i32'>, yRow: Local<'i32'>): void {
  const { valueDim, sums, sumBytes, weight } = task
  emitForQueries(f, task, (r, row, h) => {
    const from = f.i32(i32.add(sums, i32.mul(r, sumBytes)))
    const to = f.i32(i32.add(i32.add(y, i32.mul(row, yRow)), i32.shl(i32.mul(h, valueDim), 2)))
    const factor = f.v128(f32x4.splat(f32.div(1, k.heap.f32(i32.add(weight, i32.shl(r, 2))))))
    k.walk(f, valueDim, [from, to], (step) => step.store(to, f32x4.mul(step.load(from), factor)))
  })
}

export function emitAttend(k: KernelModule, storage: Storage): void {
  /** Bytes of a row of `width` values: as f32 in scratch, and as the cache has them. */
  const rowBytes = (width: I32) => i32.shl(storage === 'f32' ? i32.and(i32.add(width, 3), -4) : i32.and(i32.add(width, 7), -8), 2)
  const stored = (bytes: I32) => (storage === 'f32' ? bytes : i32.shrU(bytes, 1))
  k.module.func(
    `attend_${storage}`,
    {
      q: 'i32', // first row, first head of the group
      qRow: 'i32', // bytes from row to row of q
      y: 'i32',
      yRow: 'i32',
      group: 'i32', // query heads per key/value head
      rows: 'i32',
      keyDim: 'i32',
      valueDim: 'i32',
      valueStep: 'i32', // bytes from the value of a position to that of the next
      keys: 'i32',
      values: 'i32',
      capacity: 'i32',
      position: 'i32', // of the first row
      window: 'i32',
      scale: 'f32',
      cap: 'f32', // 0: none
      sinks: 'i32', // 0: none
      scratch: 'i32',
    },
    (f, { q, qRow, y, yRow, rows, keys, values, capacity, scratch, ...parameters }) => {
      const { group, keyDim, valueDim, valueStep, position, window } = parameters
      const queryBytes = f.i32(rowBytes(keyDim))
      const sumBytes = f.i32(rowBytes(valueDim))
      const keyBytes = f.i32(stored(queryBytes))
      const n = f.i32(i32.mul(rows, group))
      const padded = f.i32(i32.and(i32.add(n, 4), -4))
      const queries = f.i32(scratch)
      const sums = f.i32(i32.add(queries, i32.mul(padded, queryBytes)))
      const scores = f.i32(i32.add(sums, i32.mul(padded, sumBytes)))
      const largest = f.i32(i32.add(scores, i32.mul(padded, BLOCK * 4)))
      const weight = f.i32(i32.add(largest, i32.shl(padded, 2)))
      const task: Task = { ...parameters, n, queryBytes, sumBytes, queries, sums, scores, largest, weight }
      emitStart(k, f, task, q, qRow)

      const end = f.i32(i32.add(position, rows))
      const s = f.i32(i32.sub(i32.add(position, 1), window))
      f.if(i32.ltS(s, 0), () => f.set(s, 0))
      f.set(s, i32.and(s, -BLOCK))
      f.while(
        () => i32.ltS(s, end),
        () => {
          const place = f.i32(i32.remU(s, capacity))
          const count = f.i32(i32.sub(end, s))
          f.if(i32.gtU(count, BLOCK), () => f.set(count, BLOCK))
          f.if(i32.gtU(count, i32.sub(capacity, place)), () => f.set(count, i32.sub(capacity, place)))
          const key = f.i32(i32.add(keys, i32.mul(place, keyBytes)))
          const value = f.i32(i32.add(values, i32.mul(place, valueStep)))
          emitScores(k, f, storage, { q: queries, keys: key, head: queryBytes, keyBytes, scores, count, rows: n })
          emitSoftmax(k, f, task, s, count)
          emitBlockSums(k, f, storage, task, value, count)
          f.advance(s, count)
        },
      )
      emitResults(k, f, task, y, yRow)
    },
  )
}
