/** Limits and round numbers for the axes of charts. */

/** The least and the largest of some values; apart from each other, also where there is one value alone. */
export function limits(values: readonly number[]): [low: number, high: number] {
  // A call takes about 120,000 arguments, and a long run has more points.
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const value of values) {
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  return low === high ? [low - 0.5, high + 0.5] : [low, high]
}

/** Round numbers between low and high, about five of them. */
export function ticks(low: number, high: number): number[] {
  const raw = (high - low) / 5
  const magnitude = 10 ** Math.floor(Math.log10(raw))
  const step = magnitude * [1, 2, 2.5, 5, 10].find((m) => m * magnitude >= raw)!
  const found: number[] = []
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)))
  return found
}
