/**
 * Stored responses and their items: what `previous_response_id`, `item_reference` and GET /v1/responses/{id} need. One interface;
 * here in memory, bounded by count per tenant, size and age. Everything is scoped by tenant, so an id of another key is simply unknown.
 */
import { Shares } from '../../answer/shares.ts'
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

/** Queued or running: its last state is not stored yet. */
export const isUnfinished = ({ response: { status } }: StoredResponse): boolean => status === 'queued' || status === 'in_progress'

export interface ResponseStore {
  /** Stores or replaces. */
  put(record: StoredResponse): Promise<void>
  get(tenant: string, id: string): Promise<StoredResponse | undefined>
  /** An input or output item of any stored response. */
  item(tenant: string, id: string): Promise<StoredItem | undefined>
  delete(tenant: string, id: string): Promise<boolean>
  readonly size: number
}

type StoreLimits = Pick<Limits, 'storedResponses' | 'storedChars' | 'storedMs'>

export class MemoryStore implements ResponseStore {
  readonly #records: Shares<StoredResponse>
  readonly #items = new Map<string, { item: StoredItem; owner: string }>()
  readonly #storedMs: number
  /** Told about records that were dropped to stay within the limits. */
  onEvict: (record: StoredResponse) => void = () => {}

  constructor({ storedResponses, storedChars, storedMs }: StoreLimits) {
    this.#storedMs = storedMs
    this.#records = new Shares({
      entriesPerOwner: storedResponses,
      size: storedChars,
      onEvict: (record) => {
        this.#forgetItems(record)
        this.onEvict(record)
      },
    })
  }

  get size(): number {
    return this.#records.count
  }

  async put(record: StoredResponse): Promise<void> {
    const { tenant, id } = record
    this.#drop(tenant, id)
    for (const item of itemsOf(record)) this.#items.set(scoped(tenant, item.id), { item, owner: id })
    this.#records.add(tenant, id, record, JSON.stringify(record).length)
    this.#evictOld()
  }

  async get(tenant: string, id: string): Promise<StoredResponse | undefined> {
    this.#evictOld()
    return this.#records.get(tenant, id)
  }

  async item(tenant: string, id: string): Promise<StoredItem | undefined> {
    this.#evictOld()
    return this.#items.get(scoped(tenant, id))?.item
  }

  async delete(tenant: string, id: string): Promise<boolean> {
    return this.#drop(tenant, id)
  }

  #evictOld(): void {
    const oldest = Date.now() - this.#storedMs
    this.#records.evictWhile(({ storedAt }) => storedAt < oldest)
  }

  #drop(tenant: string, id: string): boolean {
    const record = this.#records.delete(tenant, id)
    if (record) this.#forgetItems(record)
    return record !== undefined
  }

  #forgetItems(record: StoredResponse): void {
    for (const { id } of itemsOf(record)) {
      const key = scoped(record.tenant, id)
      if (this.#items.get(key)?.owner === record.id) this.#items.delete(key)
    }
  }
}

const itemsOf = ({ input, response }: StoredResponse): StoredItem[] => [...input, ...response.output]
const scoped = (tenant: string, id: string) => `${tenant}\n${id}`
