/**
 * Where things lie in the heap (memory 0), for the host and the workers alike. Word indices are into an Int32Array over the heap.
 *
 *   0        never used, so that address 0 can mean "none"
 *   64       1 KiB of zeros (the bias of a layer without one)
 *   2 KiB    control words, each on its own cache line
 *   4 KiB    constants of the kernels
 *   64 KiB   command ring
 *   …        one scratch area per worker, then the host's staging area, then temporaries
 */
export const ZEROS = 64
export const ZERO_BYTES = 1024

/** Control words. Counters of ring words wrap around at 2^32. */
export const TAIL = 2048 / 4
export const SLEEPERS = 2112 / 4
export const ARRIVED = 2176 / 4
export const GENERATION = 2240 / 4
export const COMPLETED = 2304 / 4

export const CONSTANTS = 4096
export const CONSTANT_BYTES = 4096

export const RING = 65536 / 4
export const RING_WORDS = 1 << 20
export const SCRATCH = (RING + RING_WORDS) * 4
export const SCRATCH_BYTES = 2 << 20

/** First byte behind the scratch areas of `workers` workers. */
export const afterScratch = (workers: number): number => SCRATCH + workers * SCRATCH_BYTES

/** Ring entries that are no kernels: continue at the start of the ring; tell the host; wait for a further memory. */
export const OP_WRAP = -1
export const OP_SIGNAL = -2
export const OP_ATTACH = -3
