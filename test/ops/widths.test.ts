/** Attention whose values are wider or narrower than its keys, on every backend, against loops written for this test. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AttentionOptions, Batch, LayerCache } from '../../src/ops/ops.ts'
import { opBackends } from './backends.ts'
import { random } from './random.ts'

const [T, H, G, K] = [23, 4, 2, 6]

/** softmax(q·k / 2)·v of one sequence from position 0, window included. */
function expected(q: Float32Array, k: Float32Array, v: Float32Array, U: number, window: number | null): number[] {
  const y: number[] = []
  for (let t = 0; t < T; t++)
    for (let h = 0; h < H; h++) {
      const g = h < H / G ? 0 : 1
      const weights: number[] = []
      for (let s = 0; s < T; s++) {
        let dot = 0
        for (let i = 0; i < K; i++) dot += q[(t * H + h) * K + i]! * k[(s * G + g) * K + i]!
        weights.push(s <= t && (window === null || t - s < window) ? Math.exp(dot / 2) : 0)
      }
      const sum = weights.reduce((a, b) => a + b)
      for (let u = 0; u < U; u++) y.push(weights.reduce((total, weight, s) => total + (weight / sum) * v[(s * G + g) * U + u]!, 0))
    }
  return y
}

for (const { name, create } of opBackends)
  describe(`values of another width than keys: ${name}`, () => {
    for (const [U, window] of [
      [4, null],
      [9, null],
      [4, 5],
      [9, 5],
    ] as const)
      test(`${U} beside ${K}, window ${window}: whole, in chunks, copied and restored`, async () => {
        const on = await create()
        const draw = random(`widths ${U}`)
        const [q, k, v] = [draw.normals(T * H * K), draw.normals(T * G * K), draw.normals(T * G * U)]
        const options: AttentionOptions = { heads: H, kvHeads: G, keyDim: K, valueDim: U, scale: 0.5, window, softcap: null }
        const cache = await on.cache({ layers: [{ kvHeads: G, keyDim: K, valueDim: U, window }], slots: 2, capacity: T, maxRows: 8 })
        const ring = window === null ? T : window - 1 + 8
        if (name === 'reference') assert.equal(cache.bytes, 2 * ring * G * (K + U) * 4)
        const rows = (from: number, to: number, slot: number, cached: boolean) => {
          const n = to - from
          const batch: Batch = {
            ids: new Int32Array(n),
            slots: new Int32Array(n).fill(slot),
            positions: Int32Array.from({ length: n }, (_, i) => from + i),
          }
          const part = (x: Float32Array, width: number) => on.upload(x.slice(from * width, to * width), [n, width])
          const y = on.attention(part(q, H * K), part(k, G * K), part(v, G * U), batch, {
            ...options,
            cache: cached ? (cache.layers[0] as LayerCache) : undefined,
          })
          assert.deepEqual(y.shape, [n, H * U])
          return on.read(y)
        }
        const wanted = expected(q, k, v, U, window)
        const near = (actual: Float32Array, from: number, what: string) =>
          actual.forEach((value, i) => {
            const want = wanted[from * H * U + i]!
            assert.ok(Math.abs(value - want) < 1e-5, `${what}: value ${i} is ${value}, expected ${want}`)
          })
        near(await rows(0, T, 0, false), 0, 'whole')
        near(await rows(0, 8, 0, true), 0, 'first chunk')
        near(await rows(8, 15, 0, true), 8, 'second chunk')
        const snapshot = await cache.snapshot(0, 15)
        if (name === 'reference') assert.equal(snapshot.bytes, window === null ? 0 : (window - 1) * G * (K + U) * 4)
        cache.copy(0, 1, 15)
        near(await rows(15, T, 1, true), 15, 'copied slot')
        await rows(15, T, 0, true)
        cache.restore(0, snapshot)
        near(await rows(15, T, 0, true), 15, 'restored slot')
        await on.dispose()
      })
  })
