/**
 * WebGPU in Node.js. The optional peer dependency `webgpu` (Dawn) is loaded when a GPU is asked for, and never before.
 * Source of the options: Dawn's node binding, `src/dawn/node/README.md`.
 */

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
