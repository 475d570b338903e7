/** The meter against formulas written out by hand, and against the real forward pass as its user. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { preset } from '../../src/architecture/presets.ts'
import { meterDecode, meterPrompt } from '../../src/compare/account.ts'
import { createMeter, meterCache } from '../../src/compare/meter.ts'
import type { LayerCache } from '../../src/ops/ops.ts'

const tensor = (...shape: number[]) => ({ shape, dtype: 'f32' as const })

test('GPT-2: multiply-adds of a prompt are 12·D² per layer and token, attention, and one row of logits', () => {
  const [D, L, V, T] = [768, 12, 50257, 10]
  const pairs = (T * (T + 1)) / 2
  assert.equal(meterPrompt(preset('gpt2')!, T).total().multiplyAdds, L * (12 * D * D * T + 2 * D * pairs) + V * D)
})

test('a decoded token of gpt-oss: attention sees the window in even layers and everything in odd ones', () => {
  const position = 1000
  const seen = meterDecode(preset('gpt-oss-20b')!, position)
    .readings.filter(({ op }) => op === 'attention')
    .map(({ multiplyAdds }) => multiplyAdds / (64 * 64 * 2))
  assert.deepEqual(
    seen,
    Array.from({ length: 24 }, (_, layer) => (layer % 2 ? 1000 : 128)),
  )
})

test('score entries of a full-context prompt: what the window saves', () => {
  const perHead = meterPrompt(preset('gpt-oss-20b')!, 131072)
    .readings.filter(({ op }) => op === 'attention')
    .map(({ multiplyAdds }) => multiplyAdds / (64 * 64 * 2))
  assert.deepEqual(perHead.slice(0, 2), [16_769_088, 8_590_000_128])
})

test('of a mixture only the chosen experts are read, at most all of them', () => {
  const layer = (tokens: number) => meterPrompt(preset('gpt-oss-20b')!, tokens).readings.find(({ op }) => op === 'moe')!
  const all = (32 * 24_883_200 * 17) / 32 + 32 * 8640 * 2
  assert.equal(layer(1).weightBytes, all / 8)
  assert.equal(layer(2).weightBytes, all / 4)
  assert.equal(layer(100).weightBytes, all)
  assert.equal(layer(100).multiplyAdds, 100 * 4 * 24_883_200)
})

test('slots: rows see their own sequence, with and without a cache', () => {
  const options = { heads: 2, kvHeads: 1, keyDim: 4, valueDim: 4, scale: 0.5, window: null, softcap: null }
  const batch = { ids: new Int32Array(3), slots: Int32Array.of(0, 0, 5), positions: Int32Array.of(7, 8, 2) }
  const bare = createMeter()
  bare.attention(tensor(3, 8), tensor(3, 4), tensor(3, 4), batch, options)
  assert.equal(bare.total().multiplyAdds, (1 + 2 + 1) * 2 * 4 * 2)
  assert.equal(bare.total().cacheKeptBytes, 0)
  const cached = createMeter(4)
  const cache = meterCache({ layers: [{ kvHeads: 1, keyDim: 4, valueDim: 4, window: null }], slots: 6, capacity: 9, maxRows: 2 }).layers[0]!
  cached.attention(tensor(3, 8), tensor(3, 4), tensor(3, 4), batch, { ...options, cache: cache as LayerCache })
  assert.equal(cached.total().multiplyAdds, (8 + 9 + 3) * 2 * 4 * 2)
  assert.equal(cached.total().cacheKeptBytes, (9 + 3) * 2 * 4 * 4)
  const narrow = createMeter()
  assert.deepEqual(narrow.attention(tensor(3, 8), tensor(3, 4), tensor(3, 3), batch, { ...options, valueDim: 3 }).shape, [3, 6])
  assert.equal(narrow.total().multiplyAdds, (1 + 2 + 1) * 2 * (4 + 3))
})

test('shapes that do not fit are refused as a backend would', () => {
  const ops = createMeter()
  assert.throws(
    () => ops.linear(tensor(2, 3), { ...tensor(5, 4), name: 'layers.0.attention.q' }),
    /linear: expected 4 columns for layers\.0\.attention\.q, got \[2,3\]/,
  )
  assert.throws(() => ops.add(tensor(2, 3), tensor(3, 2)), RangeError)
  assert.throws(() => ops.rmsNorm(tensor(2, 6), tensor(4), 1e-5, 0), RangeError)
})
