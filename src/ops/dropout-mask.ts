/**
 * Which values a dropout keeps: a pure function of seed and index, so that every backend, thread count and resumed run
 * draws the same mask and the backward pass needs no copy of it. The mixer is the 32-bit finaliser of MurmurHash3 (Appleby).
 */
export function dropoutKeeps(seed: number, index: number, p: number): boolean {
  if (p <= 0) return true
  let h = (Math.imul(index, 0x9e3779b1) ^ Math.imul(seed, 0x85ebca6b)) >>> 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return ((h ^ (h >>> 16)) >>> 0) / 4294967296 >= p
}
