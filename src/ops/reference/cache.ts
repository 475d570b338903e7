/**
 * Keys and values of earlier positions. Full layers hold every position; sliding layers a ring of window - 1 + maxRows,
 * position p at p mod ring, so that a chunk can be written before its first row is read.
 */
import { type CacheSnapshot, type CacheSpec, type KvCache, MemoryError } from '../backend.ts'
import type { LayerCache } from '../ops.ts'

export interface HostLayerCache extends LayerCache {
  readonly ring: number
  /** [slots, ring, G·K] each */
  readonly k: Float32Array
  readonly v: Float32Array
}

interface HostSnapshot extends CacheSnapshot {
  /** Per layer: undefined for full layers, else keys then values of [first, position). */
  readonly parts: ({ first: number; k: Float32Array; v: Float32Array } | undefined)[]
}

/** Positions a layer keeps per slot. */
export const ringLength = (spec: CacheSpec, window: number | null): number =>
  window === null ? spec.capacity : Math.min(spec.capacity, window - 1 + spec.maxRows)

export function createCache(spec: CacheSpec): KvCache {
  const layers = spec.layers.map(({ kvHeads, headDim, window }): HostLayerCache => {
    const ring = ringLength(spec, window)
    const count = spec.slots * ring * kvHeads * headDim
    try {
      return { kvHeads, headDim, window, ring, k: new Float32Array(count), v: new Float32Array(count) }
    } catch {
      throw new MemoryError(
        `KV cache: ${spec.slots} slots of ${spec.capacity} positions do not fit in memory; lower the context or the number of slots`,
      )
    }
  })
  /** Calls `visit` with the offset of each position in its ring. */
  const walk = (
    layer: HostLayerCache,
    slot: number,
    first: number,
    end: number,
    visit: (at: number, width: number, nth: number) => void,
  ) => {
    const width = layer.kvHeads * layer.headDim
    for (let p = first; p < end; p++) visit((slot * layer.ring + (p % layer.ring)) * width, width, p - first)
  }
  return {
    spec,
    layers,
    bytes: layers.reduce((sum, { k, v }) => sum + k.byteLength + v.byteLength, 0),
    async snapshot(slot, position): Promise<HostSnapshot> {
      const parts = layers.map((layer) => {
        if (layer.window === null) return undefined
        const first = Math.max(0, position - layer.window + 1)
        const width = layer.kvHeads * layer.headDim
        const k = new Float32Array((position - first) * width)
        const v = new Float32Array((position - first) * width)
        walk(layer, slot, first, position, (at, _, nth) => {
          k.set(layer.k.subarray(at, at + width), nth * width)
          v.set(layer.v.subarray(at, at + width), nth * width)
        })
        return { first, k, v }
      })
      return { position, parts, bytes: parts.reduce((sum, part) => sum + (part ? 2 * part.k.byteLength : 0), 0) }
    },
    restore(slot, snapshot) {
      const { position, parts } = snapshot as HostSnapshot
      layers.forEach((layer, index) => {
        const part = parts[index]
        if (!part) return
        walk(layer, slot, part.first, position, (at, width, nth) => {
          layer.k.set(part.k.subarray(nth * width, (nth + 1) * width), at)
          layer.v.set(part.v.subarray(nth * width, (nth + 1) * width), at)
        })
      })
    },
    copy(from, to, length) {
      for (const layer of layers) {
        const width = layer.kvHeads * layer.headDim
        const rows = layer.window === null ? length : layer.ring
        for (const array of [layer.k, layer.v])
          array.copyWithin(to * layer.ring * width, from * layer.ring * width, (from * layer.ring + rows) * width)
      }
    },
    dispose() {},
  }
}
