/**
 * The public API in a page: `load` takes the address of a checkpoint's directory or files that a user chose, public.ts has the rest.
 * No file that is reached from here may import from Node.js; scripts/web-graph.ts bundles it for a browser to make sure.
 * Threads need a page that is cross-origin isolated (COOP and COEP headers); elsewhere one thread computes.
 */
import { ggufFolder, withGguf } from './checkpoint/gguf/folder.ts'
import type { Folder } from './checkpoint/source.ts'
import { httpFolder } from './checkpoint/source-http.ts'
import { type LoadModelOptions, loadModel } from './load-model.ts'
import type { Backend } from './ops/backend.ts'
import { createWasmBackend, type WasmOptions } from './ops/wasm/wasm.ts'
import { type Model, withMethods } from './public.ts'

export { createWebgpuBackend, type WebgpuBackend, type WebgpuOptions } from './ops/webgpu/webgpu.ts'
export * from './public.ts'

export interface LoadOptions extends LoadModelOptions, Pick<WasmOptions, 'precision' | 'threads' | 'memoryBytes'> {
  /** Default: WebAssembly with `precision`, `threads` and `memoryBytes`. The backend belongs to the model and is disposed of with it. */
  backend?: Backend | Promise<Backend>
}

/**
 * Loads a model.
 * @param place the URL of a directory with config.json, tokenizer and safetensors, or of a GGUF file, on a server that answers range
 * requests; or a folder such as `blobFolder(input.files)`
 * @throws CheckpointError, ConfigError, MemoryError; Error and ChatError about tokenizer or format files; the signal's reason
 */
export async function load(
  place: string | URL | Folder,
  { backend, precision, threads, memoryBytes, ...options }: LoadOptions = {},
): Promise<Model> {
  return withMethods(await loadModel(await folderAt(place), backend ?? createWasmBackend({ precision, threads, memoryBytes }), options))
}

async function folderAt(place: string | URL | Folder): Promise<Folder> {
  if (typeof place !== 'string' && !(place instanceof URL)) return withGguf(place)
  const [, directory, file] = /^(.*\/)([^/?#]+\.gguf)$/i.exec(String(place)) ?? []
  return directory !== undefined && file !== undefined
    ? ggufFolder(httpFolder(directory), decodeURIComponent(file))
    : httpFolder(String(place))
}
