/**
 * WebGPU in Node.js. The optional peer dependency `webgpu` (Dawn) is loaded when a GPU is asked for, and never before.
 * Source of the options: Dawn's node binding, `src/dawn/node/README.md`.
 */
import type { WebgpuBackend } from './ops/webgpu/webgpu.ts'

/** Dawn crashes the process when the object of `create` is collected while a device lives. So it is kept. */
const kept = new Map<string, GPU>()

/**
 * The entry of WebGPU, the same object for the same options.
 * @param options of Dawn, such as `backend=null`, `adapter=NAME` and `enable-dawn-features=TOGGLE,TOGGLE`
 * @throws Error that says how to install the package, or why it cannot be loaded
 */
export async function nodeGpu(options: readonly string[] = []): Promise<GPU> {
  const key = options.join('\n')
  const before = kept.get(key)
  if (before) return before
  const { create } = await import('webgpu').catch((error: NodeJS.ErrnoException) => {
    const absent = error.code === 'ERR_MODULE_NOT_FOUND' && /'webgpu'/.test(error.message)
    throw new Error(
      absent
        ? 'the backend webgpu needs the package webgpu, which is not installed; install it with: npm install webgpu@0.6'
        : `the package webgpu cannot be loaded on this ${process.platform} ${process.arch}: ${error.message}`,
      { cause: error },
    )
  })
  const gpu = create([...options])
  kept.set(key, gpu)
  return gpu
}

/**
 * The backend on the GPU of this machine, after a check of its results.
 * @param software also accept an adapter that computes on the CPU
 * @throws Error that says why there is none, and what can be used instead
 */
export async function createGpuBackend({ software = false, check = true } = {}): Promise<WebgpuBackend> {
  const gpu = await nodeGpu()
  const { createWebgpuBackend } = await import('./ops/webgpu/webgpu.ts')
  const backend = await createWebgpuBackend({ gpu, powerPreference: 'high-performance' })
  try {
    if (!backend.device.software) {
      if (check) await mustBeRight(backend)
    } else if (!software)
      throw new Error(
        `the only WebGPU adapter here is ${adapterName(backend)}, which computes on the CPU; use the backend wasm, or webgpu:software for tests`,
      )
    return backend
  } catch (error) {
    await backend.dispose()
    throw error
  }
}

/** @throws Error that names the kernels whose results are wrong */
async function mustBeRight(backend: WebgpuBackend): Promise<void> {
  const [{ selfCheck }, { createReferenceBackend }] = await Promise.all([
    import('./ops/webgpu/self-check.ts'),
    import('./ops/reference/reference.ts'),
  ])
  const wrong = (await selfCheck(backend, createReferenceBackend())).filter(({ problem }) => problem !== undefined)
  if (wrong.length === 0) return
  const listed = wrong.map(({ name, problem }) => `${name} ${problem}`).join('; ')
  throw new Error(`${adapterName(backend)} computes wrongly (${listed}); update its driver, or use the backend wasm`)
}

/** What people call the adapter. */
export const adapterName = ({ device: { info } }: WebgpuBackend): string =>
  info.description || info.device || `${info.vendor} ${info.architecture}`.trim() || 'an unnamed adapter'

/**
 * Reserves memory of the device and frees it again: WebGPU has no other way to ask whether so much is free.
 * @throws MemoryError
 */
export async function mustHaveFree({ buffers, settled, device }: WebgpuBackend, bytes: number): Promise<void> {
  const reserved: GPUBuffer[] = []
  try {
    for (let remaining = bytes; remaining > 0; remaining -= device.largestBinding)
      reserved.push(await buffers.allocate('memory for the model', Math.min(remaining, device.largestBinding)))
  } finally {
    for (const buffer of reserved) buffers.release(buffer)
    await settled()
  }
}
