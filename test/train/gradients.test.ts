/**
 * Every backward op against central differences in f64, and the f32 SIMD backend against the f64 one.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Gated, Router } from '../../src/architecture/architecture.ts'
import type { AttentionOptions, Batch, Ops } from '../../src/ops/ops.ts'
import type { Tensor } from '../../src/ops/tensor.ts'
import { size } from '../../src/ops/tensor.ts'
import { referenceTraining, simdTraining, type TrainingBackend, trainingModules, type Value } from '../../src/ops/training/backend.ts'
import { random } from '../../src/random/stream.ts'
import { Tape } from '../../src/train/tape.ts'

type Body = (ops: Ops, ...inputs: Tensor[]) => Tensor

/** Σ factors·y and its gradients with respect to the inputs. */
function run(
  backend: TrainingBackend,
  shapes: number[][],
  values: Float64Array[],
  factors: Float64Array,
  body: Body,
  alloc: (n: number) => Float32Array | Float64Array,
) {
  backend.reset(7)
  const inputs = shapes.map((shape, i) => {
    const data = alloc(size(shape))
    data.set(values[i]!)
    return backend.tensor(shape, data, alloc(size(shape)).fill(0))
  })
  const tape = new Tape(backend)
  const y = body(tape, ...inputs) as Value
  const loss = Array.from(y.data).reduce((sum: number, v: number, i: number) => sum + v * factors[i]!, 0)
  const gradient = alloc(y.data.length)
  gradient.set(factors.subarray(0, gradient.length))
  gradient[0]! = factors[0]!
  y.gradient = gradient
  const keep = factors[0]!
  assert.equal(keep, 1, 'the seed of the backward pass is 1')
  tape.backward(y)
  return { loss, gradients: inputs.map((x) => x.gradient!) }
}

/** Worst error of a gradient relative to the largest gradient of its tensor. */
function check(name: string, shapes: number[][], body: Body, spread = 1): void {
  test(`gradient of ${name}`, () => {
    const next = random(name.length * 977 + 3)
    const values = shapes.map((shape) => Float64Array.from({ length: size(shape) }, () => (next() * 2 - 1) * spread))
    const factors = Float64Array.from({ length: 4096 }, (_, i) => (i === 0 ? 1 : next() * 2 - 1))
    const reference = referenceTraining()
    const heap = (n: number) => new Float64Array(n)
    const { gradients } = run(reference, shapes, values, factors, body, heap)
    const h = 1e-5
    values.forEach((input, i) => {
      const largest = Math.max(...gradients[i]!.map(Math.abs), 1e-3)
      for (let trial = 0; trial < Math.min(input.length, 25); trial++) {
        const at = Math.floor(next() * input.length)
        const before = input[at]!
        input[at] = before + h
        const above = run(reference, shapes, values, factors, body, heap).loss
        input[at] = before - h
        const below = run(reference, shapes, values, factors, body, heap).loss
        input[at] = before
        const expected = (above - below) / (2 * h)
        const error = Math.abs(expected - gradients[i]![at]!) / largest
        assert.ok(error < 1e-6, `input ${i}[${at}]: backward ${gradients[i]![at]}, central difference ${expected}`)
      }
    })
    // f32 with SIMD products agrees with f64.
    const memory = new WebAssembly.Memory({ initial: 128, maximum: 128, shared: true })
    const fast = simdTraining(memory, 1 << 22, 1 << 22, trainingModules(memory.buffer instanceof SharedArrayBuffer))
    let at = 0
    const take = (n: number) => {
      const array = new Float32Array(memory.buffer, at, n)
      at += 4 * ((n + 3) & ~3)
      return array
    }
    const single = run(fast, shapes, values, factors, body, take)
    single.gradients.forEach((gradient, i) => {
      const largest = Math.max(...gradients[i]!.map(Math.abs), 1e-3)
      gradient.forEach((g: number, j: number) => {
        assert.ok(Math.abs(g - gradients[i]![j]!) / largest < 2e-5, `f32 input ${i}[${j}]: ${g}, f64 ${gradients[i]![j]}`)
      })
    })
  })
}

const batch: Batch = {
  ids: Int32Array.from({ length: 11 }, (_, t) => t % 5),
  slots: Int32Array.of(0, 0, 0, 0, 0, 0, 0, 3, 3, 3, 3),
  positions: Int32Array.of(0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3),
}
const rotation = { headDim: 6, rotaryDim: 6, pairing: 'halves' as const, inverseFrequencies: Float64Array.of(1, 0.3, 0.05), amplitude: 1.2 }

check('embed', [[5, 6]], (ops, table) => ops.embed(table, batch.ids, 1.5))
check(
  'add',
  [
    [3, 4],
    [3, 4],
  ],
  (ops, a, b) => ops.add(ops.add(a!, b!), a!),
)
check('linear with bias', [[5, 9], [7, 9], [7]], (ops, x, w, b) => ops.linear(x!, w!, b))
check(
  'linear used twice',
  [
    [5, 8],
    [8, 8],
  ],
  (ops, x, w) => ops.linear(ops.linear(x!, w!), w!),
)
check('layerNorm', [[4, 10], [10], [10]], (ops, x, g, b) => ops.layerNorm(x!, g!, b!, 1e-5))
check('rmsNorm over rows', [[4, 10], [10]], (ops, x, g) => ops.rmsNorm(x!, g!, 1e-5, 0))
check('rmsNorm over heads with unit offset', [[4, 12], [6]], (ops, x, g) => ops.rmsNorm(x!, g!, 1e-6, 1))
check('rope', [[11, 12]], (ops, x) => ops.rope(x!, rotation, batch))
// Widths of whole vectors take other paths than odd ones.
check('layerNorm over 12', [[4, 12], [12], [12]], (ops, x, g, b) => ops.layerNorm(x!, g!, b!, 1e-5))
check('rmsNorm over 12', [[4, 12], [12]], (ops, x, g) => ops.rmsNorm(x!, g!, 1e-5, 0))
check('rmsNorm over heads of 8 with unit offset', [[4, 24], [8]], (ops, x, g) => ops.rmsNorm(x!, g!, 1e-6, 1))
const rotation16 = {
  headDim: 16,
  rotaryDim: 16,
  pairing: 'halves' as const,
  inverseFrequencies: Float64Array.of(1, 0.6, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01),
  amplitude: 0.9,
}
check('rope over heads of 16', [[11, 32]], (ops, x) => ops.rope(x!, rotation16, batch))
check('rope over 4 of 6 values, interleaved', [[11, 12]], (ops, x) =>
  ops.rope(x!, { ...rotation, rotaryDim: 4, pairing: 'interleaved' }, batch),
)
check('rope over 8 of 16 values', [[11, 32]], (ops, x) => ops.rope(x!, { ...rotation16, rotaryDim: 8 }, batch))
check(
  'scaled add',
  [
    [5, 7],
    [5, 7],
  ],
  (ops, a, b) => ops.add(ops.add(a!, b!, -0.7), a!),
)
check('gelu tanh', [[4, 9]], (ops, x) => ops.gelu(x!, { kind: 'gelu', approximation: 'tanh' }), 3)
check('gelu erf', [[4, 9]], (ops, x) => ops.gelu(x!, { kind: 'gelu', approximation: 'erf' }), 4)
check('select', [[6, 3]], (ops, x) => ops.select(x!, Int32Array.of(4, 1, 1)))
check('clamp', [[4, 5]], (ops, x) => ops.clamp(x!, 0.6), 3)
check('layerNorm without parameters', [[4, 12]], (ops, x) => ops.layerNorm(x!, undefined, undefined, 1e-5))
check('softcap', [[4, 5]], (ops, x) => ops.softcap(x!, 2), 3)
check('scale', [[4, 5]], (ops, x) => ops.scale(x!, -0.15))
check('dropout', [[6, 7]], (ops, x) => ops.dropout!(ops.dropout!(x!, 0.4), 0.2))

const gatedKinds: Gated[] = [
  { kind: 'swiglu' },
  { kind: 'clampedSwiglu', alpha: 1.702, limit: 2 },
  { kind: 'geglu', approximation: 'tanh' },
  { kind: 'geglu', approximation: 'erf' },
]
for (const activation of gatedKinds)
  check(
    `gated ${JSON.stringify(activation)}`,
    [
      [4, 9],
      [4, 9],
    ],
    (ops, gate, up) => ops.gated(gate!, up!, activation),
    3,
  )

const plain: AttentionOptions = { heads: 4, kvHeads: 4, keyDim: 6, valueDim: 6, scale: 0.4, window: null, softcap: null }
const attentionCases: [string, Partial<AttentionOptions>, boolean][] = [
  ['plain', {}, false],
  ['grouped', { kvHeads: 2 }, false],
  ['one key head, window', { kvHeads: 1, window: 3 }, false],
  ['grouped, window, sinks', { kvHeads: 2, window: 4 }, true],
  ['sinks', {}, true],
  ['soft cap', { softcap: 0.7, kvHeads: 2 }, true],
  ['dropout', { dropout: 0.3, kvHeads: 2 }, true],
  ['narrow values, window', { valueDim: 5, kvHeads: 2, window: 4 }, true],
  ['wide values, soft cap, dropout', { valueDim: 9, kvHeads: 2, softcap: 0.7, dropout: 0.3 }, false],
]
for (const [name, changes, sinks] of attentionCases) {
  const options = { ...plain, ...changes }
  const [G, K, U] = [options.kvHeads, options.keyDim, options.valueDim]
  check(`attention, ${name}`, [[11, 4 * K], [11, G * K], [11, G * U], ...(sinks ? [[4]] : [])], (ops, q, k, v, s) =>
    ops.attention(q!, k!, v!, batch, s ? { ...options, sinks: s } : options),
  )
}

check(
  'attention, values in keys',
  [
    [11, 4 * 6],
    [11, 6],
  ],
  (ops, q, k) => ops.attention(q!, k!, undefined, batch, { ...plain, kvHeads: 1, valueDim: 4 }),
)
check(
  'attention, values in the keys of two heads',
  [
    [11, 4 * 6],
    [11, 12],
  ],
  (ops, q, k) => ops.attention(q!, k!, undefined, batch, { ...plain, kvHeads: 2, valueDim: 5, window: 4 }),
)
check('linear in groups', [[5, 9], [3, 4, 3], [12]], (ops, x, w, b) => ops.linear(x!, w!, b))
check(
  'join',
  [
    [5, 6],
    [5, 4],
  ],
  (ops, a, b) => ops.join(a!, ops.add(b!, b!), 2),
)

for (const [name, shapes] of [
  ['with a bias', [[11, 5], [4, 5], [5]]],
  [
    'without a bias, longer than a sequence',
    [
      [11, 3],
      [9, 3],
    ],
  ],
] as [string, number[][]][])
  check(`convolution ${name}`, shapes, (ops, x, w, b) => ops.convolution(x!, w!, b, batch))
check('selective scan', [[11, 5], [11, 5], [11, 3], [11, 3], [3, 5], [5]], (ops, x, step, input, output, logRate, skip) =>
  ops.selectiveScan(x!, { step: step!, input: input!, output: output!, logRate: logRate!, skip: skip! }, batch),
)

const routers: Router[] = [
  { kind: 'topkSoftmax', bias: true, auxLossCoef: 0 },
  { kind: 'softmaxTopk', normalize: true, bias: true, auxLossCoef: 0 },
  { kind: 'softmaxTopk', normalize: false, bias: true, auxLossCoef: 0 },
  { kind: 'softmaxTopk', normalize: true, scale: 3, groups: { count: 2, chosen: 1, best: 1 }, bias: true, auxLossCoef: 0 },
  { kind: 'sigmoidTopk', normalize: true, scale: 2.5, correction: false, bias: true, auxLossCoef: 0 },
  { kind: 'sigmoidTopk', normalize: false, scale: 0.5, correction: false, bias: true, auxLossCoef: 0 },
]
const D = 5
const F = 3
const E = 4
const expertShapes = [[7, D], [E, D], [E], [E, 2 * F, D], [E, 2 * F], [E, D, F], [E, D]]
for (const router of routers)
  check(
    `moe, ${router.kind}, ${router.kind === 'topkSoftmax' || router.normalize ? 'normalised' : 'as they are'}`,
    expertShapes,
    (ops, x, w, b, gateUp, gateUpBias, down, downBias) => {
      const routing = ops.route(x!, w!, b!, 2, router)
      return ops.moe(
        x!,
        routing,
        { gateUp: gateUp!, gateUpBias: gateUpBias!, down: down!, downBias: downBias! },
        { kind: 'clampedSwiglu', alpha: 1.702, limit: 7 },
      )
    },
  )

check('crossEntropy', [[6, 9]], (ops, z) => (ops as Tape).crossEntropy(z!, Int32Array.of(0, 3, 8, 8, 2, 1), 1 / 6), 3)
check('load-balancing loss', [[16, D], [E, D], [E]], (ops, x, w, b) => {
  const tape = ops as Tape
  ops.route(x!, w!, b!, 2, { ...routers[0]!, auxLossCoef: 0.5 })
  return tape.withBalance(tape.crossEntropy(x!, new Int32Array(16), 1 / 16))
})

test('the load-balancing loss of balanced routing is the number of active experts', () => {
  const backend = referenceTraining()
  const eye = backend.tensor(
    [4, 4],
    Float64Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 1e-3 : 0)),
  )
  const x = backend.tensor([4, 4], Float64Array.of(2, 1, 0, 0, 0, 2, 1, 0, 0, 0, 2, 1, 1, 0, 0, 2))
  const routing = backend.route(x, eye, undefined, 2, routers[0]!)
  assert.ok(Math.abs(backend.values(backend.balanceLoss(routing))[0]! - 2) < 1e-3)
})
