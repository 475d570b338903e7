/**
 * WebGPU in Node.js. The optional peer dependency `webgpu` (Dawn) is loaded when a GPU is asked for, and never before.
 * Source of the options: Dawn's node binding, `src/dawn/node/README.md`.
 */
import type { Examined, GpuBackend, GpuOptions } from './gpu.ts'
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

/** A GPU of this machine: `examine` and `createCheckedBackend` of gpu.ts, where adapters that compute on the CPU are taken by request only. */
const onThisMachine = async (options: GpuOptions): Promise<GpuOptions> => ({
  ...options,
  software: options.software ?? false,
  gpu: await nodeGpu(),
  powerPreference: 'high-performance',
})

/**
 * The backend on the GPU of this machine, after a check of its results.
 * @throws WrongResultsError; Error that says why there is no GPU, and what can be used instead
 */
export async function createGpuBackend(options: GpuOptions = {}): Promise<GpuBackend> {
  return (await import('./gpu.ts')).createCheckedBackend(await onThisMachine(options))
}

/** The same with all that the check has found, also where results are wrong. */
export async function examineGpu(options: GpuOptions = {}): Promise<Examined> {
  return (await import('./gpu.ts')).examine(await onThisMachine(options))
}

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
