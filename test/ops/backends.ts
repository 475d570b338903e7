/** The backends that the shared test bodies run over, and how close each must come to golden values. */
import type { Backend } from '../../src/ops/backend.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { createWasmBackend } from '../../src/ops/wasm/wasm.ts'

export interface BackendUnderTest {
  name: string
  create: () => Promise<Backend>
  /** Largest allowed difference relative to the largest golden value. */
  tolerance: number
  /** Whether cached, chunked and batched calls must equal the plain call bit for bit. */
  exactInvariants: boolean
  /** Tolerance of experts in mxfp4, where activations may be rounded to integers. */
  expertTolerance?: number
}

export const backends: BackendUnderTest[] = [
  { name: 'reference', create: async () => createReferenceBackend(), tolerance: 1e-4, exactInvariants: true },
  { name: 'wasm', create: () => createWasmBackend({ threads: 0 }), tolerance: 1e-3, exactInvariants: true },
  { name: 'wasm, 3 threads', create: () => createWasmBackend({ threads: 3 }), tolerance: 1e-3, exactInvariants: true },
]
