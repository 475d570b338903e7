/**
 * The ops that latent attention and DeepSeek's routers need, on every backend: grouped products, joined columns, values that are parts
 * of the keys (with and without a cache, chunk by chunk), and choices by groups and corrected scores.
 */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { Router } from '../../src/architecture/architecture.ts'
import type { Backend } from '../../src/ops/backend.ts'
import type { AttentionOptions, Batch, LayerCache, Ops } from '../../src/ops/ops.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import type { Tensor } from '../../src/ops/tensor.ts'
import { createWasmBackend } from '../../src/ops/wasm/wasm.ts'
import { opBackends } from './backends.ts'
import { random } from './random.ts'

const one = (length: number, first = 0, slot = 0): Batch => ({
  ids: new Int32Array(length),
  slots: new Int32Array(length).fill(slot),
  positions: Int32Array.from({ length }, (_, t) => first + t),
})

function near(actual: Float32Array, expected: ArrayLike<number>, tolerance: number, what: string): void {
  assert.equal(actual.length, expected.length, what)
  let [largest, worst] = [1e-30, 0]
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]!))
    worst = Math.max(worst, Math.abs(actual[i]! - expected[i]!))
  }
  assert.ok(worst <= tolerance * largest, `${what}: differs by ${worst / largest} of the largest value, allowed ${tolerance}`)
}

/** The routers of the table: what is chosen and with which weights follows from the formulas of the papers, written out below. */
const ROUTERS: [what: string, router: Router, E: number, A: number][] = [
  ['V2 greedy', { kind: 'softmaxTopk', normalize: false, bias: false, auxLossCoef: 0 }, 9, 3],
  ['V2 greedy, scaled', { kind: 'softmaxTopk', normalize: false, scale: 16, bias: false, auxLossCoef: 0 }, 9, 3],
  [
    'V2 grouped',
    { kind: 'softmaxTopk', normalize: false, scale: 16, groups: { count: 4, chosen: 2, best: 1 }, bias: false, auxLossCoef: 0 },
    12,
    3,
  ],
  ['V2 one group', { kind: 'softmaxTopk', normalize: true, groups: { count: 5, chosen: 1, best: 1 }, bias: false, auxLossCoef: 0 }, 15, 2],
  [
    'softmax, groups by two',
    { kind: 'softmaxTopk', normalize: true, groups: { count: 3, chosen: 2, best: 2 }, bias: false, auxLossCoef: 0 },
    12,
    4,
  ],
  [
    'V3',
    {
      kind: 'sigmoidTopk',
      normalize: true,
      correction: true,
      scale: 2.5,
      groups: { count: 4, chosen: 2, best: 2 },
      bias: false,
      auxLossCoef: 0,
    },
    16,
    4,
  ],
  ['V3 without groups', { kind: 'sigmoidTopk', normalize: true, correction: true, scale: 2.446, bias: false, auxLossCoef: 0 }, 11, 5],
  [
    'V3 not normalised',
    { kind: 'sigmoidTopk', normalize: false, correction: true, groups: { count: 2, chosen: 1, best: 2 }, bias: false, auxLossCoef: 0 },
    6,
    2,
  ],
  ['sigmoid without correction', { kind: 'sigmoidTopk', normalize: false, correction: false, bias: false, auxLossCoef: 0 }, 5, 1],
]

/** Dense [E] weights of one row, 0 where an expert is not chosen. */
function routed(z: number[], correction: number[], router: Router, active: number): number[] {
  assert.ok(router.kind !== 'topkSoftmax')
  const order = (values: number[]) => [...values.keys()].sort((a, b) => values[b]! - values[a]! || a - b)
  const total = z.reduce((sum, value) => sum + Math.exp(value), 0)
  const scores = z.map((value) => (router.kind === 'sigmoidTopk' ? 1 / (1 + Math.exp(-value)) : Math.exp(value) / total))
  const wished = scores.map((score, e) => score + (router.kind === 'sigmoidTopk' && router.correction ? correction[e]! : 0))
  const { count, chosen, best } = router.groups ?? { count: 1, chosen: 1, best: 1 }
  const width = z.length / count
  const sums = Array.from({ length: count }, (_, g) => {
    const group = wished.slice(g * width, (g + 1) * width)
    return order(group)
      .slice(0, best)
      .reduce((sum, e) => sum + group[e]!, 0)
  })
  const open = new Set(order(sums).slice(0, chosen))
  const picked = order(wished)
    .filter((e) => open.has(Math.floor(e / width)))
    .slice(0, active)
  const sum = router.normalize ? picked.reduce((s, e) => s + scores[e]!, 0) : 1
  return z.map((_, e) => (picked.includes(e) ? (scores[e]! / sum) * (router.scale ?? 1) : 0))
}

const FAST = { name: 'wasm, fast', create: () => createWasmBackend({ threads: 2, precision: 'fast' as const }) }

for (const { name, create } of [...opBackends, FAST]) {
  describe(name, async () => {
    const reference = createReferenceBackend({ precision: 'f64' })
    const backend = await create()
    after(() => backend.dispose())
    const both = async (body: (on: Backend) => Promise<(ops: Ops) => Tensor>) => {
      const results: Float32Array[] = []
      for (const on of [reference, backend]) {
        const call = await body(on)
        results.push(await on.run(() => call(on)))
      }
      return results as [Float32Array, Float32Array]
    }

    test('a product in groups is one product per group', async () => {
      const draw = random('groups')
      for (const dtype of ['f32', 'bf16', 'f16'] as const)
        for (const [T, groups, I, O] of [
          [1, 1, 8, 8],
          [1, 4, 16, 32],
          [3, 5, 7, 3],
          [6, 16, 24, 40],
          [40, 3, 130, 9],
        ] as const) {
          const x = draw.normals(T * groups * I)
          const w = draw.weight('w', groups === 1 ? [O, I] : [groups, O, I], dtype)
          const alone = draw.weight('b', [groups * O], dtype, 'vector')
          const [expected, actual] = await both(async (on) => {
            const spec = { ...(await w(on)) }
            const bias = await alone(on)
            return (ops) => ops.linear(on.upload(x, [T, groups * I]), spec, bias)
          })
          near(actual, expected, 3e-6, `${dtype} [${T}, ${groups} × ${I}] -> ${O}`)
          if (groups === 1) continue
          // The same by hand: a block-diagonal matrix.
          const weight = await w(reference)
          const values = await reference.read(weight)
          const bias = await reference.read(await alone(reference))
          const byHand = Array.from({ length: T * groups * O }, (_, n) => {
            const [t, o] = [Math.floor(n / (groups * O)), n % (groups * O)]
            const g = Math.floor(o / O)
            let sum = bias[o]!
            for (let i = 0; i < I; i++) sum += x[(t * groups + g) * I + i]! * values[o * I + i]!
            return sum
          })
          near(actual, byHand, 3e-6, `${dtype} ${groups} groups by hand`)
        }
    })

    test('columns side by side for every head', async () => {
      const draw = random('join')
      for (const [T, H, K, U] of [
        [1, 1, 1, 1],
        [3, 2, 5, 2],
        [7, 16, 32, 8],
        [2, 3, 512, 64],
      ] as const) {
        const [a, b] = [draw.normals(T * H * K), draw.normals(T * H * U)]
        const joined = await backend.run(() => backend.join(backend.upload(a, [T, H * K]), backend.upload(b, [T, H * U]), H))
        const wanted = Array.from({ length: T * H }, (_, n) => [
          ...a.subarray(n * K, (n + 1) * K),
          ...b.subarray(n * U, (n + 1) * U),
        ]).flat()
        assert.deepEqual([...joined], wanted)
      }
    })

    test('values in keys: as separate values, without a cache and in chunks with one', async () => {
      const draw = random('latent')
      for (const [T, H, K, U, chunk] of [
        [1, 1, 8, 8, 1],
        [45, 4, 40, 32, 7],
        [70, 40, 24, 16, 64],
        [33, 6, 13, 9, 5],
        [130, 3, 576, 512, 50],
      ] as const) {
        const [q, k] = [draw.normals(T * H * K), draw.normals(T * K)]
        const v = Float32Array.from({ length: T * U }, (_, n) => k[Math.floor(n / U) * K + (n % U)]!)
        const options: AttentionOptions = { heads: H, kvHeads: 1, keyDim: K, valueDim: U, scale: K ** -0.5, window: null, softcap: null }
        const expected = await reference.run(() =>
          reference.attention(reference.upload(q, [T, H * K]), reference.upload(k, [T, K]), reference.upload(v, [T, U]), one(T), options),
        )
        const whole = await backend.run(() =>
          backend.attention(backend.upload(q, [T, H * K]), backend.upload(k, [T, K]), undefined, one(T), options),
        )
        const tolerance = name === FAST.name ? 1e-2 : 1e-5
        near(whole, expected, tolerance, `T ${T} H ${H} K ${K} U ${U}`)
        const cache = await backend.cache({
          layers: [{ kvHeads: 1, keyDim: K, valueDim: U, valuesInKeys: true, window: null }],
          slots: 2,
          capacity: T + 3,
          maxRows: chunk,
        })
        for (let at = 0; at < T; at += chunk) {
          const rows = Math.min(chunk, T - at)
          const part = await backend.run(() =>
            backend.attention(
              backend.upload(q.slice(at * H * K, (at + rows) * H * K), [rows, H * K]),
              backend.upload(k.slice(at * K, (at + rows) * K), [rows, K]),
              undefined,
              one(rows, at, 1),
              { ...options, cache: cache.layers[0] as LayerCache },
            ),
          )
          near(part, whole.subarray(at * H * U, (at + rows) * H * U), 0, `rows from ${at}`)
        }
        // A copy of the slot gives the same.
        cache.copy(1, 0, T - 1)
        const last = await backend.run(() =>
          backend.attention(
            backend.upload(q.slice((T - 1) * H * K), [1, H * K]),
            backend.upload(k.slice((T - 1) * K), [1, K]),
            undefined,
            one(1, T - 1, 0),
            { ...options, cache: cache.layers[0] as LayerCache },
          ),
        )
        near(last, whole.subarray((T - 1) * H * U), 0, 'copied')
        cache.dispose()
      }
    })

    for (const [what, router, E, A] of ROUTERS)
      test(`router: ${what}`, async () => {
        const [T, D] = [20, 12]
        const draw = random(what)
        const x = draw.normals(T * D)
        const correction = draw.weight('correction', [E], 'f32', 'vector')
        const weight = draw.weight('router', [E, D], 'f32')
        const uncorrected = router.kind === 'sigmoidTopk' && router.correction
        // Every expert gives a constant, its own column, so the result of the mixture shows the weights.
        const F = 32
        const fill = (values: Float32Array) => async (_: string, offset: number, into: Uint8Array) =>
          into.set(new Uint8Array(values.buffer, offset, into.length))
        const gateUp = new Float32Array(E * 2 * F * D)
        const downBias = Float32Array.from({ length: E * D }, (_, n) =>
          n % D === Math.floor(n / D) % D ? 1 + Math.floor(Math.floor(n / D) / D) * 100 : 0,
        )
        const made = await backend.weight({ name: 'gateUp', shape: [E, 2 * F, D], dtype: 'f32', use: 'experts' }, fill(gateUp))
        const down = await backend.weight(
          { name: 'down', shape: [E, D, F], dtype: 'f32', use: 'experts' },
          fill(new Float32Array(E * D * F)),
        )
        const bias = await backend.weight({ name: 'downBias', shape: [E, D], dtype: 'f32', use: 'vector' }, fill(downBias))
        const [w, c] = [await weight(backend), await correction(backend)]
        const y = await backend.run(() => {
          const input = backend.upload(x, [T, D])
          const routing = backend.route(input, w, undefined, A, router, uncorrected ? c : undefined)
          return backend.moe(input, routing, { gateUp: made, down, downBias: bias }, { kind: 'swiglu' })
        })
        const [W, C] = [await reference.read(await weight(reference)), await reference.read(await correction(reference))]
        const expected = Array.from({ length: T }, (_, t) => {
          const z = Array.from({ length: E }, (_, e) =>
            Array.from({ length: D }, (_, d) => x[t * D + d]! * W[e * D + d]!).reduce((a, b) => a + b),
          )
          const weights = routed(z, [...C], router, A)
          return Array.from({ length: D }, (_, d) => weights.reduce((sum, p, e) => sum + p * downBias[e * D + d]!, 0))
        }).flat()
        near(y, expected, 1e-5, what)
      })
  })
}
