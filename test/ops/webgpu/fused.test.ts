/** What fusion may not change: decoded rows of fused and unfused plans agree, with subgroups and without; and that the self-check sees a wrong op. */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { cacheSpec } from '../../../src/model/cache-spec.ts'
import { forward } from '../../../src/model/transformer.ts'
import type { Batch } from '../../../src/ops/ops.ts'
import { createReferenceBackend } from '../../../src/ops/reference/reference.ts'
import { selfCheck } from '../../../src/ops/webgpu/self-check.ts'
import { createWebgpuBackend, type WebgpuBackend } from '../../../src/ops/webgpu/webgpu.ts'
import { loadCheckpoint } from '../../checkpoint/load-directory.ts'
import { noAdapter, testGpu } from './adapters.ts'

const fixtures = fileURLToPath(new URL('../../fixtures/checkpoints/', import.meta.url))
const TOLERANCE = 1e-5

describe('fusion on WebGPU', { skip: noAdapter }, async () => {
  if (noAdapter) return
  const gpu = await testGpu()
  const [fused, unfused, tree] = [
    await createWebgpuBackend({ gpu }),
    await createWebgpuBackend({ gpu, fused: false }),
    await createWebgpuBackend({ gpu, without: ['subgroups'] }),
  ]
  after(() => Promise.all([fused, unfused, tree].map((backend) => backend.dispose())))

  /** Two decoded rows after prompts of 9 and 4 ids, and the dispatches of that step. */
  async function decode(on: WebgpuBackend, checkpoint: string) {
    const { architecture, weights } = await loadCheckpoint(fixtures + checkpoint, on)
    const cache = await on.cache(cacheSpec(architecture, 2, 16, 16))
    const run = (rows: readonly (readonly [slot: number, position: number])[]) => {
      const batch: Batch = {
        ids: Int32Array.from(rows, ([slot, position]) => (7 * slot + 5 * position + 3) % architecture.vocabSize),
        slots: Int32Array.from(rows, ([slot]) => slot),
        positions: Int32Array.from(rows, ([, position]) => position),
      }
      return on.run(() => forward(on, architecture, weights, batch, { cache }))
    }
    await run([9, 4].flatMap((length, slot) => Array.from({ length }, (_, position) => [slot, position] as const)))
    const logits = await run([
      [0, 9],
      [1, 4],
    ])
    cache.dispose()
    return { logits, dispatches: on.plans.last!.dispatches.length }
  }

  for (const [checkpoint, withoutSubgroups] of [
    ['tiny-gpt-oss', true],
    ['tiny-gpt2', false],
  ] as const)
    test(checkpoint, async () => {
      const [expected, actual, other] = [
        await decode(unfused, checkpoint),
        await decode(fused, checkpoint),
        await decode(withoutSubgroups ? tree : fused, checkpoint),
      ]
      const largest = expected.logits.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
      for (const [i, value] of expected.logits.entries())
        for (const [name, { logits }] of [['fused', actual] as const, ['without subgroups', other] as const])
          assert.ok(Math.abs(logits[i]! - value) <= TOLERANCE * largest, `${name}, logit ${i}: ${logits[i]}, unfused ${value}`)
      assert.ok(2 * actual.dispatches < expected.dispatches + 8, `${actual.dispatches} dispatches fused, ${expected.dispatches} unfused`)
    })

  test('the self-check names an op that computes wrongly', async () => {
    const reference = createReferenceBackend()
    const wrong = { ...fused, rmsNorm: (...[x, gain, eps]: Parameters<typeof fused.rmsNorm>) => fused.rmsNorm(x, gain, eps + 0.1, 0) }
    const found = (await selfCheck(wrong, reference)).filter(({ problem }) => problem !== undefined)
    assert.deepEqual(
      found.map(({ name }) => name),
      ['norms', 'attention of a decoded row', 'feed-forward of a row'],
    )
  })
})
