/**
 * Chooses the k best of E experts per row and their weights, by the rule of expert-choice.ts: softmax over the chosen (gpt-oss, Mixtral),
 * softmax over all and then the chosen, divided by their sum or not (Qwen3), or sigmoids (DeepSeek-V3). A few hundred values per row: plain
 * JavaScript. Then, for the experts, the list of (row, choice) pairs in the order of their expert.
 */
import type { ExpertGroups, Router } from '../../../architecture/architecture.ts'
import { ExpertChoice } from '../../expert-choice.ts'
import { rowsOf, type Tensor } from '../../tensor.ts'
import type { OpContext } from '../context.ts'
import { floats, integers, Kernel, share } from '../kernel.ts'
import { own, type WasmRouting } from '../tensor.ts'
import { product } from './linear.ts'

/** Index of a router's kind in a command. */
const KINDS = ['topkSoftmax', 'softmaxTopk', 'sigmoidTopk'] as const

/** `kind` is an index of KINDS; `groups`: 0 without; `correction`: 0 or the address of what is added to the scores to choose. */
export const routeKernel = new Kernel(
  'route',
  {
    ...integers('logits', 'weights', 'indices', 'rows', 'experts', 'active', 'kind', 'normalize', 'correction', 'groups', 'chosen', 'best'),
    ...floats('scale'),
  },
  {
    work: ({ rows, experts, active }) => rows * experts * active * 16,
    run(c, command) {
      const { logits, weights, indices, rows, experts, active, correction, scale } = command
      const [from, to] = share(c, rows)
      if (from >= to) return
      const router = routerOf(command)
      const choice = new ExpertChoice(experts, active, router)
      const added = correction ? c.floats.subarray(correction / 4, correction / 4 + experts) : undefined
      const all = router.kind === 'softmaxTopk' && !router.normalize
      for (let t = from; t < to; t++) {
        const row = c.floats.subarray(logits / 4 + t * experts, logits / 4 + (t + 1) * experts)
        const out = c.floats.subarray(weights / 4 + t * active, weights / 4 + (t + 1) * active)
        const own = c.words.subarray(indices / 4 + t * active, indices / 4 + (t + 1) * active)
        choice.row(row, added, own, 0)
        const top = row[own[0]!]!
        for (let a = 0; a < active; a++) {
          const logit = row[own[a]!]!
          out[a] = router.kind === 'sigmoidTopk' ? 1 / (1 + Math.exp(-logit)) : Math.exp(logit - top)
        }
        let sum = 0
        if (all) for (let e = 0; e < experts; e++) sum += Math.exp(row[e]! - top)
        else if (router.kind === 'sigmoidTopk' && !router.normalize) sum = 1
        else for (let a = 0; a < active; a++) sum += out[a]!
        for (let a = 0; a < active; a++) out[a]! /= sum
        if (scale !== 1) for (let a = 0; a < active; a++) out[a]! *= scale
      }
    },
  },
)

function routerOf(command: { kind: number; normalize: number; groups: number; chosen: number; best: number }): Router {
  const { groups: count, chosen, best } = command
  const groups: ExpertGroups | undefined = count ? { count, chosen, best: best as ExpertGroups['best'] } : undefined
  const common = { bias: false, auxLossCoef: 0, normalize: command.normalize === 1, groups }
  const kind = KINDS[command.kind]!
  if (kind === 'sigmoidTopk') return { ...common, kind, correction: false }
  return kind === 'softmaxTopk' ? { ...common, kind } : { ...common, kind }
}

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
  correction?: Tensor,
): WasmRouting {
  const { heap, pool } = context
  const w = own(weight, 'route')
  const [experts] = w.shape as [number]
  const rows = rowsOf(x)
  const weights = heap.result([rows, active], 'route')
  const indices = heap.result([rows, active], 'route')
  heap.withScratch([rows * experts * 4 + 64], (logits) => {
    product(context, heap.tensor(x, 'route'), w, heap.address(bias, 'route'), logits!, rows, experts)
    const places = { logits: logits!, weights: weights.address, indices: indices.address, correction: heap.address(correction, 'route') }
    pool.enqueue(routeKernel, { ...places, rows, experts, active, ...wordsOf(router) })
  })
  return { experts, active, weights, indices }
}

function wordsOf(router: Router) {
  const kind = KINDS.indexOf(router.kind)
  if (router.kind === 'topkSoftmax') return { kind, normalize: 1, scale: 1, groups: 0, chosen: 0, best: 0 }
  const { normalize, scale = 1, groups } = router
  return { kind, normalize: Number(normalize), scale, groups: groups?.count ?? 0, chosen: groups?.chosen ?? 0, best: groups?.best ?? 0 }
}
