/**
 * Adapters for tests of WebGPU. `scripts/test.ts` starts every test process with SwiftShader as its graphics driver where the package
 * fits the machine; elsewhere the adapter of the machine is used. A test without an adapter is skipped with the reason, or fails
 * where `CI=true`. The null backend compiles shaders and checks calls everywhere; its buffers hold garbage.
 */
import { noPackage } from '../../../scripts/chromium-package.ts'
import { nodeGpu } from '../../../src/gpu-node.ts'

/** Computes: SwiftShader, or the adapter of this machine. */
export const testGpu = (): Promise<GPU> => nodeGpu()

/** Checks shaders and calls, computes nothing. Offers `shader-f16` and `subgroups`. */
export const nullGpu = (): Promise<GPU> => nodeGpu(['backend=null'])

/** Why tests that compute cannot run here, or false: `describe('…', { skip: noAdapter }, …)`. */
export const noAdapter: string | false = await reason()

async function reason(): Promise<string | false> {
  if (await (await testGpu()).requestAdapter()) return false
  const found = process.env.VK_ICD_FILENAMES
    ? 'no WebGPU adapter found'
    : `no WebGPU adapter found: ${noPackage || 'run the test by `npm test`, which sets SwiftShader up'}`
  if (process.env.CI === 'true') throw new Error(found)
  return found
}
