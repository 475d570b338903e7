/**
 * The public API in Node.js. `load` brings a model by name and gives back something that chats and
 * generates; public.ts has the rest, which a page gets from web.ts too.
 */
import type { PullEvent } from './hub/hub-node.ts'
import { locateModel } from './hub/locate-node.ts'
import { type LoadModelOptions, loadModel } from './load-model-node.ts'
import { type Model, withMethods } from './public.ts'

export * from './public.ts'

export interface LoadOptions extends LoadModelOptions {
  /** What to do when the model is not on this machine: download it (default), or fail. */
  pull?: boolean
  /** Events of a download, for progress. */
  onPull?: (event: PullEvent) => void
}

/**
 * Loads a model: a directory, a model of this package ('abacus'), a Hugging Face id
 * ('openai/gpt-oss-20b') or a preset's name.
 * @throws ModelIdError, HubError and DiskSpaceError while locating and downloading; CheckpointError,
 * ConfigError, MemoryError while loading; the signal's reason
 */
export async function load(name: string, { pull: mayPull = true, onPull, ...options }: LoadOptions = {}): Promise<Model> {
  const located = await locateModel(name)
  if ('directory' in located) return withMethods(await loadModel(located.directory, options))
  if (!mayPull)
    throw new Error(`${located.id} is not on this machine; download it with \`lineage pull ${located.id}\` or load it with { pull: true }`)
  const { pull } = await import('./hub/hub-node.ts')
  const { directory } = await pull(located.id, { onEvent: onPull, signal: options.signal })
  return withMethods(await loadModel(directory, options))
}
