/**
 * Keys and values on the device, per layer [slot][g][ring position][head] in f32; sliding layers are rings of window - 1 + maxRows
 * positions, position p at p mod ring. States, per part [slot][values]. Buffers hold as many slots as one binding may have.
 */
import type { CacheSnapshot, CacheSpec, KeysAndValuesSpec, KvCache } from '../backend.ts'
import { MemoryError } from '../backend.ts'
import { cacheBytes, ringLength } from '../cache-size.ts'
import type { LayerCache, LayerState, StatePart } from '../ops.ts'
import { mustStandAt } from '../state.ts'
import type { Buffers } from './buffers.ts'
import type { Queue } from './queue.ts'

/** Some slots of a layer. */
export interface SlotGroup {
  readonly first: number
  readonly slots: number
  readonly keys: GPUBuffer
  /** `keys` where the values are parts of these. */
  readonly values: GPUBuffer
}

export interface GpuLayerCache extends LayerCache {
  readonly id: number
  readonly ring: number
  readonly capacity: number
  readonly groups: readonly SlotGroup[]
}

export interface GpuStatePart extends StatePart {
  readonly id: number
  readonly buffer: GPUBuffer
}

interface GpuState extends LayerState {
  readonly parts: readonly GpuStatePart[]
}

interface HostSnapshot extends CacheSnapshot {
  readonly values: Uint8Array<ArrayBuffer>
}

let ids = 0

/** Bytes of the keys and of the values of one slot. */
function slotBytes(spec: CacheSpec, { kvHeads, keyDim, valueDim, valuesInKeys, window }: KeysAndValuesSpec): [number, number] {
  const positions = 4 * kvHeads * ringLength(spec, window)
  return [positions * keyDim, valuesInKeys ? 0 : positions * valueDim]
}

/** @throws MemoryError that names the layer and the context that fits */
export async function createCache(spec: CacheSpec, buffers: Buffers, queue: Queue): Promise<KvCache> {
  const owned: GPUBuffer[] = []
  const make = async (label: string, bytes: number): Promise<GPUBuffer> => {
    const buffer = await buffers.allocate(label, bytes)
    owned.push(buffer)
    return buffer
  }
  const keysAndValues = async (layer: KeysAndValuesSpec, index: number): Promise<GpuLayerCache> => {
    const [keys, values] = slotBytes(spec, layer)
    const most = Math.floor(buffers.largestBinding / Math.max(keys, values))
    if (most < 1)
      throw new MemoryError(
        `KV cache of layer ${index}: one slot of ${spec.capacity} positions takes ${Math.max(keys, values)} bytes, a binding of this device at most ` +
          `${buffers.largestBinding}; a context of ${Math.floor((spec.capacity * buffers.largestBinding) / Math.max(keys, values))} positions fits`,
      )
    const groups: SlotGroup[] = []
    for (let first = 0; first < spec.slots; first += most) {
      const slots = Math.min(most, spec.slots - first)
      const k = await make(`keys of layer ${index}`, slots * keys)
      groups.push({ first, slots, keys: k, values: values ? await make(`values of layer ${index}`, slots * values) : k })
    }
    return { ...layer, id: ids++, ring: ringLength(spec, layer.window), capacity: spec.capacity, groups }
  }
  const layers: (GpuLayerCache | GpuState)[] = []
  try {
    for (const [index, layer] of spec.layers.entries()) {
      if ('state' in layer) {
        const parts: GpuStatePart[] = []
        for (const values of layer.state) {
          const buffer = await make(`states of layer ${index}`, 4 * spec.slots * values)
          parts.push({ id: ids++, values, next: new Int32Array(spec.slots), buffer })
        }
        layers.push({ parts })
      } else layers.push(await keysAndValues(layer, index))
    }
  } catch (error) {
    for (const buffer of owned) buffers.release(buffer)
    throw error
  }
  const states = layers.flatMap((layer) => ('parts' in layer ? layer.parts : []))
  const attended = layers.flatMap((layer) => ('parts' in layer ? [] : [layer]))

  /** Where the keys, and the values, of one slot begin, head by head, and the bytes of a position. */
  function* heads(layer: GpuLayerCache, slot: number): Generator<Run & { row: number }> {
    const group = layer.groups.find(({ first, slots }) => slot >= first && slot < first + slots)!
    for (const [buffer, row] of [
      [group.keys, layer.keyDim * 4],
      [group.values, layer.valuesInKeys ? 0 : layer.valueDim * 4],
    ] as const) {
      if (row === 0) continue
      const bytes = layer.ring * row
      for (let g = 0; g < layer.kvHeads; g++) yield { buffer, at: ((slot - group.first) * layer.kvHeads + g) * bytes, bytes, row }
    }
  }

  const stateOf = ({ buffer, values }: GpuStatePart, slot: number): Run => ({ buffer, at: 4 * slot * values, bytes: 4 * values })

  /** The states, and the positions before `end` that the windows of sliding layers still need. */
  function* kept(slot: number, end: number): Generator<Run> {
    for (const part of states) yield stateOf(part, slot)
    for (const layer of attended) {
      const { window, ring } = layer
      if (window === null) continue
      for (const { buffer, at, row } of heads(layer, slot))
        for (let p = Math.max(0, end - window + 1); p < end; ) {
          const count = Math.min(end - p, ring - (p % ring))
          yield { buffer, at: at + (p % ring) * row, bytes: count * row }
          p += count
        }
    }
  }

  const { device } = buffers
  const copies = (runs: readonly Run[]) => runs.reduce((sum, { bytes }) => sum + bytes, 0)
  return {
    spec,
    layers,
    bytes: cacheBytes(spec),
    async snapshot(slot, position): Promise<HostSnapshot> {
      for (const part of states) mustStandAt(part, slot, position)
      const runs = [...kept(slot, position)]
      const bytes = copies(runs)
      if (bytes === 0) return { position, bytes: 0, values: new Uint8Array(0) }
      const staging = buffers.staging(bytes)
      queue.flush((encoder) => {
        let to = 0
        for (const { buffer, at, bytes } of runs) {
          encoder.copyBufferToBuffer(buffer, at, staging, to, bytes)
          to += bytes
        }
      })
      const values = queue.download(staging, bytes)
      staging.destroy()
      return { position, bytes, values: await values }
    },
    restore(slot, snapshot) {
      const { position, values } = snapshot as HostSnapshot
      queue.flush()
      for (const part of states) part.next[slot] = position
      let from = 0
      for (const { buffer, at, bytes } of values.length ? kept(slot, position) : []) {
        device.queue.writeBuffer(buffer, at, values, from, bytes)
        from += bytes
      }
    },
    copy(from, to, length) {
      const pairs: [Run, Run][] = []
      for (const part of states) {
        part.next[to] = part.next[from]!
        pairs.push([stateOf(part, from), stateOf(part, to)])
      }
      for (const layer of attended) {
        const targets = heads(layer, to)
        for (const source of heads(layer, from)) {
          const bytes = layer.window === null ? length * source.row : source.bytes
          pairs.push([{ ...source, bytes }, targets.next().value!])
        }
      }
      const total = copies(pairs.map(([source]) => source))
      if (total === 0 || from === to) return
      // A buffer cannot be copied within itself.
      const staging = buffers.staging(total)
      queue.flush((encoder) => {
        let at = 0
        for (const [source] of pairs) {
          encoder.copyBufferToBuffer(source.buffer, source.at, staging, at, source.bytes)
          at += source.bytes
        }
        at = 0
        for (const [{ bytes }, target] of pairs) {
          encoder.copyBufferToBuffer(staging, at, target.buffer, target.at, bytes)
          at += bytes
        }
      })
      staging.destroy()
    },
    dispose() {
      for (const buffer of owned.splice(0)) buffers.release(buffer)
    },
  }
}

interface Run {
  readonly buffer: GPUBuffer
  readonly at: number
  readonly bytes: number
}
