/**
 * Loads a checkpoint directory into a backend: `load.ts` on the files of the operating system.
 */
import { type LoadedCheckpoint, type LoadOptions, loadFolder, type OpenModel, openModel, type WeightSink } from './load.ts'
import { fileFolder } from './source-node.ts'

/**
 * Loads the checkpoint in a directory (config.json beside model.safetensors or its shards) into a
 * backend. After an error, dispose of the backend: it may hold some weights already.
 * @throws CheckpointError subclasses and ConfigError that name file, field or tensor; the backend's
 * MemoryError; the signal's reason.
 */
export async function loadCheckpoint(directory: string, backend: WeightSink, options: LoadOptions = {}): Promise<LoadedCheckpoint> {
  return loadFolder(await fileFolder(directory), backend, options)
}

/** Opens a directory and reads its headers, without loading. The caller closes `checkpoint`. */
export async function openDirectory(directory: string, signal?: AbortSignal): Promise<OpenModel> {
  return openModel(await fileFolder(directory), signal)
}
