/**
 * Gradients of the whole model on every step from GPT-2 to gpt-oss against central differences in f64.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forward } from '../../src/model/transformer.ts'
import { referenceTraining } from '../../src/ops/training/backend.ts'
import { random } from '../../src/random/stream.ts'
import { buildWeights, initializeParameters, parameterLayout } from '../../src/train/parameters.ts'
import { smallModels, smallSideRoads } from '../../src/train/small-models.ts'
import { Tape } from '../../src/train/tape.ts'

const sizes = { vocabSize: 17, block: 9, layers: 2, heads: 4, width: 16, dropout: 0.2 }
const batch = {
  ids: Int32Array.of(3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9),
  slots: Int32Array.of(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1),
  positions: Int32Array.of(0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4),
}
const rows = Int32Array.of(0, 2, 3, 6, 7, 8, 11, 12)
const targets = Int32Array.of(1, 1, 5, 6, 0, 3, 9, 7)

const stepSizes = { slidingWindow: 3, experts: 4 }
for (const { name, architecture } of [...smallModels(sizes, stepSizes), ...smallSideRoads(sizes, stepSizes)]) {
  test(`gradient of ${name}`, () => {
    const layout = parameterLayout(architecture)
    const start = new Float32Array(layout.length)
    initializeParameters({ ...architecture, initializerRange: 0.3 }, layout, start, 4)
    const next = random(11)
    const values = Float64Array.from(start, (v) => v + 0.1 * (next() - 0.5)) // biases and sinks away from zero
    const backend = referenceTraining()
    const gradients = new Float64Array(layout.length)
    const weights = buildWeights(architecture, layout, ({ spec, at, count }) =>
      backend.tensor(spec.shape, values.subarray(at, at + count), gradients.subarray(at, at + count), spec.name),
    )
    const pass = () => {
      backend.reset(5)
      const tape = new Tape(backend)
      const loss = tape.crossEntropy(forward(tape, architecture, weights, batch, { logitRows: rows }), targets, 1 / rows.length)
      return { tape, total: tape.withBalance(loss) }
    }
    const { tape, total } = pass()
    tape.backward(total)
    const analytic = gradients.slice()
    const h = 1e-5
    for (const { spec, at, count } of layout.parameters) {
      const largest = Math.max(...analytic.subarray(at, at + count).map(Math.abs), 1e-4)
      for (let trial = 0; trial < 3; trial++) {
        const i = at + Math.floor(next() * count)
        const before = values[i]!
        values[i] = before + h
        const above = backend.values(pass().total)[0]!
        values[i] = before - h
        const below = backend.values(pass().total)[0]!
        values[i] = before
        const error = Math.abs((above - below) / (2 * h) - analytic[i]!) / largest
        assert.ok(error < 1e-4, `${spec.name}[${i - at}]: backward ${analytic[i]}, central difference ${(above - below) / (2 * h)}`)
      }
    }
  })
}
