/**
 * Byte-pair encoding of one piece: symbols in, merged ids out. Knows pairs of ids and their ranks, not
 * text. Merges the pair with the lowest rank first (the leftmost on ties) until no known pair is left.
 * Source: Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units"; order
 * of merges as in openai/gpt-2 encoder.py.
 */

/** Pieces with more symbols use a heap instead of a linear search for the lowest rank. */
const SHORT_PIECE = 48
/** A table is filled in 2^8 parts. */
const PARTS_BITS = 8

/** (left id, right id) -> (rank, merged id), in an open-addressing hash table of 32-bit integers. */
export class MergeTable {
  /** Number of pairs. */
  size = 0
  readonly #mask: number
  /** Four numbers a slot: left, right, rank, merged. They are used together, so they stand together. */
  readonly #slots: Int32Array

  constructor(capacity: number) {
    const slots = 2 ** Math.ceil(Math.log2(Math.max(8, capacity * 2)))
    this.#mask = slots - 1
    this.#slots = new Int32Array(slots * 4).fill(-1)
  }

  /** Adds a pair. A known pair gets the new rank, as in the published implementations. */
  set(left: number, right: number, rank: number, merged: number): void {
    const slots = this.#slots
    let slot = hashPair(left, right) & this.#mask
    while (slots[slot * 4] !== -1 && !(slots[slot * 4] === left && slots[slot * 4 + 1] === right)) slot = (slot + 1) & this.#mask
    if (slots[slot * 4] === -1 && ++this.size > this.#mask) throw new RangeError('merge table: more pairs than announced')
    slots[slot * 4] = left
    slots[slot * 4 + 1] = right
    slots[slot * 4 + 2] = rank
    slots[slot * 4 + 3] = merged
  }

  /**
   * Adds pairs from a list of four numbers each: left, right, rank, merged. A long list is taken one part of the table after the other:
   * its parts fit in the processor's cache, the whole table does not.
   */
  setAll(pairs: Int32Array): void {
    const shift = Math.max(0, Math.log2(this.#mask + 1) - PARTS_BITS)
    const ends = new Int32Array(2 ** PARTS_BITS + 1)
    const partOf = (at: number) => (hashPair(pairs[at]!, pairs[at + 1]!) & this.#mask) >>> shift
    for (let at = 0; at < pairs.length; at += 4) ends[partOf(at) + 1]! += 4
    for (let part = 1; part < ends.length; part++) ends[part]! += ends[part - 1]!
    const sorted = new Int32Array(pairs.length)
    for (let at = 0; at < pairs.length; at += 4) {
      const part = partOf(at)
      let to = ends[part]!
      ends[part] = to + 4
      for (let i = 0; i < 4; i++) sorted[to++] = pairs[at + i]!
    }
    for (let at = 0; at < sorted.length; at += 4) this.set(sorted[at]!, sorted[at + 1]!, sorted[at + 2]!, sorted[at + 3]!)
  }

  /** The slot of a pair for `rank` and `merged`, or -1. */
  find(left: number, right: number): number {
    const slots = this.#slots
    let slot = hashPair(left, right) & this.#mask
    while (slots[slot * 4] !== -1) {
      if (slots[slot * 4] === left && slots[slot * 4 + 1] === right) return slot
      slot = (slot + 1) & this.#mask
    }
    return -1
  }

  rank(slot: number): number {
    return this.#slots[slot * 4 + 2]!
  }

  merged(slot: number): number {
    return this.#slots[slot * 4 + 3]!
  }
}

/** Merges the symbols of one piece and appends the resulting ids to `out`. Modifies `symbols`. */
export function mergePiece(symbols: number[], table: MergeTable, out: number[]): void {
  if (symbols.length === 1) out.push(symbols[0]!)
  else if (symbols.length <= SHORT_PIECE) mergeShort(symbols, table, out)
  else mergeLong(symbols, table, out)
}

/** Quadratic, but fastest for the few symbols of a word. */
function mergeShort(symbols: number[], table: MergeTable, out: number[]): void {
  const slots: number[] = [] // slot of the pair that begins at each symbol
  for (let i = 0; i + 1 < symbols.length; i++) slots.push(table.find(symbols[i]!, symbols[i + 1]!))
  for (;;) {
    let best = -1
    let bestRank = Number.MAX_SAFE_INTEGER
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!
      if (slot !== -1 && table.rank(slot) < bestRank) {
        bestRank = table.rank(slot)
        best = i
      }
    }
    if (best === -1) break
    symbols[best] = table.merged(slots[best]!)
    symbols.splice(best + 1, 1)
    slots.splice(best, 1)
    if (best > 0) slots[best - 1] = table.find(symbols[best - 1]!, symbols[best]!)
    if (best < slots.length) slots[best] = table.find(symbols[best]!, symbols[best + 1]!)
  }
  for (const symbol of symbols) out.push(symbol)
}

/** A linked list of symbols and a heap of pairs ordered by (rank, position): O(n log n). */
function mergeLong(symbols: number[], table: MergeTable, out: number[]): void {
  const count = symbols.length
  const previous = new Int32Array(count)
  const next = new Int32Array(count)
  const slotAt = new Int32Array(count).fill(-1) // slot of the pair that begins here; -1 also marks a symbol that was merged away
  const heap = new PairHeap(count)
  const consider = (position: number) => {
    const right = next[position]!
    const slot = right < count ? table.find(symbols[position]!, symbols[right]!) : -1
    slotAt[position] = slot
    if (slot !== -1) heap.push(table.rank(slot), position)
  }
  for (let i = 0; i < count; i++) {
    previous[i] = i - 1
    next[i] = i + 1
  }
  for (let i = 0; i < count; i++) consider(i)
  while (heap.pop()) {
    const position = heap.position
    const slot = slotAt[position]!
    if (slot === -1 || table.rank(slot) !== heap.rank) continue // the pair changed after it was pushed
    const right = next[position]!
    const after = next[right]!
    symbols[position] = table.merged(slot)
    slotAt[right] = -1
    next[position] = after
    if (after < count) previous[after] = position
    consider(position)
    if (previous[position]! >= 0) consider(previous[position]!)
  }
  for (let i = 0; i < count; i = next[i]!) out.push(symbols[i]!)
}

/** A binary min-heap of (rank, position), each pair packed in one double. */
class PairHeap {
  rank = 0
  position = 0
  #size = 0
  #keys: Float64Array

  constructor(capacity: number) {
    this.#keys = new Float64Array(capacity + 1)
  }

  push(rank: number, position: number): void {
    if (this.#size === this.#keys.length) {
      const larger = new Float64Array(this.#keys.length * 2)
      larger.set(this.#keys)
      this.#keys = larger
    }
    const keys = this.#keys
    const key = rank * 2 ** 31 + position
    let i = this.#size++
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (keys[parent]! <= key) break
      keys[i] = keys[parent]!
      i = parent
    }
    keys[i] = key
  }

  /** Moves the lowest pair into `rank` and `position`; false when empty. */
  pop(): boolean {
    if (this.#size === 0) return false
    const keys = this.#keys
    const top = keys[0]!
    const last = keys[--this.#size]!
    const size = this.#size
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= size) break
      if (child + 1 < size && keys[child + 1]! < keys[child]!) child++
      if (keys[child]! >= last) break
      keys[i] = keys[child]!
      i = child
    }
    keys[i] = last
    this.rank = Math.floor(top / 2 ** 31)
    this.position = top - this.rank * 2 ** 31
    return true
  }
}

function hashPair(left: number, right: number): number {
  let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)
  hash ^= hash >>> 15
  return Math.imul(hash, 0x2c1b3c6d) ^ (hash >>> 13)
}
