/**
 * Log-probabilities in the model's own distribution: of one id, and of the n likeliest. f64 sums over
 * f32 logits.
 */

/** An id and its log-probability in the model's own distribution (before penalties, masks, temperature). */
export interface TokenLogprob {
  id: number
  logprob: number
}

export interface Logprobs {
  /** Log-probability of any id. */
  of(id: number): number
  /** The likeliest ids, best first, ties by lowest id. */
  top: TokenLogprob[]
}

/** logits [V], unchanged; `of` reads them when it is called. */
export function logprobs(logits: Float32Array, topCount: number): Logprobs {
  const top: number[] = [] // ids, best first
  let max = Number.NEGATIVE_INFINITY
  let bar = Number.NEGATIVE_INFINITY // what an id must exceed to enter a full `top`
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!
    if (logit > max) max = logit
    if (topCount === 0 || (top.length === topCount && !(logit > bar))) continue
    let at = top.length
    while (at > 0 && logits[top[at - 1]!]! < logit) at--
    top.splice(at, 0, id)
    if (top.length > topCount) top.pop()
    bar = logits[top.at(-1)!]!
  }
  let sum = 0
  for (let id = 0; id < logits.length; id++) sum += Math.exp(logits[id]! - max)
  const normaliser = max + Math.log(sum)
  return { top: top.map((id) => ({ id, logprob: logits[id]! - normaliser })), of: (id) => logits[id]! - normaliser }
}
