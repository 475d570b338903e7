/** The KV cache that an architecture needs, and the default sizes of an engine. */
import type { Architecture, Attention } from '../architecture/architecture.ts'
import type { CacheSpec } from '../ops/backend.ts'
import { shortContext } from './rope.ts'

/** `capacity` positions for each of `slots` sequences, at most `maxRows` rows of one sequence per pass. */
export function cacheSpec(architecture: Architecture, slots: number, capacity: number, maxRows: number): CacheSpec {
  const layers = architecture.layers.map(({ attention }) => layerSpec(attention))
  return { layers, slots, capacity, maxRows: Math.min(maxRows, capacity) }
}

function layerSpec(slot: Attention): CacheSpec['layers'][number] {
  switch (slot.kind) {
    case 'multiHead':
      return { kvHeads: slot.kvHeads, keyDim: slot.headDim, valueDim: slot.headDim, window: slot.slidingWindow }
    case 'stateSpace':
      return { state: [slot.convolutionSize * slot.innerSize, slot.stateSize * slot.innerSize] }
    case 'latent':
      return { kvHeads: 1, keyDim: slot.kvLoraRank + slot.qkRopeHeadDim, valueDim: slot.kvLoraRank, valuesInKeys: true, window: null }
  }
}

/** Defaults of `EngineOptions`. */
export const DEFAULT_SLOTS = 4
export const DEFAULT_CHUNK = 512
export const DEFAULT_CONTEXT = 8192

/** The cache that `createEngine` reserves. */
export function engineCacheSpec(
  architecture: Architecture,
  {
    context = Math.min(architecture.maxPositionEmbeddings, DEFAULT_CONTEXT, shortContext(architecture)),
    slots = DEFAULT_SLOTS,
    chunk = DEFAULT_CHUNK,
  }: CacheOptions,
): CacheSpec {
  return cacheSpec(architecture, slots, context, chunk)
}

/** See `EngineOptions`. */
export interface CacheOptions {
  context?: number
  slots?: number
  chunk?: number
}
