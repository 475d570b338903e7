/**
 * The expert matrices: for every expert with rows, its rows times its matrix. The pairs (row, choice) come grouped by expert, so that every
 * expert's weights are read and unpacked once per call. Each worker owns a range of matrix rows of all experts.
 * The gated activation between the two products is `gatedPairs`; `combine` adds up the experts of a row in the order of its choices.
 */
import type { Gated } from '../../../architecture/architecture.ts'
import type { Experts, ExpertsAdapter, Routing } from '../../ops.ts'
import { columns, rowsOf, type Tensor } from '../../tensor.ts'
import type { OpContext } from '../context.ts'
import { f32x4 } from '../encoder.ts'
import { GROUP_ROWS, isGrouped } from '../formats.ts'
import { integers, Kernel, productWork, share } from '../kernel.ts'
import { own, type WasmRouting, type WasmTensor } from '../tensor.ts'
import { addKernel } from './add.ts'
import { multiply } from './dense.ts'
import { formOf, gatedPairsKernel } from './gated.ts'
import { multiplyGroups } from './grouped.ts'
import { activationFor, productOf } from './product.ts'
import { ACTIVATION, ACTIVATIONS, type Activation, blockBytes, inBlocks, quantizeKernel, remainderKernel } from './quantize.ts'
import { groupKernel } from './route.ts'

/**
 * `rows` of a matrix; `starts` and `pairs` as `group` writes them; `count` pairs; `bias` may be 0.
 * Row of x: pair / active, or the place in the list `pairs` if `byPair` is 1. Row of y: the place in that list.
 * `parts` has two words per expert: arena, address.
 */
export const expertLinearKernel = new Kernel(
  'expertLinear',
  integers('format', 'x', 'y', 'bias', 'rows', 'columns', 'experts', 'starts', 'pairs', 'active', 'byPair', 'parts', 'activation', 'count'),
  {
    work: ({ rows, columns, count, experts }) => {
      const read = Math.min(count, experts)
      return productWork(count / read, read * rows * columns)
    },
    run(c, { format, x, y, bias, rows, columns, experts, starts, pairs, active, byPair, parts, activation }) {
      const grouped = isGrouped(format)
      const [from, to] = share(c, rows, grouped ? GROUP_ROWS : 4)
      if (from >= to) return
      const xBytes = grouped ? (columns / 32) * ACTIVATION[ACTIVATIONS[activation]!].bytes : columns * 4
      const start = c.words.subarray(starts / 4, starts / 4 + experts + 1)
      for (let e = 0; e < experts; e++) {
        const first = start[e]!
        const count = start[e + 1]! - first
        if (count === 0) continue
        const weight = { arena: c.words[parts / 4 + 2 * e]!, address: c.words[parts / 4 + 2 * e + 1]!, format: format, columns: columns }
        const row = (place: number) => (byPair ? place : Math.floor(c.words[pairs / 4 + place]! / active))
        const at = (i: number): [number, number] => [x + row(first + i) * xBytes, y + (first + i) * rows * 4]
        const b = bias ? bias + e * rows * 4 : 0
        if (grouped) multiplyGroups(c, productOf(format, activation), weight, from, to, count, at, b)
        else multiply(c, weight, from, to, count, at, b)
      }
    },
  },
)

/** y[t] = Σ_a weight[t, a]·x[place of pair (t, a)]. */
export const combineKernel = new Kernel('combine', integers('x', 'y', 'weights', 'rows', 'columns', 'active', 'pairs'), {
  emit(k) {
    k.module.func('scaleAdd', { x: 'i32', y: 'i32', count: 'i32', factor: 'f32', first: 'i32' }, (f, { x, y, count, factor, first }) => {
      const weight = f.v128(f32x4.splat(factor))
      f.if(
        first,
        () => k.walk(f, count, [x, y], (s) => s.store(y, f32x4.mul(s.load(x), weight))),
        () => k.walk(f, count, [x, y], (s) => s.store(y, k.madd(s.load(x), weight, s.load(y)))),
      )
    })
  },
  work: ({ rows, columns, active }) => rows * columns * active * 2,
  run(c, { x, y, weights, rows, columns, active, pairs }) {
    const scaleAdd = c.on(0).scaleAdd!
    const [from, to] = share(c, rows)
    if (from >= to) return
    const total = rows * active
    const place = new Int32Array(total)
    for (let i = 0; i < total; i++) place[c.words[pairs / 4 + i]!] = i
    for (let t = from; t < to; t++)
      for (let a = 0; a < active; a++) {
        const pair = t * active + a
        scaleAdd(x + place[pair]! * columns * 4, y + t * columns * 4, columns, c.floats[weights / 4 + pair]!, a === 0 ? 1 : 0)
      }
  },
})

export function moe(context: OpContext, x: Tensor, routing: Routing, experts: Experts, activation: Gated): WasmTensor {
  const { heap, pool, precision } = context
  const { weights, indices, active, experts: E } = routing as WasmRouting
  const [gateUp, down] = [own(experts.gateUp, 'moe'), own(experts.down, 'moe')]
  const T = rowsOf(x)
  const [D, F] = [columns(x), columns(down)]
  const count = T * active
  const y = heap.result([T, D], 'moe')
  /** The kind of integers that the input of a matrix becomes; undefined: it stays f32. The two matrices may have different formats. */
  const kindOf = (w: WasmTensor) => (isGrouped(w.format) ? activationFor(w.format, precision) : undefined)
  const [inputKind, hiddenKind] = [kindOf(gateUp), kindOf(down)]
  const input = inputKind ? inBlocks(context, heap.tensor(x, 'moe'), inputKind) : heap.address(x, 'moe')
  const hiddenBytes = hiddenKind ? blockBytes(hiddenKind, count, F) : 64
  const sizes = [(E + 1) * 4, count * 4, count * 2 * F * 4 + 64, count * F * 4 + 64, count * D * 4 + 64, hiddenBytes]
  heap.withScratch(sizes, (starts, pairs, wide, hidden, narrow, blocks) => {
    const product = (w: WasmTensor, from: number, to: number, bias: Tensor | undefined, rows: number, width: number, byPair: number) => {
      const list = { experts: E, starts: starts!, pairs: pairs!, active, count }
      const matrices = { format: w.format, parts: w.parts!, bias: heap.address(bias, 'moe'), rows, columns: width }
      const activation = ACTIVATIONS.indexOf(kindOf(w) ?? 'i16')
      pool.enqueue(expertLinearKernel, { x: from, y: to, byPair, activation, ...list, ...matrices })
    }
    const quantize = (x: number, to: number, rows: number, columns: number, kind: Activation) =>
      pool.enqueue(quantizeKernel, { x, to, rows, columns, activation: ACTIVATIONS.indexOf(kind) })
    /**
     * to += scale·b·a·x. A small change must not be lost in the rounding of x to 16 bits. So in faithful precision what the rounding took
     * away goes through the experts too: to += w·(x - rounded).
     */
    const adapt = (adapter: ExpertsAdapter | undefined, w: WasmTensor, x: number, rounded: number, to: number, byPair: number) => {
      if (!adapter) return
      const [a, b] = [own(adapter.a, 'moe'), own(adapter.b, 'moe')]
      const [, rows, width] = w.shape as [number, number, number]
      const [, rank] = a.shape as [number, number]
      const inputs = byPair ? count : T
      const exact = isGrouped(w.format) && precision === 'faithful'
      const scratch = [
        count * rank * 4 + 64,
        count * rows * 4 + 64,
        exact ? inputs * width * 4 : 64,
        exact ? blockBytes('i16', inputs, width) : 64,
      ]
      heap.withScratch(scratch, (low, change, rest, restBlocks) => {
        product(a, x, low!, undefined, rank, width, byPair)
        product(b, low!, change!, undefined, rows, rank, 1)
        const add = (factor: number) => pool.enqueue(addKernel, { a: to, b: change!, y: to, count: count * rows, factor })
        add(adapter.scale)
        if (!exact) return
        pool.enqueue(remainderKernel, { x, blocks: rounded, to: rest!, rows: inputs, columns: width })
        quantize(rest!, restBlocks!, inputs, width, 'i16')
        product(w, restBlocks!, change!, undefined, rows, width, byPair)
        add(1)
      })
    }
    pool.enqueue(groupKernel, { indices: indices.address, rows: T, experts: E, active, starts: starts!, pairs: pairs! })
    product(gateUp, input, wide!, experts.gateUpBias, 2 * F, D, 0)
    adapt(experts.gateUpAdapter, gateUp, heap.address(x, 'moe'), input, wide!, 0)
    pool.enqueue(gatedPairsKernel, { gateUp: wide!, y: hidden!, count: count * F, ...formOf(activation) })
    if (hiddenKind) quantize(hidden!, blocks!, count, F, hiddenKind)
    product(down, hiddenKind ? blocks! : hidden!, narrow!, experts.downBias, D, F, 1)
    adapt(experts.downAdapter, down, hidden!, blocks!, narrow!, 1)
    const places = { x: narrow!, y: y.address, weights: weights.address, pairs: pairs! }
    pool.enqueue(combineKernel, { ...places, rows: T, columns: D, active })
  })
  return y
}
