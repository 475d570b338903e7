/** Decoded rows of many positions are split into pieces: against the reference, and with the same bits alone and beside short rows. */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { Backend } from '../../../src/ops/backend.ts'
import type { AttentionOptions, Batch, LayerCache } from '../../../src/ops/ops.ts'
import { createReferenceBackend } from '../../../src/ops/reference/reference.ts'
import { createWebgpuBackend } from '../../../src/ops/webgpu/webgpu.ts'
import { random } from '../random.ts'
import { noAdapter, testGpu } from './adapters.ts'

const [H, G, K] = [4, 2, 8]
const LONG = 600

describe('long rows on WebGPU', { skip: noAdapter }, async () => {
  if (noAdapter) return
  const gpu = await testGpu()
  const backends = [
    ['fused', await createWebgpuBackend({ gpu })],
    ['unfused', await createWebgpuBackend({ gpu, fused: false })],
    // 3 slots do not fit in one binding.
    ['slots in groups', await createWebgpuBackend({ gpu, largestBinding: 300 << 10 })],
  ] as const
  after(() => Promise.all(backends.map(([, backend]) => backend.dispose())))
  const draw = random('long rows')
  const rows = (slots: readonly number[], positions: readonly number[]): Batch => ({
    ids: new Int32Array(slots.length),
    slots: Int32Array.from(slots),
    positions: Int32Array.from(positions),
  })
  const prompt = rows(
    Array.from({ length: LONG + 3 }, (_, t) => (t < LONG ? 2 : 0)),
    Array.from({ length: LONG + 3 }, (_, t) => (t < LONG ? t : t - LONG)),
  )
  const step = rows([2, 0], [LONG, 3])
  const values = (count: number) => [draw.normals(count * H * K), draw.normals(count * G * K), draw.normals(count * G * K)] as const
  const [first, next] = [values(prompt.ids.length), values(2)]

  for (const [window, softcap] of [
    [null, null],
    [300, 20],
  ] as const) {
    const decode = async (on: Backend) => {
      const cache = await on.cache({
        layers: [{ kvHeads: G, keyDim: K, valueDim: K, window }],
        slots: 3,
        capacity: 2000,
        maxRows: LONG,
      })
      const options: AttentionOptions = { heads: H, kvHeads: G, keyDim: K, valueDim: K, scale: 0.5, window, softcap }
      const run = (batch: Batch, [q, k, v]: typeof next, from = 0, to = batch.ids.length) => {
        const part = (x: Float32Array, width: number) => on.upload(x.slice(from * width, to * width), [to - from, width])
        return on.run(() =>
          on.attention(part(q, H * K), part(k, G * K), part(v, G * K), batch, { ...options, cache: cache.layers[0] as LayerCache }),
        )
      }
      await run(prompt, first)
      const both = await run(step, next)
      const alone = [await run(rows([2], [LONG]), next, 0, 1), await run(rows([0], [3]), next, 1, 2)]
      cache.dispose()
      return { both, alone: Float32Array.from(alone.flatMap((row) => [...row])) }
    }
    for (const [name, backend] of backends)
      test(`${name}, window ${window}`, async () => {
        const [{ both: expected }, { both, alone }] = [await decode(createReferenceBackend({ precision: 'f64' })), await decode(backend)]
        const largest = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
        for (const [i, value] of expected.entries())
          assert.ok(Math.abs(both[i]! - value) <= 1e-5 * largest, `value ${i}: ${both[i]}, expected ${value}`)
        assert.deepEqual(alone.subarray(0, H * K), both.subarray(0, H * K), 'the long row alone')
        if (window === null) assert.deepEqual(alone.subarray(H * K), both.subarray(H * K), 'the short row alone')
      })
  }

  test('values too wide for one workgroup are joined by a further dispatch', async () => {
    const [U, before] = [300, 520]
    const numbers = random('wide values')
    const make = (count: number) => [numbers.normals(count * 2 * K), numbers.normals(count * K), numbers.normals(count * U)] as const
    const [first, next] = [make(before), make(1)]
    const decode = async (on: Backend) => {
      const cache = await on.cache({
        layers: [{ kvHeads: 1, keyDim: K, valueDim: U, window: null }],
        slots: 1,
        capacity: before + 1,
        maxRows: before,
      })
      const run = (from: number, [q, k, v]: typeof first, window: number | null) => {
        const count = k.length / K
        const batch = rows(
          Array.from({ length: count }, () => 0),
          Array.from({ length: count }, (_, t) => from + t),
        )
        const layer = cache.layers[0] as LayerCache
        const options = { heads: 2, kvHeads: 1, keyDim: K, valueDim: U, scale: 0.5, window, softcap: null, cache: layer }
        return on.run(() => on.attention(on.upload(q, [count, 2 * K]), on.upload(k, [count, K]), on.upload(v, [count, U]), batch, options))
      }
      await run(0, first, 2)
      const decoded = await run(before, next, null)
      cache.dispose()
      return decoded
    }
    const [, fused] = backends[0]
    const [expected, actual] = [await decode(createReferenceBackend({ precision: 'f64' })), await decode(fused)]
    assert.match(fused.plans.last!.dispatches.map(({ shader }) => shader.key).join(), /attention cached split.*combine/)
    const largest = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
    for (const [i, value] of expected.entries())
      assert.ok(Math.abs(actual[i]! - value) <= 1e-5 * largest, `value ${i}: ${actual[i]}, expected ${value}`)
  })
})
