/**
 * Fast precision: the product with int8 weights equals the reference's product with the same weights rounded here by the documented rule
 * (one bf16 scale per 32 columns, rounded up), so that only the 16-bit activations differ. Keys and values are kept in bf16: attention equals the
 * reference's over rounded ones.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Backend, KvCache } from '../../../src/ops/backend.ts'
import { fromBf16, toBf16 } from '../../../src/ops/dtype.ts'
import type { LayerCache } from '../../../src/ops/ops.ts'
import { createReferenceBackend } from '../../../src/ops/reference/reference.ts'
import type { Tensor } from '../../../src/ops/tensor.ts'
import { createWasmBackend } from '../../../src/ops/wasm/wasm.ts'
import { random } from '../random.ts'

/** To the nearest integer, ties to even. */
const toEven = (value: number) => {
  const low = Math.floor(value)
  return value - low === 0.5 ? low + (low & 1) : Math.round(value)
}

/** Rounds rows of bf16 values to int8 steps. */
function rounded(values: Float32Array): Float32Array {
  const out = new Float32Array(values.length)
  for (let at = 0; at < values.length; at += 32) {
    const block = values.subarray(at, at + 32)
    const largest = block.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
    const bits = new Uint32Array(Float32Array.of(largest / 127).buffer)[0]!
    const scale = fromBf16(((bits + 0xffff) >>> 16) & 0xffff)
    const inverse = Math.fround(1 / scale)
    for (let i = 0; i < 32; i++) out[at + i] = scale === 0 ? 0 : toEven(Math.fround(block[i]! * inverse)) * scale
  }
  return out
}

const weightOf = (on: Backend, values: Float32Array, shape: number[], dtype: 'f32' | 'bf16', use: 'matrix' | 'experts' = 'matrix') =>
  on.weight({ name: 'w', shape, dtype, use }, async (_, offset, into) => {
    const raw = dtype === 'f32' ? new Uint8Array(values.buffer) : new Uint8Array(Uint16Array.from(values, toBf16).buffer)
    into.set(raw.subarray(offset, offset + into.length))
  })

function close(actual: Float32Array, expected: Float32Array, tolerance: number, what: string) {
  const largest = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
  const worst = expected.reduce((a, e, i) => Math.max(a, Math.abs(e - actual[i]!)), 0)
  assert.ok(worst <= tolerance * largest, `${what}: differs by ${worst / largest} of the largest value`)
}

for (const threads of [0, 2]) {
  test(`linear, embed and experts in int8, ${threads} threads`, async () => {
    const draw = random('int8')
    const reference = createReferenceBackend()
    const fast = await createWasmBackend({ threads, precision: 'fast' })
    const run = (on: Backend, body: () => Tensor) => on.run(body)
    for (const dtype of ['f32', 'bf16'] as const)
      for (const [T, I, O] of [
        [1, 32, 257],
        [1, 96, 300],
        [2, 960, 272],
        [7, 1056, 259],
        [131, 64, 288],
      ] as const) {
        const w = draw.normals(O * I).map((v) => fromBf16(toBf16(v)))
        const [exact, packed] = [await weightOf(reference, rounded(w), [O, I], 'f32'), await weightOf(fast, w, [O, I], dtype)]
        const x = draw.normals(T * I)
        const both = (body: (on: Backend, weight: Tensor) => Tensor) =>
          Promise.all([run(reference, () => body(reference, exact)), run(fast, () => body(fast, packed))])
        const [a, b] = await both((on, weight) => on.linear(on.upload(x, [T, I]), weight))
        close(b, a, 1e-4, `[${T}, ${I}] x [${O}, ${I}] ${dtype}`)
        const [c, d] = await both((on, weight) => on.embed(weight, Int32Array.of(O - 1, 0, 17), 2))
        close(d, c, 1e-6, 'embed')
      }
    const [E, D, F, T] = [4, 64, 96, 11]
    const gateUp = draw.normals(E * 2 * F * D).map((v) => fromBf16(toBf16(v)))
    const down = draw.normals(E * D * F).map((v) => fromBf16(toBf16(v)))
    const router = draw.normals(E * D)
    const x = draw.normals(T * D)
    const outputs: Float32Array[] = []
    for (const [on, round] of [
      [reference, rounded],
      [fast, (v: Float32Array) => v],
    ] as const) {
      const [g, d] = [
        await weightOf(on, round(gateUp), [E, 2 * F, D], 'f32', 'experts'),
        await weightOf(on, round(down), [E, D, F], 'f32', 'experts'),
      ]
      const r = await weightOf(on, router, [E, D], 'f32')
      outputs.push(
        await run(on, () => {
          const input = on.upload(x, [T, D])
          const routing = on.route(input, r, undefined, 2, { kind: 'softmaxTopk', normalize: true, bias: false, auxLossCoef: 0 })
          return on.moe(input, routing, { gateUp: g, down: d }, { kind: 'swiglu' })
        }),
      )
    }
    close(outputs[1]!, outputs[0]!, 3e-4, 'experts')
    await fast.dispose()
  })
}

test('mxfp4 with 8-bit activations equals the reference with the same rounded activations', async () => {
  const draw = random('mxfp4 i8')
  const reference = createReferenceBackend()
  const fast = await createWasmBackend({ threads: 0, precision: 'fast' })
  for (const [T, I, O] of [
    [1, 32, 16],
    [1, 960, 37],
    [2, 64, 48],
    [7, 1056, 35],
    [130, 96, 16],
  ] as const) {
    const w = draw.weight('w', [O, I], 'mxfp4')
    const x = draw.normals(T * I)
    const steps = new Float32Array(T * I)
    for (let at = 0; at < x.length; at += 32) {
      const block = x.subarray(at, at + 32)
      const largest = block.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
      const inverse = Math.fround(127 / largest)
      for (let i = 0; i < 32; i++) steps[at + i] = (toEven(Math.fround(block[i]! * inverse)) * largest) / 127
    }
    const expected = await reference.read(reference.linear(reference.upload(steps, [T, I]), await w(reference)))
    const actual = await fast.read(fast.linear(fast.upload(x, [T, I]), await w(fast)))
    close(actual, expected, 1e-6, `[${T}, ${I}] x [${O}, ${I}]`)
  }
})

test('attention over keys and values in bf16', async () => {
  const reference = createReferenceBackend()
  for (const without of [[], ['wide'], ['relaxedSimd']] as const) {
    const draw = random('bf16 cache')
    const fast = await createWasmBackend({ threads: 0, precision: 'fast', without })
    for (const { heads, kvHeads, keyDim, valueDim, window } of [
      { heads: 4, kvHeads: 2, keyDim: 64, valueDim: 64, window: null },
      { heads: 3, kvHeads: 1, keyDim: 20, valueDim: 20, window: 5 },
      { heads: 8, kvHeads: 8, keyDim: 6, valueDim: 6, window: 40 },
      { heads: 6, kvHeads: 2, keyDim: 128, valueDim: 128, window: 33 },
      { heads: 4, kvHeads: 2, keyDim: 24, valueDim: 9, window: null },
      { heads: 6, kvHeads: 1, keyDim: 10, valueDim: 72, window: 7 },
    ]) {
      const cacheOf = (on: Backend) => on.cache({ layers: [{ kvHeads, keyDim, valueDim, window }], slots: 2, capacity: 150, maxRows: 50 })
      const caches = [await cacheOf(fast), await cacheOf(reference)] as const
      for (const [from, rows] of [
        [0, 50],
        [50, 1],
        [51, 13],
        [64, 50],
      ] as const) {
        const widths = [heads * keyDim, kvHeads * keyDim, kvHeads * valueDim] as const
        const [q, k, v] = widths.map((width) => draw.normals(rows * width)) as [Float32Array, Float32Array, Float32Array]
        const positions = Int32Array.from({ length: rows }, (_, i) => from + i)
        const batch = { ids: positions, slots: new Int32Array(rows).fill(1), positions }
        const run = (on: Backend, cache: KvCache, kept: (values: Float32Array) => Float32Array) =>
          on.run(() => {
            const tensor = (values: Float32Array, width: number) => on.upload(values, [rows, width])
            const options = {
              heads,
              kvHeads,
              keyDim,
              valueDim,
              scale: keyDim ** -0.5,
              window,
              softcap: null,
              cache: cache.layers[0] as LayerCache,
            }
            return on.attention(tensor(q, widths[0]), tensor(kept(k), widths[1]), tensor(kept(v), widths[2]), batch, options)
          })
        const rounded = (values: Float32Array) => values.map((value) => fromBf16(toBf16(value)))
        const what = `${without} ${heads} heads of ${keyDim} and ${valueDim}, window ${window}, rows from ${from}`
        close(await run(fast, caches[0], (values) => values), await run(reference, caches[1], rounded), 1e-5, what)
      }
    }
    await fast.dispose()
  }
})
