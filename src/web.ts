/**
 * The public API in a page: `load` takes the address of a checkpoint's directory or files that a user chose, public.ts has the rest.
 * No file that is reached from here may import from Node.js; scripts/web-graph.ts bundles it for a browser to make sure.
 * Threads need a page that is cross-origin isolated (COOP and COEP headers); elsewhere one thread computes.
 */
import { ggufFolder, isGguf, withGguf } from './checkpoint/gguf/folder.ts'
import { openModel } from './checkpoint/load.ts'
import { type Folder, unlessAborted } from './checkpoint/source.ts'
import { httpFolder } from './checkpoint/source-http.ts'
import { choiceOf, createCheckedBackend } from './gpu.ts'
import { unknownOption } from './json/names.ts'
import { LOAD_OPTIONS, type LoadModelOptions, loadModel } from './load-model.ts'
import { leaves } from './model/weights.ts'
import type { Backend } from './ops/backend.ts'
import { createWasmBackend, type WasmOptions } from './ops/wasm/wasm.ts'
import { formatsOf } from './ops/webgpu/self-check.ts'
import { type Model, withMethods } from './public.ts'

export { createCheckedBackend as createWebgpuBackend, type GpuBackend, type GpuOptions } from './gpu.ts'
export * from './public.ts'

export interface LoadOptions extends LoadModelOptions, Pick<WasmOptions, 'precision' | 'threads' | 'memoryBytes'> {
  /**
   * Default `wasm`: WebAssembly with `precision`, `threads` and `memoryBytes`. `webgpu`: the GPU of `navigator.gpu`, after a check of its
   * results with the formats of the model's weights. A backend belongs to the model and is disposed of with it.
   */
  backend?: 'wasm' | 'webgpu' | Backend | Promise<Backend>
  /** Told what a GPU does without, because its results with it were wrong. */
  onBackend?: (choice: string) => void
}

/**
 * Loads a model.
 * @param place the URL of a directory with config.json, tokenizer and safetensors, or of a GGUF file, on a server that answers range
 * requests; or a folder such as `blobFolder(input.files)`. In a page a URL may be relative. A query goes with every file
 * @throws TypeError for an option that does not exist, or for no URL; CheckpointError, ConfigError, MemoryError; Error and ChatError about tokenizer or format files; the signal's reason; WrongResultsError
 */
export async function load(
  place: string | URL | Folder,
  { backend = 'wasm', onBackend, precision, threads, memoryBytes, ...options }: LoadOptions = {},
): Promise<Model> {
  const unknown = unknownOption(options, LOAD_OPTIONS)
  if (unknown) throw new TypeError(`load: ${unknown.name}: ${unknown.problem}`)
  const { signal } = options
  let folder: Folder
  try {
    signal?.throwIfAborted()
    folder = await folderAt(place, signal)
  } catch (error) {
    if (typeof backend !== 'string') await (await backend).dispose()
    throw error
  }
  const chosen =
    backend === 'wasm'
      ? createWasmBackend({ precision, threads, memoryBytes })
      : backend === 'webgpu'
        ? gpuFor(folder, onBackend, signal)
        : backend
  return withMethods(await loadModel(folder, chosen, options))
}

async function gpuFor(folder: Folder, onBackend: LoadOptions['onBackend'], signal: AbortSignal | undefined): Promise<Backend> {
  const gpu = await createCheckedBackend({
    async formats() {
      const { checkpoint, tree } = await openModel(folder, signal)
      await checkpoint.close()
      return formatsOf(leaves(tree))
    },
  })
  if (gpu.dropped !== undefined) onBackend?.(choiceOf(gpu))
  return gpu
}

async function folderAt(place: string | URL | Folder, signal: AbortSignal | undefined): Promise<Folder> {
  if (typeof place !== 'string' && !(place instanceof URL)) return unlessAborted(() => withGguf(place), signal)
  const base = globalThis.document?.baseURI ?? globalThis.location?.href
  if (!URL.canParse(String(place), base))
    throw new TypeError(
      `load: expected the URL of a directory or of a GGUF file, got ${JSON.stringify(place)}${base === undefined ? '; outside of a page it cannot be relative' : ''}`,
    )
  const url = new URL(place, base)
  const file = url.pathname.split('/').at(-1)!
  if (!isGguf(file)) return httpFolder(url.href)
  url.pathname = url.pathname.slice(0, -file.length)
  return ggufFolder(httpFolder(url.href), decodeURIComponent(file))
}
