/**
 * How far fast precision leaves the golden distributions: Kullback-Leibler divergence of the softmax, in nats, over all golden positions. Prints median and
 * maximum per checkpoint. The checkpoints are tiny and their weights random, so that rounding hurts them more than a
 * trained model: where two experts are nearly tied, a rounded layer before may swap them, which is what the maxima show. Hence no bound on these.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { forward } from '../../../src/model/transformer.ts'
import { createWasmBackend } from '../../../src/ops/wasm/wasm.ts'
import { loadCheckpoint } from '../../checkpoint/load-directory.ts'
import { readGolden } from '../../model/read-golden.ts'

const fixtures = fileURLToPath(new URL('../../fixtures/checkpoints/', import.meta.url))

function logSoftmax(logits: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(logits)
  const largest = values.reduce((a, b) => Math.max(a, b))
  const sum = values.reduce((total, value) => total + Math.exp(value - largest), 0)
  return values.map((value) => value - largest - Math.log(sum))
}

test('fast precision stays close to the golden distributions', async (t) => {
  const backend = await createWasmBackend({ threads: 0, precision: 'fast' })
  for (const checkpoint of readdirSync(fixtures)) {
    const { architecture, weights } = await loadCheckpoint(fixtures + checkpoint, backend)
    const golden = readGolden(`${fixtures}${checkpoint}/golden.safetensors`)
    const V = architecture.vocabSize
    const divergences: number[] = []
    for (const [n, ids] of golden.ids.entries()) {
      const wanted = golden.logits[n]!
      const R = wanted.length / V
      const positions = Int32Array.from(ids.keys())
      const logitRows = positions.subarray(ids.length - R)
      const batch = { ids, slots: new Int32Array(ids.length), positions }
      const found = await backend.run(() => forward(backend, architecture, weights, batch, { logitRows }))
      for (let row = 0; row < R; row++) {
        const [p, q] = [wanted, found].map((logits) => logSoftmax(logits.subarray(row * V, (row + 1) * V))) as [Float64Array, Float64Array]
        divergences.push(p.reduce((sum, value, i) => sum + Math.exp(value) * (value - q[i]!), 0))
      }
    }
    divergences.sort((a, b) => a - b)
    const [median, most] = [divergences[divergences.length >> 1]!, divergences.at(-1)!]
    t.diagnostic(`${checkpoint}: median ${median.toExponential(1)}, maximum ${most.toExponential(1)} over ${divergences.length} positions`)
    assert.ok(median < 5e-3, `${checkpoint}: median ${median}, maximum ${most}`)
  }
})
