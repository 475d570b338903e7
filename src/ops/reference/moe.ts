/** Router and experts, one row and expert after the other. Contracts in ops.ts. Shazeer et al. 2017; Jiang et al. 2024. */
import type { ExpertGroups, Gated, Router } from '../../architecture/architecture.ts'
import type { Experts, ExpertsAdapter, Routing } from '../ops.ts'
import { columns, rowsOf, type Tensor } from '../tensor.ts'
import { gatedOf, sigmoid } from './elementwise.ts'
import { linear, project } from './linear.ts'
import { type Allocate, type HostTensor, type Values, values } from './values.ts'

export interface HostRouting extends Routing {
  readonly weights: HostTensor
  /** [T, A] expert numbers, best first */
  readonly chosen: Int32Array
  /** [T, E] softmax over all experts, for the load-balancing loss and for observers */
  readonly probabilities: HostTensor
}

export function route(
  allocate: Allocate,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  active: number,
  router: Router,
  correction?: Tensor,
): HostRouting {
  const [E] = weight.shape as [number]
  const T = rowsOf(x)
  const logits = linear(allocate, x, weight, bias).data // [T, E]
  const weights = allocate([T, active])
  const probabilities = allocate([T, E])
  const chosen = new Int32Array(T * active)
  for (let t = 0; t < T; t++) {
    const row = Float64Array.from(logits.subarray(t * E, (t + 1) * E))
    const shares = softmax(row)
    probabilities.data.set(shares, t * E)
    const scores = router.kind === 'sigmoidTopk' ? row.map(sigmoid) : shares
    const wished = router.kind === 'sigmoidTopk' ? scores.map((score, e) => score + (correction ? values(correction)[e]! : 0)) : row
    const groups = router.kind === 'topkSoftmax' ? undefined : router.groups
    const best = largest(wished, active, groups ? inBestGroups(router.kind === 'sigmoidTopk' ? wished : shares, groups) : () => true)
    chosen.set(best, t * active)
    if (router.kind === 'topkSoftmax') weights.data.set(softmax(best.map((e) => row[e]!)), t * active)
    else {
      const picked = best.map((e) => scores[e]!)
      const sum = router.normalize ? picked.reduce((a, b) => a + b, 0) : 1
      const factor = router.scale ?? 1
      weights.data.set(
        picked.map((p) => (p / sum) * factor),
        t * active,
      )
    }
  }
  return { experts: E, active, weights, chosen, probabilities }
}

/** Indices of the `count` largest allowed values, largest first; ties: lowest index. */
const largest = (of: ArrayLike<number>, count: number, allowed: (index: number) => boolean = () => true): number[] =>
  Array.from({ length: of.length }, (_, index) => index)
    .filter(allowed)
    .sort((a, b) => of[b]! - of[a]! || a - b)
    .slice(0, count)

/** Whether an expert is in one of the groups whose best experts have the largest sums. */
function inBestGroups(scores: Float64Array, { count, chosen, best }: ExpertGroups): (expert: number) => boolean {
  const width = scores.length / count
  const sums = Array.from({ length: count }, (_, g) => {
    const group = scores.subarray(g * width, (g + 1) * width)
    return largest(group, best).reduce((sum, e) => sum + group[e]!, 0)
  })
  const groups = largest(sums, chosen)
  return (expert) => groups.includes(Math.floor(expert / width))
}

export function moe(allocate: Allocate, x: Tensor, routing: Routing, experts: Experts, activation: Gated): HostTensor {
  const { chosen, weights, active: A } = routing as HostRouting
  const [, , F] = experts.down.shape as [number, number, number]
  const D = columns(x)
  const T = rowsOf(x)
  const y = allocate([T, D])
  const wide = new Float64Array(2 * F)
  const hidden = new Float64Array(F)
  const narrow = new Float64Array(D)
  const gateUpBias = experts.gateUpBias && values(experts.gateUpBias)
  const downBias = experts.downBias && values(experts.downBias)
  for (let t = 0; t < T; t++) {
    for (let a = 0; a < A; a++) {
      const e = chosen[t * A + a]!
      project(values(x), t * D, D, values(experts.gateUp), e * 2 * F * D, 2 * F, gateUpBias, e * 2 * F, wide, 0) // [2F]
      adapt(values(x), t * D, experts.gateUpAdapter, e, wide)
      for (let f = 0; f < F; f++) hidden[f] = gatedOf(wide[2 * f]!, wide[2 * f + 1]!, activation) // [F]
      project(hidden, 0, F, values(experts.down), e * D * F, D, downBias, e * D, narrow, 0) // [D]
      adapt(hidden, 0, experts.downAdapter, e, narrow)
      for (let d = 0; d < D; d++) y.data[t * D + d]! += weights.data[t * A + a]! * narrow[d]!
    }
  }
  return y
}

/** out += scale·b_e·a_e·x */
function adapt(x: Values, at: number, adapter: ExpertsAdapter | undefined, e: number, out: Float64Array): void {
  if (!adapter) return
  const [, n, I] = adapter.a.shape as [number, number, number]
  const O = out.length
  const [low, change] = [new Float64Array(n), new Float64Array(O)]
  project(x, at, I, values(adapter.a), e * n * I, n, undefined, 0, low, 0)
  project(low, 0, n, values(adapter.b), e * O * n, O, undefined, 0, change, 0)
  for (let o = 0; o < O; o++) out[o]! += adapter.scale * change[o]!
}

export function softmax(logits: ArrayLike<number>): Float64Array {
  const p = Float64Array.from(logits)
  const largest = p.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const sum = p.reduce((total, value, i) => total + (p[i] = Math.exp(value - largest)), 0)
  return p.map((value) => value / sum)
}
