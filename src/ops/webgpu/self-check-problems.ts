/**
 * Small problems whose results are known from a trusted backend: each op alone, and where fusion makes other kernels of them, together.
 * Weights and values are random numbers that depend on the problem alone.
 */
import type { Gated, Router } from '../../architecture/architecture.ts'
import { uniform } from '../../random/counter.ts'
import type { Backend } from '../backend.ts'
import { BLOCK_FORMATS, scalePlaces } from '../block-formats.ts'
import type { Draw } from '../draw.ts'
import { type DType, FP8_BLOCK_BYTES, isBlocks, storedBytes } from '../dtype.ts'
import type { Batch, LayerCache, Ops, Rotation } from '../ops.ts'
import { size, type Tensor } from '../tensor.ts'

const WIDTH = 256
const ROWS = 40
const EXPERTS = 4
/** Positions in a cache before a row that is decoded: so many that its attention is split into pieces. */
const BEFORE = 300

/** Makes the weights of a problem, then its values. */
export type Problem = (on: Backend, numbers: Numbers) => Promise<Float32Array>

/** The same random values in the same order for both backends. */
export class Numbers {
  readonly #seed: number
  #next = 0

  constructor(seed: number) {
    this.#seed = seed
  }

  next = (): number => uniform(this.#seed, this.#next++)
  values = (count: number, spread = 1): Float32Array => Float32Array.from({ length: count }, () => spread * (2 * this.next() - 1))

  weight(on: Backend, shape: readonly number[], dtype: DType = 'f32', use: 'matrix' | 'vector' | 'experts' = 'matrix'): Promise<Tensor> {
    const parts = bytesOf(dtype, size(shape), this.next)
    return on.weight({ name: `self-check ${dtype}`, shape, dtype, use }, async (part, offset, into) =>
      into.set(parts[part]!.subarray(offset, offset + into.length)),
    )
  }
}

/** Bytes of random numbers between about -1 and 1; scales are small powers of two. */
function bytesOf(dtype: DType, count: number, next: () => number): Record<string, Uint8Array> {
  const random = (bytes: number) => Uint8Array.from({ length: bytes }, () => Math.floor(next() * 256))
  if (dtype === 'f32') return { data: new Uint8Array(Float32Array.from({ length: count }, () => 2 * next() - 1).buffer) }
  if (dtype === 'mxfp4') return { blocks: random(count / 2), scales: random(count / 32).map((byte) => 124 + (byte & 3)) }
  const data = random(storedBytes(dtype, count))
  // The upper byte of 16-bit numbers: sign, and an exponent a little below that of 1.
  const half = (at: number) => void (data[at] = (data[at]! & 0x83) | ((8 + (data[at]! & 3)) << 2))
  if (dtype === 'bf16') for (let at = 1; at < data.length; at += 2) data[at] = (data[at]! & 0x80) | 0x3e
  if (dtype === 'f16') for (let at = 1; at < data.length; at += 2) half(at)
  if (dtype === 'fp8') {
    // Codes without the largest exponents, of which some are no numbers; the scale before them is 1/16.
    for (let at = 0; at < data.length; at++) data[at]! &= 0xbf
    for (let at = 0; at < data.length; at += FP8_BLOCK_BYTES) data.set([0, 0, 0x80, 0x3d], at)
  }
  if (!isBlocks(dtype)) return { data }
  const format = BLOCK_FORMATS[dtype]
  for (let at = 0; at < data.length; at += format.bytes)
    if (format.scale.format === 'e8m0') data[at] = 122 + (data[at]! & 3)
    else for (const from of scalePlaces(format)) half(at + from + 1)
  return { data }
}

const batch: Batch = {
  ids: new Int32Array(ROWS),
  slots: Int32Array.from({ length: ROWS }, (_, row) => (row < 30 ? 0 : 1)),
  positions: Int32Array.from({ length: ROWS }, (_, row) => (row < 30 ? row : row - 30)),
}

const elementwise = (op: (on: Ops, a: Tensor, b: Tensor) => Tensor): Problem => {
  return async (on, numbers) => {
    const [a, b] = [numbers.values(3 * WIDTH, 4), numbers.values(3 * WIDTH, 4)]
    return on.run(() => op(on, on.upload(a, [3, WIDTH]), on.upload(b, [3, WIDTH])))
  }
}

const HEAD = 64
const ROTATION: Rotation = {
  headDim: HEAD,
  rotaryDim: HEAD,
  pairing: 'halves',
  inverseFrequencies: Float64Array.from({ length: HEAD / 2 }, (_, i) => 10_000 ** (-i / (HEAD / 2))),
  amplitude: 1,
}
const widths = { keyDim: HEAD, valueDim: HEAD, scale: 0.3, softcap: null }

const attention = (window: number | null): Problem => {
  return async (on, numbers) => {
    const [heads, kvHeads] = [2, 1]
    const sinks = await numbers.weight(on, [heads], 'f32', 'vector')
    const [q, k, v] = [heads, kvHeads, kvHeads].map((n) => numbers.values(ROWS * n * HEAD))
    const [Q, K] = [
      [ROWS, heads * HEAD],
      [ROWS, kvHeads * HEAD],
    ] as const
    return on.run(() => {
      const [query, key] = [on.rope(on.upload(q!, Q), ROTATION, batch), on.rope(on.upload(k!, K), ROTATION, batch)]
      return on.attention(query, key, on.upload(v!, K), batch, { ...widths, heads, kvHeads, window, sinks })
    })
  }
}

/** A prompt into a cache, whose rows see little of each other, then one row alone, whose query and key are normed and rotated. */
const decoding: Problem = async (on, numbers) => {
  const heads = 2
  const gain = await numbers.weight(on, [HEAD], 'f32', 'vector')
  const layer = { keyDim: HEAD, valueDim: HEAD, kvHeads: 1, window: null }
  const cache = await on.cache({ layers: [layer], slots: 1, capacity: BEFORE + 1, maxRows: BEFORE })
  const step = (rows: number, first: number, window: number | null) => {
    const batch = {
      ids: new Int32Array(rows),
      slots: new Int32Array(rows),
      positions: Int32Array.from({ length: rows }, (_, t) => first + t),
    }
    const [q, k, v] = [heads, 1, 1].map((n) => numbers.values(rows * n * HEAD))
    return on.run(() => {
      const placed = (x: Float32Array, n: number) => on.rope(on.rmsNorm(on.upload(x, [rows, n * HEAD]), gain, 1e-6, 0), ROTATION, batch)
      const options = { ...widths, heads, kvHeads: 1, window, cache: cache.layers[0] as LayerCache }
      return on.attention(placed(q!, heads), placed(k!, 1), on.upload(v!, [rows, HEAD]), batch, options)
    })
  }
  await step(BEFORE, 0, 4)
  const decoded = await step(1, BEFORE, null)
  cache.dispose()
  return decoded
}

/** A gated feed-forward and one with GELU, with their norms and residuals. */
const feedForward: Problem = async (on, numbers) => {
  const F = 32
  const matrix = (O: number, I: number) => numbers.weight(on, [O, I])
  const vector = (n: number) => numbers.weight(on, [n], 'f32', 'vector')
  const [gate, up, down, gain] = [await matrix(F, WIDTH), await matrix(F, WIDTH), await matrix(WIDTH, F), await vector(WIDTH)]
  const [first, second, first1, second1] = [await matrix(F, WIDTH), await matrix(WIDTH, F), await vector(F), await vector(WIDTH)]
  const x = numbers.values(WIDTH)
  return on.run(() => {
    const input = on.upload(x, [1, WIDTH])
    const normed = on.rmsNorm(input, gain, 1e-6, 0)
    const gated = on.add(input, on.linear(on.gated(on.linear(normed, gate), on.linear(normed, up), { kind: 'swiglu' }), down))
    const hidden = on.gelu(on.linear(on.layerNorm(gated, gain, second1, 1e-5), first, first1), { kind: 'gelu', approximation: 'tanh' })
    return on.add(gated, on.linear(hidden, second, second1))
  })
}

const matricesOfHeads: Problem = async (on, numbers) => {
  const w = await numbers.weight(on, [2, 32, WIDTH / 2])
  const [x, right] = [numbers.values(3 * WIDTH), numbers.values(3 * 16)]
  return on.run(() => on.join(on.linear(on.upload(x, [3, WIDTH]), w), on.upload(right, [3, 16]), 2))
}

const stateSpace: Problem = async (on, numbers) => {
  const [C, N] = [64, 8]
  const [kernel, bias] = [await numbers.weight(on, [4, C], 'f32', 'vector'), await numbers.weight(on, [C], 'f32', 'vector')]
  const [logRate, skip] = [await numbers.weight(on, [N, C], 'f32', 'vector'), await numbers.weight(on, [C], 'f32', 'vector')]
  const [x, step, input, output] = [C, C, N, N].map((n) => numbers.values(ROWS * n))
  return on.run(() => {
    const up = (values: Float32Array) => on.upload(values, [ROWS, values.length / ROWS])
    const scan = { step: up(step!), input: up(input!), output: up(output!), logRate, skip }
    return on.selectiveScan(on.convolution(up(x!), kernel, bias, batch), scan, batch)
  })
}

const product = (dtype: DType, rows: number): Problem => {
  return async (on, numbers) => {
    const w = await numbers.weight(on, [96, WIDTH], dtype)
    const [bias, x] = [await numbers.weight(on, [96], 'f32', 'vector'), numbers.values(rows * WIDTH)]
    return on.run(() => on.linear(on.upload(x, [rows, WIDTH]), w, bias))
  }
}

const table = (dtype: DType): Problem => {
  return async (on, numbers) => {
    const w = await numbers.weight(on, [96, WIDTH], dtype)
    const known = await on.run(() => on.embed(w, Int32Array.of(95, 0, 17), 1))
    return Float32Array.of(...known, ...(await rowsOfDrawn(on, w, numbers.values(3 * 96))))
  }
}

/** Two rows of a table by ids that a draw has left where it was made. */
async function rowsOfDrawn(on: Backend, table: Tensor, logits: Float32Array): Promise<Float32Array> {
  const draws = [GREEDY, GREEDY, GREEDY]
  const rows = Int32Array.of(2, 0)
  if (!on.drawAndKeep) {
    const ids = await on.scope('self-check', () => on.draw!(on.upload(logits, [3, 96]), draws))
    const chosen = rows.map((row) => ids[row]!)
    return on.run(() => on.embed(table, chosen, 1))
  }
  const kept = on.scope('self-check', () => on.drawAndKeep!(on.upload(logits, [3, 96]), draws))
  const found = on.run(() => on.embedDrawn!(table, { drawn: kept.drawn, rows }, 1))
  kept.release()
  return (await Promise.all([found, kept.ids]))[0]
}

const experts = (dtype: DType, rows: number, router: Router = { kind: 'topkSoftmax', bias: false, auxLossCoef: 0 }): Problem => {
  return async (on, numbers) => {
    const F = isBlocks(dtype) || dtype === 'fp8' ? WIDTH : 64
    const scores = await numbers.weight(on, [EXPERTS, WIDTH])
    const gateUp = await numbers.weight(on, [EXPERTS, 2 * F, WIDTH], dtype, 'experts')
    const down = await numbers.weight(on, [EXPERTS, WIDTH, F], dtype, 'experts')
    const x = numbers.values(rows * WIDTH)
    return on.run(() => {
      const input = on.upload(x, [rows, WIDTH])
      const activation: Gated = rows === 1 ? { kind: 'clampedSwiglu', alpha: 1.702, limit: 7 } : { kind: 'swiglu' }
      return on.moe(input, on.route(input, scores, undefined, 2, router), { gateUp, down }, activation)
    })
  }
}

const GREEDY: Draw = { temperature: 0, topK: 0, topP: 1, minP: 0, noise: 1 }

export const DRAWS: readonly Draw[] = [
  GREEDY,
  { temperature: 1, topK: 5, topP: 0.9, minP: 0, noise: 2 },
  { temperature: 2, topK: 0, topP: 0.5, minP: 0.1, noise: 3 },
]

/** Problems of the ops, whatever the weights. */
export const OPS: ReadonlyMap<string, Problem> = new Map([
  [
    'norms',
    async (on: Backend, numbers: Numbers) => {
      const [gain, bias] = [await numbers.weight(on, [WIDTH], 'f32', 'vector'), await numbers.weight(on, [WIDTH], 'f32', 'vector')]
      const x = numbers.values(3 * WIDTH, 4)
      return on.run(() =>
        on.add(on.layerNorm(on.upload(x, [3, WIDTH]), gain, bias, 1e-5), on.rmsNorm(on.upload(x, [3, WIDTH]), gain, 1e-6, 0)),
      )
    },
  ],
  ['attention', attention(null)],
  ['attention in a window', attention(9)],
  ['attention of a decoded row', decoding],
  [
    'GELU',
    elementwise((on, a) => on.add(on.gelu(a, { kind: 'gelu', approximation: 'tanh' }), on.gelu(a, { kind: 'gelu', approximation: 'erf' }))),
  ],
  ['SwiGLU', elementwise((on, a, b) => on.gated(a, b, { kind: 'swiglu' }))],
  ['GeGLU', elementwise((on, a, b) => on.gated(a, b, { kind: 'geglu', approximation: 'tanh' }))],
  ['soft cap', elementwise((on, a, b) => on.softcap(on.add(a, b, 3), 5))],
  ['feed-forward of a row', feedForward],
  ['matrices of heads', matricesOfHeads],
  ['state space', stateSpace],
  ['router by sigmoids', experts('f32', 1, { kind: 'sigmoidTopk', normalize: true, correction: false, bias: false, auxLossCoef: 0 })],
])

/** Problems of a weight format. */
export const ofMatrices = (dtype: DType): readonly (readonly [name: string, problem: Problem])[] => [
  ...[1, 3, ROWS].map((rows) => [`product of ${rows} rows, ${dtype}`, product(dtype, rows)] as const),
  [`rows of a table, ${dtype}`, table(dtype)],
]
export const ofExperts = (dtype: DType): readonly (readonly [name: string, problem: Problem])[] =>
  [1, ROWS].map((rows) => [`experts of ${rows} rows, ${dtype}`, experts(dtype, rows)] as const)
