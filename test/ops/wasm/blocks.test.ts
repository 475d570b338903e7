/**
 * Weights in the block formats of GGUF, in every kernel: rows of a table are the reference's to the last bit; products equal the reference's with
 * activations that are rounded here by the documented rule (blocks of 32, 16 or 8 bits), so that only the order of f32 sums differs.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Backend, WeightSpec } from '../../../src/ops/backend.ts'
import { BLOCK_FORMATS, decodeBlocks as decoded } from '../../../src/ops/block-formats.ts'
import { type BlockDType, isBlocks, storedBytes } from '../../../src/ops/dtype.ts'
import { createReferenceBackend } from '../../../src/ops/reference/reference.ts'
import type { Tensor } from '../../../src/ops/tensor.ts'
import { createWasmBackend, type WasmBackend, type WasmOptions } from '../../../src/ops/wasm/wasm.ts'
import { random } from '../random.ts'

const DTYPES = Object.keys(BLOCK_FORMATS) as BlockDType[]
/** Codes of 8 bits, or tables that are wider than 7 bits, meet 16-bit activations in fast precision too. */
const WIDE: readonly BlockDType[] = ['q8_0', 'iq4_nl', 'iq4_xs', 'int8_groups']
const reference = createReferenceBackend()

const toEven = (value: number) => {
  const low = Math.floor(value)
  return value - low === 0.5 ? low + (low & 1) : Math.round(value)
}

/** x in steps of the largest magnitude of each block of 32, divided by `largest`. */
function rounded(x: Float32Array, largest: number): Float32Array {
  const out = new Float32Array(x.length)
  for (let at = 0; at < x.length; at += 32) {
    const most = x.subarray(at, at + 32).reduce((a, b) => Math.max(a, Math.abs(b)), 0)
    const inverse = Math.fround(largest / most)
    for (let i = at; i < at + 32; i++) out[i] = most === 0 ? 0 : (toEven(Math.fround(x[i]! * inverse)) * most) / largest
  }
  return out
}

function close(actual: Float32Array, expected: Float32Array, tolerance: number, what: string) {
  assert.equal(actual.length, expected.length)
  const largest = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-30)
  const worst = expected.reduce((a, e, i) => Math.max(a, Math.abs(e - actual[i]!)), 0)
  assert.ok(actual.every(Number.isFinite) && worst <= tolerance * largest, `${what}: differs by ${worst / largest} of the largest value`)
}

const BACKENDS: { name: string; options: WasmOptions }[] = [
  { name: 'faithful', options: { threads: 0 } },
  { name: 'faithful, 3 threads', options: { threads: 3 } },
  { name: 'fast', options: { threads: 0, precision: 'fast' } },
  { name: 'fast, 2 threads', options: { threads: 2, precision: 'fast' } },
  { name: 'fast without relaxed SIMD', options: { threads: 0, precision: 'fast', without: ['relaxedSimd'] } },
  { name: 'faithful without a second memory', options: { threads: 0, without: ['multiMemory'] } },
]

/** Every product of the op, and rows of the table. */
async function agree(on: WasmBackend, fast: boolean, dtype: BlockDType) {
  const { length } = BLOCK_FORMATS[dtype]
  const draw = random(`blocks ${dtype}`)
  for (const [T, blocks, O] of [
    [1, 1, 16],
    [1, 3, 37],
    [1, 1, 1],
    [2, 2, 48],
    [3, 5, 17],
    [7, 1, 35],
    [20, 3, 50],
    [131, 2, 40],
  ] as const) {
    const I = blocks * length
    const [w, b] = [draw.weight('w', [O, I], dtype), draw.weight('b', [O], 'f32', 'vector')]
    const x = draw.normals(T * I)
    const steps = rounded(x, fast && !WIDE.includes(dtype) ? 127 : 32767)
    const product = async (backend: Backend, values: Float32Array) => {
      const [weight, bias] = [await w(backend), await b(backend)]
      return backend.run(() => backend.linear(backend.upload(values, [T, I]), weight, T % 2 ? bias : undefined))
    }
    close(await product(on, x), await product(reference, steps), 2e-6, `${dtype} [${T}, ${I}] x [${O}, ${I}]`)
    const rows = Int32Array.of(O - 1, 0, O >> 1, O - 1)
    const embedded = async (backend: Backend, scale: number) => {
      const table = await w(backend)
      return backend.run(() => backend.embed(table, rows, scale))
    }
    assert.deepEqual(await embedded(on, 1), await embedded(reference, 1), `${dtype}: rows of [${O}, ${I}]`)
    close(await embedded(on, 5.5), await embedded(reference, 5.5), 1e-7, `${dtype}: scaled rows`)
  }
}

for (const { name, options } of BACKENDS)
  test(`${name}: products and rows of every block format`, async () => {
    const on = await createWasmBackend(options)
    for (const dtype of DTYPES) await agree(on, options.precision === 'fast', dtype)
    await on.dispose()
  })

test('experts whose two matrices have different formats, as mixed files have them', async () => {
  for (const precision of ['faithful', 'fast'] as const) {
    const on = await createWasmBackend({ threads: 0, precision })
    for (const [first, second] of [
      ['q4_k', 'q6_k'],
      ['q4_k', 'q8_0'],
      ['q8_0', 'q5_0'],
      ['mxfp4_gguf', 'mxfp4_gguf'],
      ['iq4_xs', 'q5_k'],
      ['q3_k', 'bf16'],
      ['f32', 'q2_k'],
      ['q5_1', 'q4_1'],
      ['int4_groups', 'int8_groups'],
    ] as const)
      for (const T of [1, 5, 40]) {
        const draw = random(`experts ${first} ${second} ${T}`)
        const [D, F, E] = [256, 512, 4]
        const [g, d] = [draw.weight('gateUp', [E, 2 * F, D], first, 'experts'), draw.weight('down', [E, D, F], second, 'experts')]
        const r = draw.weight('router', [E, D], 'f32')
        const x = draw.normals(T * D)
        const run = async (backend: Backend) => {
          const [gateUp, down, router] = [await g(backend), await d(backend), await r(backend)]
          return backend.run(() => {
            const input = backend.upload(x, [T, D])
            const routing = backend.route(input, router, undefined, 2, {
              kind: 'softmaxTopk',
              normalize: true,
              bias: false,
              auxLossCoef: 0,
            })
            return backend.moe(input, routing, { gateUp, down }, { kind: 'swiglu' })
          })
        }
        // Experts round twice, and the second rounding depends on the first product: bounds are those of 16 and of 8 bits.
        close(await run(on), await run(reference), precision === 'fast' ? 3e-2 : 3e-4, `${precision} ${first} ${second}, ${T} rows`)
      }
    await on.dispose()
  }
})

/** A weight from bytes. */
const weightOf = (on: Backend, spec: Partial<WeightSpec> & { dtype: BlockDType; shape: number[] }, bytes: Uint8Array): Promise<Tensor> =>
  on.weight({ name: 'blk.0.ffn_down', use: 'matrix', ...spec }, async (_, offset, into) =>
    into.set(bytes.subarray(offset, offset + into.length)),
  )

test('zero, subnormal and largest scales', async () => {
  const on = await createWasmBackend({ threads: 0 })
  for (const dtype of DTYPES.filter((name) => BLOCK_FORMATS[name].scale.format === 'f16'))
    for (const half of [0, 0x8000, 1, 0x8001, 0x03ff, 0x0400, 0x7bff, 0xfbff]) {
      const { length, bytes, scale, offset } = BLOCK_FORMATS[dtype]
      const blocks = Uint8Array.from({ length: 16 * bytes }, (_, i) => (i * 89) & 255)
      for (let at = 0; at < blocks.length; at += bytes)
        for (const place of offset ? [scale.at, offset.at] : [scale.at]) blocks.set([half & 255, half >> 8], at + place)
      const rows = Int32Array.from({ length: 16 }, (_, row) => row)
      const read = async (backend: Backend) => {
        const table = await weightOf(backend, { dtype, shape: [16, length] }, blocks)
        return backend.run(() => backend.embed(table, rows, 1))
      }
      assert.deepEqual(await read(on), await read(reference), `${dtype}, scale ${half.toString(16)}`)
    }
  await on.dispose()
})

test('a scale that is no finite number, and rows that are no whole blocks, are refused by name', async () => {
  const on = await createWasmBackend({ threads: 0 })
  for (const dtype of DTYPES) {
    const { length, bytes, scale, offset } = BLOCK_FORMATS[dtype]
    for (const place of offset ? [scale.at, offset.at] : [scale.at]) {
      const blocks = new Uint8Array(storedBytes(dtype, 2 * length))
      blocks.fill(255, bytes + place, bytes + place + 2)
      const loading = weightOf(on, { dtype, shape: [2, length] }, blocks)
      await assert.rejects(loading, /blk\.0\.ffn_down: a scale of block 1 is not a finite number; the file is damaged/, dtype)
    }
    await assert.rejects(weightOf(on, { dtype, shape: [2, length + 16] }, new Uint8Array(0)), /blk\.0\.ffn_down: rows of .* multiple of/)
    await assert.rejects(weightOf(on, { dtype, shape: [length], use: 'vector' }, new Uint8Array(0)), /a vector cannot be/)
  }
  await on.dispose()
})

test('a table that stays in its file is decoded row by row', async () => {
  const on = await createWasmBackend({ threads: 0 })
  for (const dtype of ['q4_k', 'q8_0', 'mxfp4_gguf', 'f16'] as const) {
    const draw = random(`on demand ${dtype}`)
    const [O, I] = [20, 512]
    const bytes = new Uint8Array(storedBytes(dtype, O * I))
    const expected = await draw.weight(
      'table',
      [O, I],
      dtype,
      'table',
    )({
      weight: (spec: WeightSpec, fill: Parameters<Backend['weight']>[1]) => fill('data', 0, bytes).then(() => reference.weight(spec, fill)),
    } as Backend)
    const each = bytes.length / O
    const spec = { name: 'table', shape: [O, I], dtype, use: 'table' } as const
    const table = await on.weight(
      spec,
      async () => assert.fail('nothing is loaded'),
      (row, into) => into.set(bytes.subarray(row * each, (row + 1) * each)),
    )
    const rows = Int32Array.of(3, 19, 0)
    assert.ok(isBlocks(dtype) || dtype === 'f16')
    const [a, b] = [await on.run(() => on.embed(table, rows, 1)), await reference.run(() => reference.embed(expected, rows, 1))]
    assert.deepEqual(a, b, dtype)
  }
  await on.dispose()
})

test('matrices that no single memory holds, and experts in several', async () => {
  const [small, whole] = [await createWasmBackend({ threads: 0, arenaBytes: 4 * 65536 }), await createWasmBackend({ threads: 0 })]
  for (const dtype of DTYPES) {
    const draw = random(`bands ${dtype}`)
    const [O, I, T, E, F] = [3000, 256, 9, 6, 256]
    const w = draw.weight('w', [O, I], dtype)
    const [g, d] = [draw.weight('gateUp', [E, 2 * F, I], dtype, 'experts'), draw.weight('down', [E, I, F], dtype, 'experts')]
    const r = draw.weight('router', [E, I], 'f32')
    const x = draw.normals(T * I)
    const run = async (on: WasmBackend) => {
      const [weight, gateUp, down, router] = [await w(on), await g(on), await d(on), await r(on)]
      const body = (of: (input: Tensor) => Tensor) => on.run(() => of(on.upload(x, [T, I])))
      return [
        await body((input) => on.linear(input, weight)),
        await body(() => on.embed(weight, Int32Array.of(O - 1, 0, 2017), 1)),
        await body((input) => {
          const routing = on.route(input, router, undefined, 2, { kind: 'topkSoftmax', bias: false, auxLossCoef: 0 })
          return on.moe(input, routing, { gateUp, down }, { kind: 'swiglu' })
        }),
      ]
    }
    assert.deepEqual(await run(small), await run(whole), dtype)
  }
  await small.dispose()
  await whole.dispose()
})

test('the largest sums that codes and activations can make', async () => {
  for (const precision of ['faithful', 'fast'] as const) {
    const on = await createWasmBackend({ threads: 0, precision })
    for (const dtype of DTYPES)
      for (const fill of [0, 255, 0x0f, 0x77, 0x88]) {
        const { length, bytes, scale, offset } = BLOCK_FORMATS[dtype]
        const blocks = new Uint8Array(storedBytes(dtype, 16 * length)).fill(fill)
        for (let at = 0; at < blocks.length; at += bytes)
          if (scale.format === 'e8m0') blocks[at] = 120
          else for (const place of offset ? [scale.at, offset.at] : [scale.at]) blocks.set([0, 0x20], at + place)
        for (const T of [1, 2, 8])
          for (const value of [(_: number) => 1, (_: number) => -1, (i: number) => (i & 1 ? 1 : -1), (i: number) => (i & 2 ? 1 : -1)]) {
            const x = Float32Array.from({ length: T * length }, (_, i) => value(i))
            const run = async (backend: Backend) => {
              const weight = await weightOf(backend, { dtype, shape: [16, length] }, blocks)
              return backend.run(() => backend.linear(backend.upload(x, [T, length]), weight))
            }
            // All magnitudes are equal, so that rounding them to steps changes nothing; a sum may cancel to about zero.
            const [found, wanted] = [await run(on), await run(reference)]
            const most = decoded(dtype, blocks).reduce((sum, v) => sum + Math.abs(v), 0) / 16
            const worst = wanted.reduce((a, e, i) => Math.max(a, Math.abs(e - found[i]!)), 0)
            assert.ok(worst <= 2e-6 * most + 1e-30, `${precision} ${dtype}, bytes ${fill}, ${T} rows: ${worst} of ${most}`)
          }
      }
    await on.dispose()
  }
})
