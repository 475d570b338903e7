/**
 * What precision costs: the Kullback-Leibler divergence of the model's distribution to the golden one (transformers), at every position
 * of every prompt of every tiny checkpoint. Prints the figures that docs/log.md quotes and bounds them. And for each precision: any
 * number of threads gives the same bits.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadCheckpoint } from '../../../src/checkpoint/load-node.ts'
import { forward } from '../../../src/model/transformer.ts'
import { createWasmBackend, type WasmBackend } from '../../../src/ops/wasm/wasm.ts'
import { readGolden } from '../../model/read-golden.ts'

const fixtures = fileURLToPath(new URL('../../fixtures/checkpoints/', import.meta.url))

/**
 * Largest median and maximum over the positions of a checkpoint, in nats. Where two experts come out of the router all but equal, rounding may
 * choose the other one, and that position is far off: with random weights that happens, so mixtures have no useful maximum in fast.
 */
const BOUNDS = {
  faithful: { median: 1e-7, maximum: 1e-6, maximumOfMixtures: 1e-6 },
  fast: { median: 3e-3, maximum: 5e-2, maximumOfMixtures: 2 },
} as const

/** Natural logarithms of the softmax of a row. */
function logSoftmax(logits: Float32Array): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b))
  const total = logits.reduce((sum, x) => sum + Math.exp(x - largest), 0)
  return Float64Array.from(logits, (x) => x - largest - Math.log(total))
}

/** KL(golden ‖ ours) in nats. */
function divergence(golden: Float32Array, ours: Float32Array): number {
  const [p, q] = [logSoftmax(golden), logSoftmax(ours)]
  return p.reduce((sum, logP, i) => sum + Math.exp(logP) * (logP - q[i]!), 0)
}

async function logitsOf(backend: WasmBackend, loaded: Awaited<ReturnType<typeof loadCheckpoint>>, ids: Int32Array, rows: number) {
  const T = ids.length
  const batch = { ids, slots: new Int32Array(T), positions: Int32Array.from(ids.keys()) }
  let logits: Promise<Float32Array> | undefined
  backend.scope('call', () => {
    const y = forward(backend, loaded.architecture, loaded.weights, batch, {
      logitRows: Int32Array.from({ length: rows }, (_, i) => T - rows + i),
    })
    logits = backend.read(y)
    return y
  })
  return logits! // [rows, V]
}

for (const precision of ['faithful', 'fast'] as const) {
  describe(precision, () => {
    let one: WasmBackend
    let three: WasmBackend
    before(async () => {
      ;[one, three] = await Promise.all([createWasmBackend({ threads: 1, precision }), createWasmBackend({ threads: 3, precision })])
    })
    after(() => Promise.all([one.dispose(), three.dispose()]))

    for (const checkpoint of readdirSync(fixtures))
      test(checkpoint, async (t) => {
        const golden = readGolden(`${fixtures}${checkpoint}/golden.safetensors`)
        const [onOne, onThree] = await Promise.all([one, three].map((backend) => loadCheckpoint(fixtures + checkpoint, backend)))
        const V = onOne!.architecture.vocabSize
        const found: number[] = []
        for (const [n, ids] of golden.ids.entries()) {
          const wanted = golden.logits[n]!
          const rows = wanted.length / V
          const logits = await logitsOf(one, onOne!, ids, rows)
          assert.deepEqual(await logitsOf(three, onThree!, ids, rows), logits, 'three threads = one thread')
          for (let r = 0; r < rows; r++) found.push(divergence(wanted.subarray(r * V, (r + 1) * V), logits.subarray(r * V, (r + 1) * V)))
        }
        found.sort((a, b) => a - b)
        const [median, maximum] = [found[found.length >> 1]!, found.at(-1)!]
        t.diagnostic(`KL divergence over ${found.length} positions: median ${median.toExponential(2)}, maximum ${maximum.toExponential(2)}`)
        assert.ok(median >= -1e-12 && median <= BOUNDS[precision].median, `median ${median}`)
        const mixture = onOne!.architecture.layers.some(({ feedForward }) => feedForward.kind === 'moe')
        assert.ok(maximum <= BOUNDS[precision][mixture ? 'maximumOfMixtures' : 'maximum'], `maximum ${maximum}`)
      })
  })
}
