/**
 * A random number for every (seed, index), the same on every machine: Philox 2x32 with ten rounds. It is a function of a counter,
 * so it has no state that other conversations could disturb. Not for secrets.
 * Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3 (SC 2011).
 */

const MULTIPLIER = 0xd256d193n
const WEYL = 0x9e3779b9
const MASK = 0xffffffffn

/** One block: counter of two 32-bit words and a 32-bit key -> two 32-bit words. */
export function philox(low: number, high: number, key: number): [number, number] {
  let [left, right, k] = [low >>> 0, high >>> 0, key >>> 0]
  for (let round = 0; round < 10; round++) {
    const product = MULTIPLIER * BigInt(left)
    ;[left, right] = [(Number(product >> 32n) ^ k ^ right) >>> 0, Number(product & MASK)]
    k = (k + WEYL) >>> 0
  }
  return [left, right]
}

/** The index-th number of a seed, in [0, 1), with 53 random bits. Seeds are integers of at most 53 bits, indices of at most 32. */
export function uniform(seed: number, index: number): number {
  const [a, b] = philox(index, Math.floor(seed / 2 ** 32), seed % 2 ** 32)
  return ((a >>> 5) * 2 ** 26 + (b >>> 6)) / 2 ** 53
}

/** A seed nobody chose. */
export const randomSeed = (): number => crypto.getRandomValues(new Uint32Array(1))[0]!
