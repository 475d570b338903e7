/** How much a cache of f32 takes: the reference and WebGPU keep keys, values and states so. wasm pads rows and may keep bf16. */
import type { CacheSpec } from './backend.ts'

/** Positions that a layer keeps per slot. */
export const ringLength = ({ capacity, maxRows }: CacheSpec, window: number | null): number =>
  window === null ? capacity : Math.min(capacity, window - 1 + maxRows)

/** Bytes of keys, values and states in f32. */
export const cacheBytes = (spec: CacheSpec): number =>
  spec.layers.reduce((sum, layer) => {
    if ('state' in layer) return sum + 4 * spec.slots * layer.state.reduce((a, b) => a + b, 0)
    const { kvHeads, keyDim, valueDim, valuesInKeys, window } = layer
    return sum + 4 * spec.slots * ringLength(spec, window) * kvHeads * (keyDim + (valuesInKeys ? 0 : valueDim))
  }, 0)
