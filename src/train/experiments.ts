/**
 * The focused experiments: effects of the road that are visible in small models, each with what is expected, what is run, and a rule that turns
 * the results into an outcome. An outcome may be that nothing, or the opposite, was seen. Expectations: the papers named at each.
 */
import type { Architecture, Attention, FeedForward } from '../architecture/architecture.ts'
import { forward } from '../model/transformer.ts'
import type { Batch } from '../ops/ops.ts'
import { referenceTraining } from '../ops/training/backend.ts'
import type { DataSpec, Job, JobResult } from './job.ts'
import { buildWeights, initializeParameters, parameterLayout } from './parameters.ts'
import { random } from './random.ts'
import { rungs } from './rungs.ts'
import { mean } from './statistics.ts'
import { Tape } from './tape.ts'
import { DEFAULT_PLAN } from './trainer.ts'

export interface Finding {
  label: string
  value: string
}

export interface Outcome {
  verdict: 'as expected' | 'not visible' | 'opposite'
  findings: Finding[]
}

export interface Experiment {
  name: string
  title: string
  expectation: string
  source: string
  /** Runs; none where a computation is enough. `scale` shortens or lengthens all of them. */
  jobs(scale: number, seeds: number): Job[]
  conclude(results: readonly JobResult[]): Outcome
}

const small = (vocabSize: number, block: number, layers: number, width: number, heads = 4, dropout = 0) =>
  rungs({ vocabSize, block, layers, heads, width, dropout }, { slidingWindow: 8, headsPerGroup: 1 })

const modern = (vocabSize: number, block: number, layers: number, width: number, heads = 4): Architecture =>
  small(vocabSize, block, layers, width, heads).find(({ name }) => name === 'no-biases')!.architecture

const attention = (architecture: Architecture, change: (slot: Attention, index: number) => Partial<Attention>): Architecture => ({
  ...architecture,
  layers: architecture.layers.map((layer, i) => ({ ...layer, attention: { ...layer.attention, ...change(layer.attention, i) } })),
})
const feedForward = (architecture: Architecture, slot: FeedForward): Architecture => ({
  ...architecture,
  layers: architecture.layers.map((layer) => ({ ...layer, feedForward: slot })),
})

/** One job per seed. */
function runs(
  label: string,
  architecture: Architecture,
  data: DataSpec,
  steps: number,
  scale: number,
  seeds: number,
  extra: Partial<Job> = {},
  rate = 2e-3,
): Job[] {
  const count = Math.max(10, Math.round(steps * scale))
  return Array.from({ length: seeds }, (_, i) => ({
    label,
    architecture,
    data,
    plan: {
      ...DEFAULT_PLAN,
      steps: count,
      warmup: Math.ceil(count / 10),
      learningRate: rate,
      finalLearningRate: rate / 10,
      evaluateEvery: Math.max(1, Math.ceil(count / 8)),
      seed: i + 1,
    },
    ...extra,
  }))
}

const of = (results: readonly JobResult[], label: string): JobResult[] => results.filter((r) => r.label === label)
const accuracy = (results: readonly JobResult[], label: string): number => mean(of(results, label).map((r) => r.accuracy))
const loss = (results: readonly JobResult[], label: string): number => mean(of(results, label).map((r) => r.loss))
const best = (results: readonly JobResult[], label: string): number => mean(of(results, label).map((r) => r.bestLoss))
const percent = (x: number): string => `${(100 * x).toFixed(1)} %`
const labels = (results: readonly JobResult[]): string[] => [...new Set(results.map(({ label }) => label))]
const accuracies = (results: readonly JobResult[]): Finding[] =>
  labels(results).map((label) => ({ label, value: percent(accuracy(results, label)) }))
const lossFindings = (results: readonly JobResult[]): Finding[] =>
  labels(results).map((label) => ({ label, value: loss(results, label).toFixed(3) }))
const verdict = (yes: boolean, opposite = false): Outcome['verdict'] => (yes ? 'as expected' : opposite ? 'opposite' : 'not visible')

/** Text by characters, for the experiments about loss. */
export interface Texts {
  /** Character ids of a long text, and how many characters there are. */
  ids: Int32Array
  vocabSize: number
}

export function experiments({ ids, vocabSize }: Texts): Experiment[] {
  const text = (share: number, batch = 12): DataSpec => ({
    kind: 'text',
    ids: share === 1 ? ids : ids.slice(0, Math.floor(ids.length * share)),
    block: 64,
    batch,
    heldOut: 0.1,
  })
  return [
    {
      name: 'dropout',
      title: 'Dropout in one pass and in many',
      expectation: 'On a text read about once dropout makes the loss worse; on a small text read many times it makes the best loss better.',
      source: 'arXiv:2505.24788',
      jobs: (scale, seeds) => {
        const model = (p: number) => small(vocabSize, 64, 4, 64, 4, p)[0]!.architecture
        const few = Math.min(1, 24_000 / ids.length)
        return [
          ...runs('one pass, p = 0', model(0), text(1), 700, scale, seeds),
          ...runs('one pass, p = 0.2', model(0.2), text(1), 700, scale, seeds),
          ...runs('many passes, p = 0', model(0), text(few), 1000, scale, seeds),
          ...runs('many passes, p = 0.2', model(0.2), text(few), 1000, scale, seeds),
        ]
      },
      conclude: (results) => {
        const once = best(results, 'one pass, p = 0.2') - best(results, 'one pass, p = 0')
        const often = best(results, 'many passes, p = 0.2') - best(results, 'many passes, p = 0')
        return {
          verdict: verdict(once > 0.01 && often < -0.01, once < 0 && often > 0),
          findings: [
            ...labels(results).map((label) => ({ label: `best loss, ${label}`, value: best(results, label).toFixed(3) })),
            { label: 'change by dropout, one pass', value: once.toFixed(3) },
            { label: 'change by dropout, many passes', value: often.toFixed(3) },
          ],
        }
      },
    },
    {
      name: 'positions',
      title: 'Order without positions',
      expectation:
        'One layer without positions cannot tell the order of what it reads; with rotary positions it can. Copying is learnt with positions first.',
      source: 'arXiv:2104.09864, arXiv:2305.19466',
      jobs: (scale, seeds) => {
        const data: DataSpec = { kind: 'task', task: { name: 'copy', symbols: 12, span: 12 }, length: 25, batch: 24 }
        const learned = small(13, 32, 2, 64).find(({ name }) => name === 'no-dropout')!.architecture
        const rope = modern(13, 32, 2, 64)
        const none = attention(rope, () => ({ position: { kind: 'none' } }))
        return [
          ...runs('none', none, data, 500, scale, seeds),
          ...runs('learned', learned, data, 500, scale, seeds),
          ...runs('rotary', rope, data, 500, scale, seeds),
        ]
      },
      conclude: (results) => {
        const blind = orderSensitivity('none')
        const seeing = orderSensitivity('rope')
        return {
          verdict: verdict(blind < 1e-9 && seeing > 1e-3 && accuracy(results, 'rotary') > accuracy(results, 'none') + 0.05),
          findings: [
            { label: 'change of the last logits when earlier tokens are shuffled, one layer, no positions', value: blind.toExponential(1) },
            { label: 'the same with rotary positions', value: seeing.toExponential(1) },
            ...accuracies(results).map(({ label, value }) => ({ label: `copied right, ${label}`, value })),
          ],
        }
      },
    },
    {
      name: 'window',
      title: 'Recall beyond the window',
      expectation: 'With windows of W in all L layers nothing passes a gap longer than L·(W − 1); one full layer restores recall.',
      source: 'arXiv:2312.04927 (task), arXiv:2004.05150',
      jobs: (scale, seeds) => {
        const model = modern(2 + 8 + 8, 80, 2, 64)
        const windowed = (full: (i: number) => boolean) => attention(model, (_, i) => ({ slidingWindow: full(i) ? null : 16 }))
        const data = (gap: number): DataSpec => ({
          kind: 'task',
          task: { name: 'recall', options: { keys: 8, values: 8, pairs: 4, gap } },
          length: 8 + gap + 6,
          batch: 24,
        })
        return [
          ...runs(
            'windows, gap 2',
            windowed(() => false),
            data(2),
            700,
            scale,
            seeds,
          ),
          ...runs(
            'windows, gap 40',
            windowed(() => false),
            data(40),
            700,
            scale,
            seeds,
          ),
          ...runs(
            'second layer full, gap 40',
            windowed((i) => i === 1),
            data(40),
            700,
            scale,
            seeds,
          ),
          ...runs('both full, gap 40', model, data(40), 2800, scale, seeds),
        ]
      },
      conclude: (results) => {
        const lost = accuracy(results, 'windows, gap 40')
        const restored = accuracy(results, 'second layer full, gap 40')
        return {
          verdict: verdict(restored > lost + 0.3 && lost < 0.65),
          findings: [
            ...accuracies(results),
            { label: 'guessing among the values, and knowing those just asked', value: 'about 13 to 35 %' },
          ],
        }
      },
    },
    {
      name: 'induction',
      title: 'One layer and two on induction',
      expectation: 'A single layer cannot look up what followed an earlier occurrence; two layers can.',
      source: 'Olsson et al. 2022, arXiv:2209.11895',
      jobs: (scale, seeds) => {
        const data: DataSpec = { kind: 'task', task: { name: 'induction', symbols: 12 }, length: 64, batch: 16 }
        return [
          ...runs('1 layer', modern(12, 64, 1, 64), data, 3600, scale, seeds),
          ...runs('2 layers', modern(12, 64, 2, 64), data, 3600, scale, seeds),
        ]
      },
      conclude: (results) => ({
        verdict: verdict(
          accuracy(results, '2 layers') > accuracy(results, '1 layer') + 0.2,
          accuracy(results, '1 layer') > accuracy(results, '2 layers') + 0.05,
        ),
        findings: accuracies(results),
      }),
    },
    {
      name: 'sinks',
      title: 'Where attention goes when there is nothing to attend to',
      expectation: 'Without a sink the first token collects attention in the last layer; with a sink logit less falls on it.',
      source: 'arXiv:2410.13835, arXiv:2309.17453',
      jobs: (scale, seeds) => {
        const data: DataSpec = { kind: 'task', task: { name: 'backcopy', symbols: 20, triggers: 3, seed: 5 }, length: 64, batch: 16 }
        const model = modern(21, 64, 2, 64)
        return [
          ...runs('without sinks', model, data, 900, scale, seeds, { firstTokenMass: true }),
          ...runs(
            'with sinks',
            attention(model, () => ({ sinks: true })),
            data,
            900,
            scale,
            seeds,
            { firstTokenMass: true },
          ),
        ]
      },
      conclude: (results) => {
        const mass = (label: string) => mean(of(results, label).map((r) => Math.max(...r.firstTokenMass!)))
        const [without, withSinks] = [mass('without sinks'), mass('with sinks')]
        return {
          verdict: verdict(without > 2 * withSinks && without > 0.1, withSinks > without * 1.2),
          findings: [
            ...labels(results).map((label) => ({
              label: `attention on the first token per layer, ${label}`,
              value: of(results, label)[0]!.firstTokenMass!.map(percent).join(', '),
            })),
            ...accuracies(results).map(({ label, value }) => ({ label: `right, ${label}`, value })),
          ],
        }
      },
    },
    {
      name: 'depth',
      title: 'Depth against width at equal parameters',
      expectation: 'Following two pointers needs layers: deep learns it, one wide layer does not; the wide one is faster.',
      source: 'arXiv:2402.09268 (k-hop)',
      jobs: (scale, seeds) => {
        const data: DataSpec = { kind: 'task', task: { name: 'kHop', nodes: 6, hops: 2 }, length: 42, batch: 32 }
        return [
          ...runs('4 layers of 64', modern(8, 48, 4, 64), data, 1500, scale, seeds),
          ...runs('1 layer of 128', modern(8, 48, 1, 128), data, 1500, scale, seeds),
        ]
      },
      conclude: (results) => ({
        verdict: verdict(
          accuracy(results, '4 layers of 64') > accuracy(results, '1 layer of 128') + 0.15,
          accuracy(results, '1 layer of 128') > accuracy(results, '4 layers of 64') + 0.05,
        ),
        findings: [
          ...accuracies(results),
          ...labels(results).map((label) => ({
            label: `${label}: parameters, tokens/s`,
            value: `${of(results, label)[0]!.parameters}, ${Math.round(mean(of(results, label).map((r) => r.tokensPerSecond)))}`,
          })),
        ],
      }),
    },
    {
      name: 'experts',
      title: 'Few large and many small experts',
      expectation: 'At equal total and active width many small experts give a slightly lower loss, or the same.',
      source: 'DeepSeekMoE, arXiv:2401.06066',
      jobs: (scale, seeds) => {
        const slot = (experts: number, active: number, width: number): FeedForward => ({
          kind: 'moe',
          experts,
          expertsPerToken: active,
          intermediateSize: width,
          activation: { kind: 'swiglu' },
          bias: false,
          router: { order: 'topkSoftmax', normalize: true, bias: false, auxLossCoef: 0.01 },
        })
        const model = modern(vocabSize, 64, 3, 96)
        return [
          ...runs('4 experts of 128, 1 active', feedForward(model, slot(4, 1, 128)), text(1), 700, scale, seeds),
          ...runs('16 experts of 32, 4 active', feedForward(model, slot(16, 4, 32)), text(1), 700, scale, seeds),
        ]
      },
      conclude: (results) => {
        const change = loss(results, '16 experts of 32, 4 active') - loss(results, '4 experts of 128, 1 active')
        return {
          verdict: change < -0.01 ? 'as expected' : change > 0.03 ? 'opposite' : 'not visible',
          findings: [...lossFindings(results), { label: 'change', value: change.toFixed(3) }],
        }
      },
    },
    {
      name: 'facts',
      title: 'What experts remember',
      expectation: 'At equal active width a mixture remembers more of a fixed table of random facts than a dense model.',
      source: 'arXiv:2404.05405 (knowledge capacity)',
      jobs: (scale, seeds) => {
        const data: DataSpec = {
          kind: 'task',
          task: { name: 'facts', subjects: 300, relations: 8, objects: 64, seed: 3 },
          length: 48,
          batch: 24,
        }
        const vocab = 300 + 8 + 64
        const model = modern(vocab, 48, 2, 48)
        const width = 64
        return [
          ...runs(
            'dense',
            feedForward(model, { kind: 'gated', intermediateSize: width, activation: { kind: 'swiglu' }, bias: false }),
            data,
            1200,
            scale,
            seeds,
            {},
            4e-3,
          ),
          ...runs(
            '8 experts, 2 active',
            feedForward(model, {
              kind: 'moe',
              experts: 8,
              expertsPerToken: 2,
              intermediateSize: width / 2,
              activation: { kind: 'swiglu' },
              bias: false,
              router: { order: 'topkSoftmax', normalize: true, bias: false, auxLossCoef: 0.01 },
            }),
            data,
            1200,
            scale,
            seeds,
            {},
            4e-3,
          ),
        ]
      },
      conclude: (results) => {
        const change = accuracy(results, '8 experts, 2 active') - accuracy(results, 'dense')
        return {
          verdict: verdict(change > 0.03, change < -0.03),
          findings: [...accuracies(results), { label: 'chance', value: percent(1 / 64) }],
        }
      },
    },
    {
      name: 'key-bias',
      title: 'The bias of the keys',
      expectation:
        'In GPT-2 the bias of the keys moves all scores of a query alike, so its gradient is zero; with rotary positions and sinks it is not.',
      source: 'arXiv:2302.08626',
      jobs: () => [],
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
    },
  ]
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
function orderSensitivity(position: 'none' | 'rope'): number {
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
  const { layout, gradients, backend, weights } = perturbed({ ...architecture, dropout: { embedding: 0, attention: 0, residual: 0 } })
  const tape = new Tape(backend)
  const logits = forward(
    tape,
    { ...architecture, dropout: { embedding: 0, attention: 0, residual: 0 } },
    weights,
    batchOf(SEQUENCE.slice(0, -1)),
  )
  tape.backward(tape.crossEntropy(logits, SEQUENCE.slice(1), 1 / (SEQUENCE.length - 1)))
  const largest = (role: string) =>
    Math.max(
      ...layout.parameters
        .filter(({ spec }) => spec.name.endsWith(role))
        .flatMap(({ at, count }) => [...gradients.subarray(at, at + count)].map(Math.abs)),
    )
  return largest('.kBias') / largest('.qBias')
}
