/**
 * Keys and values in an arena, per layer [slot][g][ring position][head]: what one attention task reads is contiguous (cache-layout.ts).
 * Sliding layers are rings of at least window - 1 + maxRows positions, position p at p mod ring, as in the reference.
 * States are f32 in every precision, per part [slot][values].
 */
import type { CacheSnapshot, CacheSpec, KeysAndValuesSpec, KvCache, StateSpec } from '../backend.ts'
import type { LayerCache, LayerState, StatePart } from '../ops.ts'
import { mustStandAt } from '../state.ts'
import { BLOCK, groupOf, headBytes, type Storage, storageOf } from './cache-layout.ts'
import type { Precision } from './context.ts'
import type { Heap, Location } from './heap.ts'
import type { Memories, Place } from './memories.ts'
import { roundUp } from './memory.ts'

export interface WasmLayerCache extends LayerCache {
  readonly storage: Storage
  readonly ring: number
  readonly arena: number
  readonly keys: number
  /** Where the values lie; `keys` where they are parts of these. */
  readonly values: number
}

export interface WasmStatePart extends StatePart {
  readonly arena: number
  readonly address: number
}

interface WasmState extends LayerState {
  readonly parts: readonly WasmStatePart[]
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

/** Bytes of the keys, and of the values, of one layer. */
function layerBytes(spec: CacheSpec, layer: KeysAndValuesSpec, storage: Storage): [number, number] {
  const positions = spec.slots * layer.kvHeads * ringOf(spec, storage, layer.window)
  return [positions * headBytes(storage, layer.keyDim), positions * valueBytes(storage, layer)]
}

/** Bytes of one position of one head beside its key. */
const valueBytes = (storage: Storage, layer: KeysAndValuesSpec): number => (layer.valuesInKeys ? 0 : headBytes(storage, layer.valueDim))

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)

/** Bytes of keys, values and states. */
export function cacheBytes(spec: CacheSpec, precision: Precision = 'faithful'): number {
  const of = (layer: KeysAndValuesSpec | StateSpec) => {
    if ('state' in layer) return 4 * spec.slots * sum(layer.state)
    return sum(layerBytes(spec, layer, storageOf(precision, layer.valuesInKeys)))
  }
  return sum(spec.layers.map(of))
}

/** @throws MemoryError that names the layer, or says what is free */
export function createCache(spec: CacheSpec, precision: Precision, memories: Memories, heap: Heap): KvCache {
  const bytes = cacheBytes(spec, precision)
  const places: Place[] = []
  const place = (bytes: number, what: string): Place => {
    const made = memories.allocate(bytes + OVERREAD, what)
    places.push(made)
    return made
  }
  const keysAndValues = (layer: KeysAndValuesSpec, index: number): WasmLayerCache => {
    const storage = storageOf(precision, layer.valuesInKeys)
    const ring = ringOf(spec, storage, layer.window)
    const [keys, values] = layerBytes(spec, layer, storage)
    const { arena, address } = place(keys + values, `KV cache of layer ${index} (${spec.slots} slots × ${ring} positions)`)
    return { ...layer, storage, ring, arena, keys: address, values: address + (layer.valuesInKeys ? 0 : keys) }
  }
  const statePart = (values: number, index: number): WasmStatePart => {
    const { arena, address } = place(4 * spec.slots * values, `states of layer ${index} (${spec.slots} slots × ${values} values)`)
    return { values, next: new Int32Array(spec.slots), arena, address }
  }
  const layers: (WasmLayerCache | WasmState)[] = []
  try {
    memories.mustFit(bytes, `a KV cache of ${spec.slots} × ${spec.capacity} positions`)
    for (const [index, layer] of spec.layers.entries())
      layers.push('state' in layer ? { parts: layer.state.map((values) => statePart(values, index)) } : keysAndValues(layer, index))
  } catch (error) {
    for (const place of places) memories.release(place)
    throw error
  }
  const states: readonly WasmStatePart[] = layers.flatMap((layer) => ('parts' in layer ? layer.parts : []))
  const attended: readonly WasmLayerCache[] = layers.flatMap((layer) => ('parts' in layer ? [] : [layer]))

  /** Where the rows of keys and values of one layer begin for (slot, g), and the bytes of one position. */
  function* heads(layer: WasmLayerCache, slot: number): Generator<{ address: number; row: number }> {
    for (const [base, row] of [
      [layer.keys, headBytes(layer.storage, layer.keyDim)],
      [layer.values, valueBytes(layer.storage, layer)],
    ] as const) {
      if (row === 0) continue
      for (let g = 0; g < layer.kvHeads; g++) yield { address: base + (slot * layer.kvHeads + g) * layer.ring * row, row }
    }
  }

  const stateOf = ({ arena, address, values }: WasmStatePart, slot: number): Location & { bytes: number } => {
    return { arena, address: address + 4 * slot * values, bytes: 4 * values }
  }

  /**
   * Runs of bytes: the states, and the positions before `end` which the windows of the sliding layers still need, in whole groups.
   * @param whole with all positions of the full layers
   */
  function* runs(slot: number, end: number, whole = false): Generator<Location & { bytes: number }> {
    for (const part of states) yield stateOf(part, slot)
    for (const layer of attended) {
      const { window, ring, arena } = layer
      if (window === null && !whole) continue
      const group = groupOf(layer.storage)
      const first = window === null ? 0 : Math.max(0, end - window + 1)
      for (const { address, row } of heads(layer, slot))
        for (let p = Math.floor(first / group) * group; p < end; ) {
          const count = Math.min(roundUp(end - p, group), ring - (p % ring))
          yield { arena, address: address + (p % ring) * row, bytes: count * row }
          p += count
        }
    }
  }

  const sizeOf = (parts: Iterable<{ bytes: number }>): number => {
    let bytes = 0
    for (const part of parts) bytes += part.bytes
    return bytes
  }

  /** The parts of runs that lie within bytes from … from + count - 1 of their sequence. */
  function* within(parts: Iterable<Location & { bytes: number }>, from: number, count: number): Generator<Location & { bytes: number }> {
    let at = 0
    for (const { arena, address, bytes } of parts) {
      const first = Math.max(0, from - at)
      const last = Math.min(bytes, from + count - at)
      if (first < last) yield { arena, address: address + first, bytes: last - first }
      at += bytes
    }
  }

  async function gather(parts: readonly (Location & { bytes: number })[]): Promise<Uint8Array> {
    const bytes = sizeOf(parts)
    if (bytes === 0) return new Uint8Array(0)
    const block = heap.temporary(bytes, 'snapshot')
    let at = block.address
    for (const part of parts) {
      heap.copy({ arena: 0, address: at }, part, part.bytes)
      at += part.bytes
    }
    return heap.download(block, bytes)
  }

  function scatter(parts: Iterable<Location & { bytes: number }>, values: Uint8Array): void {
    if (values.length === 0) return
    const block = heap.stage(values)
    let at = block.address
    for (const part of parts) {
      heap.copy(part, { arena: 0, address: at }, part.bytes)
      at += part.bytes
    }
    heap.retire(block)
  }

  const mustStand = (slot: number, position: number) => {
    for (const part of states) mustStandAt(part, slot, position)
  }
  const stand = (slot: number, position: number) => {
    for (const part of states) part.next[slot] = position
  }

  return {
    spec,
    layers,
    bytes,
    async snapshot(slot, position): Promise<HostSnapshot> {
      mustStand(slot, position)
      const values = await gather([...runs(slot, position)])
      return { position, bytes: values.length, values }
    },
    restore(slot, snapshot) {
      const { position, values } = snapshot as HostSnapshot
      stand(slot, position)
      scatter(runs(slot, position), values)
    },
    transfer: {
      layout: `wasm ${precision}`,
      size: (length) => sizeOf(runs(0, length, true)),
      async read(slot, length, from, count) {
        mustStand(slot, length)
        return gather([...within(runs(slot, length, true), from, count)])
      },
      async write(slot, length, from, bytes) {
        stand(slot, length)
        scatter(within(runs(slot, length, true), from, bytes.length), bytes)
        await heap.settled()
      },
      snapshotSize: (position) => sizeOf(runs(0, position)),
      snapshotBytes: async (snapshot) => (snapshot as HostSnapshot).values,
      snapshotOf: (position, values): HostSnapshot => ({ position, bytes: values.length, values }),
    },
    copy(from, to, length) {
      for (const part of states) {
        part.next[to] = part.next[from]!
        heap.copy(stateOf(part, to), stateOf(part, from), 4 * part.values)
      }
      for (const layer of attended) {
        const { arena, window, ring } = layer
        const count = window === null ? roundUp(length, groupOf(layer.storage)) : ring
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
