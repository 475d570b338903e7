/**
 * The public API in Node.js. `load` brings a model by name and gives back something that chats and
 * generates; public.ts has the rest, which a page gets from web.ts too.
 */
import { MissingFileError } from './checkpoint/errors.ts'
import { fileSource } from './checkpoint/source-node.ts'
import type { SlotOptions, SlotResult } from './engine/engine.ts'
import { writeAtomically } from './files/write-node.ts'
import { dropDamaged } from './hub/blobs-node.ts'
import type { PullEvent } from './hub/hub-node.ts'
import { locateModel } from './hub/locate-node.ts'
import { unknownOption } from './json/names.ts'
import { checkModel, LOAD_OPTIONS } from './load-model.ts'
import { type LoadModelOptions, loadModel } from './load-model-node.ts'
import { type Model, withMethods } from './public.ts'

export { DiskSpaceError } from './files/disk-space-node.ts'
export { ModelIdError } from './hub/cache-node.ts'
export { HubError } from './hub/http.ts'
export * from './public.ts'

export interface LoadOptions extends LoadModelOptions {
  /** What to do when the model is not on this machine: download it (default), or fail. */
  pull?: boolean
  /** Events of a download, for progress. */
  onPull?: (event: PullEvent) => void
}

/** What `load` hands on. */
const OPTIONS: Readonly<Record<keyof LoadModelOptions, true>> = {
  ...LOAD_OPTIONS,
  backend: true,
  onBackend: true,
  precision: true,
  threads: true,
}

/**
 * Loads a model: a directory, a model of this package ('abacus'), a Hugging Face id
 * ('openai/gpt-oss-20b') or a preset's name.
 * @throws TypeError for an option that does not exist; ModelIdError, HubError and DiskSpaceError while locating and downloading; CheckpointError,
 * ConfigError, MemoryError while loading; the signal's reason
 */
export async function load(name: string, { pull: mayPull = true, onPull, ...options }: LoadOptions = {}): Promise<Model> {
  const unknown = unknownOption(options, OPTIONS)
  if (unknown) throw new TypeError(`load: ${unknown.name}: ${unknown.problem}`)
  const located = await locateModel(name)
  const fetched = async (id: string) => {
    const { pull } = await import('./hub/hub-node.ts')
    return (await pull(id, { onEvent: onPull, signal: options.signal, check: checkModel })).directory
  }
  if (!('directory' in located)) {
    const command = `lineage pull ${located.id}`
    const state = located.problem ? `is incomplete on this machine (${located.problem.message})` : 'is not on this machine'
    if (!mayPull) throw new Error(`${located.id} ${state}; download it with \`${command}\` or load it with { pull: true }`)
    return withMethods(await loadModel(await fetched(located.id), options))
  }
  const { directory, id } = located
  try {
    return withMethods(await loadModel(directory, options))
  } catch (error) {
    // A file of the cache may be damaged, which its hash shows. Then it is fetched again.
    if (!id || !mayPull || options.signal?.aborted || (await dropDamaged(directory, error)).length === 0) throw error
    return withMethods(await loadModel(await fetched(id), options))
  }
}

/**
 * Saves a conversation that is kept in the cache of a model (keys and values, or states) to a file, which is written whole or not at all.
 * After a restart `restoreSlot` puts it back, and a prompt that begins with it continues there with the same bits.
 * @param options.slot default: the one that was used last
 * @throws SlotError where no conversation is kept, BusyError while the slot computes an answer
 */
export async function saveSlot(model: Pick<Model, 'engine'>, path: string, options?: SlotOptions): Promise<SlotResult> {
  let result!: SlotResult
  await writeAtomically(path, async (file) => {
    result = await model.engine.slots.save((bytes) => file.writeFile(bytes), options)
  })
  return result
}

/**
 * Puts a conversation of `saveSlot` into a slot, after the whole file was checked.
 * @param options.slot default: the free one that was used longest ago
 * @throws SlotError for a file that is damaged, of another model, precision or version, or longer than the context; MissingFileError
 */
export async function restoreSlot(model: Pick<Model, 'engine'>, path: string, options?: SlotOptions): Promise<SlotResult> {
  const source = await fileSource(path)
  if (!source) throw new MissingFileError({ file: path, expected: 'a saved conversation', came: 'no file', remedy: 'Check the path.' })
  try {
    return await model.engine.slots.restore(source, options)
  } finally {
    await source.close()
  }
}
