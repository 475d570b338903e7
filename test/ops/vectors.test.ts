/** The vectors of test/fixtures/ops.json, computed in f64 from the published formulas, against the reference backend. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { rotation, yarnBounds } from '../../src/model/rope.ts'
import { FP4_VALUES, unpackMxfp4Block } from '../../src/ops/dtype.ts'
import type { AttentionOptions, Batch } from '../../src/ops/ops.ts'
import { attend, visible } from '../../src/ops/reference/attention.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'

const vectors = JSON.parse(readFileSync(new URL('../fixtures/ops.json', import.meta.url), 'utf8'))
const ops = createReferenceBackend({ precision: 'f64' })
const tensor = (values: number[], shape = [1, values.length]) => ops.upload(Float32Array.from(values), shape)
const batchAt = (...positions: number[]): Batch => ({
  ids: new Int32Array(positions.length),
  slots: new Int32Array(positions.length),
  positions: Int32Array.from(positions),
})

function close(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-6) {
  assert.equal(actual.length, expected.length)
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i]!, expected[i]!]
    assert.ok(Math.abs(a - e) <= tolerance * Math.max(1, Math.abs(e)), `[${i}]: expected ${e}, got ${a}`)
  }
}

test('mxfp4 blocks decode exactly', () => {
  vectors.mxfp4.table.forEach((value: number | string, code: number) => {
    assert.ok(Object.is(FP4_VALUES[code], value === '-0' ? -0 : value), `code ${code}`)
  })
  for (const { scale, bytes, values } of vectors.mxfp4.cases) {
    const out = new Float32Array(32)
    unpackMxfp4Block(Uint8Array.from(bytes), 0, scale, out, 0)
    assert.deepEqual(
      Array.from(out, (v) => v + 0),
      values,
    )
  }
})

test('YaRN bounds, frequencies, concentration and tables', async () => {
  for (const key of ['yarn_gpt_oss', 'yarn_qwen3_x4']) {
    const { params, low, high, inv_freq, concentration, cos_sin } = vectors[key]
    const scaling = {
      kind: 'yarn' as const,
      factor: params.factor,
      originalMaxPositionEmbeddings: params.original,
      betaFast: params.beta_fast ?? 32,
      betaSlow: params.beta_slow ?? 1,
      truncate: params.truncate,
      attentionFactor: null,
    }
    close(yarnBounds(params.head_dim, params.theta, scaling), [low, high], 1e-12)
    const turn = rotation(params.head_dim, {
      kind: 'rope',
      ropeTheta: params.theta,
      rotaryDim: params.head_dim,
      pairing: 'halves',
      scaling,
    })
    close(turn.inverseFrequencies, inv_freq, 1e-12)
    close([turn.amplitude], [concentration], 1e-12)
    for (const { pos, i: pairs } of cos_sin ?? []) {
      const half = params.head_dim / 2
      const ones = ops.rope(tensor([...Array(half).fill(1), ...Array(half).fill(0)]), turn, batchAt(pos)) // cos first, sin behind
      const values = await ops.read(ones)
      for (const { i, cos, sin } of pairs) close([values[i]!, values[half + i]!], [cos, sin], 1e-6)
    }
  }
})

test('rope pairs dimension i with i + K/2', async () => {
  const { x, inv_freq, pos, out } = vectors.rope_half_split
  const turn = {
    headDim: x.length,
    rotaryDim: x.length,
    pairing: 'halves' as const,
    inverseFrequencies: Float64Array.from(inv_freq),
    amplitude: 1,
  }
  close(await ops.read(ops.rope(tensor(x), turn, batchAt(pos))), out)
})

test('activations', async () => {
  const { alpha, limit, cases } = vectors.swiglu_oai
  const column = (rows: Record<string, number>[], key: string) => rows.map((row) => row[key]!)
  close(
    await ops.read(ops.gated(tensor(column(cases, 'gate')), tensor(column(cases, 'up')), { kind: 'clampedSwiglu', alpha, limit })),
    column(cases, 'out'),
  )
  const ones = vectors.silu.map(() => 1)
  close(await ops.read(ops.gated(tensor(column(vectors.silu, 'x')), tensor(ones), { kind: 'swiglu' })), column(vectors.silu, 'y'))
  close(
    await ops.read(ops.gelu(tensor(column(vectors.gelu_new, 'x')), { kind: 'gelu', approximation: 'tanh' })),
    column(vectors.gelu_new, 'y'),
  )
})

test('exact gelu agrees with values of the error function', async () => {
  const xs = [-3, -1, -0.5, 0, 0.5, 1, 3]
  const expected = [-0.004049694095, -0.158655253931, -0.154268769363, 0, 0.345731230637, 0.841344746069, 2.995950305905]
  close(await ops.read(ops.gelu(tensor(xs), { kind: 'gelu', approximation: 'erf' })), expected, 1e-7)
})

test('a sink joins the denominator only', () => {
  const { logits, sink, weights } = vectors.sink_softmax
  const options: AttentionOptions = {
    heads: 1,
    kvHeads: 1,
    keyDim: 1,
    valueDim: 1,
    scale: 1,
    window: null,
    softcap: null,
    sinks: tensor([sink], [1]),
  }
  const { probabilities } = attend(tensor([1, 1, 1], [3, 1]), tensor(logits, [3, 1]), batchAt(0, 1, 2), options, 2, 0)
  close(probabilities, weights)
})

test('a window counts the query itself', () => {
  const { size, query_pos, first_key, last_key, keys } = vectors.window
  const options: AttentionOptions = { heads: 1, kvHeads: 1, keyDim: 1, valueDim: 1, scale: 1, window: size, softcap: null }
  const rows = visible(batchAt(...Array(query_pos + 1).keys()), options, query_pos)
  assert.deepEqual([rows[0], rows.at(-1), rows.length], [first_key, last_key, keys])
})

test('a rotation of a part of each head, in both pairings, is a product of complex numbers', async () => {
  const [heads, headDim, rotaryDim, position] = [3, 10, 6, 7]
  const inverseFrequencies = Float64Array.of(1, 0.3, 0.09)
  const x = Array.from({ length: heads * headDim }, (_, i) => Math.sin(3 * i + 1))
  for (const pairing of ['halves', 'interleaved'] as const) {
    const wanted = [...x]
    for (let head = 0; head < heads * headDim; head += headDim)
      for (const [i, f] of inverseFrequencies.entries()) {
        const [a, b] = pairing === 'halves' ? [head + i, head + i + 3] : [head + 2 * i, head + 2 * i + 1]
        const [length, angle] = [Math.hypot(x[a]!, x[b]!), Math.atan2(x[b]!, x[a]!) + position * f]
        wanted[a] = 1.5 * length * Math.cos(angle)
        wanted[b] = 1.5 * length * Math.sin(angle)
      }
    const turn = { headDim, rotaryDim, pairing, inverseFrequencies, amplitude: 1.5 }
    close(await ops.read(ops.rope(tensor(x, [1, heads * headDim]), turn, batchAt(position))), wanted)
  }
})

test('routers choose in their order', async () => {
  const { logits, top, gpt_oss_topk_then_softmax, qwen3_softmax_topk, qwen3_norm_topk_prob } = vectors.router
  const weight = tensor(logits, [logits.length, 1])
  const cases = [
    [{ kind: 'topkSoftmax' }, gpt_oss_topk_then_softmax],
    [{ kind: 'softmaxTopk', normalize: false }, qwen3_softmax_topk],
    [{ kind: 'softmaxTopk', normalize: true }, qwen3_norm_topk_prob],
  ] as const
  for (const [rule, expected] of cases) {
    const routing = ops.route(tensor([1]), weight, undefined, 4, { ...rule, bias: false, auxLossCoef: 0 })
    close(await ops.read(routing.weights), expected)
    assert.deepEqual([...(routing as unknown as { chosen: Int32Array }).chosen], top)
  }
})

test('norms', async () => {
  for (const { x, w, eps, out } of vectors.rmsnorm) close(await ops.read(ops.rmsNorm(tensor(x), tensor(w, [w.length]), eps, 0)), out)
  const { x, w, b, eps, out } = vectors.layernorm
  close(await ops.read(ops.layerNorm(tensor(x), tensor(w, [w.length]), tensor(b, [b.length]), eps)), out)
})
