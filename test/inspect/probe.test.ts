/** The probe changes nothing, and its reports agree with the backend: the tests compute the rest by hand. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadFolder } from '../../src/checkpoint/load.ts'
import { fileFolder } from '../../src/checkpoint/source-node.ts'
import { type AttentionMap, createProbe, type ExpertChoice, type NamedResult } from '../../src/inspect/probe.ts'
import { cacheSpec } from '../../src/model/cache-spec.ts'
import { forward } from '../../src/model/transformer.ts'
import type { HostRouting } from '../../src/ops/reference/moe.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { backends } from '../ops/backends.ts'

const tiny = (name: string) => fileURLToPath(new URL(`../fixtures/checkpoints/${name}`, import.meta.url))
const batch = (from: number, count: number) => ({
  ids: Int32Array.from({ length: count }, (_, t) => (7 * (from + t) + 3) % 500),
  slots: new Int32Array(count),
  positions: Int32Array.from({ length: count }, (_, t) => from + t),
})

for (const { name, create } of backends) {
  describe(`probe over ${name}`, () => {
    test('the logits are the same bits, every scope is reported', async () => {
      const backend = await create()
      const { architecture, weights } = await loadFolder(await fileFolder(tiny('tiny-gpt-oss')), backend)
      const plain = await backend.read(forward(backend, architecture, weights, batch(0, 24)))
      const probe = createProbe(backend)
      const watched = await backend.read(forward(probe, architecture, weights, batch(0, 24)))
      assert.deepEqual(watched, plain)
      const seen = await probe.observations()
      const results = seen.filter((each): each is NamedResult => each.kind === 'result')
      const layers = [0, 1, 2, 3].flatMap((l) => [`layers.${l}.attention`, `layers.${l}.feedForward`, `layers.${l}`])
      assert.deepEqual(results.map(({ name }) => name).sort(), ['embedding', ...layers, 'finalNorm', 'logits'].sort())
      assert.deepEqual(results.find(({ name }) => name === 'logits')!.values, plain)
      assert.deepEqual(await probe.observations(), [])
      await backend.dispose()
    })
  })
}

test('attention maps: windows, sinks, rows that sum to one, and the values they mix', async () => {
  const backend = createReferenceBackend()
  const { architecture, weights } = await loadFolder(await fileFolder(tiny('tiny-gpt-oss')), backend)
  const probe = createProbe(backend)
  forward(probe, architecture, weights, batch(0, 24))
  const maps = (await probe.observations()).filter((each): each is AttentionMap => each.kind === 'attention')
  assert.deepEqual(
    maps.map(({ name }) => name),
    [0, 1, 2, 3].map((l) => `layers.${l}.attention`),
  )
  maps.forEach(({ rows, sinkMass, heads }, layer) => {
    rows.forEach((row, t) => {
      assert.equal(row.length, heads)
      row.forEach(({ first, p }, h) => {
        assert.equal(first, layer % 2 ? 0 : Math.max(0, t - 15))
        assert.equal(p.length, t - first + 1)
        const sum = p.reduce((a, b) => a + b, 0)
        assert.ok(Math.abs(sum + sinkMass[t]![h]! - 1) < 1e-12)
        assert.ok(sinkMass[t]![h]! > 0 && sum < 1)
      })
    })
  })
})

for (const { name, create } of backends.slice(0, 2))
  test(`a map mixes the values into what ${name} returns`, async () => {
    const backend = await create()
    const probe = createProbe(backend)
    const random = (rows: number, columns: number, seed: number) =>
      backend.upload(
        Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(seed + 1.7 * i * i)),
        [rows, columns],
      )
    const [q, k, v] = [random(6, 8, 1), random(6, 4, 2), random(6, 4, 3)]
    const sinks = backend.upload(Float32Array.of(0.5, -1), [2])
    const two = { ids: new Int32Array(6), slots: Int32Array.of(0, 0, 0, 1, 1, 1), positions: Int32Array.of(0, 1, 2, 4, 5, 6) }
    const y = probe.scope('it', () =>
      probe.attention(q, k, v, two, { heads: 2, kvHeads: 1, keyDim: 4, valueDim: 4, scale: 0.5, window: 2, sinks, softcap: 3 }),
    )
    const [actual, values] = [await backend.read(y), await backend.read(v)]
    const map = (await probe.observations()).find((each): each is AttentionMap => each.kind === 'attention')!
    map.rows.forEach((row, t) => {
      row.forEach(({ first, p }, h) => {
        const start = t - (two.positions[t]! - first)
        for (let i = 0; i < 4; i++) {
          const mixed = p.reduce((sum, share, index) => sum + share * values[(start + index) * 4 + i]!, 0)
          assert.ok(Math.abs(mixed - actual[t * 8 + h * 4 + i]!) < 1e-5)
        }
      })
    })
  })

test('with a cache, a decoded row is seen as if it were part of the prompt', async () => {
  const backend = createReferenceBackend()
  const { architecture, weights } = await loadFolder(await fileFolder(tiny('tiny-qwen3')), backend)
  const whole = createProbe(backend, { wants: (name) => name === 'layers.1.attention' })
  forward(whole, architecture, weights, batch(0, 9))
  const [expected] = (await whole.observations()).filter((each): each is AttentionMap => each.kind === 'attention')
  const cache = await backend.cache(cacheSpec(architecture, 1, 16, 8))
  const probe = createProbe(backend, { wants: (name) => name === 'layers.1.attention' })
  forward(probe, architecture, weights, batch(0, 8), { cache })
  await probe.observations()
  forward(probe, architecture, weights, batch(8, 1), { cache })
  const [map] = (await probe.observations()).filter((each): each is AttentionMap => each.kind === 'attention')
  map!.rows[0]!.forEach(({ p }, h) => {
    for (const [s, share] of p.entries()) assert.ok(Math.abs(share - expected!.rows[8]![h]!.p[s]!) < 1e-6)
  })
  const late = createProbe(backend)
  forward(late, architecture, weights, batch(9, 1), { cache })
  await assert.rejects(late.observations(), /position 0 of slot 0 was not observed/)
})

test('experts: the best logits, weights that sum to one, loads that sum to rows times choices', async () => {
  for (const [name, active, experts] of [
    ['tiny-gpt-oss', 4, 8],
    ['tiny-qwen3-moe', 4, 16],
  ] as const) {
    const backend = createReferenceBackend()
    const { architecture, weights } = await loadFolder(await fileFolder(tiny(name)), backend)
    const probe = createProbe(backend)
    forward(probe, architecture, weights, batch(0, 10))
    const choices = (await probe.observations()).filter((each): each is ExpertChoice => each.kind === 'experts')
    assert.equal(choices.length, architecture.layers.length)
    for (const choice of choices) {
      assert.equal(choice.experts, experts)
      assert.equal(
        choice.load.reduce((a, b) => a + b, 0),
        10 * active,
      )
      choice.chosen.forEach((row, t) => {
        assert.equal(new Set(row).size, active)
        const shares = choice.weights[t]!
        assert.ok(Math.abs(shares.reduce((a, b) => a + b, 0) - 1) < 1e-5)
        assert.ok(shares.every((share, index) => index === 0 || share <= shares[index - 1]! + 1e-6))
      })
    }
  }
})

test('choices of routers with groups, sigmoids and corrections are those of the backend', async () => {
  for (const model of ['checkpoints/tiny-deepseek-v3', 'deepseek/v2-grouped', 'deepseek/v3-halves']) {
    const backend = createReferenceBackend()
    const chosen: number[][] = []
    const watched = {
      ...backend,
      route(...call: Parameters<typeof backend.route>) {
        const routing = backend.route(...call)
        chosen.push([...(routing as HostRouting).chosen])
        return routing
      },
    }
    const folder = await fileFolder(fileURLToPath(new URL(`../fixtures/${model}`, import.meta.url)))
    const { architecture, weights } = await loadFolder(folder, backend)
    const probe = createProbe(watched)
    forward(probe, architecture, weights, { ...batch(0, 40), ids: batch(0, 40).ids.map((id) => id % 120) })
    const seen = (await probe.observations()).filter((each): each is ExpertChoice => each.kind === 'experts')
    assert.deepEqual(
      seen.map((each) => each.chosen.flat()),
      chosen,
      model,
    )
    assert.ok(seen.length > 0)
  }
})
