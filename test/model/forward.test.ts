/** What the public forward pass promises beside its golden values. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Architecture } from '../../src/architecture/architecture.ts'
import { multiHeadOf } from '../../src/architecture/slots.ts'
import { account } from '../../src/compare/account.ts'
import { diagram } from '../../src/compare/diagram.ts'
import { difference } from '../../src/compare/difference.ts'
import { createReferenceBackend, createWasmBackend, forward, initialize, preset } from '../../src/index.ts'
import { project } from '../../src/model/parts.ts'
import { leaves, weightSpecs } from '../../src/model/weights.ts'

const published = preset('gpt2')!
const gpt2 = { ...published, vocabSize: 300, layers: published.layers.slice(0, 1) }
const batch = { ids: Int32Array.of(5, 17, 290, 5), slots: new Int32Array(4), positions: Int32Array.of(0, 1, 2, 3) }

test('an architecture with dropout runs the same way twice and on every backend', async () => {
  assert.equal(gpt2.dropout.attention, 0.1)
  const [reference, wasm] = [createReferenceBackend(), await createWasmBackend({ threads: 0 })]
  const weights = await initialize(gpt2, reference, 1)
  const run = () => reference.read(forward(reference, gpt2, weights, batch))
  const first = await run()
  assert.deepEqual(await run(), first)
  const fast = await wasm.read(forward(wasm, gpt2, await initialize(gpt2, wasm, 1), batch))
  const largest = Math.max(...first.map(Math.abs))
  assert.ok(Math.max(...fast.map((value, i) => Math.abs(value - first[i]!))) <= 1e-4 * largest)
  // Who asks for dropout gets it where the ops have it, and an error where they do not.
  const dropped = await reference.read(forward(reference, gpt2, weights, batch, { dropout: gpt2.dropout }))
  assert.notDeepEqual(dropped, first)
  assert.throws(() => forward(wasm, gpt2, weights, batch, { dropout: gpt2.dropout }), /expected ops with dropout/)
  await wasm.dispose()
})

test('parallel branches: x + attention(norm(x)) + feedForward(norm2(x)), as plain loops have it', async () => {
  const [D, H, K, F, V, T] = [8, 2, 4, 12, 11, 5]
  const layer = published.layers[0]!
  const architecture: Architecture = {
    ...published,
    vocabSize: V,
    hiddenSize: D,
    initializerRange: 0.5,
    embedding: { scale: 1, position: { kind: 'none' } },
    layers: [
      {
        ...layer,
        placement: 'parallel',
        attention: {
          ...multiHeadOf(published),
          heads: H,
          kvHeads: H,
          headDim: K,
          scale: 0.5,
          position: { kind: 'rope', ropeTheta: 100, rotaryDim: 2, pairing: 'halves', scaling: { kind: 'none' } },
        },
        feedForward: { kind: 'mlp', intermediateSize: F, activation: { kind: 'gelu', approximation: 'tanh' }, bias: true },
      },
    ],
  }
  const ids = Int32Array.of(3, 1, 10, 7, 3)
  const rows = { ids, slots: new Int32Array(T), positions: Int32Array.from(ids.keys()) }
  const reference = createReferenceBackend()
  const weights = await initialize(architecture, reference, 4)
  const found = await reference.read(forward(reference, architecture, weights, rows))
  const {
    attention: a,
    feedForward: f,
    attentionNorm,
    feedForwardNorm,
  } = weights.layers[0] as Extract<(typeof weights.layers)[0], { placement: 'pre' | 'parallel' }>
  assert.ok(f.kind === 'mlp' && attentionNorm.kind === 'layerNorm' && feedForwardNorm.kind === 'layerNorm')
  const all = new Map<object, Float32Array>()
  for (const leaf of leaves(weights)) all.set(leaf, await reference.read(leaf))
  const values = (leaf: object) => all.get(leaf)!
  const times = (x: number[], { weight, bias }: { weight: object; bias?: object }) =>
    Array.from(values(bias!), (b, o) => x.reduce((sum, value, i) => sum + value * values(weight)[o * x.length + i]!, b))
  const layerNorm = (x: number[], { gain, bias }: { gain: object; bias: object }) => {
    const mean = x.reduce((sum, value) => sum + value) / D
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / D
    return x.map((value, i) => ((value - mean) / Math.sqrt(variance + 1e-5)) * values(gain)[i]! + values(bias)[i]!)
  }
  const rotate = (x: number[], t: number) =>
    x.map((value, i) => {
      if (i % K > 1) return value
      const other = x[i % K ? i - 1 : i + 1]!
      return value * Math.cos(t) + (i % K ? other : -other) * Math.sin(t)
    })
  const gelu = (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
  const stream = Array.from(ids, (id) => Array.from(values(weights.embed).subarray(id * D, (id + 1) * D)))
  const normed = stream.map((x) => layerNorm(x, attentionNorm))
  assert.ok(a.kind === 'multiHead')
  const [q, k, v] = [a.q, a.k, a.v].map((projection) => normed.map((x) => times(x, projection)))
  const wanted = stream.flatMap((x, t) => {
    const mixed = Array.from({ length: D }, (_, i) => {
      const head = i - (i % K)
      const scores = Array.from({ length: t + 1 }, (_, s) => {
        const [query, key] = [rotate(q![t]!, t), rotate(k![s]!, s)]
        return Math.exp(0.5 * [0, 1, 2, 3].reduce((sum, j) => sum + query[head + j]! * key[head + j]!, 0))
      })
      const sum = scores.reduce((x, y) => x + y)
      return scores.reduce((total, score, s) => total + (score / sum) * v![s]![i]!, 0)
    })
    const attended = times(mixed, a.o)
    const fed = times(times(layerNorm(x, feedForwardNorm), f.up).map(gelu), f.down)
    const out = layerNorm(
      x.map((value, i) => value + attended[i]! + fed[i]!),
      weights.finalNorm as typeof attentionNorm,
    )
    return Array.from({ length: V }, (_, id) => out.reduce((sum, value, i) => sum + value * values(weights.embed)[id * D + i]!, 0))
  })
  const largest = Math.max(...wanted.map(Math.abs))
  for (const [i, want] of wanted.entries())
    assert.ok(Math.abs(found[i]! - want) < 1e-5 * largest, `value ${i} is ${found[i]}, expected ${want}`)
  // The placement has no weights of its own, and words and a drawing say what it is.
  const sequential = { ...architecture, layers: architecture.layers.map((each) => ({ ...each, placement: 'pre' as const })) }
  assert.deepEqual(
    leaves(weightSpecs(sequential)).map(({ name }) => name),
    leaves(weightSpecs(architecture)).map(({ name }) => name),
  )
  assert.equal(account(architecture).work.decodeMultiplyAdds, account(sequential).work.decodeMultiplyAdds)
  assert.deepEqual(
    difference([sequential, architecture]).map(({ values }) => values),
    [['before each branch', 'before each of two parallel branches']],
  )
  const joins = (drawn: Architecture) => diagram([drawn], [account(drawn)]).match(/<circle/g)!.length
  assert.deepEqual([joins(sequential), joins(architecture)], [2, 1])
})

test('an adapter adds scale·b·a·x to a projection', async () => {
  const reference = createReferenceBackend()
  const wasm = await createWasmBackend({ threads: 0 })
  const [I, O, n] = [6, 4, 2]
  const numbers = (count: number, seed: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(seed + 1.7 * i))
  const [x, w, a, b] = [numbers(2 * I, 1), numbers(O * I, 2), numbers(n * I, 3), numbers(O * n, 4)]
  const wanted = Float32Array.from({ length: 2 * O }, (_, i) => {
    const [t, o] = [Math.floor(i / O), i % O]
    let sum = 0
    for (let j = 0; j < I; j++) {
      let weight = w[o * I + j]!
      for (let r = 0; r < n; r++) weight += -0.5 * b[o * n + r]! * a[r * I + j]!
      sum += weight * x[t * I + j]!
    }
    return sum
  })
  for (const on of [reference, wasm]) {
    const matrix = (name: string, values: Float32Array, rows: number) =>
      on.weight({ name, shape: [rows, values.length / rows], dtype: 'f32', use: 'matrix' }, async (_, offset, into) => {
        into.set(new Uint8Array(values.buffer, offset, into.length))
      })
    const weight = await matrix('w', w, O)
    const adapter = { a: await matrix('a', a, n), b: await matrix('b', b, O), scale: -0.5 }
    const y = await on.run(() => project(on, on.upload(x, [2, I]), { weight, adapter }))
    for (const [i, want] of wanted.entries())
      assert.ok(Math.abs(y[i]! - want) < 1e-5, `${on.name}: value ${i} is ${y[i]}, expected ${want}`)
  }
  await wasm.dispose()
})
