/**
 * The store of `--store DIR`: memory in front, one JSON file per response behind, so that a killed server finds everything again.
 * Knows a directory only through four operations; the Node adapter supplies them. File names are our own ids, never a client's text.
 */
import type { Limits } from '../http/limits.ts'
import { MemoryStore, type StoredResponse } from './store.ts'

/** A flat directory of text files. `write` is atomic: a file is old or new, never half. */
export interface Directory {
  list(): Promise<string[]>
  read(name: string): Promise<string>
  write(name: string, text: string): Promise<void>
  remove(name: string): Promise<void>
}

export class DirectoryStore extends MemoryStore {
  readonly #directory: Directory
  /** Files that could not be read when the store was opened. */
  readonly unreadable: string[] = []

  private constructor(directory: Directory, limits: Limits) {
    super(limits)
    this.#directory = directory
    this.onEvict = (record) => {
      this.#remove(record.id).catch(() => {})
    }
  }

  /** Reads what is there, oldest first. */
  static async open(directory: Directory, limits: Limits): Promise<DirectoryStore> {
    const store = new DirectoryStore(directory, limits)
    const records: StoredResponse[] = []
    for (const name of await directory.list()) {
      if (!/^resp_[0-9a-f]{32}\.json$/.test(name)) continue
      try {
        records.push(JSON.parse(await directory.read(name)) as StoredResponse)
      } catch {
        store.unreadable.push(name)
      }
    }
    records.sort((a, b) => a.storedAt - b.storedAt)
    for (const record of records) await store.#restore(record)
    return store
  }

  /** Takes a record whose file is there. */
  #restore(record: StoredResponse): Promise<void> {
    return super.put(record)
  }

  override async put(record: StoredResponse): Promise<void> {
    await this.#directory.write(`${record.id}.json`, JSON.stringify(record))
    await super.put(record)
  }

  override async delete(tenant: string, id: string): Promise<boolean> {
    if (!(await super.delete(tenant, id))) return false
    await this.#remove(id)
    return true
  }

  #remove(id: string): Promise<void> {
    return this.#directory.remove(`${id}.json`)
  }
}
