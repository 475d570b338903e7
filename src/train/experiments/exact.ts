/**
 * Experiments without training, because they hold for any weights: whether a layer without positions can tell the order of its input,
 * and which gradient is zero. In f64 on the reference, with random weights.
 */
import type { Architecture } from '../../architecture/architecture.ts'
import { forward } from '../../model/transformer.ts'
import type { Batch } from '../../ops/ops.ts'
import { referenceTraining } from '../../ops/training/backend.ts'
import { random } from '../../random/stream.ts'
import { buildWeights, initializeParameters, parameterLayout } from '../parameters.ts'
import { Tape } from '../tape.ts'
import { attention, type Experiment, modern, small, verdict } from './experiment.ts'

export const keyBias: Experiment = {
  name: 'key-bias',
  title: 'The bias of the keys',
  expectation:
    'In GPT-2 the bias of the keys moves all scores of a query alike, so its gradient is zero; with rotary positions and sinks it is not.',
  source: 'arXiv:2302.08626',
  runs: () => [],
  conclude: () => {
    const gpt2 = keyBiasGradient('gpt2')
    const last = keyBiasGradient('biases-and-sinks')
    return {
      verdict: verdict(gpt2 < 1e-12 && last > 1e-6),
      findings: [
        { label: 'largest gradient of a key bias relative to that of a query bias, GPT-2', value: gpt2.toExponential(1) },
        { label: 'the same with rotary positions and sinks', value: last.toExponential(1) },
      ],
    }
  },
}

const SEQUENCE = Int32Array.of(3, 1, 4, 1, 5, 9, 2, 6)
const batchOf = (ids: Int32Array): Batch => ({ ids, slots: new Int32Array(ids.length), positions: Int32Array.from(ids, (_, i) => i) })

/** Weights in f64 with every value, biases too, away from zero. */
function perturbed(architecture: Architecture) {
  const layout = parameterLayout(architecture)
  const start = new Float32Array(layout.length)
  initializeParameters({ ...architecture, initializerRange: 0.3 }, layout, start, 2)
  const next = random(3)
  const values = Float64Array.from(start, (v) => v + 0.2 * (next() - 0.5))
  const gradients = new Float64Array(layout.length)
  const backend = referenceTraining()
  const weights = buildWeights(architecture, layout, ({ spec, at, count }) =>
    backend.tensor(spec.shape, values.subarray(at, at + count), gradients.subarray(at, at + count), spec.name),
  )
  return { layout, gradients, backend, weights }
}

/** Largest change of the logits of the last row when the tokens before it are reversed: one layer. */
export function orderSensitivity(position: 'none' | 'rope'): number {
  const rope = modern(10, 16, 1, 16)
  const architecture = position === 'rope' ? rope : attention(rope, () => ({ position: { kind: 'none' } }))
  const { backend, weights } = perturbed(architecture)
  const last = Int32Array.of(SEQUENCE.length - 1)
  const logits = (ids: Int32Array) => [...backend.values(forward(backend, architecture, weights, batchOf(ids), { logitRows: last }))]
  const reversed = Int32Array.from([...SEQUENCE.slice(0, -1)].reverse().concat(SEQUENCE.at(-1)!))
  const [a, b] = [logits(SEQUENCE), logits(reversed)]
  return Math.max(...a.map((v, i) => Math.abs(v - b[i]!)))
}

/** Largest gradient of a key bias over the largest of a query bias. */
function keyBiasGradient(step: string): number {
  const architecture = small(10, 16, 2, 16).find(({ name }) => name === step)!.architecture
  const { layout, gradients, backend, weights } = perturbed(architecture)
  const tape = new Tape(backend)
  const logits = forward(tape, architecture, weights, batchOf(SEQUENCE.slice(0, -1)))
  tape.backward(tape.crossEntropy(logits, SEQUENCE.slice(1), 1 / (SEQUENCE.length - 1)))
  const largest = (role: string) =>
    Math.max(
      ...layout.parameters
        .filter(({ spec }) => spec.name.endsWith(role))
        .flatMap(({ at, count }) => [...gradients.subarray(at, at + count)].map(Math.abs)),
    )
  return largest('.kBias') / largest('.qBias')
}
