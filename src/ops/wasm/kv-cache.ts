/**
 * Keys and values in an arena, per layer [slot][g][ring position][head]: what one attention task reads is contiguous (layouts in kernels/attention.ts).
 * Sliding layers are rings of at least window - 1 + maxRows positions, position p at p mod ring, as in the reference.
 */
import type { CacheSnapshot, CacheSpec, KvCache } from '../backend.ts'
import type { LayerCache } from '../ops.ts'
import { BLOCK, groupOf, rowBytes, type Storage } from './kernels/attention.ts'
import type { Memories, Place } from './memories.ts'
import { type Block, roundUp } from './memory.ts'

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

export interface Mover {
  copy(to: { arena: number; address: number }, from: { arena: number; address: number }, bytes: number): void
  /** Bytes of the heap, when everything enqueued so far has run. */
  download(block: Block, bytes: number): Promise<Uint8Array>
  /** A heap block with these bytes, for the commands enqueued next. */
  stage(bytes: Uint8Array): Block
  temporary(bytes: number, what: string): Block
  release(block: Block): void
}

/** @throws RangeError where keys and values differ in width: the kernels of this backend have one width for both */
export function sameWidths(what: string, keyDim: number, valueDim: number): void {
  if (keyDim !== valueDim)
    throw new RangeError(`${what}: expected values as wide as keys (${keyDim}), got ${valueDim}; use the reference backend`)
}

/** Keys and values: bf16 in fast precision, as the official code has them; f32 else. */
export const storageOf = (precision: 'faithful' | 'fast' = 'faithful'): Storage => (precision === 'fast' ? 'bf16' : 'f32')

/** Positions a layer keeps per slot: whole groups, and for a ring that goes round whole blocks of attention, so that none goes over its end. */
function ringOf({ capacity, maxRows }: CacheSpec, storage: Storage, window: number | null): number {
  const all = roundUp(capacity, groupOf(storage))
  return window === null ? all : Math.min(all, roundUp(window - 1 + maxRows, BLOCK))
}

/** Bytes of keys and values. */
export const cacheBytes = (spec: CacheSpec, storage: Storage): number =>
  spec.layers.reduce((sum, { kvHeads, keyDim, window }) => {
    return sum + 2 * spec.slots * kvHeads * ringOf(spec, storage, window) * rowBytes(storage, keyDim)
  }, 0)

export function createCache(spec: CacheSpec, storage: Storage, memories: Memories, mover: Mover): KvCache {
  const group = groupOf(storage)
  const places: Place[] = []
  const free = () => {
    for (const place of places.splice(0)) memories.release(place)
  }
  const layers: WasmLayerCache[] = []
  const total = cacheBytes(spec, storage)
  try {
    memories.mustFit(total, `a KV cache of ${spec.slots} × ${spec.capacity} positions`)
    for (const [index, { kvHeads, keyDim, valueDim, window }] of spec.layers.entries()) {
      sameWidths('KV cache', keyDim, valueDim)
      const ring = ringOf(spec, storage, window)
      const bytes = spec.slots * kvHeads * ring * rowBytes(storage, keyDim)
      const place = memories.allocate(2 * bytes + OVERREAD, `KV cache of layer ${index} (${spec.slots} slots × ${ring} positions)`)
      places.push(place)
      layers.push({ kvHeads, keyDim, valueDim, window, ring, arena: place.arena, keys: place.address, values: place.address + bytes })
    }
  } catch (error) {
    free()
    throw error
  }

  /** Runs of bytes that hold positions first…end of the sliding layers of a slot, in whole groups. */
  function* runs(slot: number, end: number): Generator<{ arena: number; address: number; bytes: number }> {
    for (const layer of layers) {
      if (layer.window === null) continue
      const row = rowBytes(storage, layer.keyDim)
      const first = Math.max(0, end - layer.window + 1)
      for (const base of [layer.keys, layer.values])
        for (let g = 0; g < layer.kvHeads; g++)
          for (let p = Math.floor(first / group) * group; p < end; ) {
            const count = Math.min(Math.ceil((end - p) / group) * group, layer.ring - (p % layer.ring))
            const at = (slot * layer.kvHeads + g) * layer.ring + (p % layer.ring)
            yield { arena: layer.arena, address: base + at * row, bytes: count * row }
            p += count
          }
    }
  }

  return {
    spec,
    layers,
    bytes: total,
    async snapshot(slot, position): Promise<HostSnapshot> {
      const parts = [...runs(slot, position)]
      const bytes = parts.reduce((sum, part) => sum + part.bytes, 0)
      if (bytes === 0) return { position, bytes: 0, values: new Uint8Array(0) }
      const block = mover.temporary(bytes, 'snapshot')
      let at = block.address
      for (const part of parts) {
        mover.copy({ arena: 0, address: at }, part, part.bytes)
        at += part.bytes
      }
      return { position, bytes, values: await mover.download(block, bytes) }
    },
    restore(slot, snapshot) {
      const { position, values } = snapshot as HostSnapshot
      if (values.length === 0) return
      const block = mover.stage(values)
      let at = block.address
      for (const part of runs(slot, position)) {
        mover.copy(part, { arena: 0, address: at }, part.bytes)
        at += part.bytes
      }
      mover.release(block)
    },
    copy(from, to, length) {
      for (const layer of layers) {
        const row = rowBytes(storage, layer.keyDim)
        const count = layer.window === null ? Math.ceil(length / group) * group : layer.ring
        for (const base of [layer.keys, layer.values])
          for (let g = 0; g < layer.kvHeads; g++) {
            const at = (slot: number) => ({ arena: layer.arena, address: base + (slot * layer.kvHeads + g) * layer.ring * row })
            mover.copy(at(to), at(from), count * row)
          }
      }
    },
    dispose: free,
  }
}
