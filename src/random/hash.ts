/**
 * 32-bit hashes, for seeds and for random numbers that depend on an index alone. They spread bits and protect nothing.
 * Trained models and synthetic checkpoints depend on these values.
 */

/** FNV-1a over the UTF-16 units of a text. */
export function fnv1a(text: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return h
}

/** The finaliser "lowbias32" of Wellons, "Prospecting for hash functions". */
export function lowbias32(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  return x ^ (x >>> 16)
}

/** The seed of an independent stream: one per step and shard, so a resumed run needs no saved state. After MurmurHash3 (Appleby). */
export function mixSeeds(...seeds: number[]): number {
  let h = 0x811c9dc5
  for (const seed of seeds) {
    h = Math.imul(h ^ seed, 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
    h ^= h >>> 16
  }
  return h | 0
}

/** Whether dropout keeps a value. A function of seed and index: the backward pass and a resumed run draw the same mask again. */
export const dropoutKeeps = (seed: number, index: number, p: number): boolean =>
  (lowbias32(Math.imul(index + 0x9e3779b9, 0x85ebca6b) ^ seed) >>> 0) / 2 ** 32 >= p
