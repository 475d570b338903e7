/** Claims about single operations, measured by running them: dropout, positions, activations, norms, attention, sinks, MXFP4. */

import type { Rope } from '../architecture/architecture.ts'
import { preset } from '../architecture/presets.ts'
import { windowOf } from '../architecture/slots.ts'
import { rotation, yarnBounds } from '../model/rope.ts'
import { leaves, weightSpecs } from '../model/weights.ts'
import type { Backend } from '../ops/backend.ts'
import { FP4_VALUES, packMxfp4Block, storedBytes, unpackMxfp4Block } from '../ops/dtype.ts'
import type { AttentionOptions, Batch } from '../ops/ops.ts'
import type { Tensor } from '../ops/tensor.ts'
import { above, below, claimsOf, exactly, largestDifference, noise, rounded } from './claim.ts'

const sequence = (length: number): Batch => ({
  ids: new Int32Array(length),
  slots: new Int32Array(length),
  positions: Int32Array.from({ length }, (_, position) => position),
})
const oneHead = (width: number, options: Partial<AttentionOptions> = {}): AttentionOptions => ({
  heads: 1,
  kvHeads: 1,
  keyDim: width,
  valueDim: width,
  scale: width ** -0.5,
  window: null,
  softcap: null,
  ...options,
})
const plainRope = (rotaryDim: number): Rope => ({
  kind: 'rope',
  ropeTheta: 10000,
  rotaryDim,
  pairing: 'halves',
  scaling: { kind: 'none' },
})
const row = (values: Float32Array, index: number, width: number): Float32Array => values.subarray(index * width, (index + 1) * width)
const mean = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0) / values.length
const variance = (values: Float32Array): number => values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / values.length

/** Values of an activation on a grid from -4 to 4 in steps of a ten-thousandth. */
async function curves(ops: Backend) {
  const grid = Float32Array.from({ length: 80001 }, (_, index) => (index - 40000) / 10000)
  const x = () => ops.upload(grid, [1, grid.length])
  const constant = (value: number) => ops.upload(new Float32Array(grid.length).fill(value), [1, grid.length])
  const gelu = await ops.run(() => ops.gelu(x(), { kind: 'gelu', approximation: 'erf' }))
  const tanh = await ops.run(() => ops.gelu(x(), { kind: 'gelu', approximation: 'tanh' }))
  const silu = await ops.run(() => ops.gated(x(), constant(1), { kind: 'swiglu' }))
  // With up = 0 the clamped gate is g·sigmoid(1.702·g) alone.
  const quick = await ops.run(() => ops.gated(x(), constant(0), { kind: 'clampedSwiglu', alpha: 1.702, limit: 1e6 }))
  const minimum = (curve: Float32Array) => {
    const at = curve.reduce((best, value, index) => (value < curve[best]! ? index : best), 0)
    return { at: grid[at]!, value: curve[at]! }
  }
  return { gelu, tanh, silu, quick, minimum }
}

/** What a norm makes of 20 rows of D numbers with different means. */
async function normalised(ops: Backend, seed: number, norm: (x: Tensor, ones: Tensor, zeros: Tensor) => Tensor): Promise<Float32Array[]> {
  const D = 64
  const data = noise(seed, 20 * D).map((value, index) => 3 * value + Math.floor(index / D))
  const vector = (value: number) => ops.upload(new Float32Array(D).fill(value), [D])
  const y = await ops.run(() => norm(ops.upload(data, [20, D]), vector(1), vector(0)))
  return Array.from({ length: 20 }, (_, t) => row(y, t, D))
}

const FIGURE = Float32Array.of(5.61, 14.32, 0, 34.88, 38.7, 11.29)

/** What a key bias and a value bias change in the output of one attention head. */
async function biasEffects(ops: Backend, rotary: boolean, sink: boolean): Promise<{ key: number; value: number }> {
  const [T, K] = [6, 8]
  const batch = sequence(T)
  const turn = rotation(K, plainRope(K))
  const [q, k, v, bias] = [1, 2, 3, 4].map((seed) => noise(seed, seed === 4 ? K : T * K).map((value) => 2 * value))
  const plus = (values: Float32Array) => values.map((value, index) => value + bias![index % K]!)
  const run = (keys: Float32Array, values: Float32Array) =>
    ops.run(() => {
      const place = (data: Float32Array) => {
        const x = ops.upload(data, [T, K])
        return rotary ? ops.rope(x, turn, batch) : x
      }
      const sinks = sink ? ops.upload(Float32Array.of(0.5), [1]) : undefined
      return ops.attention(place(q!), place(keys), ops.upload(values, [T, K]), batch, oneHead(K, { sinks }))
    })
  const plain = await run(k!, v!)
  const withKeyBias = await run(plus(k!), v!)
  const withValueBias = await run(k!, plus(v!))
  // Where each row of probabilities sums to one, a bias of the values equals the same bias of the output.
  return { key: largestDifference(plain, withKeyBias), value: largestDifference(plus(plain), withValueBias) }
}

export const operationClaims = claimsOf('measurement', [
  {
    id: 'C6',
    says: 'Dropout zeroes values at random during training; GPT-2 had it, later models dropped it.',
    verdict: 'holds',
    note: 'The figure shows unscaled survivors; GPT-2 scales them by 1/(1 - p), so that the expectation stays.',
    check: async (ops) => {
      const ones = new Float32Array(10000).fill(1)
      const dropped = await ops.run(() => ops.dropout!(ops.upload(ones, [1, ones.length]), 0.1))
      const kept = await ops.run(() => ops.dropout!(ops.upload(ones, [1, ones.length]), 0))
      return [
        exactly('dropout of GPT-2', preset('gpt2')!.dropout.residual, 0.1),
        exactly('dropout of gpt-oss-20b', preset('gpt-oss-20b')!.dropout.residual, 0),
        rounded('value of a survivor at p = 0.1', Math.max(...dropped), 1.111, 3),
        rounded('mean of 10,000 ones', mean(dropped), 1, 1),
        below('change without dropout', largestDifference(kept, ones), 1e-30),
      ]
    },
  },
  {
    id: 'C8',
    says: 'Without positions attention does not see the order of tokens.',
    verdict: 'imprecise',
    note: 'True of a single layer. Under a causal mask the rows see different numbers of tokens, so two layers do see order.',
    check: async (ops) => {
      const [T, K] = [6, 8]
      const tokens = noise(5, T * K).map((value) => 2 * value)
      const order = [3, 0, 4, 1, 2, 5] // the last token stays last
      const permuted = Float32Array.from(order.flatMap((from) => Array.from(row(tokens, from, K))))
      const last = async (data: Float32Array, layers: number) => {
        const result = await ops.run(() => {
          let x: Tensor = ops.upload(data, [T, K])
          for (let layer = 0; layer < layers; layer++) x = ops.attention(x, x, x, sequence(T), oneHead(K))
          return x
        })
        return row(result, T - 1, K)
      }
      return [
        below(
          'one layer: change of the last output when earlier tokens are permuted',
          largestDifference(await last(tokens, 1), await last(permuted, 1)),
          1e-5,
        ),
        above('two layers: the same', largestDifference(await last(tokens, 2), await last(permuted, 2)), 1e-3),
      ]
    },
  },
  {
    id: 'C10',
    says: 'RoPE encodes positions by rotating queries and keys instead of adding a vector.',
    verdict: 'holds',
    check: async (ops) => {
      const K = 64
      const position = preset('gpt-oss-20b')!.layers[0]!.attention.position
      if (position.kind !== 'rope' || position.scaling.kind !== 'yarn') throw new TypeError('gpt-oss-20b has no YaRN')
      const plain = rotation(K, plainRope(K))
      const stretched = rotation(K, position)
      const product = async (m: number, n: number) => {
        const place = (seed: number, at: number) =>
          ops.run(() => ops.rope(ops.upload(noise(seed, K), [1, K]), plain, { ...sequence(1), positions: Int32Array.of(at) }))
        const [q, k] = [await place(1, m), await place(2, n)]
        return { dot: q.reduce((sum, value, i) => sum + value * k[i]!, 0), length: Math.hypot(...q) }
      }
      const [near, far, other] = [await product(7, 3), await product(1007, 1003), await product(7, 5)]
      const [low, high] = yarnBounds(K, position.ropeTheta, position.scaling)
      return [
        below('change of q·k when both move by 1000', Math.abs(near.dot - far.dot), 1e-4),
        above('change of q·k when the distance changes by 2', Math.abs(near.dot - other.dot), 1e-3),
        below('change of the length of q', Math.abs(near.length - Math.hypot(...noise(1, K))), 1e-5),
        rounded('YaRN of gpt-oss: first blended pair', low, 8.092779, 6),
        rounded('last blended pair', high, 17.398025, 6),
        rounded('factor on cos and sin', stretched.amplitude, 1.346574, 6),
        rounded('factor on scores', stretched.amplitude ** 2, 1.81326, 6),
      ]
    },
  },
  {
    id: 'C11',
    says: 'GELU costs more than Swish because of the error function; in quality they are equal up to noise.',
    verdict: 'imprecise',
    note: 'GPT-2 does not use the error function but the tanh form. And the gate of gpt-oss, drawn as SiLU, has slope 1.702 and is nearly GELU.',
    check: async (ops) => {
      const { gelu, tanh, silu, quick } = await curves(ops)
      const slot = preset('gpt2')!.layers[0]!.feedForward
      return [
        exactly('GELU of GPT-2', slot.kind === 'mlp' ? slot.activation.approximation : slot.kind, 'tanh'),
        rounded('largest distance of its form from GELU', largestDifference(tanh, gelu), 0.000473, 6),
        rounded('largest distance of the gate of gpt-oss from GELU', largestDifference(quick, gelu), 0.0203, 4),
        rounded('largest distance of SiLU from GELU', largestDifference(silu, gelu), 0.193, 3),
      ]
    },
  },
  {
    id: 'C12',
    says: 'Figure 5 draws ReLU, GELU and Swish.',
    verdict: 'holds',
    check: async (ops) => {
      const { gelu, tanh, silu, quick, minimum } = await curves(ops)
      return [
        rounded('least value of GELU', minimum(gelu).value, -0.16997, 5),
        rounded('… at', minimum(gelu).at, -0.7518, 2),
        rounded('least value of SiLU', minimum(silu).value, -0.27846, 5),
        rounded('… at', minimum(silu).at, -1.2785, 2),
        rounded('least value of x·sigmoid(1.702·x)', minimum(quick).value, -0.16361, 5),
        rounded('least value of GELU in the tanh form', minimum(tanh).value, -0.17004, 5),
      ]
    },
  },
  {
    id: 'C14',
    says: 'A gated feed-forward has three matrices and in practice fewer parameters than the classical one.',
    kind: 'arithmetic',
    verdict: 'imprecise',
    note: 'The products hold. Whether it has fewer depends on the width: the counts are equal at two thirds. Qwen3-0.6B, also 1024 wide, has more.',
    check: () => {
      const classical = 2 * 1024 * 4096
      const qwen = preset('Qwen3-0.6B')!
      const xl = preset('gpt2-xl')!
      return [
        exactly('classical, 1024 to 4096', classical, 8388608),
        exactly('gated, inner width 2048', 3 * 1024 * 2048, 6291456),
        exactly('gated, inner width 1024', 3 * 1024 * 1024, 3145728),
        rounded('width at which both have as many', classical / (3 * 1024), 2730.67, 2),
        exactly('Qwen3-0.6B', 3 * qwen.hiddenSize * qwen.layers[0]!.feedForward.intermediateSize, 9437184),
        exactly('GPT-2 XL', 2 * xl.hiddenSize * xl.layers[0]!.feedForward.intermediateSize, 20480000),
      ]
    },
  },
  {
    id: 'C19',
    says: 'gpt-oss alternates full layers and layers that see 128 tokens.',
    verdict: 'holds',
    check: async (ops) => {
      const [T, K] = [200, 4]
      const [q, k, v] = [11, 12, 13].map((seed) => noise(seed, T * K))
      const last = async (changed: number | null) => {
        const other = v!.map((value, index) => (Math.floor(index / K) === changed ? value + 1 : value))
        const options = oneHead(K, { window: 128 })
        const result = await ops.run(() =>
          ops.attention(ops.upload(q!, [T, K]), ops.upload(k!, [T, K]), ops.upload(other, [T, K]), sequence(T), options),
        )
        return row(result, T - 1, K)
      }
      const windows = preset('gpt-oss-20b')!.layers.map(windowOf)
      const even = windows.every((window, layer) => window === (layer % 2 ? null : 128))
      return [
        exactly('layers with a window of 128: even ones', even ? 'all' : 'not all', 'all'),
        below('change of a row when the token 128 back changes', largestDifference(await last(null), await last(T - 1 - 128)), 1e-30),
        above('… 127 back', largestDifference(await last(null), await last(T - 1 - 127)), 1e-4),
      ]
    },
  },
  {
    id: 'C25',
    says: 'Figure 11: what LayerNorm and RMSNorm make of six numbers.',
    verdict: 'holds',
    note: 'The variance before is 207.97 from the printed inputs; the figure says 207.91, because its inputs are rounded.',
    check: async (ops) => {
      const x = () => ops.upload(FIGURE, [1, 6])
      const [ones, zeros] = [new Float32Array(6).fill(1), new Float32Array(6)]
      const layer = await ops.run(() => ops.layerNorm(x(), ops.upload(ones, [6]), ops.upload(zeros, [6]), 1e-5))
      const root = await ops.run(() => ops.rmsNorm(x(), ops.upload(ones, [6]), 1e-5, 0))
      const line = (values: Float32Array) => Array.from(values, (value) => value.toFixed(2)).join(' ')
      return [
        rounded('mean before', mean(FIGURE), 17.47, 2),
        rounded('variance before', variance(FIGURE), 207.97, 2),
        exactly('LayerNorm', line(layer), '-0.82 -0.22 -1.21 1.21 1.47 -0.43'),
        exactly('RMSNorm', line(root), '0.25 0.63 0.00 1.54 1.71 0.50'),
        rounded('mean after RMSNorm', mean(root), 0.77, 2),
        rounded('variance after RMSNorm', variance(root), 0.41, 2),
      ]
    },
  },
  {
    id: 'C28',
    says: 'Figure 12: LayerNorm trains two vectors and makes two reductions, RMSNorm one and one.',
    kind: 'arithmetic',
    verdict: 'holds',
    check: () => {
      const vectors = (name: string) =>
        leaves(weightSpecs(preset(name)!)).filter(({ name: weight }) => weight.startsWith('finalNorm')).length
      return [exactly('vectors of a norm of GPT-2', vectors('gpt2'), 2), exactly('vectors of a norm of gpt-oss', vectors('gpt-oss-20b'), 1)]
    },
  },
  {
    id: 'C29',
    says: 'What LayerNorm returns has mean 0 and variance 1.',
    verdict: 'holds',
    check: async (ops) => {
      const rows = await normalised(ops, 21, (x, ones, zeros) => ops.layerNorm(x, ones, zeros, 0))
      return [
        below('largest mean of 20 rows', Math.max(...rows.map((values) => Math.abs(mean(values)))), 1e-5),
        below('largest distance of a variance from 1', Math.max(...rows.map((values) => Math.abs(variance(values) - 1))), 1e-4),
      ]
    },
  },
  {
    id: 'C30',
    says: 'What RMSNorm returns has its mean within [-1, 1] and its variance within [0, 1].',
    verdict: 'holds',
    note: 'A theorem: before the gain, mean² + variance = 1.',
    check: async (ops) => {
      const rows = await normalised(ops, 22, (x, ones) => ops.rmsNorm(x, ones, 0, 0))
      const distance = Math.max(...rows.map((values) => Math.abs(mean(values) ** 2 + variance(values) - 1)))
      return [below('largest distance of mean² + variance from 1', distance, 1e-4)]
    },
  },
  {
    id: 'C42',
    says: 'The biases of attention in gpt-oss are redundant.',
    verdict: 'wrong',
    note: 'The proof behind it removes the key bias only and needs a plain softmax over q·k. A rotation makes the bias depend on distance, and a sink does not move with it. Biases were also never gone: Pythia and Qwen 1 to 2.5 have them.',
    check: async (ops) => {
      const plain = await biasEffects(ops, false, false)
      const rotary = await biasEffects(ops, true, false)
      const sink = await biasEffects(ops, false, true)
      return [
        below('plain attention (GPT-2): effect of a key bias', plain.key, 1e-5),
        above('with RoPE: effect of a key bias', rotary.key, 0.05),
        above('with a sink: effect of a key bias', sink.key, 0.05),
        below('plain attention: effect of moving a value bias to the output', plain.value, 1e-5),
        below('with RoPE: the same', rotary.value, 1e-5),
        above('with a sink: the same', sink.value, 0.05),
      ]
    },
  },
  {
    id: 'C44',
    says: 'The sinks of gpt-oss are learned logits per head that join the scores.',
    verdict: 'imprecise',
    note: 'True. But a sink has no value vector, so unlike an attended first token it cannot store anything; it lets a head attend to nothing.',
    check: async (ops) => {
      // Scores 0.3, -1.2, 2.5 against one query; the values are unit vectors, so the output is the row of probabilities.
      const [T, K] = [3, 4]
      const [q, k, v] = [new Float32Array(T * K), new Float32Array(T * K), new Float32Array(T * K)]
      for (const [t, score] of [0.3, -1.2, 2.5].entries()) {
        q[t * K] = 1
        k[t * K] = score
        v[t * K + t] = 1
      }
      const options = (sink: number) => oneHead(K, { scale: 1, sinks: ops.upload(Float32Array.of(sink), [1]) })
      const y = await ops.run(() =>
        ops.attention(ops.upload(q, [T, K]), ops.upload(k, [T, K]), ops.upload(v, [T, K]), sequence(T), options(1)),
      )
      const p = row(y, T - 1, K)
      const count = (name: string) =>
        leaves(weightSpecs(preset(name)!)).reduce((sum, { name: weight, shape }) => sum + (weight.endsWith('sinks') ? shape[0]! : 0), 0)
      return [
        exactly('probabilities', Array.from(p.subarray(0, 3), (value) => value.toFixed(5)).join(' '), '0.08155 0.01820 0.73602'),
        rounded('their sum', p[0]! + p[1]! + p[2]!, 0.83577, 5),
        exactly('sinks of gpt-oss-20b', count('gpt-oss-20b'), 1536),
        exactly('sinks of gpt-oss-120b', count('gpt-oss-120b'), 2304),
      ]
    },
  },
  {
    id: 'C51',
    says: 'gpt-oss stores only its experts in MXFP4.',
    verdict: 'holds',
    check: () => {
      const packed = leaves(weightSpecs(preset('gpt-oss-20b')!)).filter(({ dtype }) => dtype === 'mxfp4')
      const kinds = new Set(packed.map(({ name }) => name.replace(/^layers\.\d+\./, '')))
      return [
        exactly('kinds of packed tensors', [...kinds].join(' '), 'feedForward.gateUp feedForward.down'),
        exactly('bits per weight', storedBytes('mxfp4', 32) / 4, 4.25),
        below('largest error of a round trip through all sixteen values', roundTripError(), 1e-30),
      ]
    },
  },
  {
    id: 'C53',
    says: 'MXFP4 needs a recent GPU.',
    verdict: 'wrong',
    note: 'Decoding is a table of sixteen values and a power of two; this run did it in JavaScript. The sentence described software of its day.',
    check: () => [below('error of decoding on this machine', roundTripError(), 1e-30)],
  },
])

/** Packs all sixteen values at several scales and unpacks them again. */
function roundTripError(): number {
  let worst = 0
  for (const scale of [-40, -3, 0, 5, 60]) {
    const values = Float32Array.from({ length: 32 }, (_, index) => FP4_VALUES[index % 16]! * 2 ** scale)
    const blocks = new Uint8Array(16)
    const out = new Float32Array(32)
    unpackMxfp4Block(blocks, 0, packMxfp4Block(values, 0, blocks, 0), out, 0)
    worst = Math.max(worst, largestDifference(values, out))
  }
  return worst
}
