/** `look` against values made elsewhere: hidden states of transformers, the backend's own choices of experts, rows that sum to one. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Architecture } from '../../src/architecture/architecture.ts'
import { hasHeads, windowOf } from '../../src/architecture/slots.ts'
import { loadFolder } from '../../src/checkpoint/load.ts'
import { fileFolder } from '../../src/checkpoint/source-node.ts'
import { type Look, look } from '../../src/inspect/look.ts'
import { forward } from '../../src/model/transformer.ts'
import type { Weights } from '../../src/model/weights.ts'
import type { Backend } from '../../src/ops/backend.ts'
import type { Routing } from '../../src/ops/ops.ts'
import type { HostRouting } from '../../src/ops/reference/moe.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import type { WasmRouting } from '../../src/ops/wasm/tensor.ts'
import { readGolden } from '../model/read-golden.ts'
import { backends } from '../ops/backends.ts'

const root = new URL('../fixtures/checkpoints/', import.meta.url)
const place = (name: string) => fileURLToPath(new URL(name, root))
const open = async (name: string, backend: Backend) => loadFolder(await fileFolder(place(name)), backend)
const everyToken = (ids: ArrayLike<number>) => Array.from(ids, (_, t) => t)

function near(actual: Float32Array, expected: Float32Array, tolerance: number, what: string): void {
  assert.equal(actual.length, expected.length, what)
  const largest = expected.reduce((worst, x) => Math.max(worst, Math.abs(x)), 0)
  const worst = expected.reduce((most, x, i) => Math.max(most, Math.abs(x - actual[i]!)), 0)
  assert.ok(worst <= tolerance * largest, `${what}: differs by ${worst / largest} of the largest value`)
}

for (const { name: backendName, create, tolerance, expertTolerance } of backends.slice(0, 2)) {
  describe(`look over ${backendName}`, () => {
    for (const name of readdirSync(root).filter((file) => file.startsWith('tiny-'))) {
      test(`${name}: hidden states are those of transformers; attention rows sum to one`, async () => {
        const backend = await create()
        try {
          const { architecture, weights } = await open(name, backend)
          const golden = readGolden(place(`${name}/golden.safetensors`))
          let compared = 0
          for (const [n, ids] of golden.ids.entries()) {
            const wanted = golden.hidden[n]!
            if (wanted.length === 0) continue
            const seen = await look({ backend, architecture, weights }, [...ids], { tokens: everyToken(ids), hidden: true, lens: false })
            // transformers reports the last layer only after the final norm.
            const found = [seen.embedding.hidden!, ...seen.layers.slice(0, -1).map(({ hidden }) => hidden!), seen.normed!]
            assert.equal(found.length, wanted.length)
            const allowed = Math.max(tolerance, expertTolerance ?? 0)
            for (const [l, values] of wanted.entries()) near(found[l]!, values, allowed, `hidden.${n}.${l}`)
            checkAttention(seen, architecture)
            compared++
          }
          assert.ok(compared > 0)
        } finally {
          await backend.dispose()
        }
      })
    }
  })
}

/** Rows, windows and means of all layers. */
function checkAttention(seen: Look, { layers }: Architecture): void {
  for (const { layer, attention } of seen.layers) {
    const slot = layers[layer]!
    if (attention.kind === 'stateSpace') {
      assert.equal(slot.attention.kind, 'stateSpace')
      continue
    }
    assert.ok(hasHeads(slot.attention))
    assert.deepEqual(
      [attention.kind, attention.heads.length, attention.window],
      [slot.attention.kind, slot.attention.heads, windowOf(slot)],
    )
    for (const { token, first, shares, sink } of attention.mean) {
      assert.equal(first, Math.max(0, token + 1 - (attention.window ?? token + 1)))
      assert.equal(first + shares.length, token + 1)
      assert.ok(Math.abs(shares.reduce((a, b) => a + b, sink) - 1) < 1e-9, `layer ${layer}, token ${token}`)
      assert.equal(sink > 0, attention.learnedSinks)
    }
    for (const { sink, firstToken, entropy, distance, rows } of attention.heads) {
      assert.ok(sink + firstToken <= 1 + 1e-9 && entropy >= 0 && distance >= 0)
      assert.equal(rows.length, seen.tokens.length)
      for (const { token, top } of rows) assert.ok(top.every(({ token: other }) => other <= token))
    }
  }
}

test('chosen heads have whole rows, and their mean is the mean of these', async () => {
  const backend = createReferenceBackend()
  const model = { backend, ...(await open('tiny-gpt-oss', backend)) }
  const ids = Array.from({ length: 40 }, (_, t) => (7 * t + 3) % 500)
  const seen = await look(model, ids, { heads: [1, -1], tokens: [39, 0, -7], layers: [-1, 0] })
  assert.deepEqual(
    [seen.tokens, seen.layers.map(({ layer }) => layer)],
    [
      [0, 33, 39],
      [0, 3],
    ],
  )
  for (const { attention } of seen.layers) {
    assert.ok(attention.kind === 'multiHead')
    assert.deepEqual(
      attention.heads.map(({ head }) => head),
      [1, 7],
    )
    attention.mean.forEach((row, r) => {
      const maps = attention.heads.map(({ map }) => map![r]!)
      row.shares.forEach((share, i) => {
        assert.ok(Math.abs(share - (maps[0]!.shares[i]! + maps[1]!.shares[i]!) / 2) < 1e-12)
      })
      for (const { shares, sink } of maps) assert.ok(Math.abs(shares.reduce((a, b) => a + b, sink) - 1) < 1e-9)
    })
    for (const { rows, map, sink } of attention.heads) {
      assert.ok(Math.abs(sink - rows.reduce((sum, row) => sum + row.sink / 3, 0)) < 1e-12)
      rows.forEach(({ top }, r) => {
        assert.equal(top[0]!.share, Math.max(...map![r]!.shares))
        assert.equal(map![r]!.shares[top[0]!.token - map![r]!.first], top[0]!.share)
      })
    }
  }
})

/** What a backend chose, read from what it hands to `moe`. */
function choicesOf(backend: Backend, routing: Routing): Promise<Int32Array> {
  if ('chosen' in routing) return Promise.resolve(Int32Array.from((routing as HostRouting).chosen))
  const { indices } = routing as WasmRouting
  return backend.read(indices).then((bits) => new Int32Array(bits.buffer, bits.byteOffset, bits.length))
}

for (const { name: backendName, create } of backends.slice(0, 2))
  test(`experts over ${backendName}: counts and choices are those of the router, over the whole text`, async () => {
    for (const name of ['tiny-gpt-oss', 'tiny-qwen3-moe', 'tiny-mixtral', 'tiny-deepseek-moe', 'tiny-deepseek-v3', 'tiny-jamba']) {
      const backend = await create()
      const loaded = await open(name, backend)
      const routed: Promise<Int32Array>[] = []
      const watched: Backend = {
        ...backend,
        route(...call: Parameters<Backend['route']>) {
          const routing = backend.route(...call)
          routed.push(choicesOf(backend, routing))
          return routing
        },
      }
      const ids = Array.from({ length: 25 }, (_, t) => (7 * t + 3) % Math.min(500, loaded.architecture.vocabSize))
      const seen = await look({ backend: watched, ...loaded }, ids, { tokens: [3, 24], lens: false })
      const mixtures = seen.layers.filter(({ experts }) => experts)
      assert.ok(mixtures.length > 0)
      assert.equal(mixtures.length, routed.length)
      for (const [index, { experts }] of mixtures.entries()) {
        const { load, active, rows, tokens, effective } = experts!
        const choices = [...(await routed[index]!)]
        assert.deepEqual(
          load,
          load.map((_, expert) => choices.filter((each) => each === expert).length),
          name,
        )
        assert.deepEqual([tokens, choices.length], [25, 25 * active])
        for (const { token, chosen } of rows) assert.deepEqual(chosen, choices.slice(token * active, (token + 1) * active))
        assert.ok(effective >= active - 1e-9 && effective <= load.length + 1e-9)
      }
      await backend.dispose()
    }
  })

for (const { name, create } of backends.slice(0, 2))
  test(`logit lens over ${name}: the last layer gives the model's own answer, and ranks count what is likelier`, async () => {
    const backend = await create()
    for (const checkpoint of ['tiny-gpt2', 'tiny-gemma2', 'tiny-mamba', 'tiny-granite']) {
      const { architecture, weights } = await open(checkpoint, backend)
      const V = architecture.vocabSize
      const ids = Array.from({ length: 40 }, (_, t) => (11 * t + 3) % V)
      const seen = await look({ backend, architecture, weights }, ids, { tokens: [10, 39], top: 5 })
      const logits = await plain(backend, architecture, weights, ids)
      seen.layers.at(-1)!.lens!.forEach(({ token, top, next }) => {
        const row = logits.subarray(token * V, (token + 1) * V)
        const order = Array.from(row.keys()).sort((a, b) => row[b]! - row[a]!)
        assert.equal(top[0]!.id, order[0], checkpoint)
        const sum = row.reduce((total, x) => total + Math.exp(x), 0)
        for (const { id, share } of top) assert.ok(Math.abs(share - Math.exp(row[id]!) / sum) < 1e-4)
        if (token === 39) assert.equal(next, null)
        else assert.deepEqual([next!.id, next!.rank], [ids[token + 1], order.indexOf(ids[token + 1]!) + 1])
      })
    }
    await backend.dispose()
  })

const plain = (backend: Backend, architecture: Architecture, weights: Weights, ids: number[]) =>
  backend.run(() =>
    forward(backend, architecture, weights, {
      ids: Int32Array.from(ids),
      slots: new Int32Array(ids.length),
      positions: Int32Array.from(ids, (_, t) => t),
    }),
  )

test('sizes: root mean square, the largest value and its place, outliers', async () => {
  const backend = createReferenceBackend()
  const model = { backend, ...(await open('tiny-qwen3', backend)) }
  const ids = Array.from({ length: 70 }, (_, t) => (7 * t + 3) % 500)
  const { layers } = await look(model, ids, { tokens: everyToken(ids), hidden: true, lens: false })
  const D = model.architecture.hiddenSize
  for (const { hidden, sizes } of layers) {
    const values = [...hidden!]
    assert.ok(Math.abs(sizes.stream.rms - Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length)) < 1e-9)
    assert.equal(Math.abs(hidden![sizes.stream.token * D + sizes.stream.dimension]!), sizes.stream.largest)
    assert.equal(sizes.stream.largest, Math.max(...values.map(Math.abs)))
    const rms = (t: number) => Math.sqrt(hidden!.subarray(t * D, (t + 1) * D).reduce((sum, x) => sum + x * x, 0) / D)
    const outliers = values.filter((x, i) => Math.abs(x) > 6 * rms(Math.floor(i / D))).length
    assert.equal(sizes.stream.outliers, outliers / values.length)
    assert.ok(sizes.attention.rms > 0 && sizes.feedForward!.rms > 0)
  }
})

test('sizes of branches are those of what is added to the stream', async () => {
  for (const name of ['tiny-llama', 'tiny-granite', 'tiny-gemma2', 'tiny-gemma3', 'tiny-olmo2', 'tiny-mamba', 'tiny-pythia']) {
    const backend = createReferenceBackend()
    const { architecture, weights } = await open(name, backend)
    const scopes: string[] = []
    /** Sums of squares by layer, first of attention. */
    const added: Promise<[number, number]>[][] = architecture.layers.map(() => [])
    const watched: Backend = {
      ...backend,
      scope(name, body) {
        scopes.push(name)
        try {
          return backend.scope(name, body)
        } finally {
          scopes.pop()
        }
      },
      add(a, b, factor = 1) {
        const [, layer] = /^layers\.(\d+)$/.exec(scopes.at(-1) ?? '') ?? []
        const size = (values: Float32Array): [number, number] => [
          Math.sqrt(values.reduce((sum, x) => sum + (factor * x) ** 2, 0) / values.length),
          values.reduce((most, x) => Math.max(most, Math.abs(factor * x)), 0),
        ]
        if (layer) added[Number(layer)]!.push(backend.read(b).then(size))
        return backend.add(a, b, factor)
      },
    }
    const ids = Array.from({ length: 20 }, (_, t) => (7 * t + 3) % architecture.vocabSize)
    const { layers } = await look({ backend: watched, architecture, weights }, ids, { lens: false })
    for (const { layer, sizes } of layers) {
      const branches = [sizes.attention, ...(sizes.feedForward ? [sizes.feedForward] : [])]
      assert.equal(added[layer]!.length, branches.length)
      for (const [n, [rms, largest]] of (await Promise.all(added[layer]!)).entries()) {
        assert.ok(Math.abs(branches[n]!.rms - rms) < 1e-6 * rms, `${name}, layer ${layer}: ${branches[n]!.rms}, added ${rms}`)
        assert.ok(Math.abs(branches[n]!.largest - largest) < 1e-6 * largest)
      }
    }
  }
})

test('what a long text holds does not grow with its length squared', async () => {
  const backend = createReferenceBackend()
  const model = { backend, ...(await open('tiny-gpt2', backend)) }
  const ids = Array.from({ length: model.architecture.maxPositionEmbeddings }, (_, t) => t % 500)
  const count = (part: unknown): number =>
    part instanceof Float64Array || part instanceof Float32Array
      ? part.length
      : Array.isArray(part)
        ? part.reduce((sum: number, each) => sum + count(each), 0)
        : part && typeof part === 'object'
          ? Object.values(part).reduce((sum: number, each) => sum + count(each), 0)
          : 1
  const seen = await look(model, ids, { lens: false })
  assert.equal(seen.tokens.length, 16)
  for (const layer of seen.layers) assert.ok(count(layer) < 16 * ids.length + 16 * 100, String(count(layer)))
})

test('what cannot be looked at is refused by name', async () => {
  const backend = createReferenceBackend()
  const model = { backend, ...(await open('tiny-gpt2', backend)) }
  for (const [ids, options, problem] of [
    [[], {}, /at least one token/],
    [[1.5], {}, /expected ids below \d+ .*got 1.5/],
    [[-1], {}, /got -1/],
    [[999999], {}, /the vocabulary of tiny-gpt2|got 999999/],
    [Array(5000).fill(1), {}, /expected at most \d+ tokens .*got 5000/],
    [[1, 2], { layers: [99] }, /expected a layer from 0 to \d+ or from -\d+ to -1, got 99/],
    [[1, 2], { heads: [-99] }, /expected a head .*got -99/],
    [[1, 2], { tokens: [2] }, /expected a token from 0 to 1 .*got 2/],
  ] as const)
    await assert.rejects(look(model, ids, options), problem)
})
