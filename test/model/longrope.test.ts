/**
 * LongRoPE beyond its original context of 64 positions, against transformers: the short factors for short sequences, the long ones for
 * every position of a long sequence. A cache takes the factors of its capacity, so an answer does not change them on its way.
 */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { cacheSpec } from '../../src/model/cache-spec.ts'
import { forward } from '../../src/model/transformer.ts'
import type { KvCache } from '../../src/ops/backend.ts'
import { loadCheckpoint } from '../checkpoint/load-directory.ts'
import { backends } from '../ops/backends.ts'
import { readGolden } from './read-golden.ts'

const fixture = fileURLToPath(new URL('../fixtures/longrope/', import.meta.url))
const golden = readGolden(`${fixture}golden.safetensors`)

for (const { name, create, tolerance } of backends) {
  describe(name, async () => {
    const backend = await create()
    after(() => backend.dispose())
    const { architecture, weights } = await loadCheckpoint(fixture, backend)
    const logitsOf = (ids: Int32Array, start = 0, cache?: KvCache) => {
      const batch = { ids, slots: new Int32Array(ids.length), positions: ids.map((_, i) => start + i) }
      return backend.run(() => forward(backend, architecture, weights, batch, { cache }))
    }

    for (const [n, ids] of golden.ids.entries()) {
      test(`a sequence of ${ids.length} positions`, async () => {
        const wanted = golden.logits[n]!
        const found = (await logitsOf(ids)).slice(-wanted.length)
        const largest = wanted.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
        for (const [i, value] of wanted.entries())
          assert.ok(Math.abs(found[i]! - value) <= tolerance * largest, `${i}: ${found[i]}, wanted ${value}`)
      })
    }

    test('a cache that reaches farther takes the long factors from the first position on', async () => {
      const [short, ids] = [golden.ids[1]!, golden.ids[2]!]
      const whole = await logitsOf(ids)
      const cache = await backend.cache(cacheSpec(architecture, 1, ids.length, 50))
      for (let at = 0; at < ids.length; at += 50) {
        const part = await logitsOf(ids.slice(at, at + 50), at, cache)
        assert.deepEqual(part, whole.slice(at * architecture.vocabSize, (at + 50) * architecture.vocabSize))
      }
      assert.notDeepEqual(await logitsOf(short, 0, cache), await logitsOf(short))
      cache.dispose()
      const small = await backend.cache(cacheSpec(architecture, 1, 64, 50))
      assert.deepEqual(await logitsOf(short, 0, small), await logitsOf(short))
      small.dispose()
    })
  })
}
