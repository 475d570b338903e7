/**
 * Keys and values of earlier positions. Full layers hold every position; sliding layers a ring of window - 1 + maxRows,
 * position p at p mod ring, so that a chunk can be written before its first row is read.
 */
import { type CacheSnapshot, type CacheSpec, type KvCache, MemoryError } from '../backend.ts'
import type { LayerCache } from '../ops.ts'

export interface HostLayerCache extends LayerCache {
  readonly ring: number
  /** [slots, ring, G·K] */
  readonly k: Float32Array
  /** [slots, ring, G·U] */
  readonly v: Float32Array
}

interface HostSnapshot extends CacheSnapshot {
  /** Per layer: undefined for full layers, else keys then values of [first, position). */
  readonly parts: ({ first: number; k: Float32Array; v: Float32Array } | undefined)[]
}

/** Positions a layer keeps per slot. */
export const ringLength = (spec: CacheSpec, window: number | null): number =>
  window === null ? spec.capacity : Math.min(spec.capacity, window - 1 + spec.maxRows)

/** Bytes of keys and values in f32. */
export const cacheBytes = (spec: CacheSpec): number =>
  spec.layers.reduce((sum, { kvHeads, keyDim, valueDim, window }) => {
    return sum + 4 * spec.slots * ringLength(spec, window) * kvHeads * (keyDim + valueDim)
  }, 0)

export function createCache(spec: CacheSpec): KvCache {
  const layers = spec.layers.map((layer): HostLayerCache => {
    const ring = ringLength(spec, layer.window)
    const values = (width: number) => new Float32Array(spec.slots * ring * layer.kvHeads * width)
    try {
      return { ...layer, ring, k: values(layer.keyDim), v: values(layer.valueDim) }
    } catch {
      throw new MemoryError(
        `KV cache: ${spec.slots} slots of ${spec.capacity} positions do not fit in memory; lower the context or the number of slots`,
      )
    }
  })
  /** The keys and the values of a layer, each with the width of a row. */
  const arrays = ({ kvHeads, keyDim, valueDim, k, v }: HostLayerCache): [Float32Array, number][] => [
    [k, kvHeads * keyDim],
    [v, kvHeads * valueDim],
  ]
  return {
    spec,
    layers,
    bytes: cacheBytes(spec),
    async snapshot(slot, position): Promise<HostSnapshot> {
      const parts = layers.map((layer) => {
        if (layer.window === null) return undefined
        const first = Math.max(0, position - layer.window + 1)
        const [k, v] = arrays(layer).map(([array, width]) => {
          const kept = new Float32Array((position - first) * width)
          for (let p = first; p < position; p++) {
            const at = (slot * layer.ring + (p % layer.ring)) * width
            kept.set(array.subarray(at, at + width), (p - first) * width)
          }
          return kept
        })
        return { first, k: k!, v: v! }
      })
      return { position, parts, bytes: parts.reduce((sum, part) => sum + (part ? part.k.byteLength + part.v.byteLength : 0), 0) }
    },
    restore(slot, snapshot) {
      const { position, parts } = snapshot as HostSnapshot
      layers.forEach((layer, index) => {
        const part = parts[index]
        if (!part) return
        const kept = [part.k, part.v]
        for (const [n, [array, width]] of arrays(layer).entries())
          for (let p = part.first; p < position; p++) {
            const nth = (p - part.first) * width
            array.set(kept[n]!.subarray(nth, nth + width), (slot * layer.ring + (p % layer.ring)) * width)
          }
      })
    },
    copy(from, to, length) {
      for (const layer of layers) {
        const rows = layer.window === null ? length : layer.ring
        for (const [array, width] of arrays(layer))
          array.copyWithin(to * layer.ring * width, from * layer.ring * width, (from * layer.ring + rows) * width)
      }
    },
    dispose() {},
  }
}
