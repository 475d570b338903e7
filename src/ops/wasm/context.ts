/** What the host half of an op works with: the queue it writes commands into, the heap for its results, and what is known of batches. */
import type { Batches } from './batches.ts'
import type { Heap } from './heap.ts'
import type { Pool } from './pool.ts'

export interface OpContext {
  readonly pool: Pool
  readonly heap: Heap
  readonly batches: Batches
  readonly precision: Precision
}

/** `fast`: dense bf16 weights become int8, activations for weights in blocks of up to 6 bits int8, keys and values bf16. */
export type Precision = 'faithful' | 'fast'
