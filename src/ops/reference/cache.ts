/**
 * Keys and values of earlier positions, or states. Full layers hold every position; sliding layers a ring of window - 1 + maxRows,
 * position p at p mod ring, so that a chunk can be written before its first row is read. A state is overwritten row by row.
 */
import { type CacheSnapshot, type CacheSpec, type KeysAndValuesSpec, type KvCache, MemoryError } from '../backend.ts'
import { cacheBytes, ringLength } from '../cache-size.ts'
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
  readonly values: Float32Array
}

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
  const parts = layers.flatMap((layer) => ('parts' in layer ? layer.parts : []))

  /**
   * The states, and the rows before `end` which the windows of the sliding layers still need.
   * @param whole with all rows of the full layers
   */
  function* rows(slot: number, end: number, whole: boolean): Generator<Float32Array> {
    for (const { data, values } of parts) yield data.subarray(slot * values, (slot + 1) * values)
    for (const layer of layers) {
      if ('parts' in layer || (layer.window === null && !whole)) continue
      const first = layer.window === null ? 0 : Math.max(0, end - layer.window + 1)
      for (const [array, width] of arrays(layer))
        for (let p = first; p < end; p++) {
          const at = (slot * layer.ring + (p % layer.ring)) * width
          yield array.subarray(at, at + width)
        }
    }
  }

  const sizeOf = (end: number, whole: boolean) => [...rows(0, end, whole)].reduce((sum, row) => sum + row.length, 0)

  function gather(slot: number, end: number, whole: boolean): Float32Array {
    for (const part of parts) mustStandAt(part, slot, end)
    const values = new Float32Array(sizeOf(end, whole))
    let at = 0
    for (const row of rows(slot, end, whole)) {
      values.set(row, at)
      at += row.length
    }
    return values
  }

  function scatter(slot: number, end: number, whole: boolean, values: Float32Array): void {
    for (const { next } of parts) next[slot] = end
    let at = 0
    for (const row of rows(slot, end, whole)) {
      row.set(values.subarray(at, at + row.length))
      at += row.length
    }
  }

  return {
    spec,
    layers,
    bytes: cacheBytes(spec),
    async snapshot(slot, position): Promise<HostSnapshot> {
      const values = gather(slot, position, false)
      return { position, bytes: values.byteLength, values }
    },
    restore: (slot, snapshot) => scatter(slot, snapshot.position, false, (snapshot as HostSnapshot).values),
    transfer: {
      layout: 'reference',
      size: (length) => 4 * sizeOf(length, true),
      read: async (slot, length, from, count) => bytesOf(gather(slot, length, true)).slice(from, from + count),
      async write(slot, length, from, bytes) {
        for (const { next } of parts) next[slot] = length
        const values = gather(slot, length, true)
        bytesOf(values).set(bytes, from)
        scatter(slot, length, true, values)
      },
      snapshotSize: (position) => 4 * sizeOf(position, false),
      snapshotBytes: async (snapshot) => bytesOf((snapshot as HostSnapshot).values),
      snapshotOf: (position, bytes): HostSnapshot => ({ position, bytes: bytes.length, values: new Float32Array(bytes.slice().buffer) }),
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

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array => new Uint8Array(buffer, byteOffset, byteLength)
