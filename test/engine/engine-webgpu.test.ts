/** The engine on WebGPU: batches and draws change no answer; a device that is lost in the middle of eight answers is told to all, and survived. */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { BackendFailedError, createEngine } from '../../src/engine/engine.ts'
import { createWebgpuBackend, type WebgpuBackend } from '../../src/ops/webgpu/webgpu.ts'
import { noAdapter, testGpu } from '../ops/webgpu/adapters.ts'
import { greedy, NEVER, someIds, tiny } from './model.ts'

const CHECKPOINT = 'tiny-qwen3'
const SIZES = { context: 64, slots: 8, chunk: 16 }
const create = async () => createWebgpuBackend({ gpu: await testGpu() })

describe('webgpu', { skip: noAdapter }, async () => {
  if (noAdapter) return
  const backend = await create()
  after(() => backend.dispose())
  const model = await tiny(CHECKPOINT, backend)
  const reference = await tiny(CHECKPOINT)
  const { vocabSize } = model.architecture
  const prompts = [1, 5, 20, 33, 2, 9, 3, 7].map((length, n) => someIds(length, vocabSize, 10 + n))

  test('eight answers together are those of the reference alone; no temporary is left', async () => {
    const engine = await createEngine({ ...model, ...SIZES })
    const answers = async () =>
      (await Promise.all(prompts.map((ids) => engine.generate(ids, { ...NEVER, maxTokens: 6 }).result))).map(({ ids }) => ids)
    const first = await answers()
    for (const [n, ids] of first.entries()) assert.deepEqual(ids, await greedy(reference, prompts[n]!, 6), `prompt ${n}`)
    assert.deepEqual(await answers(), first)
    assert.deepEqual(backend.buffers.blocks(), [])
    await engine.close()
    assert.equal(backend.memory().caches, 0)
  })

  test('a lost device ends every answer with the reason; a new backend gives the same answers', async () => {
    const lost = await create()
    let ahead = 0
    const watchedBackend: WebgpuBackend = {
      ...lost,
      embedDrawn(...given) {
        ahead++
        return lost.embedDrawn!(...given)
      },
    }
    const doomed = await createEngine({ ...(await tiny(CHECKPOINT, lost)), ...SIZES, backend: watchedBackend })
    const running = prompts.map((ids) => doomed.generate(ids, { ...NEVER, maxTokens: 30 }))
    for (const { result } of running) result.catch(() => {})
    const watched = async () => {
      // After some ids all prompts are computed, and a pass is under way whose ids before are not known yet.
      let told = 0
      for await (const _ of running[0]!) if (++told === 12) lost.device.device.destroy()
    }
    await assert.rejects(watched(), BackendFailedError)
    assert.ok(ahead > 0)
    for (const [n, { result }] of running.entries())
      await assert.rejects(
        result,
        (error: Error) => error instanceof BackendFailedError && /the device is lost/.test(error.message),
        `answer ${n}`,
      )
    assert.match((await lost.failed).message, /the webgpu backend has failed: the device is lost \(destroyed\).*load the model again/)
    assert.throws(() => doomed.generate([1, 2, 3]), BackendFailedError)
    assert.throws(() => lost.upload(new Float32Array(1), [1]), BackendFailedError)
    await assert.rejects(lost.settled(), BackendFailedError)
    await assert.rejects(lost.cache({ layers: [], slots: 1, capacity: 1, maxRows: 1 }), BackendFailedError)
    await lost.dispose()

    const again = await create()
    const engine = await createEngine({ ...(await tiny(CHECKPOINT, again)), ...SIZES })
    const { ids } = await engine.generate(prompts[3]!, { ...NEVER, maxTokens: 6 }).result
    assert.deepEqual(ids, await greedy(reference, prompts[3]!, 6))
    await engine.close()
    await again.dispose()
  })
})
