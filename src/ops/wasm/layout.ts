/**
 * The layout of the heap (memory 0), for the host and the workers. Word indices are into an Int32Array over the heap.
 *
 *   0        never used, so that address 0 can mean "none"
 *   64       1 KiB of zeros (the bias of a layer without one)
 *   2 KiB    control words, each on its own cache line
 *   4 KiB    constants of the kernels: of those for all formats, then of each format (by its number)
 *   64 KiB   command ring
 *   …        one scratch area per worker, then the host's staging area, then temporaries
 */
export const ZEROS = 64
export const ZERO_BYTES = 1024

/** Control words. Positions count ring words and wrap around at 2^32. */
const control = (n: number) => (2048 + 64 * n) / 4
/** End of what the host has written, and of its last command for all workers. */
export const TAIL = control(0)
export const PARALLEL = control(1)
/** End of what has been computed, and of what every worker has read. */
export const COMPLETED = control(2)
export const CONSUMED = control(3)
/** The barrier: how many workers have arrived, and how often all of them had. */
export const ARRIVED = control(4)
export const GENERATION = control(5)
/** How many threads sleep on TAIL, PARALLEL and GENERATION. */
export const TAIL_SLEEPERS = control(6)
export const PARALLEL_SLEEPERS = control(7)
export const GENERATION_SLEEPERS = control(8)

export const CONSTANTS = 4096
export const CONSTANT_BYTES = 1024

/** In an arena: where a worker's kernels may store sums for a moment. The places of weights begin behind those of all workers. */
export const spillAt = (worker: number): number => 64 * (worker + 1)

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
/** Flag of a command that worker 0 runs alone, because a barrier would cost more time than sharing the work saves. */
export const ALONE = 1 << 20
