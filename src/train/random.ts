/**
 * Seeded random numbers for data and schedules: a state of 32 bits that can be saved and set, so that a resumed run draws what it would have
 * drawn. SplitMix32 after Steele, Lea & Flood 2014.
 */

/** Uniform numbers in [0, 1). */
export type Random = () => number

export function random(seed: number): Random {
  let state = seed | 0
  return () => {
    state = (state + 0x9e3779b9) | 0
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32
  }
}

/** A seed for an independent stream: one per step and shard, so that no state must be carried over. */
export const mixSeeds = (...seeds: number[]): number => {
  let h = 0x811c9dc5
  for (const seed of seeds) {
    h = Math.imul(h ^ seed, 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
    h ^= h >>> 16
  }
  return h | 0
}

/** An integer in low…high, both included. */
export const integer = (next: Random, low: number, high: number): number => low + Math.floor(next() * (high - low + 1))

export const pick = <T>(next: Random, from: readonly T[]): T => from[Math.floor(next() * from.length)]!
