/**
 * The models of this server by name: loaded on demand, shared by all requests, loaded again after a failure of their backend. The one
 * that is idle longest is unloaded when the next does not fit into the memory budget. Names are looked up here and nowhere else: no request can name a path or start a download.
 */
import { ApiError, badRequest, modelNotFound, overloaded, quote } from '../http/errors.ts'
import type { ModelEntry, ServedModel } from './model.ts'

export interface Lease {
  readonly entry: ModelEntry
  readonly model: ServedModel
  /** Says that the request no longer uses the model; calling it twice is harmless. */
  release(): void
  /** Uses the model once more, until the returned function is called: for work that may outlive the request. */
  hold(): () => void
}

interface Slot {
  entry: ModelEntry
  loading?: Promise<ServedModel>
  model?: ServedModel
  users: number
  lastUsed: number
}

export class ModelRegistry {
  readonly #slots = new Map<string, Slot>()
  readonly #names = new Map<string, Slot>()
  readonly #budgetBytes: number
  /** Told about models that failed, while they loaded or later; the log. */
  onFailure: (id: string, error: unknown) => void = () => {}

  constructor(entries: readonly ModelEntry[], budgetBytes = Number.POSITIVE_INFINITY) {
    this.#budgetBytes = budgetBytes
    for (const entry of entries) this.add(entry)
  }

  has(name: string): boolean {
    return this.#names.has(name)
  }

  /** Serves one model more, unless its name is taken. */
  add(entry: ModelEntry): void {
    if (this.#names.has(entry.id)) return
    const slot: Slot = { entry, users: 0, lastUsed: 0 }
    this.#slots.set(entry.id, slot)
    for (const name of [entry.id, ...(entry.listedAliases ?? []), ...(entry.aliases ?? [])])
      if (!this.#names.has(name)) this.#names.set(name, slot)
  }

  /** Gives a model a further name, which is listed. Throws 404 for an unknown model, 400 for a name that another one has. */
  addAlias(name: string, of: string): void {
    const slot = this.#find(of)
    const taken = this.#names.get(name)
    if (taken && taken !== slot) throw badRequest(`The name ${quote(name)} is taken.`, 'destination')
    this.#names.set(name, slot)
    if (name !== slot.entry.id) slot.entry.listedAliases = [...new Set([...(slot.entry.listedAliases ?? []), name])]
  }

  /** Takes away a name that a model has beside its id; false when it is none. */
  removeAlias(name: string): boolean {
    const slot = this.#names.get(name)
    if (!slot || slot.entry.id === name) return false
    this.#names.delete(name)
    slot.entry.listedAliases = slot.entry.listedAliases?.filter((alias) => alias !== name)
    return true
  }

  /** Serves an unloaded model no longer. */
  forget(id: string): void {
    const slot = this.#slots.get(id)
    this.#slots.delete(id)
    for (const [name, of] of this.#names) if (of === slot) this.#names.delete(name)
  }

  /** All models with their state. */
  list(): { entry: ModelEntry; model: ServedModel | undefined; users: number; lastUsed: number }[] {
    return [...this.#slots.values()].map(({ entry, model, users, lastUsed }) => ({ entry, model, users, lastUsed }))
  }

  /** The entry of this name, without loading it. Ollama's `:latest` counts as no tag. Throws 404. */
  find(name: string): ModelEntry {
    return this.#find(name).entry
  }

  /** The model of this name, loading it if need be. Throws 404 for unknown names, 503 when it does not fit or cannot be loaded. */
  async acquire(name: string): Promise<Lease> {
    const slot = this.#find(name)
    const release = use(slot)
    try {
      const model = slot.model ?? (await (slot.loading ??= this.#load(slot)))
      return { entry: slot.entry, model, release, hold: () => use(slot) }
    } catch (error) {
      release()
      if (error instanceof ApiError) throw error
      this.onFailure(slot.entry.id, error)
      const told = overloaded(
        `The model ${quote(slot.entry.id)} could not be loaded; the server's log has the reason.`,
        30,
        'model_load_failed',
      )
      told.cause = error
      throw told
    }
  }

  /** Unloads the model if nobody uses it; true when it is no longer in memory. */
  async unload(name: string): Promise<boolean> {
    const slot = this.#find(name)
    if (slot.users > 0) return false
    await slot.loading?.catch(() => {})
    if (slot.users > 0) return false
    await this.#dispose(slot)
    return true
  }

  async close(): Promise<void> {
    for (const slot of this.#slots.values()) {
      await slot.loading?.catch(() => {})
      await this.#dispose(slot)
    }
  }

  #find(name: string): Slot {
    const slot = this.#names.get(name) ?? this.#names.get(name.replace(/:latest$/, ''))
    if (!slot) throw modelNotFound(name)
    return slot
  }

  async #load(slot: Slot): Promise<ServedModel> {
    try {
      await this.#makeRoom(slot.entry)
      const model = await slot.entry.load()
      slot.model = model
      model.failed
        ?.then((error) => {
          this.onFailure(slot.entry.id, error)
          return slot.model === model ? this.#dispose(slot) : undefined
        })
        .catch((error) => this.onFailure(slot.entry.id, error))
      return model
    } finally {
      delete slot.loading
    }
  }

  async #makeRoom(entry: ModelEntry): Promise<void> {
    const need = expectedBytes(entry)
    if (need > this.#budgetBytes)
      throw overloaded(
        `The model ${quote(entry.id)} needs ${need} bytes for weights and KV cache; the memory budget of this server is ${this.#budgetBytes}.`,
        3600,
        'model_memory',
      )
    const resident = () => [...this.#slots.values()].filter((slot) => slot.model || (slot.loading && slot.entry !== entry))
    const used = () => resident().reduce((sum, slot) => sum + (slot.model?.memoryBytes?.() ?? expectedBytes(slot.entry)), 0)
    while (used() + need > this.#budgetBytes) {
      const idle = resident()
        .filter((slot) => slot.model && slot.users === 0)
        .sort((a, b) => a.lastUsed - b.lastUsed)[0]
      if (!idle)
        throw overloaded(
          `The model ${quote(entry.id)} needs ${need} bytes; the memory budget is taken by models in use. Try again later.`,
          10,
          'model_memory',
        )
      await this.#dispose(idle)
    }
  }

  async #dispose(slot: Slot): Promise<void> {
    const model = slot.model
    if (!model) return
    delete slot.model
    await model.engine.close()
    await model.dispose()
  }
}

/** Counts a user of the model until the returned function is called; calling it twice is harmless. */
function use(slot: Slot): () => void {
  slot.users++
  slot.lastUsed = Date.now()
  let released = false
  return () => {
    if (released) return
    released = true
    slot.users--
    slot.lastUsed = Date.now()
  }
}

/** What a model will take, as far as it can be known before it is loaded. */
const expectedBytes = ({ bytes = 0, cacheBytes = 0, inMemory }: ModelEntry): number => (inMemory?.() ? 0 : bytes + cacheBytes)
