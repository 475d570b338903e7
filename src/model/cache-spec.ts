/** The KV cache that an architecture asks for. */
import type { Architecture } from '../architecture/architecture.ts'
import type { CacheSpec } from '../ops/backend.ts'

/** `capacity` positions for each of `slots` sequences, at most `maxRows` rows of one sequence per pass. */
export function cacheSpec(architecture: Architecture, slots: number, capacity: number, maxRows: number): CacheSpec {
  const layers = architecture.layers.map(({ attention: { kvHeads, headDim, slidingWindow } }) => ({
    kvHeads,
    keyDim: headDim,
    valueDim: headDim,
    window: slidingWindow,
  }))
  return { layers, slots, capacity, maxRows: Math.min(maxRows, capacity) }
}
