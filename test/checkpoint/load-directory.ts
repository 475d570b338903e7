/** A checkpoint directory into a backend, for tests that need no engine. */
import { type LoadedCheckpoint, type LoadOptions, loadFolder, type WeightSink } from '../../src/checkpoint/load.ts'
import { fileFolder } from '../../src/checkpoint/source-node.ts'

export const loadCheckpoint = async (directory: string, backend: WeightSink, options: LoadOptions = {}): Promise<LoadedCheckpoint> =>
  loadFolder(await fileFolder(directory), backend, options)
