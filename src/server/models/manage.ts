/** What a server may do with the models of its machine. The composition supplies it; without it requests cannot download or delete. */
import type { ModelEntry } from './model.ts'

export interface ModelManager {
  /** Downloads a model unless it is there. `onBytes` hears of the whole transfer. Rejects with an Error whose text a client may read. */
  pull(name: string, onBytes: (completed: number, total: number) => void, signal: AbortSignal): Promise<ModelEntry[]>
  /** Deletes the files of a model. Rejects with an Error whose text a client may read. */
  remove(name: string): Promise<void>
}
