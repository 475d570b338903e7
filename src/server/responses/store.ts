/**
 * Stored responses and their items: what `previous_response_id`, `item_reference` and GET /v1/responses/{id} need. One interface;
 * here in memory, bounded by count, size and age. Everything is scoped by tenant, so an id of another key is simply unknown.
 */
import type { Limits } from '../http/limits.ts'

/** Any JSON object with an id: an output item or a normalised input item. */
export interface StoredItem {
  id: string
  type: string
  [field: string]: unknown
}

export interface StoredResponse {
  id: string
  tenant: string
  /** Unix ms. */
  storedAt: number
  previousId: string | null
  /** Items of this request only; earlier ones are found through `previousId`. */
  input: StoredItem[]
  /** The response object as clients see it. */
  response: { id: string; output: StoredItem[]; [field: string]: unknown }
}

export interface ResponseStore {
  /** Stores or replaces. */
  put(record: StoredResponse): Promise<void>
  get(tenant: string, id: string): Promise<StoredResponse | undefined>
  /** An input or output item of any stored response. */
  item(tenant: string, id: string): Promise<StoredItem | undefined>
  delete(tenant: string, id: string): Promise<boolean>
  readonly size: number
}

export class MemoryStore implements ResponseStore {
  readonly #records = new Map<string, { record: StoredResponse; chars: number }>()
  readonly #items = new Map<string, { item: StoredItem; owner: string }>()
  readonly #limits: Pick<Limits, 'storedResponses' | 'storedChars' | 'storedMs'>
  #chars = 0
  /** Told about records that were dropped to stay within the limits. */
  onEvict: (record: StoredResponse) => void = () => {}

  constructor(limits: Pick<Limits, 'storedResponses' | 'storedChars' | 'storedMs'>) {
    this.#limits = limits
  }

  get size(): number {
    return this.#records.size
  }

  async put(record: StoredResponse): Promise<void> {
    const key = scoped(record.tenant, record.id)
    this.#drop(key)
    const chars = JSON.stringify(record).length
    this.#records.set(key, { record, chars })
    this.#chars += chars
    for (const item of [...record.input, ...record.response.output]) this.#items.set(scoped(record.tenant, item.id), { item, owner: key })
    this.#evict()
  }

  async get(tenant: string, id: string): Promise<StoredResponse | undefined> {
    this.#evict()
    return this.#records.get(scoped(tenant, id))?.record
  }

  async item(tenant: string, id: string): Promise<StoredItem | undefined> {
    this.#evict()
    return this.#items.get(scoped(tenant, id))?.item
  }

  async delete(tenant: string, id: string): Promise<boolean> {
    return this.#drop(scoped(tenant, id))
  }

  #evict(): void {
    const { storedResponses, storedChars, storedMs } = this.#limits
    const oldest = Date.now() - storedMs
    for (const [key, { record }] of this.#records) {
      const over = this.#records.size > storedResponses || this.#chars > storedChars
      if (!over && record.storedAt >= oldest) break
      this.#drop(key)
      this.onEvict(record)
    }
  }

  #drop(key: string): boolean {
    const found = this.#records.get(key)
    if (!found) return false
    this.#records.delete(key)
    this.#chars -= found.chars
    for (const item of [...found.record.input, ...found.record.response.output]) {
      const itemKey = scoped(found.record.tenant, item.id)
      if (this.#items.get(itemKey)?.owner === key) this.#items.delete(itemKey)
    }
    return true
  }
}

const scoped = (tenant: string, id: string) => `${tenant}\n${id}`
