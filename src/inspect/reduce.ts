/** Rows of numbers to the few that say what they are like: sizes, largest shares, likeliest ids. */

/** Sizes of activations over all tokens. */
export interface Sizes {
  /** Root of the mean square. */
  rms: number
  /** Largest magnitude, and where it is. */
  largest: number
  token: number
  dimension: number
  /** Share of values over six times the rms of their row. */
  outliers: number
}

const OUTLIER = 6

/** Sums sizes over rows that come in pieces. */
export class SizeSum {
  #squares = 0
  #count = 0
  #outliers = 0
  #largest = { size: 0, token: 0, dimension: 0 }

  /** @param values [T, width]; row t is token `from + t` */
  add(values: Float32Array, width: number, from: number): void {
    for (let t = 0; t * width < values.length; t++) {
      const row = values.subarray(t * width, (t + 1) * width)
      const squares = row.reduce((sum, x) => sum + x * x, 0)
      const limit = OUTLIER * Math.sqrt(squares / width)
      row.forEach((x, dimension) => {
        const size = Math.abs(x)
        if (size > limit) this.#outliers++
        if (size > this.#largest.size) this.#largest = { size, token: from + t, dimension }
      })
      this.#squares += squares
    }
    this.#count += values.length
  }

  result(): Sizes {
    const { size, token, dimension } = this.#largest
    const count = Math.max(1, this.#count)
    return { rms: Math.sqrt(this.#squares / count), largest: size, token, dimension, outliers: this.#outliers / count }
  }
}

/** The largest shares, largest first. */
export function topShares(shares: Float64Array, first: number, top: number): { token: number; share: number }[] {
  const order = Array.from(shares.keys()).sort((a, b) => shares[b]! - shares[a]!)
  return order.slice(0, top).map((i) => ({ token: first + i, share: shares[i]! }))
}

/** The likeliest ids of a row of logits [V] by softmax, and the place of the id that follows. */
export function likeliest(logits: Float32Array, top: number, next: number | undefined) {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const sum = logits.reduce((total, x) => total + Math.exp(x - largest), 0)
  const share = (id: number): number => Math.exp(logits[id]! - largest) / sum
  // A short list that stays sorted: the vocabulary has up to 262,144 entries.
  const best: number[] = []
  for (let id = 0; id < logits.length; id++) {
    if (best.length === top && !(logits[id]! > logits[best[top - 1]!]!)) continue
    let at = best.length
    while (at > 0 && logits[id]! > logits[best[at - 1]!]!) at--
    best.splice(at, 0, id)
    if (best.length > top) best.pop()
  }
  const above = next === undefined ? 0 : logits.reduce((count, x) => (x > logits[next]! ? count + 1 : count), 0)
  return {
    top: best.map((id) => ({ id, share: share(id) })),
    next: next === undefined ? null : { id: next, rank: above + 1, share: share(next) },
  }
}
