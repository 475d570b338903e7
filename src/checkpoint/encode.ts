/**
 * Inner weights -> the bytes of published tensors, for saving: the inverse of fill.ts. Takes f32 values
 * of inner weights and writes a published tensor in bands, so that memory holds one inner weight.
 */
import type { DType } from '../architecture/architecture.ts'
import type { Recipe } from '../architecture/recipes.ts'
import { bf16Bits } from '../numbers/bf16.ts'
import type { WeightSpec } from '../ops/backend.ts'
import { decodeBlocks } from '../ops/block-formats.ts'
import { decodeFp8, isBlocks } from '../ops/dtype.ts'
import { size } from '../ops/tensor.ts'
import { WeightsMismatchError } from './errors.ts'
import { PUBLISHED_DTYPE, type PublishedTensor } from './published.ts'
import { type PackedMxfp4, packMxfp4 } from './quantize.ts'
import type { PublishedDtype } from './safetensors.ts'

/** The values of an inner weight, row-major. */
export type ReadValues = (spec: WeightSpec) => Float32Array | Promise<Float32Array>

/** Values per piece that is written. */
const BAND = 1 << 20

/** Encodes published tensors in order. Reads an inner weight once when adjacent tensors share it. */
export class Encoder {
  readonly #read: ReadValues
  readonly #values = new Map<string, Float32Array>()
  #packed: { name: string; packed: PackedMxfp4 } | undefined

  constructor(read: ReadValues) {
    this.#read = read
  }

  /** The tensor's bytes in order. */
  async *bytes(tensor: PublishedTensor): AsyncGenerator<Uint8Array> {
    const { role, dtype } = tensor
    const { spec } = tensor.sources[0]!
    if (role.kind === 'blocks' || role.kind === 'scales') yield (await this.#pack(spec))[role.kind]
    else if (role.kind === 'values') yield* this.#fused(tensor)
    else {
      const values = await this.#valuesOf(spec)
      const each = values.length / spec.shape[0]!
      const expert = values.subarray(role.expert * each, (role.expert + 1) * each)
      if (role.kind === 'expert') yield* encodeBands(expert, dtype)
      else yield* encodeEveryOther(expert, spec.shape.at(-1)!, role.kind === 'gate' ? 0 : 1, dtype)
    }
  }

  /** One or several inner weights, one after the other along the output axis, as stored or transposed. */
  async *#fused(tensor: PublishedTensor): AsyncGenerator<Uint8Array> {
    const sources = [...tensor.sources].sort((a, b) => firstRow(a.recipe) - firstRow(b.recipe))
    const all: { values: Float32Array; shape: readonly number[] }[] = []
    for (const { spec } of sources) all.push({ values: await this.#valuesOf(spec), shape: spec.shape })
    const { recipe } = sources[0]!
    const runs = sources.map(({ recipe }) => ('slice' in recipe ? recipe.slice?.run : undefined))
    if (runs[0] !== undefined)
      yield* encodeRuns(
        all.map((part, n) => runOf(part, runs[n]!, sources[n]!.recipe)),
        tensor.dtype,
      )
    else if (recipe.form === 'transposed') yield* encodeTransposed(all, tensor.dtype)
    else for (const { values } of all) yield* encodeBands(values, tensor.dtype)
  }

  async #valuesOf(spec: WeightSpec): Promise<Float32Array> {
    const known = this.#values.get(spec.name)
    if (known) return known
    const values = await this.#read(spec)
    if (values.length !== size(spec.shape)) {
      const expected = `${size(spec.shape)} values for [${spec.shape.join(', ')}]`
      const remedy = 'The weights and the architecture do not belong together.'
      throw new WeightsMismatchError({ file: 'weights to save', tensor: spec.name, expected, came: `${values.length}`, remedy })
    }
    // One tensor needs at most three inner weights: q, k and v of a fused projection.
    if (this.#values.size >= 3) this.#values.delete(this.#values.keys().next().value!)
    this.#values.set(spec.name, values)
    return values
  }

  async #pack(spec: WeightSpec): Promise<PackedMxfp4> {
    if (this.#packed?.name !== spec.name) this.#packed = { name: spec.name, packed: packMxfp4(await this.#valuesOf(spec)) }
    return this.#packed.packed
  }
}

const firstRow = (recipe: Recipe): number => ('slice' in recipe ? (recipe.slice?.from ?? 0) : 0)

/** Values in order. */
function* encodeBands(values: Float32Array, dtype: PublishedDtype): Generator<Uint8Array> {
  for (let at = 0; at < values.length; at += BAND) yield encode(values.subarray(at, at + BAND), dtype)
}

/** Rows first, first + 2, … of a matrix. */
function* encodeEveryOther(values: Float32Array, columns: number, first: 0 | 1, dtype: PublishedDtype): Generator<Uint8Array> {
  const half = values.length / columns / 2
  const perBand = Math.max(1, Math.floor(BAND / columns))
  for (let j = 0; j < half; j += perBand) {
    const count = Math.min(perBand, half - j)
    const band = new Float32Array(count * columns)
    for (let n = 0; n < count; n++) {
      const row = (2 * (j + n) + first) * columns
      band.set(values.subarray(row, row + columns), n * columns)
    }
    yield encode(band, dtype)
  }
}

/** The values of a part in the order of the file, and how many of them are one run. */
function runOf({ values, shape }: { values: Float32Array; shape: readonly number[] }, run: number, recipe: Recipe) {
  const columns = shape.at(-1)!
  if (recipe.form !== 'transposedRuns') return { values, length: shape.length > 1 ? run * columns : run }
  // Every run of N rows lies as rows of N columns here.
  const width = shape.at(-2)!
  const length = width * columns
  const inFile = values.map((_, at) => {
    const within = at % length
    return values[at - within + (within % width) * columns + Math.floor(within / width)]!
  })
  return { values: inFile, length }
}

/** Runs of rows of several weights in turn. */
function* encodeRuns(parts: readonly { values: Float32Array; length: number }[], dtype: PublishedDtype): Generator<Uint8Array> {
  const { values, length } = parts[0]!
  for (let n = 0; n < values.length / length; n++)
    for (const part of parts) yield encode(part.values.slice(n * part.length, (n + 1) * part.length), dtype)
}

/** Inner [.., O, I] matrices side by side as published [.., I, sum of O]. */
function* encodeTransposed(
  parts: readonly { values: Float32Array; shape: readonly number[] }[],
  dtype: PublishedDtype,
): Generator<Uint8Array> {
  const first = parts[0]!.shape
  const inputs = first.at(-1)!
  const matrices = size(first.slice(0, -2))
  const total = parts.reduce((sum, { shape }) => sum + shape.at(-2)!, 0)
  const perBand = Math.max(1, Math.floor(BAND / total))
  for (let matrix = 0; matrix < matrices; matrix++) {
    for (let i = 0; i < inputs; i += perBand) {
      const count = Math.min(perBand, inputs - i)
      const band = new Float32Array(count * total)
      let column = 0
      for (const { values, shape } of parts) {
        const outputs = shape.at(-2)!
        const start = matrix * outputs * inputs
        for (let o = 0; o < outputs; o++) {
          for (let n = 0; n < count; n++) band[n * total + column + o] = values[start + o * inputs + i + n]!
        }
        column += outputs
      }
      yield encode(band, dtype)
    }
  }
}

/** f32 values in a published dtype, to nearest, ties to even. */
export function encode(values: Float32Array, dtype: PublishedDtype): Uint8Array {
  switch (dtype) {
    case 'F32':
      return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    case 'F16':
      return new Uint8Array(new Float16Array(values).buffer)
    case 'BF16': {
      const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
      const halves = new Uint16Array(bits.length)
      for (let i = 0; i < bits.length; i++) halves[i] = bf16Bits(bits[i]!)
      return new Uint8Array(halves.buffer)
    }
    default:
      throw new RangeError(`weights are not saved as ${dtype}`)
  }
}

/** Stored bytes as f32 values; exact. */
export function decode(bytes: Uint8Array, dtype: PublishedDtype): Float32Array<ArrayBuffer> {
  const copy = bytes.slice().buffer
  switch (dtype) {
    case 'F32':
      return new Float32Array(copy)
    case 'F16':
      return new Float32Array(new Float16Array(copy))
    case 'BF16': {
      const halves = new Uint16Array(copy)
      const bits = new Uint32Array(halves.length)
      for (let i = 0; i < halves.length; i++) bits[i] = halves[i]! << 16
      return new Float32Array(bits.buffer)
    }
    default:
      throw new RangeError(`weights are not stored as ${dtype}`)
  }
}

/** The values of whole rows in any dtype whose scales lie inside. Products are rounded to f32 once. */
export function toFloats(bytes: Uint8Array, dtype: DType): Float32Array<ArrayBuffer> {
  if (isBlocks(dtype)) return decodeBlocks(dtype, bytes)
  if (dtype === 'fp8') return decodeFp8(bytes)
  const published = PUBLISHED_DTYPE[dtype]
  if (!published) throw new RangeError(`expected rows with their scales inside, got ${dtype}`)
  return decode(bytes, published)
}
