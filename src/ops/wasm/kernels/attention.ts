/**
 * Attention over keys and values of a cache (layouts in cache-layout.ts): storing rows, and the tasks of the kernel in attend.ts.
 * Without a cache the keys and values of the call lie in scratch, in the same form.
 */
import type { AttentionOptions, Batch } from '../../ops.ts'
import { rowsOf, type Tensor } from '../../tensor.ts'
import type { BatchData } from '../batches.ts'
import { BLOCK, headBytes, STORAGES, storageOf } from '../cache-layout.ts'
import type { OpContext } from '../context.ts'
import { i8x16, i32, i32x4, v128 } from '../encoder.ts'
import { floats, integers, Kernel } from '../kernel.ts'
import type { WasmLayerCache } from '../kv-cache.ts'
import { SCRATCH_BYTES } from '../layout.ts'
import type { WasmTensor } from '../tensor.ts'
import { emitAttend } from './attend.ts'

/** Query rows (times heads) of one task. */
const TASK_ROWS = 16
/** Query heads of one task, where more of them share a key. */
const TASK_HEADS = 32
/** The window of a layer that sees everything. */
const NO_WINDOW = 0x7fffffff
/** The kernels may read so far behind the last key. */
const OVERREAD = 4096

/** Stores rows of k and v in the cache; `v` is 0 where values are parts of the keys. `slots` and `positions` are lists of one word per row; `storage` is an index of STORAGES. */
export const storeKeysKernel = new Kernel(
  'storeKeys',
  integers('arena', 'keys', 'values', 'k', 'v', 'rows', 'kvHeads', 'keyDim', 'valueDim', 'capacity', 'slots', 'positions', 'storage'),
  {
    emit(k) {
      k.module.func('storeKey', { from: 'i32', to: 'i32', count: 'i32' }, (f, { from, to, count }) => {
        f.times(i32.shrU(count, 2), () => {
          f.do(k.weights.storeV128(to, k.heap.v128(from)))
          f.advance(from, 16)
          f.advance(to, 16)
        })
        // The padding of a head is zero, like that of the queries.
        f.if(i32.and(count, 3), () => {
          f.do(k.weights.storeV128(to, v128.zero()))
          f.times(i32.and(count, 3), () => {
            f.do(k.weights.storeF32(to, k.heap.f32(from)))
            f.advance(from, 4)
            f.advance(to, 4)
          })
        })
      })
      // `to` moves by `step` bytes for every four values; what is missing to a multiple of eight becomes zero.
      k.module.func('storeKey_bf16', { from: 'i32', to: 'i32', count: 'i32', step: 'i32' }, (f, { from, to, count, step }) => {
        const lanes = f.v128(i32x4.const([0, 1, 2, 3]))
        f.times(i32.shl(i32.shrU(i32.add(count, 7), 3), 1), () => {
          const bits = f.v128(v128.and(k.heap.v128(from), i32x4.gtS(i32x4.splat(count), lanes)))
          const odd = v128.and(i32x4.shrU(bits, 16), k.splatInteger(1))
          const rounded = f.v128(i32x4.add(bits, i32x4.add(odd, k.splatInteger(0x7fff)))) // to the nearest, ties to even
          f.do(k.weights.storeLow64(to, i8x16.shuffle(rounded, rounded, [2, 3, 6, 7, 10, 11, 14, 15, 2, 3, 6, 7, 10, 11, 14, 15])))
          f.set(count, i32.sub(count, 4))
          f.advance(from, 16)
          f.advance(to, step)
        })
      })
    },
    work: ({ rows, kvHeads, keyDim, valueDim }) => rows * kvHeads * (keyDim + valueDim) * 2,
    run(c, { arena, keys, values, k, v, rows, kvHeads, keyDim, valueDim, capacity, slots, positions, storage }) {
      const kernels = c.on(arena)
      const kind = STORAGES[storage]!
      const [keyBytes, valueBytes] = [headBytes(kind, keyDim), headBytes(kind, valueDim)]
      for (let g = c.index; g < kvHeads; g += c.count)
        for (let t = 0; t < rows; t++) {
          const place = c.words[positions / 4 + t]! % capacity
          const first = (c.words[slots / 4 + t]! * kvHeads + g) * capacity
          const [key, value] = [k + (t * kvHeads + g) * keyDim * 4, v + (t * kvHeads + g) * valueDim * 4]
          const valueTo = values + (first + place) * valueBytes
          const keyTo = keys + (first + place) * keyBytes
          if (kind === 'f32') {
            kernels.storeKey!(key, keyTo, keyDim)
            if (v) kernels.storeKey!(value, valueTo, valueDim)
            continue
          }
          const inGroup = (place & 3) * 16 + ((place >> 2) & 1) * 8
          if (kind === 'bf16') kernels.storeKey_bf16!(key, keys + (first + (place & ~7)) * keyBytes + inGroup, keyDim, 64)
          else kernels.storeKey_bf16!(key, keyTo, keyDim, 8)
          if (v) kernels.storeKey_bf16!(value, valueTo, valueDim, 8)
        }
    },
  },
)

/**
 * `group`: query heads per key/value head; `cap` and `sinks`: 0 without; `visible`: keys seen by all rows together.
 * `segments` is a list of `count` runs of rows, four words each: slot, first row, rows, first position. `step`: bytes from value to value.
 */
export const attentionKernel = new Kernel(
  'attention',
  {
    ...integers('arena', 'keys', 'values', 'q', 'y', 'kvHeads', 'group', 'keyDim', 'valueDim', 'capacity', 'window'),
    ...integers('sinks', 'segments', 'count', 'visible', 'storage', 'step'),
    ...floats('scale', 'cap'),
  },
  {
    emit(k) {
      for (const storage of STORAGES) emitAttend(k, storage)
    },
    work: ({ kvHeads, group, keyDim, valueDim, visible }) => visible * kvHeads * group * (keyDim + valueDim),
    run(c, command) {
      const { arena, keys, values, q, y, kvHeads, group, keyDim, valueDim, capacity } = command
      const { window, sinks, segments, count, storage, step: valueStep, scale, cap } = command
      const kind = STORAGES[storage]!
      const attend = c.on(arena)[`attend_${kind}`]!
      const keyBytes = headBytes(kind, keyDim)
      const [qRow, yRow] = [kvHeads * group * keyDim * 4, kvHeads * group * valueDim * 4]
      const step = Math.max(1, Math.floor(TASK_ROWS / group))
      const heads = Math.min(group, TASK_HEADS)
      // Workers take tasks in turn: later rows of a prompt see more keys.
      let task = 0
      for (let i = 0; i < count; i++) {
        const segment = segments / 4 + 4 * i
        const [slot, first, rows, position] = [c.words[segment]!, c.words[segment + 1]!, c.words[segment + 2]!, c.words[segment + 3]!]
        for (let t = 0; t < rows; t += step)
          for (let head = 0, next = 0; head < kvHeads * group; head = next) {
            const g = Math.floor(head / group)
            next = Math.min(head + heads, (g + 1) * group)
            if (task++ % c.count !== c.index) continue
            const base = (slot * kvHeads + g) * capacity
            attend(
              q + (first + t) * qRow + head * keyDim * 4,
              qRow,
              y + (first + t) * yRow + head * valueDim * 4,
              yRow,
              next - head,
              Math.min(step, rows - t),
              keyDim,
              valueDim,
              valueStep,
              keys + base * keyBytes,
              values + base * valueStep,
              capacity,
              position + t,
              window,
              scale,
              cap,
              sinks ? sinks + head * 4 : 0,
              c.scratch,
            )
          }
      }
    },
  },
)

export function attention(
  context: OpContext,
  q: Tensor,
  k: Tensor,
  v: Tensor | undefined,
  batch: Batch,
  options: AttentionOptions,
): WasmTensor {
  const { heap, pool, batches, precision } = context
  const { heads, kvHeads, keyDim, valueDim, window, softcap, scale } = options
  const rows = rowsOf(q)
  const group = heads / kvHeads
  const queries = Math.max(TASK_ROWS, Math.min(group, TASK_HEADS)) + 4
  const scratch = queries * 4 * (keyDim + valueDim + 2 * 8 + BLOCK + 2)
  if (scratch > SCRATCH_BYTES)
    throw new RangeError(
      `attention: expected scratch of at most ${SCRATCH_BYTES} bytes, got ${scratch} for ${group} query heads per key/value head, keys of ${keyDim} and values of ${valueDim}; use the reference backend`,
    )
  const y = heap.result([rows, heads * valueDim], 'attention')
  const kind = storageOf(precision, !v)
  const storage = STORAGES.indexOf(kind)
  const [qa, ka, va] = [q, k, v].map((tensor) => heap.address(tensor, 'attention')) as [number, number, number]
  const step = headBytes(kind, v ? valueDim : keyDim)
  const sinks = heap.address(options.sinks, 'attention')
  const run = (data: BatchData, arena: number, keys: number, values: number, capacity: number) => {
    const { slotList: slots, positionList: positions, segmentList: segments } = data
    const stored = { arena, keys, values, k: ka, v: va, rows, kvHeads, keyDim, valueDim, capacity, slots, positions, storage }
    pool.enqueue(storeKeysKernel, stored)
    const visible = data.positions.reduce((sum, position) => sum + Math.min(position + 1, window ?? position + 1), 0)
    const cached = { arena, keys, values, kvHeads, keyDim, valueDim, capacity, storage }
    const runs = { segments, count: data.segments, visible, group, step }
    const scores = { window: window ?? NO_WINDOW, sinks, scale, cap: softcap ?? 0 }
    pool.enqueue(attentionKernel, { ...cached, ...runs, ...scores, q: qa, y: y.address })
  }
  const data = batches.of(batch)
  if (options.cache) {
    const { arena, keys, values, ring } = options.cache as WasmLayerCache
    run(data, arena, keys, values, ring)
    return y
  }
  const plain = batches.withoutCache(data)
  // One ring as long as the longest run, for every run.
  const ring = Math.ceil((plain.positions.reduce((a, b) => Math.max(a, b), 0) + 1) / BLOCK) * BLOCK
  const positions = (plain.slots.at(-1)! + 1) * kvHeads * ring
  const sizes = (v ? [keyDim, valueDim] : [keyDim]).map((width) => positions * headBytes(kind, width) + OVERREAD)
  heap.withScratch(sizes, (keys, values) => run(plain, 0, keys!, values ?? keys!, ring))
  return y
}
