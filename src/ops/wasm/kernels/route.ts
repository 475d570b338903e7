/**
 * Chooses the k best of E logits per row (ties: lowest index) and their weights: softmax over the chosen (gpt-oss, Mixtral), or softmax over
 * all and then the chosen, divided by their sum or not (Qwen3). A few hundred values per row: plain JavaScript. Then, for the experts,
 * the list of (row, choice) pairs in the order of their expert.
 */
import type { Router } from '../../../architecture/architecture.ts'
import { rowsOf, type Tensor } from '../../tensor.ts'
import type { OpContext } from '../context.ts'
import { integers, Kernel, share } from '../kernel.ts'
import { own, type WasmRouting } from '../tensor.ts'
import { product } from './linear.ts'

/** Flags: `all`, softmax over all experts; `normalize`, divided by the sum of the chosen. */
export const routeKernel = new Kernel('route', integers('logits', 'weights', 'indices', 'rows', 'experts', 'active', 'all', 'normalize'), {
  work: ({ rows, experts, active }) => rows * experts * active * 16,
  run(c, { logits, weights, indices, rows, experts, active, all, normalize }) {
    const [from, to] = share(c, rows)
    const taken = new Uint8Array(experts)
    for (let t = from; t < to; t++) {
      const row = c.floats.subarray(logits / 4 + t * experts, logits / 4 + (t + 1) * experts)
      const out = weights / 4 + t * active
      taken.fill(0)
      let top = 0
      for (let a = 0; a < active; a++) {
        let best = -1
        for (let e = 0; e < experts; e++) if (!taken[e] && (best < 0 || row[e]! > row[best]!)) best = e
        taken[best] = 1
        c.words[indices / 4 + t * active + a] = best
        if (a === 0) top = row[best]!
        c.floats[out + a] = Math.exp(row[best]! - top)
      }
      let sum = 0
      if (all && !normalize) for (let e = 0; e < experts; e++) sum += Math.exp(row[e]! - top)
      else for (let a = 0; a < active; a++) sum += c.floats[out + a]!
      for (let a = 0; a < active; a++) c.floats[out + a]! /= sum
    }
  },
})

/**
 * Writes starts [E + 1] and pairs [T·A]: pair t·A + a, grouped by expert, rows ascending. One worker does it; the list is short.
 */
export const groupKernel = new Kernel('group', integers('indices', 'rows', 'experts', 'active', 'starts', 'pairs'), {
  work: () => 0,
  run(c, { indices, rows, experts, active, starts, pairs }) {
    if (c.index > 0) return
    const choice = c.words.subarray(indices / 4, indices / 4 + rows * active)
    const start = c.words.subarray(starts / 4, starts / 4 + experts + 1)
    const pair = c.words.subarray(pairs / 4, pairs / 4 + rows * active)
    start.fill(0)
    for (const e of choice) start[e + 1]!++
    for (let e = 0; e < experts; e++) start[e + 1]! += start[e]!
    const next = start.slice()
    for (let i = 0; i < choice.length; i++) pair[next[choice[i]!]!++] = i
  },
})

export function route(
  context: OpContext,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  active: number,
  router: Router,
): WasmRouting {
  const { heap, pool } = context
  const w = own(weight, 'route')
  const [experts] = w.shape as [number]
  const rows = rowsOf(x)
  const weights = heap.result([rows, active], 'route')
  const indices = heap.result([rows, active], 'route')
  heap.withScratch([rows * experts * 4 + 64], (logits) => {
    product(context, heap.tensor(x, 'route'), w, heap.address(bias, 'route'), logits!, rows, experts)
    const all = Number(router.kind === 'softmaxTopk')
    const normalize = Number(router.kind === 'softmaxTopk' && router.normalize)
    const places = { logits: logits!, weights: weights.address, indices: indices.address }
    pool.enqueue(routeKernel, { ...places, rows, experts, active, all, normalize })
  })
  return { experts, active, weights, indices }
}
