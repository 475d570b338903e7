/** Round numbers for the axes of charts. */

/** Round numbers between low and high, about five of them. */
export function ticks(low: number, high: number): number[] {
  const raw = (high - low) / 5
  const magnitude = 10 ** Math.floor(Math.log10(raw))
  const step = magnitude * [1, 2, 2.5, 5, 10].find((m) => m * magnitude >= raw)!
  const found: number[] = []
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)))
  return found
}
