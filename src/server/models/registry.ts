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
  /** The model is unloaded when nobody uses it any more, unless another request comes for it before. */
  unloadAfter(): void
}

interface Slot {
  entry: ModelEntry
  loading?: Promise<ServedModel>
  model?: ServedModel
  users: number
  lastUsed: number
  /** To be unloaded when nobody uses it. */
  unloads: boolean
  /** The model before is being closed; its memory is not free yet. */
  closing?: Promise<void>
}

/** A name as it is compared: Ollama's tag `:latest` counts as no tag. */
const plain = (name: string): string => name.replace(/:latest$/, '')

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
    return this.#names.has(plain(name))
  }

  /** Serves one model more, unless its name is taken. */
  add(entry: ModelEntry): void {
    if (this.has(entry.id)) return
    const slot: Slot = { entry, users: 0, lastUsed: 0, unloads: false }
    this.#slots.set(entry.id, slot)
    for (const name of [entry.id, ...(entry.listedAliases ?? []), ...(entry.aliases ?? [])])
      if (!this.has(name)) this.#names.set(plain(name), slot)
  }

  /** Gives a model a further name, which is listed. Throws 404 for an unknown model, 400 for a name that another one has. */
  addAlias(given: string, of: string): void {
    const slot = this.#find(of)
    const name = plain(given)
    const taken = this.#names.get(name)
    if (taken && taken !== slot) throw badRequest(`The name ${quote(name)} is taken.`, 'destination')
    this.#names.set(name, slot)
    if (name !== plain(slot.entry.id)) slot.entry.listedAliases = [...new Set([...(slot.entry.listedAliases ?? []), name])]
  }

  /** Takes away a name that a model has beside its id; false when it is none. */
  removeAlias(given: string): boolean {
    const name = plain(given)
    const slot = this.#names.get(name)
    if (!slot || plain(slot.entry.id) === name) return false
    this.#names.delete(name)
    slot.entry.listedAliases = slot.entry.listedAliases?.filter((alias) => plain(alias) !== name)
    slot.entry.aliases = slot.entry.aliases?.filter((alias) => plain(alias) !== name)
    return true
  }

  /** Serves a model no longer and unloads it. Does nothing and gives false when it is in use. Throws 404. */
  async forget(id: string): Promise<boolean> {
    const slot = this.#find(id)
    if (slot.users > 0) return false // who loads it uses it, too
    // Its names go first, so that nobody loads it again while it is closed.
    this.#slots.delete(slot.entry.id)
    for (const [name, of] of this.#names) if (of === slot) this.#names.delete(name)
    await this.#dispose(slot)
    return true
  }

  /** All models with their state. */
  list(): { entry: ModelEntry; model: ServedModel | undefined; users: number; lastUsed: number }[] {
    return [...this.#slots.values()].map(({ entry, model, users, lastUsed }) => ({ entry, model, users, lastUsed }))
  }

  /** The entry of this name, without loading it. Throws 404. */
  find(name: string): ModelEntry {
    return this.#find(name).entry
  }

  /** The model of this name, loading it if need be. Throws 404 for unknown names, 503 when it does not fit or cannot be loaded. */
  async acquire(name: string): Promise<Lease> {
    const slot = this.#find(name)
    slot.unloads = false
    const release = this.#use(slot)
    try {
      const model = slot.model ?? (await (slot.loading ??= this.#load(slot)))
      const unloadAfter = () => {
        slot.unloads = true
      }
      return { entry: slot.entry, model, release, hold: () => this.#use(slot), unloadAfter }
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

  /** Unloads the model: now, or when nobody uses it any more, unless another request comes for it before. Throws 404. */
  async unload(name: string): Promise<void> {
    const slot = this.#find(name)
    slot.unloads = slot.users > 0
    if (!slot.unloads) await this.#dispose(slot)
  }

  async close(): Promise<void> {
    for (const slot of this.#slots.values()) {
      await slot.loading?.catch(() => {})
      await this.#dispose(slot)
    }
  }

  #find(name: string): Slot {
    const slot = this.#names.get(plain(name))
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
    await Promise.allSettled([...this.#slots.values()].map(({ closing }) => closing))
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

  /** Resolves when the model is no longer in memory. */
  async #dispose(slot: Slot): Promise<void> {
    const { model } = slot
    if (!model) return slot.closing
    delete slot.model
    slot.unloads = false
    const closing = closed(model)
    slot.closing = closing
    try {
      await closing
    } finally {
      if (slot.closing === closing) delete slot.closing
    }
  }

  /** Counts a user of the model until the returned function is called; calling it twice is harmless. */
  #use(slot: Slot): () => void {
    slot.users++
    slot.lastUsed = Date.now()
    let released = false
    return () => {
      if (released) return
      released = true
      slot.users--
      slot.lastUsed = Date.now()
      if (slot.unloads && slot.users === 0) this.#dispose(slot).catch((error) => this.onFailure(slot.entry.id, error))
    }
  }
}

async function closed(model: ServedModel): Promise<void> {
  await model.engine.close()
  await model.dispose()
}

/** What a model will take, as far as it can be known before it is loaded. */
const expectedBytes = ({ bytes = 0, cacheBytes = 0, inMemory }: ModelEntry): number => (inMemory?.() ? 0 : bytes + cacheBytes)
