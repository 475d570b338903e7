/** Claims about single operations, measured by running them: dropout, positions, activations, norms, attention, sinks, MXFP4. */

import { preset } from '../architecture/presets.ts'
import { multiHeadOf, windowOf } from '../architecture/slots.ts'
import { rotation, yarnBounds } from '../model/rope.ts'
import { leaves, weightSpecs } from '../model/weights.ts'
import { mean } from '../numbers/statistics.ts'
import type { Backend } from '../ops/backend.ts'
import { FP4_VALUES, packMxfp4Block, storedBytes, unpackMxfp4Block } from '../ops/dtype.ts'
import { size } from '../ops/tensor.ts'
import { above, below, claimsOf, exactly, largestDifference, noise, published, rounded } from './claim.ts'
import { GLU_VARIANTS, KEY_BIAS_LOSSES, SWISH_IMAGES } from './published/tables.ts'
import { earlierRow, lossRow, ratioRow, timed } from './rows.ts'
import {
  activations,
  biasEffects,
  changeByOrder,
  lowest,
  oneHead,
  plainRope,
  row,
  sequence,
  shiftChange,
  sinkProbabilities,
} from './single-ops.ts'

/** Activations from -4 to 4 in steps of a ten-thousandth. */
async function curves(ops: Backend) {
  const grid = Float32Array.from({ length: 80001 }, (_, index) => (index - 40000) / 10000)
  return { grid, ...(await activations(ops, grid)) }
}

/** Values of the weights of a preset whose names match. */
const biases = (name: string, of: RegExp): number =>
  leaves(weightSpecs(preset(name)!)).reduce((sum, { name: weight, shape }) => sum + (of.test(weight) ? size(shape) : 0), 0)

export const operationClaims = claimsOf('run', [
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
        rounded('mean of 10,000 ones', mean([...dropped]), 1, 1),
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
      return [
        below(
          'one layer: change of the last output when earlier tokens are permuted',
          await changeByOrder(ops, { seed: 5, layers: 1 }),
          1e-5,
        ),
        above('two layers: the same', await changeByOrder(ops, { seed: 5, layers: 2 }), 1e-3),
      ]
    },
  },
  {
    id: 'C10',
    says: 'RoPE encodes positions by rotating queries and keys instead of adding a vector.',
    verdict: 'holds',
    note: 'An earlier text of the article (its translation) says queries and values. That is wrong: values carry what is read, not where it stands, and with them rotated the output depends on the absolute position.',
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
        below(
          'change of the output of attention when all positions move by 1000, queries and keys rotated',
          await shiftChange(ops, 'keys'),
          1e-3,
        ),
        above('… queries and values rotated, as one text of the article says', await shiftChange(ops, 'values'), 0.1),
        below('change of the length of q', Math.abs(near.length - Math.hypot(...noise(1, K))), 1e-5),
        earlierRow('ladderRope', 'below', 0),
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
    note: 'GPT-2 does not use the error function but the tanh form. And the gate of gpt-oss, drawn as SiLU, has slope 1.702 and is nearly GELU. That Swish is better on images rests on one of three networks, that GELU is better on text on 1.4 printed deviations.',
    experiments: ['gate'],
    check: async (ops, evidence) => {
      const { gelu, tanh, silu, quick } = await curves(ops)
      const { ops: times, date, machine } = await evidence.times()
      const from = timed('C11', date, machine)
      const images = Object.values(SWISH_IMAGES.rows)
      const slot = preset('gpt2')!.layers[0]!.feedForward
      return [
        exactly('GELU of GPT-2', slot.kind === 'mlp' ? slot.activation.approximation : slot.kind, 'tanh'),
        rounded('largest distance of its form from GELU', largestDifference(tanh, gelu), 0.000473, 6),
        rounded('largest distance of the gate of gpt-oss from GELU', largestDifference(quick, gelu), 0.0203, 4),
        rounded('largest distance of SiLU from GELU', largestDifference(silu, gelu), 0.193, 3),
        ratioRow('time of GELU (error function) over that of SiLU with its product', times.geluErf / times.swiglu, 1, from),
        ratioRow('time of a GELU gate (tanh) over that of a SiLU gate', times.geglu / times.swiglu, 1, from),
        lossRow(await evidence.training('gate'), 'loss of a SiLU gate less that of a GELU gate', ['GEGLU', 'SwiGLU'], 'same'),
        ...published(
          SWISH_IMAGES,
          exactly(
            'image networks on which Swish is better',
            `${images.filter(({ gelu, swish }) => swish > gelu).length} of ${images.length}`,
            '1 of 3',
          ),
        ),
        ...published(
          GLU_VARIANTS,
          rounded(
            'GELU less Swish on text, in printed deviations',
            (GLU_VARIANTS.scores.GELU - GLU_VARIANTS.scores.Swish) / GLU_VARIANTS.deviation,
            1.39,
            2,
          ),
        ),
      ]
    },
  },
  {
    id: 'C12',
    says: 'Figure 5 draws ReLU, GELU and Swish.',
    verdict: 'holds',
    check: async (ops) => {
      const { grid, gelu, tanh, silu, quick } = await curves(ops)
      const least = (curve: Float32Array) => lowest(grid, curve)
      return [
        rounded('least value of GELU', least(gelu).value, -0.16997, 5),
        rounded('… at', least(gelu).at, -0.7518, 2),
        rounded('least value of SiLU', least(silu).value, -0.27846, 5),
        rounded('… at', least(silu).at, -1.2785, 2),
        rounded('least value of x·sigmoid(1.702·x)', least(quick).value, -0.16361, 5),
        rounded('least value of GELU in the tanh form', least(tanh).value, -0.17004, 5),
      ]
    },
  },
  {
    id: 'C14',
    says: 'A gated feed-forward has three matrices and in practice fewer parameters than the classical one.',
    kind: 'computed',
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
    id: 'C42',
    says: 'The biases of attention in gpt-oss are redundant.',
    verdict: 'wrong',
    note: 'The proof behind it removes the key bias only and needs a plain softmax over q·k. A rotation makes the bias depend on distance, and a sink does not move with it. Biases were also never gone: Pythia and Qwen 1 to 2.5 have them. The table of figure 19 removes the key bias alone, from models with absolute positions.',
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
        exactly(
          'models between with biases on queries, keys, values',
          ['Pythia-1.4B', 'Qwen2.5-7B'].filter((name) => multiHeadOf(preset(name)!).qkvBias).join(' '),
          'Pythia-1.4B Qwen2.5-7B',
        ),
        exactly('biases of the experts of gpt-oss-20b', biases('gpt-oss-20b', /feedForward\.(gateUp|down)Bias$/), 6635520),
        ...Object.entries(KEY_BIAS_LOSSES.rows).flatMap(([name, [plain, without]]) =>
          published(KEY_BIAS_LOSSES, below(`${name}: change of the loss without key bias`, Math.abs(without - plain), 0.003)),
        ),
      ]
    },
  },
  {
    id: 'C44',
    says: 'The sinks of gpt-oss are learned logits per head that join the scores.',
    verdict: 'imprecise',
    note: 'True. But a sink has no value vector, so unlike an attended first token it cannot store anything; it lets a head attend to nothing.',
    check: async (ops) => {
      const p = await sinkProbabilities(ops, [0.3, -1.2, 2.5], 1)
      const count = (name: string) =>
        leaves(weightSpecs(preset(name)!)).reduce((sum, { name: weight, shape }) => sum + (weight.endsWith('sinks') ? shape[0]! : 0), 0)
      return [
        exactly('probabilities', Array.from(p, (value) => value.toFixed(5)).join(' '), '0.08155 0.01820 0.73602'),
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
