/** Products with weights of every format, whole and in pieces, with subgroups and without, against the reference. */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { Backend } from '../../../src/ops/backend.ts'
import { createReferenceBackend } from '../../../src/ops/reference/reference.ts'
import { ALL_FORMATS } from '../../../src/ops/webgpu/self-check.ts'
import { createWebgpuBackend } from '../../../src/ops/webgpu/webgpu.ts'
import { random } from '../random.ts'
import { noAdapter, testGpu } from './adapters.ts'

/** Products of f32 sums, relative to the largest value. */
const TOLERANCE = 2e-6

describe('weights on WebGPU', { skip: noAdapter }, async () => {
  if (noAdapter) return
  const gpu = await testGpu()
  const reference = createReferenceBackend({ precision: 'f64' })
  const cases = [
    ['with subgroups', await createWebgpuBackend({ gpu })],
    ['without subgroups, in pieces of 16 KiB', await createWebgpuBackend({ gpu, without: ['subgroups'], largestBinding: 1 << 14 })],
  ] as const
  after(() => Promise.all(cases.map(([, backend]) => backend.dispose())))
  for (const [name, backend] of cases)
    for (const dtype of ALL_FORMATS.matrices)
      test(`${name}: ${dtype}`, async () => {
        const draw = random(`formats ${dtype}`)
        const [T, I, O] = [3, 512, 70]
        const [x, w] = [draw.normals(T * I), draw.weight('w', [O, I], dtype)]
        const run = async (on: Backend) => {
          const weight = await w(on)
          const product = await on.run(() => on.linear(on.upload(x, [T, I]), weight))
          const rows = await on.run(() => on.embed(weight, Int32Array.of(69, 0, 33), 1))
          return [product, rows] as const
        }
        const [expected, actual] = [await run(reference), await run(backend)]
        for (const [n, wanted] of expected.entries()) {
          const largest = wanted.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
          const worst = wanted.reduce((a, e, i) => Math.max(a, Math.abs(actual[n]![i]! - e)), 0)
          assert.ok(worst <= TOLERANCE * largest, `${['product', 'rows'][n]}: differs by ${worst / largest}`)
        }
      })
})
