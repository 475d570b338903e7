/**
 * A checkpoint directory -> architecture and weights in a backend. Composition only: config.json and headers are checked against each
 * other before anything is allocated (`openModel`), then several readers fill the weights (`loadWeights`).
 */
import { type LoadedCheckpoint, type LoadOptions, loadFolder, type OpenModel, openModel, type WeightSink } from './load.ts'
import { fileFolder } from './source-node.ts'

/**
 * Loads the checkpoint in a directory (config.json beside model.safetensors or its shards) into a backend.
 * After an error the backend may hold some weights already: dispose of it.
 * @throws CheckpointError subclasses and ConfigError that name file, field or tensor; the backend's MemoryError; the signal's reason.
 */
export async function loadCheckpoint(directory: string, backend: WeightSink, options: LoadOptions = {}): Promise<LoadedCheckpoint> {
  return loadFolder(await fileFolder(directory), backend, options)
}

/** Opens a directory for a look at its headers, without loading. The caller closes `checkpoint`. */
export async function openDirectory(directory: string, signal?: AbortSignal): Promise<OpenModel> {
  return openModel(await fileFolder(directory), signal)
}
