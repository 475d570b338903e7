/**
 * Streams of seeded random numbers, for data, schedules and first weights: SplitMix32, the 32-bit form of Steele, Lea & Flood 2014.
 * Trained models depend on these values: a changed bit changes what a recipe trains.
 */

/** Uniform numbers in [0, 1). */
export type Random = () => number

/** The stream of a seed (32 bits). */
export function random(seed: number): Random {
  let state = seed | 0
  return () => {
    state = (state + 0x9e3779b9) | 0
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32
  }
}

/** Standard normal numbers by the polar method (Marsaglia & Bray 1964). */
export function normals(next: Random): Random {
  let spare: number | undefined
  return () => {
    if (spare !== undefined) {
      const value = spare
      spare = undefined
      return value
    }
    for (;;) {
      const [u, v] = [2 * next() - 1, 2 * next() - 1]
      const s = u * u + v * v
      if (s > 0 && s < 1) {
        const factor = Math.sqrt((-2 * Math.log(s)) / s)
        spare = v * factor
        return u * factor
      }
    }
  }
}

/** An integer in low…high, both included. */
export const integer = (next: Random, low: number, high: number): number => low + Math.floor(next() * (high - low + 1))

export const pick = <T>(next: Random, from: readonly T[]): T => from[Math.floor(next() * from.length)]!
