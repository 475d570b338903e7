/**
 * Routing and experts, forward and backward: rows are gathered per expert, so each expert is two dense products; both router orders and
 * the load-balancing loss. Shazeer et al. 2017; Fedus et al. 2021 (balance).
 */
import type { Gated, Router } from '../../architecture/architecture.ts'
import { ExpertChoice } from '../expert-choice.ts'
import type { Experts, Routing } from '../ops.ts'
import { columns, rowsOf } from '../tensor.ts'
import { gatedForward, gatedSlopes } from './activations.ts'
import { addTo, linear, linearBackward, sumRows } from './dense.ts'
import { adaptExpert, adaptExpertBackward } from './expert-adapter.ts'
import { eachBand } from './frozen.ts'
import type { Floats } from './matmul.ts'
import { gradientOf, outputGradient, result, type TrainingContext, type Value, value } from './values.ts'

/** A routing of this backend. */
export interface Route extends Routing {
  readonly weights: Value
  /** [T, A] */
  readonly indices: Int32Array
  /** [T, E] */
  readonly logits: Value
  /** softmax over all experts [T, E] */
  readonly probabilities: Floats
}

export function route(
  context: TrainingContext,
  x: Value,
  weight: Value,
  bias: Value | undefined,
  active: number,
  router: Router,
  correction?: Value,
): Route {
  const T = rowsOf(x)
  const E = weight.shape[0]!
  const logits = linear(context, x, weight, bias)
  const weights = result(context, [T, active])
  const indices = new Int32Array(T * active)
  const probabilities = context.arena.take(T * E)
  const z = logits.data
  const choose = new ExpertChoice(E, active, router)
  for (let t = 0; t < T; t++) {
    softmax(z, t * E, E, probabilities)
    choose.row(z.subarray(t * E, (t + 1) * E), correction?.data, indices, t * active)
    const scores = router.kind === 'sigmoidTopk' ? z.subarray(t * E, (t + 1) * E).map(sigmoid) : probabilities.subarray(t * E, (t + 1) * E)
    const own = indices.subarray(t * active, (t + 1) * active)
    const sum = own.reduce((total, e) => total + scores[e]!, 0)
    // softmax over the k best logits = the k best probabilities divided by their sum.
    const factor = scaleOf(router) * (dividesBySum(router) ? 1 / sum : 1)
    for (let a = 0; a < active; a++) weights.data[t * active + a] = scores[own[a]!]! * factor
  }
  return { experts: E, active, weights, indices, logits, probabilities }
}

const dividesBySum = (router: Router): boolean => router.kind === 'topkSoftmax' || router.normalize
const scaleOf = (router: Router): number => (router.kind === 'topkSoftmax' ? 1 : (router.scale ?? 1))
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

function softmax(z: Floats, at: number, length: number, out: Floats): void {
  let largest = Number.NEGATIVE_INFINITY
  for (let i = at; i < at + length; i++) if (z[i]! > largest) largest = z[i]!
  let sum = 0
  for (let i = at; i < at + length; i++) {
    out[i] = Math.exp(z[i]! - largest)
    sum += out[i]!
  }
  for (let i = at; i < at + length; i++) out[i]! /= sum
}

export function routeBackward(context: TrainingContext, y: Route, x: Value, weight: Value, bias: Value | undefined, router: Router): void {
  const dWeights = outputGradient(y.weights)
  if (dWeights) {
    const { active: A, experts: E, indices, probabilities } = y
    const w = y.weights.data
    const dLogits = gradientOf(context, y.logits)!
    for (let t = 0; t < y.weights.shape[0]!; t++) {
      let dot = 0
      for (let a = 0; a < A; a++) dot += w[t * A + a]! * dWeights[t * A + a]!
      if (router.kind === 'sigmoidTopk') {
        for (let a = 0; a < A; a++) {
          const at = t * E + indices[t * A + a]!
          const inside = dWeights[t * A + a]! - (router.normalize ? dot / scaleOf(router) : 0)
          dLogits[at]! += w[t * A + a]! * inside * (1 - sigmoid(y.logits.data[at]!))
        }
      } else if (dividesBySum(router)) {
        for (let a = 0; a < A; a++) dLogits[t * E + indices[t * A + a]!]! += w[t * A + a]! * (dWeights[t * A + a]! - dot / scaleOf(router))
      } else {
        for (let e = 0; e < E; e++) dLogits[t * E + e]! -= probabilities[t * E + e]! * dot
        for (let a = 0; a < A; a++) dLogits[t * E + indices[t * A + a]!]! += w[t * A + a]! * dWeights[t * A + a]!
      }
    }
  }
  linearBackward(context, y.logits, x, weight, bias)
}

/** Shares f_e of the choices and mean probabilities P_e. */
function loads({ experts: E, active: A, indices, probabilities }: Route): { share: Float64Array; mean: Float64Array; T: number } {
  const T = indices.length / A
  const share = new Float64Array(E)
  const mean = new Float64Array(E)
  for (const e of indices) share[e]! += 1 / T
  for (let t = 0; t < T; t++) for (let e = 0; e < E; e++) mean[e]! += probabilities[t * E + e]! / T
  return { share, mean, T }
}

export function balanceLoss(context: TrainingContext, routing: Route): Value {
  const { share, mean } = loads(routing)
  const y = result(context, [1])
  y.data[0] = routing.experts * share.reduce((sum, f, e) => sum + f * mean[e]!, 0)
  return y
}

export function balanceLossBackward(context: TrainingContext, y: Value, routing: Route): void {
  const dy = outputGradient(y)
  const dLogits = gradientOf(context, routing.logits)
  if (!dy || !dLogits) return
  const { experts: E, probabilities } = routing
  const { share, T } = loads(routing)
  const factor = (dy[0]! * E) / T
  for (let t = 0; t < T; t++) {
    let dot = 0
    for (let e = 0; e < E; e++) dot += share[e]! * probabilities[t * E + e]!
    for (let e = 0; e < E; e++) dLogits[t * E + e]! += factor * probabilities[t * E + e]! * (share[e]! - dot)
  }
}

/** One expert's rows of the batch, and its intermediate results. */
interface ExpertPass {
  /** Positions in [T, A]. */
  places: Int32Array
  input: Floats
  gateUp: Floats
  hidden: Floats
  output: Floats
  /** Of the adapters. */
  gateUpLow?: Floats
  downLow?: Floats
}

export type MoeMemory = ExpertPass[]

export function moe(
  context: TrainingContext,
  x: Value,
  routing: Route,
  experts: Experts,
  activation: Gated,
): { y: Value; memory: MoeMemory } {
  const { experts: E, active: A, indices } = routing
  const D = columns(x)
  const F = experts.down.shape[2]!
  const y = result(context, x.shape)
  y.data.fill(0)
  const counts = new Int32Array(E)
  for (const e of indices) counts[e]!++
  const places = Array.from(counts, (n) => new Int32Array(n))
  counts.fill(0)
  for (let i = 0; i < indices.length; i++) places[indices[i]!]![counts[indices[i]!]!++] = i
  const [gateUp, down] = [value(experts.gateUp), value(experts.down)]
  const { gateUpAdapter, downAdapter } = experts
  const memory: MoeMemory = []
  for (let e = 0; e < E; e++) {
    const own = places[e]!
    const n = own.length
    const pass: ExpertPass = {
      places: own,
      input: context.arena.take(n * D),
      gateUp: context.arena.take(n * 2 * F),
      hidden: context.arena.take(n * F),
      output: context.arena.take(n * D),
    }
    memory.push(pass)
    if (n === 0) continue
    for (let r = 0; r < n; r++) {
      const from = Math.floor(own[r]! / A) * D
      for (let d = 0; d < D; d++) pass.input[r * D + d] = x.data[from + d]!
    }
    spread(experts.gateUpBias, e, 2 * F, n, pass.gateUp)
    spread(experts.downBias, e, D, n, pass.output)
    eachBand(context, gateUp, e * 2 * F, 2 * F, D, (band, at, first, count) => {
      context.matmul(false, true, n, count, D, pass.input, 0, D, band, at, D, pass.gateUp, first - e * 2 * F, 2 * F, true)
    })
    if (gateUpAdapter) pass.gateUpLow = adaptExpert(context, gateUpAdapter, e, n, pass.input, pass.gateUp)
    gatedForward(context, activation, pass.gateUp, pass.gateUp, 2, pass.hidden)
    eachBand(context, down, e * D, D, F, (band, at, first, count) => {
      context.matmul(false, true, n, count, F, pass.hidden, 0, F, band, at, F, pass.output, first - e * D, D, true)
    })
    if (downAdapter) pass.downLow = adaptExpert(context, downAdapter, e, n, pass.hidden, pass.output)
    for (let r = 0; r < n; r++) {
      const w = routing.weights.data[own[r]!]!
      const to = Math.floor(own[r]! / A) * D
      addTo(context, y.data.subarray(to, to + D), pass.output.subarray(r * D, (r + 1) * D), w)
    }
  }
  return { y, memory }
}

/** Rows of the bias of expert e, or zeros. */
function spread(bias: Experts['downBias'], e: number, width: number, n: number, into: Floats): void {
  if (!bias) {
    into.fill(0)
    return
  }
  const row = value(bias).data.subarray(e * width, (e + 1) * width)
  for (let r = 0; r < n; r++) into.set(row, r * width)
}

export function moeBackward(
  context: TrainingContext,
  y: Value,
  x: Value,
  routing: Route,
  experts: Experts,
  activation: Gated,
  memory: MoeMemory,
): void {
  const dy = outputGradient(y)
  if (!dy) return
  const { active: A } = routing
  const D = columns(x)
  const F = experts.down.shape[2]!
  const dx = gradientOf(context, x)
  const dWeights = gradientOf(context, routing.weights)!
  const dGateUp = gradientOf(context, experts.gateUp)
  const dDown = gradientOf(context, experts.down)
  const dGateUpBias = experts.gateUpBias && gradientOf(context, experts.gateUpBias)
  const dDownBias = experts.downBias && gradientOf(context, experts.downBias)
  const [gateUp, down] = [value(experts.gateUp), value(experts.down)]
  const { gateUpAdapter, downAdapter } = experts
  memory.forEach(({ places, input, gateUp: mixed, hidden, output, gateUpLow, downLow }, e) => {
    const n = places.length
    if (n === 0) return
    const dOutput = context.arena.take(n * D)
    for (let r = 0; r < n; r++) {
      const from = Math.floor(places[r]! / A) * D
      const w = routing.weights.data[places[r]!]!
      let dot = 0
      for (let d = 0; d < D; d++) {
        const slope = dy[from + d]!
        dot += slope * output[r * D + d]!
        dOutput[r * D + d] = slope * w
      }
      dWeights[places[r]!]! += dot
    }
    const dHidden = context.arena.take(n * F)
    eachBand(context, down, e * D, D, F, (band, at, first, count) => {
      context.matmul(false, false, n, F, count, dOutput, first - e * D, D, band, at, F, dHidden, 0, F, first > e * D)
    })
    if (downAdapter) adaptExpertBackward(context, downAdapter, e, n, hidden, dOutput, downLow!, dHidden)
    if (dDown) context.matmul(true, false, D, F, n, dOutput, 0, D, hidden, 0, F, dDown, e * D * F, F, true)
    if (dDownBias) sumRows(context, dOutput, 0, n, D, dDownBias, e * D)
    const dMixed = context.arena.take(n * 2 * F)
    gatedSlopes(context, activation, mixed, mixed, 2, dHidden, dMixed, dMixed)
    if (dGateUp) context.matmul(true, false, 2 * F, D, n, dMixed, 0, 2 * F, input, 0, D, dGateUp, e * 2 * F * D, D, true)
    if (dGateUpBias) sumRows(context, dMixed, 0, n, 2 * F, dGateUpBias, e * 2 * F)
    const dInput = dx && context.arena.take(n * D)
    if (dInput)
      eachBand(context, gateUp, e * 2 * F, 2 * F, D, (band, at, first, count) => {
        context.matmul(false, false, n, D, count, dMixed, first - e * 2 * F, 2 * F, band, at, D, dInput, 0, D, first > e * 2 * F)
      })
    if (gateUpAdapter) adaptExpertBackward(context, gateUpAdapter, e, n, input, dMixed, gateUpLow!, dInput)
    if (!dInput) return
    for (let r = 0; r < n; r++) {
      const to = Math.floor(places[r]! / A) * D
      addTo(context, dx.subarray(to, to + D), dInput.subarray(r * D, (r + 1) * D))
    }
  })
}
