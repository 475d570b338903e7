/**
 * Keys and values of earlier positions, or states. Full layers hold every position; sliding layers a ring of window - 1 + maxRows,
 * position p at p mod ring, so that a chunk can be written before its first row is read. A state is overwritten row by row.
 */
import { type CacheSnapshot, type CacheSpec, type KeysAndValuesSpec, type KvCache, MemoryError } from '../backend.ts'
import type { LayerCache, LayerState, StatePart } from '../ops.ts'
import { mustStandAt } from '../state.ts'

export interface HostLayerCache extends LayerCache {
  readonly ring: number
  /** [slots, ring, G·K] */
  readonly k: Float32Array
  /** [slots, ring, G·U]; empty where the values are in the keys */
  readonly v: Float32Array
}

export interface HostStatePart extends StatePart {
  /** [slots, values] */
  readonly data: Float32Array
}

interface HostState extends LayerState {
  readonly parts: readonly HostStatePart[]
}

interface HostSnapshot extends CacheSnapshot {
  /** Per layer: what it keeps before `position` from `first` on (nothing of a full layer), keys then values; or the parts of its state. */
  readonly layers: readonly { first: number; kept: Float32Array[] }[]
}

/** Positions a layer keeps per slot. */
export const ringLength = (spec: CacheSpec, window: number | null): number =>
  window === null ? spec.capacity : Math.min(spec.capacity, window - 1 + spec.maxRows)

/** Bytes of keys, values and states in f32. */
export const cacheBytes = (spec: CacheSpec): number =>
  spec.layers.reduce((sum, layer) => {
    if ('state' in layer) return sum + 4 * spec.slots * layer.state.reduce((a, b) => a + b, 0)
    const { kvHeads, keyDim, valueDim, valuesInKeys, window } = layer
    return sum + 4 * spec.slots * ringLength(spec, window) * kvHeads * (keyDim + (valuesInKeys ? 0 : valueDim))
  }, 0)

function keysAndValues(spec: CacheSpec, layer: KeysAndValuesSpec): HostLayerCache {
  const ring = ringLength(spec, layer.window)
  const values = (width: number) => new Float32Array(spec.slots * ring * layer.kvHeads * width)
  return { ...layer, ring, k: values(layer.keyDim), v: values(layer.valuesInKeys ? 0 : layer.valueDim) }
}

const statePart = (slots: number, values: number): HostStatePart => ({
  values,
  next: new Int32Array(slots),
  data: new Float32Array(slots * values),
})

export function createCache(spec: CacheSpec): KvCache {
  const layers = spec.layers.map((layer): HostLayerCache | HostState => {
    try {
      return 'state' in layer ? { parts: layer.state.map((values) => statePart(spec.slots, values)) } : keysAndValues(spec, layer)
    } catch {
      throw new MemoryError(
        `KV cache: ${spec.slots} slots of ${spec.capacity} positions do not fit in memory; lower the context or the number of slots`,
      )
    }
  })
  /** The keys and the values of a layer, each with the width of a row. */
  const arrays = ({ kvHeads, keyDim, valueDim, valuesInKeys, k, v }: HostLayerCache): [Float32Array, number][] => [
    [k, kvHeads * keyDim],
    [v, valuesInKeys ? 0 : kvHeads * valueDim],
  ]
  return {
    spec,
    layers,
    bytes: cacheBytes(spec),
    async snapshot(slot, position): Promise<HostSnapshot> {
      const copied = layers.map((layer) => {
        if ('parts' in layer) {
          for (const part of layer.parts) mustStandAt(part, slot, position)
          return { first: position, kept: layer.parts.map(({ data, values }) => data.slice(slot * values, (slot + 1) * values)) }
        }
        const first = layer.window === null ? position : Math.max(0, position - layer.window + 1)
        const kept = arrays(layer).map(([array, width]) => {
          const rows = new Float32Array((position - first) * width)
          for (let p = first; p < position; p++) {
            const at = (slot * layer.ring + (p % layer.ring)) * width
            rows.set(array.subarray(at, at + width), (p - first) * width)
          }
          return rows
        })
        return { first, kept }
      })
      const bytes = copied.reduce((sum, { kept }) => kept.reduce((s, array) => s + array.byteLength, sum), 0)
      return { position, layers: copied, bytes }
    },
    restore(slot, snapshot) {
      const { position, layers: copied } = snapshot as HostSnapshot
      layers.forEach((layer, index) => {
        const { first, kept } = copied[index]!
        if ('parts' in layer) {
          layer.parts.forEach(({ data, values, next }, n) => {
            data.set(kept[n]!, slot * values)
            next[slot] = position
          })
          return
        }
        for (const [n, [array, width]] of arrays(layer).entries())
          for (let p = first; p < position; p++) {
            const nth = (p - first) * width
            array.set(kept[n]!.subarray(nth, nth + width), (slot * layer.ring + (p % layer.ring)) * width)
          }
      })
    },
    copy(from, to, length) {
      for (const layer of layers) {
        if ('parts' in layer) {
          for (const { data, values, next } of layer.parts) {
            data.copyWithin(to * values, from * values, (from + 1) * values)
            next[to] = next[from]!
          }
          continue
        }
        const rows = layer.window === null ? length : layer.ring
        for (const [array, width] of arrays(layer))
          array.copyWithin(to * layer.ring * width, from * layer.ring * width, (from * layer.ring + rows) * width)
      }
    },
    dispose() {},
  }
}
