/**
 * Whether a device computes what it should: small problems of every kernel, next to a backend that is trusted. Drivers have given
 * wrong numbers without an error, so a device is checked before a model runs on it.
 */
import { uniform } from '../../random/counter.ts'
import type { Backend } from '../backend.ts'
import { BLOCK_FORMATS, scalePlaces } from '../block-formats.ts'
import { type Draw, drawRows } from '../draw.ts'
import { type DType, FP8_BLOCK_BYTES, isBlocks, storedBytes } from '../dtype.ts'
import type { Batch, Ops } from '../ops.ts'
import { size, type Tensor } from '../tensor.ts'

export interface Check {
  readonly name: string
  /** How the results differ; undefined: they agree. */
  readonly problem: string | undefined
}

/** Formats of the checkpoints that most people run. */
export const USUAL_FORMATS: readonly DType[] = ['f32', 'bf16', 'mxfp4']
export const ALL_FORMATS: readonly DType[] = [...USUAL_FORMATS, 'f16', 'fp8', ...(Object.keys(BLOCK_FORMATS) as DType[])]

/** Allowed difference, relative to the largest value. */
const TOLERANCE = 1e-5
const WIDTH = 256
const ROWS = 40
const EXPERTS = 8

/** One problem: makes its weights, then its values. */
type Problem = (on: Backend, numbers: Numbers) => Promise<Float32Array>

/** The same random values in the same order for both backends. */
class Numbers {
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

const attention = (window: number | null): Problem => {
  return async (on, numbers) => {
    const [heads, kvHeads, headDim] = [4, 2, 64]
    const sinks = await numbers.weight(on, [heads], 'f32', 'vector')
    const [q, k, v] = [heads, kvHeads, kvHeads].map((n) => numbers.values(ROWS * n * headDim))
    const options = { heads, kvHeads, keyDim: headDim, valueDim: headDim, scale: 0.3, window, softcap: null, sinks }
    const inverseFrequencies = Float64Array.from({ length: headDim / 2 }, (_, i) => 10_000 ** (-i / (headDim / 2)))
    const rotation = { headDim, rotaryDim: headDim, pairing: 'halves' as const, inverseFrequencies, amplitude: 1 }
    const [Q, K] = [
      [ROWS, heads * headDim],
      [ROWS, kvHeads * headDim],
    ] as const
    return on.run(() => {
      const [query, key] = [on.rope(on.upload(q!, Q), rotation, batch), on.rope(on.upload(k!, K), rotation, batch)]
      return on.attention(query, key, on.upload(v!, K), batch, options)
    })
  }
}

const DRAWS: readonly Draw[] = [
  { temperature: 0, topK: 0, topP: 1, minP: 0, noise: 1 },
  { temperature: 1, topK: 5, topP: 0.9, minP: 0, noise: 2 },
  { temperature: 2, topK: 0, topP: 0.5, minP: 0.1, noise: 3 },
]

/** Problems by name. */
function problemsOf(formats: readonly DType[]): Map<string, Problem> {
  const problems = new Map<string, Problem>()
  for (const dtype of formats)
    for (const rows of [1, ROWS])
      problems.set(`product of ${rows} rows, ${dtype}`, async (on, numbers) => {
        const w = await numbers.weight(on, [96, WIDTH], dtype)
        const [bias, x] = [await numbers.weight(on, [96], 'f32', 'vector'), numbers.values(rows * WIDTH)]
        return on.run(() => on.linear(on.upload(x, [rows, WIDTH]), w, bias))
      })
  for (const dtype of formats)
    problems.set(`rows of a table, ${dtype}`, async (on, numbers) => {
      const w = await numbers.weight(on, [96, WIDTH], dtype)
      return on.run(() => on.embed(w, Int32Array.of(95, 0, 17), 1))
    })
  problems.set('norms', async (on, numbers) => {
    const [gain, bias] = [await numbers.weight(on, [WIDTH], 'f32', 'vector'), await numbers.weight(on, [WIDTH], 'f32', 'vector')]
    const x = numbers.values(3 * WIDTH, 4)
    return on.run(() =>
      on.add(on.layerNorm(on.upload(x, [3, WIDTH]), gain, bias, 1e-5), on.rmsNorm(on.upload(x, [3, WIDTH]), gain, 1e-6, 0)),
    )
  })
  problems.set('attention', attention(null))
  problems.set('attention in a window', attention(9))
  problems.set(
    'GELU',
    elementwise((on, a) => on.add(on.gelu(a, { kind: 'gelu', approximation: 'tanh' }), on.gelu(a, { kind: 'gelu', approximation: 'erf' }))),
  )
  problems.set(
    'SwiGLU',
    elementwise((on, a, b) => on.gated(a, b, { kind: 'swiglu' })),
  )
  problems.set(
    'soft cap',
    elementwise((on, a, b) => on.softcap(on.add(a, b, 3), 5)),
  )
  for (const rows of [1, ROWS])
    problems.set(`experts of ${rows} rows`, async (on, numbers) => {
      const router = await numbers.weight(on, [EXPERTS, WIDTH], 'f32')
      const gateUp = await numbers.weight(on, [EXPERTS, 2 * 64, WIDTH], 'mxfp4', 'experts')
      const down = await numbers.weight(on, [EXPERTS, WIDTH, 64], 'mxfp4', 'experts')
      const x = numbers.values(rows * WIDTH)
      return on.run(() => {
        const input = on.upload(x, [rows, WIDTH])
        const routing = on.route(input, router, undefined, 2, { kind: 'topkSoftmax', bias: false, auxLossCoef: 0 })
        return on.moe(input, routing, { gateUp, down }, { kind: 'swiglu' })
      })
    })
  return problems
}

/**
 * Every problem on both backends.
 * @param trusted for example the reference
 */
export async function selfCheck(backend: Backend, trusted: Backend, formats: readonly DType[] = USUAL_FORMATS): Promise<Check[]> {
  const checks: Check[] = []
  let seed = 0
  for (const [name, problem] of problemsOf(formats)) {
    seed++
    const expected = await problem(trusted, new Numbers(seed))
    checks.push({ name, problem: await difference(expected, () => problem(backend, new Numbers(seed))) })
  }
  const logits = new Numbers(99).values(DRAWS.length * 2000, 6)
  const expected = Float32Array.from(drawRows(logits.slice(), DRAWS))
  const drawn = () => backend.scope('self-check', () => backend.draw!(backend.upload(logits, [DRAWS.length, 2000]), DRAWS))
  checks.push({ name: 'draw', problem: await difference(expected, async () => Float32Array.from(await drawn())) })
  return checks
}

async function difference(expected: Float32Array, compute: () => Promise<Float32Array>): Promise<string | undefined> {
  try {
    const actual = await compute()
    const largest = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-30)
    const worst = expected.reduce((a, value, i) => Math.max(a, Math.abs(actual[i]! - value) || (actual[i]! === value ? 0 : Infinity)), 0)
    return worst <= TOLERANCE * largest ? undefined : `differs by ${(worst / largest).toExponential(1)} of the largest value`
  } catch (error) {
    return (error as Error).message
  }
}
