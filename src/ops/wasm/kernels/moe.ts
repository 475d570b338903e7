/**
 * The expert matrices: for every expert with rows, its rows times its matrix. The pairs (row, choice) come grouped by expert, so that every
 * expert's weights are read and unpacked once per call. Each worker owns a range of matrix rows of all experts.
 * The gated activation between the two products is `gatedPairs`; `combine` adds up the experts of a row in the order of its choices.
 */
import { f32x4 } from '../encoder.ts'
import { GROUP_ROWS, isGrouped } from '../formats.ts'
import { type Kernel, share } from '../kernel.ts'
import { multiplyGroups, productOf } from './grouped.ts'
import { multiply } from './linear.ts'
import { ACTIVATION_BYTES, ACTIVATIONS } from './quantize.ts'

/**
 * [format, x, y, bias or 0, rows of a matrix, columns, experts, starts, pairs, active, x by pair, part table, activation, pairs]
 * x row: pair / active, or the place in the grouped list if `x by pair`; y: place in the grouped list. The part table has two words per expert: arena, address.
 */
export const expertLinear: Kernel = {
  emit() {},
  work: ([, , , , rows, columns, , , , , , , , count]) => rows! * columns! * count!,
  run(c, [format, x, y, bias, rows, columns, experts, starts, pairs, active, byPair, parts, activation]) {
    const grouped = isGrouped(format!)
    const [from, to] = share(c, rows!, grouped ? GROUP_ROWS : 4)
    if (from >= to) return
    const xBytes = grouped ? (columns! / 32) * ACTIVATION_BYTES[ACTIVATIONS[activation!]!] : columns! * 4
    const start = c.words.subarray(starts! / 4, starts! / 4 + experts! + 1)
    for (let e = 0; e < experts!; e++) {
      const first = start[e]!
      const count = start[e + 1]! - first
      if (count === 0) continue
      const weight = { arena: c.words[parts! / 4 + 2 * e]!, address: c.words[parts! / 4 + 2 * e + 1]!, format: format!, columns: columns! }
      const row = (place: number) => (byPair ? place : Math.floor(c.words[pairs! / 4 + place]! / active!))
      const at = (i: number): [number, number] => [x! + row(first + i) * xBytes, y! + (first + i) * rows! * 4]
      const b = bias ? bias + e * rows! * 4 : 0
      if (grouped) multiplyGroups(c, productOf(format!, activation!), weight, from, to, count, at, b)
      else multiply(c, weight, from, to, count, at, b)
    }
  },
}

/** y[t] = Σ_a weight[t, a]·x[place of pair (t, a)]: [x, y, weights, rows, columns, active, pairs] */
export const combine: Kernel = {
  emit(k) {
    k.module.func('scaleAdd', { x: 'i32', y: 'i32', count: 'i32', factor: 'f32', first: 'i32' }, (f, { x, y, count, factor, first }) => {
      const weight = f.v128(f32x4.splat(factor))
      f.if(
        first,
        () => k.walk(f, count, [x, y], (s) => s.store(y, f32x4.mul(s.load(x), weight))),
        () => k.walk(f, count, [x, y], (s) => s.store(y, k.madd(s.load(x), weight, s.load(y)))),
      )
      return undefined
    })
  },
  work: ([, , , rows, columns, active]) => rows! * columns! * active! * 2,
  run(c, [x, y, weights, rows, columns, active, pairs]) {
    const scaleAdd = c.on(0).scaleAdd!
    const [from, to] = share(c, rows!)
    if (from >= to) return
    const total = rows! * active!
    const place = new Int32Array(total)
    for (let i = 0; i < total; i++) place[c.words[pairs! / 4 + i]!] = i
    for (let t = from; t < to; t++)
      for (let a = 0; a < active!; a++) {
        const pair = t * active! + a
        scaleAdd(x! + place[pair]! * columns! * 4, y! + t * columns! * 4, columns!, c.floats[weights! / 4 + pair]!, a === 0 ? 1 : 0)
      }
  },
}
