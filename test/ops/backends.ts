/** The backends that the shared test bodies run over, and how close each must come to golden values. */
import type { Backend } from '../../src/ops/backend.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { createWasmBackend } from '../../src/ops/wasm/wasm.ts'
import { createWebgpuBackend } from '../../src/ops/webgpu/webgpu.ts'
import { noAdapter, testGpu } from './webgpu/adapters.ts'

export interface BackendUnderTest {
  name: string
  create: () => Promise<Backend>
  /** Largest allowed difference relative to the largest golden value. */
  tolerance: number
  /** How close cached, chunked and batched calls must come to the plain call; 0: the same to the last bit. */
  invariant: number
  /** Steps that a test takes one after the other, where each is slow. */
  mostSteps?: number
  /** Positions of the longest text, where each is slow. */
  longest?: number
  /** Tolerance of experts in mxfp4, where activations may be rounded to integers. */
  expertTolerance?: number
}

export const backends: BackendUnderTest[] = [
  { name: 'reference', create: async () => createReferenceBackend(), tolerance: 1e-4, invariant: 0 },
  { name: 'wasm', create: () => createWasmBackend({ threads: 0 }), tolerance: 1e-3, invariant: 0 },
  { name: 'wasm, 3 threads', create: () => createWasmBackend({ threads: 3 }), tolerance: 1e-3, invariant: 0 },
]

/** On the adapter for tests; tests ask `noAdapter` first. */
export const webgpu: BackendUnderTest = {
  name: 'webgpu',
  create: async () => createWebgpuBackend({ gpu: await testGpu() }),
  tolerance: 1e-3,
  invariant: 1e-5,
  mostSteps: 8,
  longest: 110,
}

/** For tests of single ops, which are quick on every adapter. */
export const opBackends: BackendUnderTest[] = noAdapter ? backends : [...backends, webgpu]
