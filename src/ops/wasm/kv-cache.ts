/**
 * Keys and values in an arena, per layer [slot][g][ring position][head]: what one attention task reads is contiguous (cache-layout.ts).
 * Sliding layers are rings of at least window - 1 + maxRows positions, position p at p mod ring, as in the reference.
 */
import type { CacheSnapshot, CacheSpec, KvCache } from '../backend.ts'
import type { LayerCache } from '../ops.ts'
import { BLOCK, groupOf, headBytes, type Storage, storageOf } from './cache-layout.ts'
import type { Precision } from './context.ts'
import type { Heap, Location } from './heap.ts'
import type { Memories, Place } from './memories.ts'
import { roundUp } from './memory.ts'

export interface WasmLayerCache extends LayerCache {
  readonly ring: number
  readonly arena: number
  readonly keys: number
  readonly values: number
}

interface HostSnapshot extends CacheSnapshot {
  readonly values: Uint8Array
}

/** Bytes read behind the last key of a block of four. */
const OVERREAD = 4096

/** Positions a layer keeps per slot: whole groups, and for a ring that goes round whole blocks of attention, so that none goes over its end. */
function ringOf({ capacity, maxRows }: CacheSpec, storage: Storage, window: number | null): number {
  const all = roundUp(capacity, groupOf(storage))
  return window === null ? all : Math.min(all, roundUp(window - 1 + maxRows, BLOCK))
}

/** Bytes of keys and values. */
export function cacheBytes(spec: CacheSpec, precision: Precision = 'faithful'): number {
  const storage = storageOf(precision)
  return spec.layers.reduce((sum, { kvHeads, keyDim, valueDim, window }) => {
    const position = headBytes(storage, keyDim) + headBytes(storage, valueDim)
    return sum + spec.slots * kvHeads * ringOf(spec, storage, window) * position
  }, 0)
}

/** @throws MemoryError that names the layer, or says what is free */
export function createCache(spec: CacheSpec, precision: Precision, memories: Memories, heap: Heap): KvCache {
  const storage = storageOf(precision)
  const group = groupOf(storage)
  const bytes = cacheBytes(spec, precision)
  const places: Place[] = []
  const layers: WasmLayerCache[] = []
  try {
    memories.mustFit(bytes, `a KV cache of ${spec.slots} × ${spec.capacity} positions`)
    for (const [index, layer] of spec.layers.entries()) {
      const ring = ringOf(spec, storage, layer.window)
      const positions = spec.slots * layer.kvHeads * ring
      const [keyBytes, valueBytes] = [layer.keyDim, layer.valueDim].map((width) => positions * headBytes(storage, width)) as [
        number,
        number,
      ]
      const what = `KV cache of layer ${index} (${spec.slots} slots × ${ring} positions)`
      const place = memories.allocate(keyBytes + valueBytes + OVERREAD, what)
      places.push(place)
      layers.push({ ...layer, ring, arena: place.arena, keys: place.address, values: place.address + keyBytes })
    }
  } catch (error) {
    for (const place of places) memories.release(place)
    throw error
  }

  /** Where the rows of keys and values of one layer begin for (slot, g), and the bytes of one position. */
  function* heads(layer: WasmLayerCache, slot: number): Generator<{ address: number; row: number }> {
    for (const [base, width] of [
      [layer.keys, layer.keyDim],
      [layer.values, layer.valueDim],
    ] as const) {
      const row = headBytes(storage, width)
      for (let g = 0; g < layer.kvHeads; g++) yield { address: base + (slot * layer.kvHeads + g) * layer.ring * row, row }
    }
  }

  /** Runs of bytes that hold the positions before `end` which the windows of the sliding layers still need, in whole groups. */
  function* runs(slot: number, end: number): Generator<Location & { bytes: number }> {
    for (const layer of layers) {
      const { window, ring, arena } = layer
      if (window === null) continue
      const first = Math.max(0, end - window + 1)
      for (const { address, row } of heads(layer, slot))
        for (let p = Math.floor(first / group) * group; p < end; ) {
          const count = Math.min(roundUp(end - p, group), ring - (p % ring))
          yield { arena, address: address + (p % ring) * row, bytes: count * row }
          p += count
        }
    }
  }

  return {
    spec,
    layers,
    bytes,
    async snapshot(slot, position): Promise<HostSnapshot> {
      const parts = [...runs(slot, position)]
      const bytes = parts.reduce((sum, part) => sum + part.bytes, 0)
      if (bytes === 0) return { position, bytes: 0, values: new Uint8Array(0) }
      const block = heap.temporary(bytes, 'snapshot')
      let at = block.address
      for (const part of parts) {
        heap.copy({ arena: 0, address: at }, part, part.bytes)
        at += part.bytes
      }
      return { position, bytes, values: await heap.download(block, bytes) }
    },
    restore(slot, snapshot) {
      const { position, values } = snapshot as HostSnapshot
      if (values.length === 0) return
      const block = heap.stage(values)
      let at = block.address
      for (const part of runs(slot, position)) {
        heap.copy(part, { arena: 0, address: at }, part.bytes)
        at += part.bytes
      }
      heap.retire(block)
    },
    copy(from, to, length) {
      for (const layer of layers) {
        const { arena, window, ring } = layer
        const count = window === null ? roundUp(length, group) : ring
        const targets = heads(layer, to)
        for (const { address, row } of heads(layer, from))
          heap.copy({ arena, address: targets.next().value!.address }, { arena, address }, count * row)
      }
    },
    dispose() {
      for (const place of places.splice(0)) memories.release(place)
    },
  }
}
