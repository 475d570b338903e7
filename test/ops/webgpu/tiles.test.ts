/**
 * Prompts in tiles: products of many rows against the reference, for every format, odd sizes, matrices in pieces and what is fused with a product;
 * and that rows of short runs keep their bits beside them.
 */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { cacheSpec } from '../../../src/model/cache-spec.ts'
import { forward } from '../../../src/model/transformer.ts'
import type { Backend } from '../../../src/ops/backend.ts'
import type { Batch, Ops } from '../../../src/ops/ops.ts'
import { createReferenceBackend } from '../../../src/ops/reference/reference.ts'
import type { Tensor } from '../../../src/ops/tensor.ts'
import { ALL_FORMATS } from '../../../src/ops/webgpu/self-check.ts'
import { createWebgpuBackend, type WebgpuBackend } from '../../../src/ops/webgpu/webgpu.ts'
import { loadCheckpoint } from '../../checkpoint/load-directory.ts'
import { random } from '../random.ts'
import { noAdapter, testGpu } from './adapters.ts'

const fixtures = fileURLToPath(new URL('../../fixtures/checkpoints/', import.meta.url))

/** Relative to the largest value. */
const TOLERANCE = 2e-6

describe('tiles on WebGPU', { skip: noAdapter }, async () => {
  if (noAdapter) return
  const gpu = await testGpu()
  const reference = createReferenceBackend({ precision: 'f64' })
  const backend = await createWebgpuBackend({ gpu })
  const inPieces = await createWebgpuBackend({ gpu, without: ['subgroups'], largestBinding: 1 << 17 })
  after(() => Promise.all([backend, inPieces].map((each) => each.dispose())))

  /** Runs `body` on the reference and on a backend, compares, and returns the labels of what was dispatched. */
  async function agree(
    on: WebgpuBackend,
    what: string,
    body: (on: Backend) => Promise<(ops: Ops) => Tensor>,
    tolerance = TOLERANCE,
  ): Promise<string[]> {
    const run = async (each: Backend) => {
      const call = await body(each)
      return each.run(() => call(each))
    }
    const [expected, actual] = [await run(reference), await run(on)]
    const largest = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-30)
    assert.equal(actual.length, expected.length)
    for (const [i, value] of expected.entries())
      assert.ok(Math.abs(actual[i]! - value) <= tolerance * largest, `${what}: value ${i} is ${actual[i]}, expected ${value}`)
    return on.plans.last!.dispatches.map(({ shader }) => shader.key)
  }
  const inTiles = (keys: readonly string[]) => keys.filter((key) => key.startsWith('tile'))

  for (const dtype of ALL_FORMATS.matrices)
    test(`${dtype}`, async () => {
      const draw = random(`tiles ${dtype}`)
      const pieces = dtype === 'bf16'
      const [T, I, O] = [37, 256, pieces ? 300 : 70]
      const [x, w, b] = [draw.normals(T * I), draw.weight('w', [O, I], dtype), draw.weight('b', [O], 'f32', 'vector')]
      const keys = await agree(pieces ? inPieces : backend, dtype, async (on) => {
        const [weight, bias] = [await w(on), await b(on)]
        return (ops) => ops.linear(on.upload(x, [T, I]), weight, bias)
      })
      assert.equal(inTiles(keys).length, pieces ? 2 : 1)
    })

  for (const [T, I, O] of [
    [32, 33, 32],
    [65, 96, 131],
    [41, 130, 67],
  ] as const)
    test(`[${T}, ${I}] x [${O}, ${I}] and what is fused with it`, async () => {
      const draw = random(`tiles ${T} ${I} ${O}`)
      const x = draw.normals(T * I)
      const [gain, bias] = [draw.weight('gain', [I], 'f32', 'vector'), draw.weight('bias', [O], 'f32', 'vector')]
      const [wide, narrow, down] = [
        draw.weight('wide', [O, I], 'bf16'),
        draw.weight('narrow', [33, I], 'f32'),
        draw.weight('down', [I, O], 'bf16'),
      ]
      const keys = await agree(backend, 'block', async (on) => {
        const [g, b, gate, up, out] = [await gain(on), await bias(on), await wide(on), await wide(on), await down(on)]
        return (ops) => {
          const input = on.upload(x, [T, I])
          return ops.scope('block', () => {
            const normed = ops.rmsNorm(input, g, 1e-6, 0)
            const inner = ops.gated(ops.linear(normed, gate, b), ops.linear(normed, up), { kind: 'clampedSwiglu', alpha: 1.7, limit: 7 })
            return ops.add(input, ops.softcap(ops.linear(inner, out), 900), 0.7)
          })
        }
      })
      assert.equal(inTiles(keys).length, 2, keys.join(', '))
      assert.equal(keys.length, 4, keys.join(', '))
      await agree(backend, 'three products of one input', async (on) => {
        const [a, b, bias_] = [await wide(on), await narrow(on), await bias(on)]
        return (ops) => {
          const input = on.upload(x, [T, I])
          return ops.scope('three', () =>
            ops.join(
              ops.join(ops.linear(input, b), ops.gelu(ops.linear(input, a, bias_), { kind: 'gelu', approximation: 'tanh' }), 1),
              ops.linear(input, b),
              1,
            ),
          )
        }
      })
    })

  test('a matrix for each group of columns', async () => {
    const draw = random('tiles of groups')
    const [T, groups, rows, I] = [35, 3, 40, 24]
    const [x, w] = [draw.normals(T * groups * I), draw.weight('w', [groups, rows, I], 'f32')]
    const keys = await agree(backend, 'groups', async (on) => {
      const weight = await w(on)
      return (ops) => ops.linear(on.upload(x, [T, groups * I]), weight, undefined)
    })
    assert.equal(inTiles(keys).length, 1)
  })

  for (const [dtype, T, D, F, E, A] of [
    ['mxfp4', 40, 64, 96, 4, 2],
    ['bf16', 67, 40, 33, 5, 3],
    ['q4_k', 33, 256, 256, 3, 2],
  ] as const)
    test(`experts in ${dtype}`, async () => {
      const draw = random(`tiles of experts ${dtype}`)
      const x = draw.normals(T * D)
      const [router, biases] = [draw.weight('router', [E, D], 'f32'), draw.weight('biases', [E, 2 * F], 'f32', 'vector')]
      const gateUp = draw.weight('gateUp', [E, 2 * F, D], dtype, 'experts')
      const down = draw.weight('down', [E, D, F], dtype, 'experts')
      const keys = await agree(
        dtype === 'mxfp4' ? inPieces : backend,
        'experts',
        async (on) => {
          const [r, b, gu, d] = [await router(on), await biases(on), await gateUp(on), await down(on)]
          return (ops) => {
            const input = on.upload(x, [T, D])
            const routing = ops.route(input, r, undefined, A, { kind: 'topkSoftmax', bias: false, auxLossCoef: 0 })
            const experts = { gateUp: gu, gateUpBias: b, down: d }
            return ops.moe(input, routing, experts, { kind: 'clampedSwiglu', alpha: 1.7, limit: 7 })
          }
        },
        3 * TOLERANCE,
      )
      assert.equal(inTiles(keys).length, 2, keys.join(', '))
    })

  for (const checkpoint of ['tiny-gpt-oss', 'tiny-qwen3'])
    test(`${checkpoint}: rows that are decoded keep their bits beside a prompt in tiles, in any place`, async () => {
      const { architecture, weights } = await loadCheckpoint(fixtures + checkpoint, backend)
      const cache = await backend.cache(cacheSpec(architecture, 6, 64, 64))
      const run = (runs: readonly (readonly [slot: number, position: number, rows: number])[]) => {
        const rows = runs.flatMap(([slot, position, rows]) => Array.from({ length: rows }, (_, i) => [slot, position + i] as const))
        const batch: Batch = {
          ids: Int32Array.from(rows, ([slot, position]) => (7 * (slot % 3) + 5 * position + 3) % architecture.vocabSize),
          slots: Int32Array.from(rows, ([slot]) => slot),
          positions: Int32Array.from(rows, ([, position]) => position),
        }
        let row = 0
        const last = Int32Array.from(runs, ([, , rows]) => (row += rows) - 1)
        return backend.run(() => forward(backend, architecture, weights, batch, { cache, logitRows: last }))
      }
      const width = architecture.vocabSize
      // Slots 3 and 4 hold the same ids as 0 and 1.
      await run([
        [0, 0, 9],
        [1, 0, 4],
      ])
      await run([
        [3, 0, 9],
        [4, 0, 4],
      ])
      const alone = [await run([[0, 9, 1]]), await run([[1, 4, 1]])]
      const beside = await run([
        [3, 9, 1],
        [2, 0, 40],
        [4, 4, 1],
      ])
      const keys = inTiles(backend.plans.last!.dispatches.map(({ shader }) => shader.key))
      assert.ok(keys.length > 0)
      assert.equal(
        keys.some((key) => key.startsWith('tile of experts')),
        checkpoint === 'tiny-gpt-oss',
      )
      assert.deepEqual(beside.subarray(0, width), alone[0], 'before the prompt')
      assert.deepEqual(beside.subarray(2 * width), alone[1], 'behind the prompt')
      const prompt = await run([[5, 0, 40]])
      assert.deepEqual(beside.subarray(width, 2 * width), prompt, 'the prompt itself')
      cache.dispose()
    })
})
