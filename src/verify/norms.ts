/** Claims about LayerNorm and RMSNorm, from single ops, lists of weights and times. */

import { preset } from '../architecture/presets.ts'
import { stepsWith, walkSteps } from '../architecture/steps.ts'
import { account } from '../compare/account.ts'
import { leaves, weightSpecs } from '../model/weights.ts'
import { mean, variance } from '../numbers/statistics.ts'
import type { Backend } from '../ops/backend.ts'
import type { Tensor } from '../ops/tensor.ts'
import { below, claimsOf, exactly, noise, rounded } from './claim.ts'
import { NORM_INPUT } from './published/tables.ts'
import { earlierRow, fromRuns, lossRow, ratioRow, timed } from './rows.ts'

/** What a norm makes of 20 rows of D numbers with different means. */
async function normalised(ops: Backend, seed: number, norm: (x: Tensor, ones: Tensor, zeros: Tensor) => Tensor): Promise<number[][]> {
  const D = 64
  const data = noise(seed, 20 * D).map((value, index) => 3 * value + Math.floor(index / D))
  const vector = (value: number) => ops.upload(new Float32Array(D).fill(value), [D])
  const y = await ops.run(() => norm(ops.upload(data, [20, D]), vector(1), vector(0)))
  return Array.from({ length: 20 }, (_, t) => [...y.subarray(t * D, (t + 1) * D)])
}

export const normClaims = claimsOf('run', [
  {
    id: 'C23',
    says: 'RMSNorm replaces LayerNorm: no bias, one reduction instead of two.',
    kind: 'computed',
    verdict: 'holds',
    note: "Cheaper by itself; a norm takes well below a hundredth of a model's time.",
    experiments: ['norms'],
    check: async (_, evidence) => {
      const [start, , after] = walkSteps(preset('gpt2')!, stepsWith())
      const { ops, date, machine } = await evidence.times()
      const run = await evidence.training('norms')
      const norms = (index: typeof start) => account(index!, { context: 1 }).parameters.byComponent.norm
      return [
        exactly('norm parameters of GPT-2', norms(start), 25 * 2 * 768),
        exactly('… with RMSNorm', norms(after), 25 * 768),
        ratioRow('time of LayerNorm over that of RMSNorm', ops.layerNorm / ops.rmsNorm, 1, timed('C23', date, machine)),
        earlierRow('ladderRmsNorm', 'within', 0.03),
        ...fromRuns(run, () => [lossRow(run, 'the same, four layers of 64 on generated text', ['LayerNorm', 'RMSNorm'], 'same', 0.05)]),
      ]
    },
  },
  {
    id: 'C25',
    says: 'Figure 11: what LayerNorm and RMSNorm make of six numbers.',
    verdict: 'holds',
    note: 'The variance before is 207.97 from the printed inputs; the figure says 207.91, because its inputs are rounded.',
    check: async (ops) => {
      const { values } = NORM_INPUT
      const x = () => ops.upload(Float32Array.from(values), [1, 6])
      const [ones, zeros] = [new Float32Array(6).fill(1), new Float32Array(6)]
      const layer = await ops.run(() => ops.layerNorm(x(), ops.upload(ones, [6]), ops.upload(zeros, [6]), 1e-5))
      const root = await ops.run(() => ops.rmsNorm(x(), ops.upload(ones, [6]), 1e-5, 0))
      const line = (row: Float32Array) => Array.from(row, (value) => value.toFixed(2)).join(' ')
      return [
        rounded('mean before', mean(values), 17.47, 2),
        rounded('variance before', variance(values), 207.97, 2),
        exactly('LayerNorm', line(layer), '-0.82 -0.22 -1.21 1.21 1.47 -0.43'),
        exactly('RMSNorm', line(root), '0.25 0.63 0.00 1.54 1.71 0.50'),
        rounded('mean after RMSNorm', mean([...root]), 0.77, 2),
        rounded('variance after RMSNorm', variance([...root]), 0.41, 2),
      ]
    },
  },
  {
    id: 'C28',
    says: 'Figure 12: LayerNorm trains two vectors and makes two reductions, RMSNorm one and one.',
    kind: 'computed',
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
])
