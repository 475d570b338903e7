/**
 * One test body per op, run on every backend and compared with the reference: random shapes, also rows and columns that
 * are not a multiple of any tile, in every weight format.
 */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { Gated, Gelu, Router } from '../../src/architecture/architecture.ts'
import type { Backend } from '../../src/ops/backend.ts'
import type { AttentionOptions, Batch, LayerCache, Ops } from '../../src/ops/ops.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import type { Tensor } from '../../src/ops/tensor.ts'
import { opBackends } from './backends.ts'
import { random } from './random.ts'

/** Largest difference allowed, relative to the largest value of the result. */
const TOLERANCE = { elementwise: 2e-6, norm: 2e-6, rope: 2e-6, attention: 1e-5, f32: 2e-6, f16: 2e-6, bf16: 2e-6, mxfp4: 2e-4 }

for (const { name, create, expertTolerance = TOLERANCE.mxfp4 } of opBackends.filter((b) => b.name !== 'reference')) {
  describe(name, async () => {
    const reference = createReferenceBackend({ precision: 'f64' })
    const backend = await create()
    after(() => backend.dispose())

    /** Runs `body` on both and compares. */
    async function agree(what: string, tolerance: number, body: (ops: Backend) => Promise<(ops: Ops) => Tensor>) {
      const run = async (on: Backend) => {
        const call = await body(on)
        return on.run(() => call(on))
      }
      const [expected, actual] = [await run(reference), await run(backend)]
      assert.equal(actual.length, expected.length, what)
      const largest = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-30)
      const worst = expected.reduce((a, e, i) => Math.max(a, Math.abs(actual[i]! - e)), 0)
      assert.ok(
        worst <= tolerance * largest,
        `${what}: differs by ${(worst / largest).toExponential(2)} of the largest value, allowed ${tolerance}`,
      )
    }

    for (const dtype of ['f32', 'bf16', 'f16'] as const) {
      test(`linear ${dtype}`, async () => {
        const draw = random(`linear ${dtype}`)
        for (const [T, I, O] of [
          [1, 1, 1],
          [1, 64, 48],
          [1, 2880, 33],
          [3, 33, 7],
          [5, 160, 129],
          [17, 96, 100],
          [64, 130, 67],
          [129, 64, 65],
        ] as const) {
          const x = draw.normals(T * I)
          const w = draw.weight('w', [O, I], dtype)
          const b = draw.weight('b', [O], dtype, 'vector')
          for (const biased of [true, false]) {
            await agree(`[${T}, ${I}] x [${O}, ${I}]`, TOLERANCE[dtype], async (on) => {
              const [weight, bias] = [await w(on), await b(on)]
              return (ops) => ops.linear(on.upload(x, [T, I]), weight, biased ? bias : undefined)
            })
          }
        }
      })
    }

    test('linear and moe fp8', async () => {
      const draw = random('fp8')
      for (const [T, blocks, O] of [
        [1, 1, 1],
        [1, 9, 33],
        [3, 2, 7],
        [5, 10, 129],
        [70, 3, 67],
      ] as const) {
        const I = blocks * 128
        const [x, w, b] = [draw.normals(T * I), draw.weight('w', [O, I], 'fp8'), draw.weight('b', [O], 'f32', 'vector')]
        const [gu, d] = [draw.weight('gateUp', [3, 256, I], 'fp8', 'experts'), draw.weight('down', [3, I, 128], 'fp8', 'experts')]
        const r = draw.weight('router', [3, I], 'f32')
        await agree(`[${T}, ${I}] x [${O}, ${I}]`, TOLERANCE.bf16, async (on) => {
          const [weight, bias] = [await w(on), await b(on)]
          return (ops) => ops.linear(on.upload(x, [T, I]), weight, bias)
        })
        await agree(`experts of ${I}`, TOLERANCE.bf16 * 3, async (on) => {
          const [gateUp, down, router] = [await gu(on), await d(on), await r(on)]
          return (ops) => {
            const input = on.upload(x, [T, I])
            const routing = ops.route(input, router, undefined, 2, { kind: 'topkSoftmax', bias: false, auxLossCoef: 0 })
            return ops.moe(input, routing, { gateUp, down }, { kind: 'swiglu' })
          }
        })
      }
    })

    test('embed, select, add, scale, softcap, clamp', async () => {
      const draw = random('rows')
      for (const dtype of ['f32', 'bf16', 'f16'] as const) {
        const table = draw.weight('table', [50, 33], dtype, 'table')
        await agree(`embed ${dtype}`, TOLERANCE.elementwise, async (on) => {
          const weight = await table(on)
          return (ops) => ops.embed(weight, Int32Array.of(49, 0, 7, 7, 12), 5.5)
        })
      }
      for (const [T, D] of [
        [1, 1],
        [3, 33],
        [20, 130],
      ] as const) {
        const [a, b] = [draw.normals(T * D), draw.normals(T * D)]
        await agree('add', TOLERANCE.elementwise, async (on) => (ops) => ops.add(on.upload(a, [T, D]), on.upload(b, [T, D])))
        await agree('scaled add', TOLERANCE.elementwise, async (on) => (ops) => ops.add(on.upload(a, [T, D]), on.upload(b, [T, D]), -0.7))
        await agree('scale', TOLERANCE.elementwise, async (on) => (ops) => ops.scale(on.upload(a, [T, D]), -0.15))
        await agree(
          'softcap',
          TOLERANCE.elementwise,
          async (on) => (ops) =>
            ops.softcap(
              on.upload(
                a.map((v) => v * 60),
                [T, D],
              ),
              30,
            ),
        )
        await agree('clamp', 0, async (on) => (ops) => ops.clamp(on.upload(a, [T, D]), 0.4))
        await agree('select', 0, async (on) => (ops) => ops.select(on.upload(a, [T, D]), Int32Array.of(T - 1, 0)))
      }
    })

    test('norms', async () => {
      const draw = random('norms')
      for (const [T, D] of [
        [1, 4],
        [3, 33],
        [7, 2880],
        [40, 130],
      ] as const) {
        const x = draw.normals(T * D).map((v) => v + 0.5)
        const [g, b] = [draw.weight('g', [D], 'bf16', 'vector'), draw.weight('b', [D], 'bf16', 'vector')]
        await agree('layerNorm without parameters', TOLERANCE.norm, async (on) => (ops) => {
          return ops.layerNorm(on.upload(x, [T, D]), undefined, undefined, 1e-5)
        })
        await agree('layerNorm', TOLERANCE.norm, async (on) => {
          const [gain, bias] = [await g(on), await b(on)]
          return (ops) => ops.layerNorm(on.upload(x, [T, D]), gain, bias, 1e-5)
        })
        for (const unitOffset of [0, 1] as const) {
          await agree('rmsNorm', TOLERANCE.norm, async (on) => {
            const gain = await g(on)
            return (ops) => ops.rmsNorm(on.upload(x, [T, D]), gain, 1e-6, unitOffset)
          })
        }
      }
      const heads = draw.normals(5 * 6 * 16)
      const g = draw.weight('g', [16], 'f32', 'vector')
      await agree('rmsNorm per head', TOLERANCE.norm, async (on) => {
        const gain = await g(on)
        return (ops) => ops.rmsNorm(on.upload(heads, [5, 96]), gain, 1e-6, 0)
      })
    })

    test('rope', async () => {
      const draw = random('rope')
      for (const [K, heads] of [
        [16, 3],
        [64, 2],
        [128, 1],
        [6, 2],
      ] as const) {
        const positions = [0, 1, 2, 77, 131071, 5]
        const batch: Batch = { ids: new Int32Array(6), slots: Int32Array.of(0, 0, 0, 1, 2, 3), positions: Int32Array.from(positions) }
        const inverseFrequencies = Float64Array.from({ length: K / 2 }, (_, i) => 150000 ** ((-2 * i) / K))
        const x = draw.normals(6 * heads * K)
        for (const [rotaryDim, pairing] of [
          [K, 'halves'],
          [K, 'interleaved'],
          [K / 2 - ((K / 2) % 2), 'halves'],
          [2, 'interleaved'],
        ] as const) {
          const rotation = {
            headDim: K,
            rotaryDim,
            pairing,
            inverseFrequencies: inverseFrequencies.slice(0, rotaryDim / 2),
            amplitude: 1.3465,
          }
          await agree(`head size ${K}, ${rotaryDim} in ${pairing}`, TOLERANCE.rope, async (on) => (ops) => {
            return ops.rope(on.upload(x, [6, heads * K]), rotation, batch)
          })
        }
      }
    })

    test('activations', async () => {
      const draw = random('activations')
      const all: (Gelu | Gated)[] = [
        { kind: 'gelu', approximation: 'tanh' },
        { kind: 'gelu', approximation: 'erf' },
        { kind: 'swiglu' },
        { kind: 'clampedSwiglu', alpha: 1.702, limit: 7 },
        { kind: 'geglu', approximation: 'tanh' },
        { kind: 'geglu', approximation: 'erf' },
      ]
      for (const [T, F] of [
        [1, 1],
        [3, 33],
        [9, 130],
      ] as const) {
        const [gate, up] = [draw.normals(T * F).map((v) => v * 6), draw.normals(T * F).map((v) => v * 6)]
        for (const activation of all) {
          await agree(activation.kind, TOLERANCE.elementwise, async (on) => (ops) => {
            const x = on.upload(gate, [T, F])
            return activation.kind === 'gelu' ? ops.gelu(x, activation) : ops.gated(x, on.upload(up, [T, F]), activation)
          })
        }
        const extreme = Float32Array.from({ length: T * F }, (_, i) => [-200, 200, -90, 90, 0][i % 5]!)
        await agree(
          'gelu of extremes',
          TOLERANCE.elementwise,
          async (on) => (ops) => ops.gelu(on.upload(extreme, [T, F]), { kind: 'gelu', approximation: 'tanh' }),
        )
      }
    })

    test('attention without a cache', async () => {
      const draw = random('attention')
      for (const [lengths, H, G, K, U, window, sinks, softcap] of [
        [[1], 1, 1, 4, 4, null, false, null],
        [[17], 4, 2, 16, 16, null, false, null],
        [[70, 1, 33], 8, 2, 16, 16, 16, true, null],
        [[150], 8, 1, 64, 64, 128, true, null],
        [[40, 9], 6, 3, 32, 32, 12, false, 50],
        [[21], 3, 3, 6, 6, 1, true, null],
        [[130], 2, 1, 128, 128, null, true, 30],
        [[50, 3], 4, 2, 24, 9, null, true, null],
        [[41], 6, 3, 6, 40, 12, false, 50],
        [[77], 16, 1, 72, 64, null, false, null],
      ] as const) {
        const batch = batchOf(lengths)
        const T = batch.ids.length
        const [q, k, v] = [draw.normals(T * H * K), draw.normals(T * G * K), draw.normals(T * G * U)]
        const s = draw.weight('sinks', [H], 'bf16', 'vector')
        await agree(`${lengths} H ${H} G ${G} K ${K} U ${U} window ${window}`, TOLERANCE.attention, async (on) => {
          const options: AttentionOptions = { heads: H, kvHeads: G, keyDim: K, valueDim: U, scale: K ** -0.5, window, softcap }
          if (sinks) options.sinks = await s(on)
          return (ops) => ops.attention(on.upload(q, [T, H * K]), on.upload(k, [T, G * K]), on.upload(v, [T, G * U]), batch, options)
        })
      }
    })

    test('attention with a cache, chunk by chunk', async () => {
      const draw = random('cached')
      const [H, G, K, capacity] = [4, 2, 16, 90]
      for (const window of [null, 12]) {
        const steps = [batchOf([20, 1]), batchOf([8, 30], [20, 1]), batchOf([1, 1], [28, 31]), batchOf([16], [29])]
        const inputs = steps.map(
          ({ ids }) => [draw.normals(ids.length * H * K), draw.normals(ids.length * G * K), draw.normals(ids.length * G * K)] as const,
        )
        const run = async (on: Backend) => {
          const cache = await on.cache({ layers: [{ kvHeads: G, keyDim: K, valueDim: K, window }], slots: 2, capacity, maxRows: 30 })
          const outputs: Float32Array[] = []
          for (const [n, batch] of steps.entries()) {
            const T = batch.ids.length
            const [q, k, v] = inputs[n]!
            const result = on.run(() => {
              const options: AttentionOptions = {
                heads: H,
                kvHeads: G,
                keyDim: K,
                valueDim: K,
                scale: 0.25,
                window,
                softcap: null,
                cache: cache.layers[0] as LayerCache,
              }
              return on.attention(on.upload(q, [T, H * K]), on.upload(k, [T, G * K]), on.upload(v, [T, G * K]), batch, options)
            })
            outputs.push(await result)
          }
          cache.dispose()
          return outputs
        }
        const [expected, actual] = [await run(reference), await run(backend)]
        for (const [n, wanted] of expected.entries()) {
          const worst = wanted.reduce((a, e, i) => Math.max(a, Math.abs(actual[n]![i]! - e)), 0)
          assert.ok(
            worst <= 1e-5 * wanted.reduce((a, b) => Math.max(a, Math.abs(b)), 0),
            `window ${window}, step ${n}: differs by ${worst}`,
          )
        }
      }
    })

    for (const dtype of ['f32', 'bf16', 'mxfp4'] as const) {
      test(`route and moe ${dtype}`, async () => {
        const draw = random(`moe ${dtype}`)
        for (const [T, D, F, E, A] of [
          [1, 32, 32, 4, 1],
          [1, 64, 96, 8, 4],
          [5, 96, 32, 6, 2],
          [70, 64, 64, 8, 4],
          [33, 160, 224, 5, 3],
        ] as const) {
          const x = draw.normals(T * D)
          const [r, rb] = [draw.weight('router', [E, D], 'bf16'), draw.weight('routerBias', [E], 'bf16', 'vector')]
          const [gu, gub] = [
            draw.weight('gateUp', [E, 2 * F, D], dtype, 'experts'),
            draw.weight('gateUpBias', [E, 2 * F], 'bf16', 'vector'),
          ]
          const [d, db] = [draw.weight('down', [E, D, F], dtype, 'experts'), draw.weight('downBias', [E, D], 'bf16', 'vector')]
          for (const [router, activation, biased] of [
            [{ kind: 'topkSoftmax', bias: true, auxLossCoef: 0 }, { kind: 'clampedSwiglu', alpha: 1.702, limit: 7 }, true],
            [{ kind: 'softmaxTopk', normalize: true, bias: false, auxLossCoef: 0 }, { kind: 'swiglu' }, false],
          ] as [Router, Gated, boolean][]) {
            await agree(`T ${T} D ${D} F ${F} E ${E} A ${A}`, dtype === 'mxfp4' ? expertTolerance : TOLERANCE[dtype] * 3, async (on) => {
              const [router_, routerBias, gateUp, gateUpBias, down, downBias] = [
                await r(on),
                await rb(on),
                await gu(on),
                await gub(on),
                await d(on),
                await db(on),
              ]
              return (ops) => {
                const input = on.upload(x, [T, D])
                const routing = ops.route(input, router_, biased ? routerBias : undefined, A, router)
                return ops.moe(input, routing, biased ? { gateUp, gateUpBias, down, downBias } : { gateUp, down }, activation)
              }
            })
          }
        }
      })
    }
  })
}

/** Sequences one after the other, slot n for the nth, positions from starts[n]. */
function batchOf(lengths: readonly number[], starts: readonly number[] = lengths.map(() => 0)): Batch {
  const rows = lengths.flatMap((length, slot) => Array.from({ length }, (_, i) => ({ slot, position: starts[slot]! + i })))
  return {
    ids: new Int32Array(rows.length),
    slots: Int32Array.from(rows, (r) => r.slot),
    positions: Int32Array.from(rows, (r) => r.position),
  }
}
