/** Claims decided by small simulations: what the backward direction of a sequence cannot see, batch statistics, sums over several devices. */

import { initialize } from '../model/initialize.ts'
import { forward } from '../model/transformer.ts'
import { leaves, weightSpecs } from '../model/weights.ts'
import { mean, variance } from '../numbers/statistics.ts'
import type { Backend } from '../ops/backend.ts'
import { above, below, claimsOf, exactly, largestDifference, noise, published } from './claim.ts'
import { days, IDEAS } from './published/releases.ts'
import { sequence } from './single-ops.ts'
import { smallSteps } from './small.ts'

/** What batch normalisation makes of a column of B numbers. Ioffe & Szegedy 2015. */
function batchNorm(column: readonly number[], eps = 1e-5): number[] {
  const [m, v] = [mean(column), variance(column)]
  return column.map((value) => (value - m) / Math.sqrt(v + eps))
}

/** The output for one row beside B - 1 random others, over many draws: the spread between draws. */
function spreadByOthers(batch: number, norm: (rows: readonly number[][]) => number): number {
  const D = 32
  const own = [...noise(1, D)]
  const draws = Array.from({ length: 200 }, (_, i) =>
    norm([own, ...Array.from({ length: batch - 1 }, (_, b) => [...noise(100 + 1000 * i + b, D)])]),
  )
  return Math.sqrt(variance(draws))
}
const byBatch = (rows: readonly number[][]): number => batchNorm(rows.map((row) => row[0]!))[0]!
const byRow = ([own]: readonly number[][]): number => (own![0]! - mean(own!)) / Math.sqrt(variance(own!) + 1e-5)

/** Sums over a row whose parts lie on several devices. Counts exchanges and the numbers in each. */
class Devices {
  readonly #parts: number[][]
  exchanges = 0
  numbers = 0

  constructor(row: readonly number[], count: number) {
    const size = row.length / count
    this.#parts = Array.from({ length: count }, (_, i) => row.slice(i * size, (i + 1) * size))
  }

  /** All devices add up `terms` of their values; one exchange for all terms together. */
  sum(...terms: ((value: number) => number)[]): number[] {
    this.exchanges++
    this.numbers += terms.length
    return terms.map((term) => this.#parts.reduce((total, part) => total + part.reduce((sum, value) => sum + term(value), 0), 0))
  }

  map(to: (value: number) => number): number[] {
    return this.#parts.flatMap((part) => part.map(to))
  }
}

const rmsNorm = (devices: Devices, size: number): number[] => {
  const [squares] = devices.sum((x) => x * x)
  return devices.map((x) => x / Math.sqrt(squares! / size + 1e-5))
}
const layerNorm = (devices: Devices, size: number): number[] => {
  const m = devices.sum((x) => x)[0]! / size
  const v = devices.sum((x) => (x - m) ** 2)[0]! / size
  return devices.map((x) => (x - m) / Math.sqrt(v + 1e-5))
}
/** With the sum and the sum of squares in one exchange. */
const layerNormAtOnce = (devices: Devices, size: number): number[] => {
  const [sum, squares] = devices.sum(
    (x) => x,
    (x) => x * x,
  )
  const m = sum! / size
  return devices.map((x) => (x - m) / Math.sqrt(squares! / size - m * m + 1e-5))
}

/** Largest change of the logits before position 4 when the ids from there on change. */
async function changeBefore(ops: Backend, name: string): Promise<number> {
  const architecture = smallSteps({ layers: 2, width: 32 }).get(name)!
  const weights = await initialize(architecture, ops, 5)
  const run = (ids: number[]) => {
    const batch = { ...sequence(ids.length), ids: Int32Array.from(ids) }
    return ops.run(() => forward(ops, architecture, weights, batch, { logitRows: Int32Array.of(0, 1, 2, 3) }))
  }
  return largestDifference(await run([5, 6, 7, 8, 9, 10]), await run([5, 6, 7, 8, 1, 2]))
}

export const simulatedClaims = claimsOf('run', [
  {
    id: 'C5',
    says: 'Both models descend from the transformer of 2017 and keep only its decoder.',
    verdict: 'holds',
    note: 'One forward pass runs both here. A decoder predicts each token from those before it, so later ones change nothing.',
    check: async (ops) => {
      const parts = (name: string) =>
        leaves(weightSpecs(smallSteps({ layers: 2, width: 32 }).get(name)!)).filter(({ name: weight }) => /encoder|cross/i.test(weight))
          .length
      return [
        below('GPT-2: change of earlier outputs when later tokens change', await changeBefore(ops, 'gpt2'), 1e-30),
        below('gpt-oss: the same', await changeBefore(ops, 'yarn'), 1e-30),
        exactly('tensors of an encoder, GPT-2 and gpt-oss', parts('gpt2') + parts('yarn'), 0),
        ...published(IDEAS.transformer, exactly('year of the transformer', IDEAS.transformer.day.slice(0, 4), '2017')),
      ]
    },
  },
  {
    id: 'C24',
    says: 'Batch normalisation went out of use because of its dependence on the batch.',
    verdict: 'holds',
    note: 'The dependence is simulated; that it is the reason is the history as the papers tell it.',
    check: () => {
      const [two, eight, many] = [2, 8, 128].map((batch) => spreadByOthers(batch, byBatch))
      return [
        below('batch of one: what batch normalisation leaves of a value of 3', Math.abs(batchNorm([3])[0]!), 1e-30),
        above('spread of one output by the other rows, batch of 2', two!, 0.3),
        below('… batch of 128, relative to a batch of 8', many! / eight!, 0.5),
        below('… LayerNorm, any batch', spreadByOthers(8, byRow), 1e-12),
        ...published(IDEAS.layerNorm, above('days from batch to layer normalisation', days(IDEAS.batchNorm.day, IDEAS.layerNorm.day), 0)),
      ]
    },
  },
  {
    id: 'C27',
    says: 'One reduction instead of two lowers communication between GPUs.',
    verdict: 'imprecise',
    note: 'True of the usual two passes. LayerNorm can send the sum and the sum of squares in one exchange of two numbers, at the cost of precision where the mean is large. And a norm needs an exchange only if the row itself is split.',
    check: () => {
      const [size, count] = [1024, 8]
      const row = [...noise(41, size)].map((value) => 3 * value + 1)
      const on = (norm: (devices: Devices, size: number) => number[], values: readonly number[] = row) => {
        const devices = new Devices(values, count)
        return { y: Float32Array.from(norm(devices, size)), devices }
      }
      const [rms, layer, atOnce] = [on(rmsNorm), on(layerNorm), on(layerNormAtOnce)]
      const alone = Float32Array.from(layerNorm(new Devices(row, 1), size))
      const far = row.map((value) => value + 1e7)
      return [
        exactly('exchanges of RMSNorm over 8 devices', rms.devices.exchanges, 1),
        exactly('exchanges of LayerNorm', layer.devices.exchanges, 2),
        exactly('exchanges of LayerNorm with both sums at once', atOnce.devices.exchanges, 1),
        exactly('numbers sent: RMSNorm, LayerNorm, at once', [rms, layer, atOnce].map(({ devices }) => devices.numbers).join(' '), '1 2 2'),
        below('largest difference of one device and 8', largestDifference(layer.y, alone), 1e-6),
        below('largest difference of LayerNorm at once', largestDifference(layer.y, atOnce.y), 1e-6),
        above('… where the mean is ten million', largestDifference(on(layerNorm, far).y, on(layerNormAtOnce, far).y), 1e-4),
      ]
    },
  },
])
