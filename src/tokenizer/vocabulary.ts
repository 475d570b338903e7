/**
 * The entries of a vocabulary and their ids. Entries are found by their UTF-8 bytes, in a text or in two parts of one, through a hash table of
 * integers: a Map of half a million strings takes most of the time of loading.
 */

export class Vocabulary implements Iterable<[string, number]> {
  readonly entries: readonly string[]
  readonly ids: ArrayLike<number>
  /** Whether an entry is there twice. */
  readonly repeats: boolean
  /** Two numbers a slot, which are used together: the hash of an entry and its index; -1 where the slot is free. */
  readonly #slots: Int32Array
  readonly #mask: number
  /** The bytes of all entries in order, and where each begins. */
  readonly #bytes: Uint8Array
  readonly #offsets: Int32Array
  readonly #deleted = new Set<number>()
  /** The bytes of an entry that is looked up. */
  #buffer = new Uint8Array(96)
  /** Entries of one or two units, which are looked up most. */
  #short: Map<string, number> | undefined
  /** The index of the entry that two ranges made last. */
  #last = 0

  constructor(entries: readonly string[], ids: ArrayLike<number>) {
    this.entries = entries
    this.ids = ids
    const count = 2 ** Math.ceil(Math.log2(Math.max(8, entries.length * 1.3)))
    this.#mask = (count - 1) * 2
    const slots = new Int32Array(count * 2).fill(-1)
    this.#slots = slots
    let units = 0
    for (const entry of entries) units += entry.length
    const bytes = new Uint8Array(units * 3)
    this.#bytes = bytes
    this.#offsets = new Int32Array(entries.length + 1)
    let used = 0
    let repeats = false
    for (let index = 0; index < entries.length; index++) {
      const end = writeEntry(entries[index]!, bytes, used)
      this.#offsets[index + 1] = end
      const hash = hashOf(bytes, used, end)
      let slot = slotOf(hash) & this.#mask
      for (; slots[slot + 1] !== -1; slot = (slot + 2) & this.#mask)
        repeats ||= slots[slot] === hash && this.#isAt(slots[slot + 1]!, bytes, used, end, end, end)
      slots[slot] = hash
      slots[slot + 1] = index
      used = end
    }
    this.repeats = repeats
  }

  get(entry: string): number | undefined {
    if (entry.length <= 2) return this.#shortEntries().get(entry)
    const index = this.#indexOf(entry)
    return index < 0 || this.#deleted.has(index) ? undefined : this.ids[index]
  }

  has(entry: string): boolean {
    return this.get(entry) !== undefined
  }

  /** From now on `get`, `has` and the iterator do without this entry; `find` still knows it. */
  delete(entry: string): void {
    const index = this.#indexOf(entry)
    if (index >= 0) this.#deleted.add(index)
    this.#short = undefined
  }

  *[Symbol.iterator](): Generator<[string, number], void> {
    for (let index = 0; index < this.entries.length; index++) if (!this.#deleted.has(index)) yield [this.entries[index]!, this.ids[index]!]
  }

  /** The id of the entry that stands from `from` to `to`, or -1. */
  find(bytes: Uint8Array, from: number, to: number, hash: number): number {
    const index = this.#find(hash, bytes, from, to, to, to)
    return index < 0 ? -1 : this.ids[index]!
  }

  /** The id of the entry that two ranges make together, or -1. */
  findJoined(bytes: Uint8Array, from: number, to: number, hash: number, rightFrom: number, rightTo: number, rightHash: number): number {
    // Published lists name an entry several times in a row, once for each way to join it, and then the next one.
    let index = this.#last
    if (!this.#isAt(index, bytes, from, to, rightFrom, rightTo) && !this.#isAt(++index, bytes, from, to, rightFrom, rightTo))
      index = this.#find((Math.imul(hash, power(rightTo - rightFrom)) + rightHash) | 0, bytes, from, to, rightFrom, rightTo)
    if (index < 0) return -1
    this.#last = index
    return this.ids[index]!
  }

  #shortEntries(): Map<string, number> {
    if (this.#short) return this.#short
    const short = new Map<string, number>()
    for (let index = 0; index < this.entries.length; index++)
      if (this.entries[index]!.length <= 2 && !this.#deleted.has(index)) short.set(this.entries[index]!, this.ids[index]!)
    this.#short = short
    return short
  }

  #indexOf(entry: string): number {
    if (entry.length * 3 > this.#buffer.length) this.#buffer = new Uint8Array(entry.length * 3)
    const end = writeEntry(entry, this.#buffer, 0)
    return this.#find(hashOf(this.#buffer, 0, end), this.#buffer, 0, end, end, end)
  }

  #find(hash: number, bytes: Uint8Array, from: number, to: number, rightFrom: number, rightTo: number): number {
    const slots = this.#slots
    for (let slot = slotOf(hash) & this.#mask; slots[slot + 1] !== -1; slot = (slot + 2) & this.#mask)
      if (slots[slot] === hash && this.#isAt(slots[slot + 1]!, bytes, from, to, rightFrom, rightTo)) return slots[slot + 1]!
    return -1
  }

  #isAt(index: number, bytes: Uint8Array, from: number, to: number, rightFrom: number, rightTo: number): boolean {
    if (index >= this.entries.length) return false
    const own = this.#bytes
    let at = this.#offsets[index]!
    if (this.#offsets[index + 1]! - at !== to - from + rightTo - rightFrom) return false
    for (let i = from; i < to; i++) if (own[at++] !== bytes[i]) return false
    for (let i = rightFrom; i < rightTo; i++) if (own[at++] !== bytes[i]) return false
    return true
  }
}

/** Writes a text as UTF-8, half pairs of UTF-16 as three bytes of their own, and returns where it ends. There are at most 3 bytes a unit. */
export function writeEntry(text: string, bytes: Uint8Array, at: number): number {
  for (let i = 0; i < text.length; i++) {
    const point = text.codePointAt(i)!
    if (point < 0x80) bytes[at++] = point
    else {
      if (point < 0x800) bytes[at++] = 0xc0 | (point >> 6)
      else {
        if (point < 0x10000) bytes[at++] = 0xe0 | (point >> 12)
        else {
          i++
          bytes[at++] = 0xf0 | (point >> 18)
          bytes[at++] = 0x80 | ((point >> 12) & 0x3f)
        }
        bytes[at++] = 0x80 | ((point >> 6) & 0x3f)
      }
      bytes[at++] = 0x80 | (point & 0x3f)
    }
  }
  return at
}

/** The hash of a range is a polynomial of its bytes, so that the hash of two ranges joined follows from theirs. */
export function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0
  for (let i = from; i < to; i++) hash = (Math.imul(hash, FACTOR) + bytes[i]!) | 0
  return hash
}

export const FACTOR = 0x01000193
const powers = new Int32Array(64).fill(1)
for (let i = 1; i < powers.length; i++) powers[i] = Math.imul(powers[i - 1]!, FACTOR)

/** FACTOR to the power of a length. */
function power(length: number): number {
  if (length < powers.length) return powers[length]!
  let value = powers.at(-1)!
  for (let i = powers.length - 1; i < length; i++) value = Math.imul(value, FACTOR)
  return value
}

/** Twice a number that depends on all bits of a hash. */
const slotOf = (hash: number): number => {
  const first = Math.imul(hash ^ (hash >>> 16), 0x2c1b3c6d)
  return (first ^ (first >>> 15)) << 1
}
