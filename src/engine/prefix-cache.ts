/**
 * Tracks the ids in each slot of the KV cache, and finds the longest prefix that a new prompt can
 * reuse. Full layers can be truncated anywhere. Sliding layers keep only the newest positions, and a
 * state stands at the last one only, so snapshots of them are taken and restored. Chooses slots; runs nothing.
 */
import { type CacheSnapshot, type KvCache, MemoryError } from '../ops/backend.ts'

/** Limits of snapshots per slot, and of all their bytes. Beyond, the one with the closest neighbours is dropped. */
export const MAX_SNAPSHOTS = 16
const MAX_SNAPSHOT_BYTES = 256 << 20
/** Least distance of snapshots within a prompt; of states, which cannot be cut back a little. */
const SPACING = 256
const STATE_SPACING = 64
/** A prompt that shares less of a slot's prompt is another conversation; it gets a copy, if a slot is free. */
const SAME_CONVERSATION = 0.5

interface Slot {
  readonly index: number
  /** Ids whose keys and values are in the cache. */
  ids: number[]
  key: string
  busy: boolean
  lastUsed: number
  promptTokens: number
  /** Lowest position the cache can be cut back to without a snapshot. */
  floor: number
  /** By ascending position. */
  snapshots: CacheSnapshot[]
}

export interface Lease {
  readonly slot: number
  /** Positions of the prompt that need no computation. */
  readonly cachedTokens: number
  /** Positions that another prompt shares, where its state was not kept: the next one that shares them needs it. 0 without states. */
  readonly branch: number
}

/** A slot as its user may see it. */
export interface SlotState {
  readonly slot: number
  /** It computes an answer, or is being saved or restored. */
  readonly busy: boolean
  /** Positions with keys and values; undefined where they belong to another key. */
  readonly positions: number | undefined
  /** Counts up: the slot with the highest number was used last. */
  readonly lastUsed: number
}

/** The ids in a slot, and the snapshots by ascending position. */
export interface SlotContents {
  readonly ids: readonly number[]
  readonly snapshots: readonly CacheSnapshot[]
}

export class PrefixCache {
  readonly #cache: KvCache
  readonly #slots: Slot[]
  /** Whether a layer has a state, which stands behind the last id. */
  readonly hasStates: boolean
  /** Smallest window of a sliding layer; null: no layer slides. */
  readonly #window: number | null
  /** So many positions beyond its ids a slot may have been written, by passes whose rows were dropped. */
  readonly #beyond: number
  #clock = 0

  constructor(cache: KvCache, beyond = 0) {
    this.#cache = cache
    this.#beyond = beyond
    const { layers, capacity } = cache.spec
    this.hasStates = layers.some((layer) => 'state' in layer)
    const windows = layers.flatMap((layer) => ('state' in layer || layer.window === null || layer.window >= capacity ? [] : [layer.window]))
    this.#window = windows.length > 0 ? Math.min(...windows) : null
    this.#slots = Array.from({ length: cache.spec.slots }, (_, index) => emptySlot(index))
  }

  /** Positions with keys and values, over all slots. */
  get cachedPositions(): number {
    return this.#slots.reduce((sum, { ids }) => sum + ids.length, 0)
  }

  get freeSlots(): number {
    return this.#slots.filter(({ busy }) => !busy).length
  }

  isBusy(index: number): boolean {
    return this.#slots[index]!.busy
  }

  /** How many of the first `most` positions of a prompt could be reused now, from any slot. */
  reusable(prompt: readonly number[], key: string, most = prompt.length - 1): number {
    return this.#best(prompt, key, most).length
  }

  /** Takes a free slot for a prompt, of which at most `most` positions are reused; the caller checked `freeSlots`. */
  acquire(prompt: readonly number[], key: string, most = prompt.length - 1): Lease {
    const source = this.#best(prompt, key, most)
    const shared = this.#slots.map((slot) => (this.hasStates && slot.key === key ? commonPrefix(slot.ids, prompt, most) : 0))
    const free = this.#slots.filter(({ busy }) => !busy).sort((a, b) => a.lastUsed - b.lastUsed)
    const own = source.slot && !source.slot.busy ? source.slot : undefined
    const spare = free.find((slot) => slot !== own)
    const slot = own && (!spare || source.length >= SAME_CONVERSATION * own.promptTokens) ? own : (spare ?? own)
    if (!slot) throw new Error('no free slot: ask `freeSlots` first')
    if (source.slot && source.length > 0) this.#continueFrom(source.slot, slot, source.length)
    else Object.assign(slot, emptySlot(slot.index))
    slot.busy = true
    slot.key = key
    slot.promptTokens = prompt.length
    slot.lastUsed = ++this.#clock
    return { slot: slot.index, cachedTokens: source.length, branch: Math.max(...shared) }
  }

  /** Notes ids that a forward pass has written, after those already there. */
  wrote(index: number, ids: readonly number[]): void {
    const slot = this.#slots[index]!
    for (const id of ids) slot.ids.push(id)
    const { maxRows } = this.#cache.spec
    const written = slot.ids.length + this.#beyond
    if (this.hasStates) slot.floor = slot.ids.length
    else if (this.#window !== null && written > this.#window - 1 + maxRows) slot.floor = Math.max(slot.floor, written - maxRows)
  }

  /** Takes a snapshot so that the slot can be truncated to `position` later. Not needed where every layer is full. */
  async remember(index: number, position: number): Promise<void> {
    const slot = this.#slots[index]!
    if ((this.#window === null && !this.hasStates) || position <= 0 || position < slot.floor) return
    if (slot.snapshots.some((snapshot) => snapshot.position === position)) return
    try {
      slot.snapshots.push(await this.#cache.snapshot(index, position))
    } catch (error) {
      if (error instanceof MemoryError) return // then less of the prefix can be reused
      throw error
    }
    slot.snapshots.sort((a, b) => a.position - b.position)
    if (slot.snapshots.length > MAX_SNAPSHOTS) slot.snapshots.splice(mostCrowded(slot.snapshots), 1)
    this.#keepWithinBytes()
  }

  /** The same in the middle of a prompt, at positions some way apart. */
  async rememberOnTheWay(index: number, position: number): Promise<void> {
    const last = this.#slots[index]!.snapshots.at(-1)?.position ?? 0
    if (position >= last + (this.hasStates ? STATE_SPACING : SPACING)) await this.remember(index, position)
  }

  /** Frees the slot; its contents stay until another prompt takes it. */
  release(index: number): void {
    const slot = this.#slots[index]!
    slot.busy = false
    slot.lastUsed = ++this.#clock
  }

  /** Frees a slot and forgets its contents, because they cannot be trusted. */
  forget(index: number): void {
    this.#slots[index] = emptySlot(index)
  }

  /** What each slot holds; positions of other keys are not told. */
  list(key: string): SlotState[] {
    return this.#slots.map(({ index, ids, busy, lastUsed, key: owner }) => {
      return { slot: index, busy, lastUsed, positions: owner === key || ids.length === 0 ? ids.length : undefined }
    })
  }

  /** Keeps a free slot from jobs until `release`; `empty` forgets its contents. */
  hold(index: number, empty = false): void {
    if (empty) this.forget(index)
    this.#slots[index]!.busy = true
  }

  /** The ids and snapshots of a slot that is held. */
  contents(index: number): SlotContents {
    const { ids, snapshots } = this.#slots[index]!
    return { ids, snapshots }
  }

  /** Notes what was written into the cache of a slot that is held and empty. */
  fill(index: number, key: string, { ids, snapshots }: SlotContents): void {
    const cutBack = this.hasStates || (this.#window !== null && ids.length > this.#window - 1)
    const filled = { ids: [...ids], key, promptTokens: ids.length, floor: cutBack ? ids.length : 0, snapshots: [...snapshots] }
    Object.assign(this.#slots[index]!, filled)
    this.#keepWithinBytes()
  }

  dispose(): void {
    this.#cache.dispose()
  }

  #best(prompt: readonly number[], key: string, most: number): { slot: Slot | undefined; length: number } {
    let best: { slot: Slot | undefined; length: number } = { slot: undefined, length: 0 }
    for (const slot of this.#slots) {
      if (slot.key !== key) continue
      const length = reachable(slot, commonPrefix(slot.ids, prompt, most))
      // Of equal prefixes prefer that of a free slot, which needs no copy.
      if (length > best.length || (length > 0 && length === best.length && best.slot!.busy && !slot.busy)) best = { slot, length }
    }
    return best
  }

  #keepWithinBytes(): void {
    const bytes = () => this.#slots.reduce((sum, { snapshots }) => snapshots.reduce((s, snapshot) => s + snapshot.bytes, sum), 0)
    while (bytes() > MAX_SNAPSHOT_BYTES) {
      const [oldest] = this.#slots.filter(({ snapshots }) => snapshots.length > 0).sort((a, b) => a.lastUsed - b.lastUsed)
      oldest!.snapshots.splice(mostCrowded(oldest!.snapshots), 1)
    }
  }

  #continueFrom(source: Slot, slot: Slot, length: number): void {
    const snapshot = length < source.floor ? source.snapshots.findLast(({ position }) => position === length) : undefined
    if (slot !== source) {
      this.#cache.copy(source.index, slot.index, length)
      slot.ids = source.ids.slice(0, length)
      slot.floor = source.floor
      slot.snapshots = [...source.snapshots]
    }
    slot.ids.length = length
    slot.snapshots = slot.snapshots.filter(({ position }) => position <= length)
    if (snapshot) {
      this.#cache.restore(slot.index, snapshot)
      slot.floor = length
    }
  }
}

const emptySlot = (index: number): Slot => ({
  index,
  ids: [],
  key: '',
  busy: false,
  lastUsed: 0,
  promptTokens: 0,
  floor: 0,
  snapshots: [],
})

/** The largest position up to `length` to which the slot's cache can be truncated. */
function reachable(slot: Slot, length: number): number {
  if (length >= slot.floor) return length
  return slot.snapshots.findLast(({ position }) => position <= length)?.position ?? 0
}

/** Length of the longest common prefix, at most `limit`. */
export function commonPrefix(a: readonly number[], b: readonly number[], limit: number): number {
  const end = Math.min(a.length, b.length, limit)
  let length = 0
  while (length < end && a[length] === b[length]) length++
  return length
}

/** The snapshot (never the newest) without which the largest gap between neighbours is smallest. */
function mostCrowded(snapshots: readonly CacheSnapshot[]): number {
  let [best, gap] = [0, Number.POSITIVE_INFINITY]
  for (let i = 0; i < snapshots.length - 1; i++) {
    const span = snapshots[i + 1]!.position - (snapshots[i - 1]?.position ?? 0)
    if (span < gap) [best, gap] = [i, span]
  }
  return best
}
