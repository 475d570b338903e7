/**
 * A random number for every (seed, index), the same on every machine: Philox 2x32 with ten rounds. It is a function of a counter,
 * so it has no state that other conversations could disturb. Not for secrets.
 * Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3 (SC 2011).
 */

const MULTIPLIER = 0xd256d193
const WEYL = 0x9e3779b9

/** One block: counter of two 32-bit words and a 32-bit key -> two 32-bit words. */
export function philox(low: number, high: number, key: number): [number, number] {
  let [left, right, k] = [low >>> 0, high >>> 0, key >>> 0]
  for (let round = 0; round < 10; round++) {
    ;[left, right] = [(highWord(MULTIPLIER, left) ^ k ^ right) >>> 0, Math.imul(MULTIPLIER, left) >>> 0]
    k = (k + WEYL) >>> 0
  }
  return [left, right]
}

/** The upper 32 bits of the product of two 32-bit words, from products of halves, which a double holds exactly. */
function highWord(a: number, b: number): number {
  const [aLow, aHigh, bLow, bHigh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16]
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16)
  const other = aLow * bHigh + (middle & 0xffff)
  return aHigh * bHigh + (middle >>> 16) + (other >>> 16)
}

/** The index-th number of a seed, in [0, 1), with 53 random bits. Seeds are integers of at most 53 bits, indices of at most 32. */
export function uniform(seed: number, index: number): number {
  const [a, b] = philox(index, Math.floor(seed / 2 ** 32), seed % 2 ** 32)
  return ((a >>> 5) * 2 ** 26 + (b >>> 6)) / 2 ** 53
}

/** A seed nobody chose. */
export const randomSeed = (): number => crypto.getRandomValues(new Uint32Array(1))[0]!
