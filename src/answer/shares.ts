/**
 * A bounded map whose entries belong to owners, such as API keys. What one owner adds never takes the place of another's entry, unless
 * that one has more: over the bounds the oldest entry goes of the owner who is over his own, or who has most.
 */

interface Bounds<V> {
  entriesPerOwner: number
  /** Of all owners together, in the unit of `add`. */
  size: number
  /** Told about entries that went to stay within the bounds. */
  onEvict?: (value: V) => void
}

interface Owned<V> {
  /** Oldest first. */
  entries: Map<string, { value: V; size: number }>
  size: number
}

export class Shares<V> {
  readonly #bounds: Bounds<V>
  readonly #owners = new Map<string, Owned<V>>()
  #size = 0

  constructor(bounds: Bounds<V>) {
    this.#bounds = bounds
  }

  /** Number of entries. */
  get count(): number {
    return [...this.#owners.values()].reduce((sum, { entries }) => sum + entries.size, 0)
  }

  get(owner: string, key: string): V | undefined {
    return this.#owners.get(owner)?.entries.get(key)?.value
  }

  /** Adds an entry, or replaces it; it is the newest of its owner then. */
  add(owner: string, key: string, value: V, size: number): void {
    this.delete(owner, key)
    const owned = this.#owners.get(owner) ?? { entries: new Map(), size: 0 }
    this.#owners.set(owner, owned)
    owned.entries.set(key, { value, size })
    owned.size += size
    this.#size += size
    if (owned.entries.size > this.#bounds.entriesPerOwner) this.#evictOldest(owner, owned)
    while (this.#size > this.#bounds.size) {
      const [most, of] = [...this.#owners].reduce((a, b) => (b[1].size > a[1].size ? b : a))
      this.#evictOldest(most, of)
    }
  }

  /** Makes the entry the newest of its owner. */
  touch(owner: string, key: string): void {
    const entries = this.#owners.get(owner)?.entries
    const entry = entries?.get(key)
    if (!entries || !entry) return
    entries.delete(key)
    entries.set(key, entry)
  }

  delete(owner: string, key: string): V | undefined {
    const owned = this.#owners.get(owner)
    const entry = owned?.entries.get(key)
    if (!owned || !entry) return undefined
    owned.entries.delete(key)
    owned.size -= entry.size
    this.#size -= entry.size
    if (owned.entries.size === 0) this.#owners.delete(owner)
    return entry.value
  }

  /** Evicts the oldest entries of each owner for which this is true. */
  evictWhile(isOld: (value: V) => boolean): void {
    for (const [owner, owned] of this.#owners) {
      for (const { value } of owned.entries.values()) {
        if (!isOld(value)) break
        this.#evictOldest(owner, owned)
      }
    }
  }

  #evictOldest(owner: string, owned: Owned<V>): void {
    const value = this.delete(owner, owned.entries.keys().next().value!)
    if (value !== undefined) this.#bounds.onEvict?.(value)
  }
}
