/**
 * DeepSeek's models in shapes that no published size has, against transformers: groups of experts, biases, tied matrices, plain and linear
 * rotation, halves, odd sizes, one expert, dense layers only, mixtures in every second layer. And latent attention against its formula.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Architecture, Latent } from '../../src/architecture/architecture.ts'
import { preset } from '../../src/architecture/presets.ts'
import { attentionBlock } from '../../src/model/attention.ts'
import { cacheSpec } from '../../src/model/cache-spec.ts'
import { initialize } from '../../src/model/initialize.ts'
import { rotations } from '../../src/model/rope.ts'
import { forward } from '../../src/model/transformer.ts'
import { leaves, type Weights } from '../../src/model/weights.ts'
import type { Backend, KvCache } from '../../src/ops/backend.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { loadCheckpoint } from '../checkpoint/load-directory.ts'
import { backends } from '../ops/backends.ts'
import { readGolden } from './read-golden.ts'

const fixtures = fileURLToPath(new URL('../fixtures/deepseek/', import.meta.url))
const rows = (ids: ArrayLike<number>, first = 0) => ({
  ids: Int32Array.from(ids),
  slots: new Int32Array(ids.length),
  positions: Int32Array.from({ length: ids.length }, (_, t) => first + t),
})

function near(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, what: string): void {
  assert.equal(actual.length, expected.length, what)
  let [largest, worst] = [0, 0]
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]!))
    worst = Math.max(worst, Math.abs(actual[i]! - expected[i]!))
  }
  assert.ok(worst <= tolerance * largest, `${what}: differs by ${worst / largest} of the largest value, allowed ${tolerance}`)
}

interface Model {
  architecture: Architecture
  weights: Weights
}
const logitsOf = (backend: Backend, { architecture, weights }: Model, ids: ArrayLike<number>, first = 0, cache?: KvCache) =>
  backend.run(() => forward(backend, architecture, weights, rows(ids, first), { cache }))

for (const { name, create, tolerance } of backends) {
  describe(name, async () => {
    const backend = await create()
    after(() => backend.dispose())
    for (const checkpoint of readdirSync(fixtures)) {
      test(checkpoint, async () => {
        const model = await loadCheckpoint(fixtures + checkpoint, backend)
        const golden = readGolden(`${fixtures}${checkpoint}/golden.safetensors`)
        const { vocabSize } = model.architecture
        for (const [n, ids] of golden.ids.entries()) {
          const whole = await logitsOf(backend, model, ids)
          near(whole.subarray(whole.length - golden.logits[n]!.length), golden.logits[n]!, tolerance, `prompt ${n}`)
          const cache = await backend.cache(cacheSpec(model.architecture, 1, ids.length, 13))
          for (let at = 0; at < ids.length; at += 13) {
            const part = await logitsOf(backend, model, ids.slice(at, at + 13), at, cache)
            near(part, whole.subarray(at * vocabSize, at * vocabSize + part.length), 0, `prompt ${n}, rows from ${at}`)
          }
          cache.dispose()
        }
        for (const [n, wanted] of golden.greedy.entries()) {
          const ids = [...golden.ids[n]!]
          for (const id of wanted) {
            const logits = (await logitsOf(backend, model, ids)).slice(-vocabSize)
            assert.equal(logits.indexOf(logits.reduce((a, b) => Math.max(a, b))), id, `prompt ${n}, token ${ids.length}`)
            ids.push(id)
          }
        }
      })
    }
  })
}

/** Keys and values of every head made from the latent, as the paper writes them, in f64. `read` gives the values of a weight. */
function plainAttention(slot: Latent, x: number[][], read: (name: string) => Float32Array): number[] {
  const { heads: H, kvLoraRank: R, qkNopeHeadDim: N, qkRopeHeadDim: P, vHeadDim: U, position } = slot
  const product = (row: number[], w: Float32Array, first: number, count: number) =>
    Array.from({ length: count }, (_, o) => row.reduce((sum, value, i) => sum + value * w[(first + o) * row.length + i]!, 0))
  const rotate = (row: number[], t: number) => {
    assert.ok(position.kind === 'rope')
    return row.map((value, i) => {
      const angle = t * position.ropeTheta ** (-(i - (i % 2)) / P)
      return value * Math.cos(angle) + (i % 2 ? row[i - 1]! : -row[i + 1]!) * Math.sin(angle)
    })
  }
  const normed = (row: number[], gain: Float32Array) => {
    const r = 1 / Math.sqrt(row.reduce((sum, value) => sum + value * value, 0) / row.length + slot.normEps)
    return row.map((value, i) => value * r * gain[i]!)
  }
  const [kUp, vUp] = [read('kUp'), read('vUp')]
  const latents = x.map((row) => normed(product(row, read('kvDown'), 0, R), read('kvNorm')))
  const shared = x.map((row, t) => rotate(product(row, read('kRope'), 0, P), t))
  return x.flatMap((row, t) => {
    const low = slot.qLoraRank === null ? row : normed(product(row, read('qDown'), 0, slot.qLoraRank), read('qNorm'))
    const mixed = Array.from({ length: H }, (_, h) => {
      const query = [...product(low, read('q'), h * N, N), ...rotate(product(low, read('qRope'), h * P, P), t)]
      const keyOf = (s: number) => {
        const own = Array.from({ length: N }, (_, n) => latents[s]!.reduce((sum, c, r) => sum + c * kUp[(h * R + r) * N + n]!, 0))
        return [...own, ...shared[s]!]
      }
      const scores = Array.from({ length: t + 1 }, (_, s) => slot.scale * keyOf(s).reduce((sum, k, i) => sum + k * query[i]!, 0))
      const largest = Math.max(...scores)
      const powers = scores.map((score) => Math.exp(score - largest))
      const total = powers.reduce((a, b) => a + b)
      const values = latents.slice(0, t + 1).map((c) => product(c, vUp, h * U, U))
      return Array.from({ length: U }, (_, u) => powers.reduce((sum, p, s) => sum + (p / total) * values[s]![u]!, 0))
    }).flat()
    return product(mixed, read('o'), 0, row.length)
  })
}

for (const { name, create } of backends) {
  test(`${name}: projections absorbed into queries and results = keys and values of every head`, async () => {
    const [backend, reference] = [await create(), createReferenceBackend()]
    for (const [D, T, sizes] of [
      [32, 40, { heads: 4, qLoraRank: 24, kvLoraRank: 32, qkNopeHeadDim: 16, qkRopeHeadDim: 8, vHeadDim: 16 }],
      [32, 40, { heads: 4, qLoraRank: null, kvLoraRank: 32, qkNopeHeadDim: 16, qkRopeHeadDim: 8, vHeadDim: 16 }],
      [40, 33, { heads: 3, qLoraRank: 7, kvLoraRank: 11, qkNopeHeadDim: 5, qkRopeHeadDim: 6, vHeadDim: 9 }],
      [64, 12, { heads: 37, qLoraRank: null, kvLoraRank: 64, qkNopeHeadDim: 8, qkRopeHeadDim: 4, vHeadDim: 12 }],
      [64, 20, { heads: 2, qLoraRank: 48, kvLoraRank: 512, qkNopeHeadDim: 128, qkRopeHeadDim: 64, vHeadDim: 128 }],
    ] as const) {
      const slot: Latent = {
        kind: 'latent',
        ...sizes,
        scale: (sizes.qkNopeHeadDim + sizes.qkRopeHeadDim) ** -0.5,
        position: { kind: 'rope', ropeTheta: 10000, rotaryDim: sizes.qkRopeHeadDim, pairing: 'interleaved', scaling: { kind: 'none' } },
        bias: false,
        normEps: 1e-6,
      }
      const base = preset('DeepSeek-V3')!
      const architecture = {
        ...base,
        hiddenSize: D,
        vocabSize: 8,
        initializerRange: 0.3,
        layers: [{ ...base.layers[0]!, attention: slot }],
      }
      const [weights, same] = [await initialize(architecture, backend, 3), await initialize(architecture, reference, 3)]
      const { attention } = weights.layers[0]!
      const named = new Map<string, Float32Array>()
      for (const leaf of leaves(same)) named.set(leaf.name!.replace('layers.0.attention.', ''), await reference.read(leaf))
      const x = Float32Array.from({ length: T * D }, (_, i) => Math.sin(i * 12.9898 + (i % 7)))
      const context = { rotation: rotations(architecture, () => T)[0], cache: undefined, dropout: undefined, name: 'attention' }
      const found = await backend.run(() => attentionBlock(backend, attention, backend.upload(x, [T, D]), rows(new Int32Array(T)), context))
      const wanted = plainAttention(
        slot,
        Array.from({ length: T }, (_, t) => [...x.subarray(t * D, (t + 1) * D)]),
        (key) => named.get(key)!,
      )
      near(found, wanted, 1e-5, JSON.stringify(sizes))
    }
    await backend.dispose()
  })
}
