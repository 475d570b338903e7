/**
 * Which experts a row goes to, by the one rule of `Ops.route`: the largest scores, ties by the lowest index, and only experts of the best
 * groups where the router has groups. The reference states the rule in its own words; all others use this one.
 */
import type { ExpertGroups, Router } from '../architecture/architecture.ts'

type Numbers = { readonly [index: number]: number; readonly length: number }

/** Chooses for one row after the other; holds the memory that a row needs. */
export class ExpertChoice {
  readonly #active: number
  readonly #router: Router
  readonly #scores: Float64Array
  readonly #taken: Uint8Array

  constructor(experts: number, active: number, router: Router) {
    this.#active = active
    this.#router = router
    this.#scores = new Float64Array(experts)
    this.#taken = new Uint8Array(experts)
  }

  /** Writes the experts of a row, best first, from `into[at]` on. */
  row(logits: Numbers, correction: Numbers | undefined, into: Int32Array, at: number): void {
    const [scores, taken, router] = [this.#scores, this.#taken, this.#router]
    const sigmoid = router.kind === 'sigmoidTopk'
    for (let e = 0; e < scores.length; e++) scores[e] = sigmoid ? 1 / (1 + Math.exp(-logits[e]!)) + (correction?.[e] ?? 0) : logits[e]!
    taken.fill(0)
    if (router.kind !== 'topkSoftmax' && router.groups) closeGroups(scores, router.groups, !sigmoid, taken)
    for (let a = 0; a < this.#active; a++) into[at + a] = takeBest(scores, taken)
  }
}

/** Takes all experts of the groups that are not among the best. With `logits` the scores of a softmax are sums of powers. */
function closeGroups(scores: Float64Array, { count, chosen, best }: ExpertGroups, logits: boolean, taken: Uint8Array): void {
  const width = scores.length / count
  const sums = new Float64Array(count)
  const top = logits ? scores.reduce((a, b) => Math.max(a, b)) : 0
  for (let g = 0; g < count; g++) {
    const [group, used] = [scores.subarray(g * width, (g + 1) * width), new Uint8Array(width)]
    for (let i = 0; i < best; i++) {
      const score = group[takeBest(group, used)]!
      sums[g]! += logits ? Math.exp(score - top) : score
    }
  }
  const open = new Uint8Array(count)
  for (let i = 0; i < chosen; i++) takeBest(sums, open)
  for (let e = 0; e < scores.length; e++) taken[e] = open[Math.floor(e / width)] ? 0 : 1
}

/** The index of the largest value that is not taken, which it takes. */
function takeBest(values: Float64Array, taken: Uint8Array): number {
  let found = -1
  for (let i = 0; i < values.length; i++) if (!taken[i] && (found < 0 || values[i]! > values[found]!)) found = i
  taken[found] = 1
  return found
}
