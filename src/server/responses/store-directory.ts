/**
 * The store of `--store DIR`: memory in front, one JSON file per response behind, so that a killed server finds everything again.
 * Knows a directory only through four operations; the Node adapter supplies them. What is read back is checked: a file that is no
 * record is left where it is and named. File names are our own ids; contents never name a file.
 */
import { z } from 'zod'
import type { Limits } from '../http/limits.ts'
import { isUnfinished, MemoryStore, type StoredResponse } from './store.ts'

/** Of the files. Those of Lineage 0.1 have no version and the shape of 1. A new shape needs a step in `MIGRATIONS`. */
const VERSION = 1
/** Index: the version of a file. Each step makes a record of the next version. */
const MIGRATIONS: readonly ((record: Record<string, unknown>) => Record<string, unknown>)[] = [(record) => record]

/** A flat directory of text files. `write` is atomic: a file is old or new, never half. */
export interface Directory {
  list(): Promise<string[]>
  read(name: string): Promise<string>
  write(name: string, text: string): Promise<void>
  remove(name: string): Promise<void>
}

export class DirectoryStore extends MemoryStore {
  readonly #directory: Directory
  /** Files that could not be read as records when the store was opened. */
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
      const id = /^((?:resp|conv)_[0-9a-f]{32})\.json$/.exec(name)?.[1]
      if (id === undefined) continue
      try {
        records.push(ended(recordOf(await directory.read(name), id)))
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
    await this.#directory.write(`${record.id}.json`, JSON.stringify({ version: VERSION, ...record }))
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

const parts = z.array(z.looseObject({ type: z.string(), text: z.string().nullish() })).nullish()
/** What is read of the items of a type, so that a damaged one is found now and not in a later request. */
const FIELDS: Readonly<Record<string, z.ZodType>> = {
  message: z.looseObject({ role: z.string(), content: parts }),
  reasoning: z.looseObject({ content: parts, summary: parts }),
  function_call: z.looseObject({ call_id: z.string(), name: z.string(), arguments: z.string() }),
  function_call_output: z.looseObject({ call_id: z.string() }),
  custom_tool_call: z.looseObject({ call_id: z.string(), name: z.string(), input: z.string() }),
  mcp_call: z.looseObject({ name: z.string(), arguments: z.string() }),
}
const storedItem = z
  .looseObject({ id: z.string().min(1), type: z.string() })
  .refine((item) => !Object.hasOwn(FIELDS, item.type) || FIELDS[item.type]!.safeParse(item).success)

const storedRecord = z.object({
  id: z.string(),
  tenant: z.string().regex(/^(anonymous|[0-9a-f]{32})$/),
  storedAt: z.number().nonnegative(),
  previousId: z.string().nullable(),
  input: z.array(storedItem),
  response: z.looseObject({ id: z.string(), output: z.array(storedItem) }),
})

/** A response that a former process did not finish has failed: nothing computes it any more. */
function ended(record: StoredResponse): StoredResponse {
  if (!isUnfinished(record)) return record
  const error = { code: 'server_error', message: 'The server ended before the response was finished. Send the request again.' }
  return { ...record, response: { ...record.response, status: 'failed', error } }
}

/** @throws when the text is no record of this id */
function recordOf(text: string, id: string): StoredResponse {
  const file: unknown = JSON.parse(text)
  let record = z.looseObject({ version: z.int().min(0).max(VERSION).default(0) }).parse(file) as Record<string, unknown>
  for (const migrate of MIGRATIONS.slice(record.version as number)) record = migrate(record)
  const { storedAt, ...rest } = storedRecord.parse(record)
  if (rest.id !== id || rest.response.id !== id) throw new Error(`the record is of ${rest.id}`)
  return { ...rest, storedAt: Math.min(storedAt, Date.now()) }
}
