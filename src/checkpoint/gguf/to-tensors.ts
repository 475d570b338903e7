/**
 * The tensors of a GGUF file from the inner weights of a model: the inverse of names.ts and views.ts. Each is a list of rows that lie in
 * inner weights; rows are read in bands, so memory does not grow with the model. Chooses no types.
 */
import type { Architecture, DType } from '../../architecture/architecture.ts'
import type { Slice } from '../../architecture/recipes.ts'
import { leaves } from '../../model/weights.ts'
import { MXFP4_BLOCK, MXFP4_BLOCK_BYTES, storedBytes } from '../../ops/dtype.ts'
import { size } from '../../ops/tensor.ts'
import { toFloats } from '../encode.ts'
import { WeightsMismatchError } from '../errors.ts'
import { ggufMxfp4 } from '../pack-blocks.ts'
import { type PublishedPart, publishedParts } from '../published.ts'
import type { PlannedWeight, WeightPlan } from '../weights.ts'
import { ggufNames } from './names.ts'
import { permutedHeads, UNIT_OFFSET } from './views.ts'

/** A tensor to write, in the dtype that it has in memory. */
export interface GgufTensor {
  readonly name: string
  /** Row-major. */
  readonly shape: readonly number[]
  /** Values of a row; 1 for vectors and for biases of experts. */
  readonly columns: number
  readonly dtype: DType
  /** `other`: stays in its dtype, which is f32 for vectors and for what other programs expect in it. */
  readonly use: 'experts' | 'output' | 'table' | 'matrix' | 'other'
  /** Rows [first, first + count) in `dtype`. */
  rows(first: number, count: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>
}

type Rows = GgufTensor['rows']

/** Tensors that the converters of llama.cpp keep in F32 whatever the type of the file. */
const EXACT = /norm\.weight$|\.bias$|attn_sinks|ffn_gate_inp|ssm_(conv1d\.weight|a|d)$|^position_embd/

/** Whether files of an architecture fuse q, k and v (and Phi-3's gate and up), or have a tensor at all where names.ts asks. */
function isWritten(kind: string, name: string): boolean {
  if (name.endsWith('attn_qkv.weight')) return ['gpt2', 'gptneox', 'phi3'].includes(kind)
  if (name.endsWith('ffn_gate.weight')) return kind !== 'phi3'
  if (name.endsWith('ffn_norm.weight')) return kind !== 'gpt-oss'
  return !name.endsWith('attn_kv_b.weight')
}

/** All tensors, in the order of the weights. @param kind `general.architecture` @throws WeightsMismatchError */
export function ggufTensors({ architecture, tree }: WeightPlan, kind: string): GgufTensor[] {
  const names = ggufNames(architecture, (name) => isWritten(kind, name))
  const found = new Map<string, Parts>()
  for (const weight of leaves(tree)) {
    const recipe = names.recipes(weight.name)[0]
    if (!recipe) throw unnamed(architecture, weight)
    for (const part of publishedParts(recipe, weight.shape)) {
      const isStacked = 'expert' in part.role
      if ('expert' in part.role && part.role.expert > 0) continue
      const name = isStacked ? part.name.replace(/\.\d+\.(weight|bias)$/, '_exps.$1') : part.name
      const shape = isStacked ? [weight.shape[0]!, ...part.shape] : part.shape
      const parts = found.get(name) ?? { shape, weights: [] }
      parts.weights.push({
        weight,
        role: part.role,
        slice: 'slice' in recipe ? recipe.slice : undefined,
        transposed: recipe.form === 'transposed',
      })
      found.set(name, parts)
    }
  }
  return [...found].map(([name, parts]) => tensorOf(name, parts, kind, architecture))
}

interface Parts {
  readonly shape: readonly number[]
  readonly weights: { weight: PlannedWeight; role: PublishedPart['role']; slice: Slice | undefined; transposed: boolean }[]
}

function tensorOf(name: string, { shape, weights }: Parts, kind: string, architecture: Architecture): GgufTensor {
  const { weight, transposed } = weights[0]!
  const columns = shape.length === 1 || name.endsWith('.bias') ? 1 : shape.at(-1)!
  const exact = shape.length === 1 || EXACT.test(name)
  const isMixed = weights.some((part) => part.weight.dtype !== weight.dtype)
  const dtype = transposed || exact || isMixed ? 'f32' : storedDtype(weight.dtype)
  const runs = weights.flatMap((part) => runsOf(part, columns, dtype)).sort((a, b) => a.at - b.at)
  let rows = transposed ? transposedRows(weight, columns) : joined(runs, storedBytes(dtype, columns))
  const heads = permutedHeads(name, kind, architecture)
  if (heads) rows = pairedRows(rows, shape[0]! / heads, storedBytes(dtype, columns))
  if (UNIT_OFFSET.has(kind) && name.endsWith('norm.weight')) rows = changed(rows, (value) => value + 1)
  if (name.endsWith('.ssm_a')) rows = changed(rows, (value) => -Math.exp(value))
  const isOutput = weight.name === 'unembed' || (weight.name === 'embed' && architecture.tieWordEmbeddings)
  const inLayer = exact || weight.exact ? 'other' : weight.use === 'experts' ? 'experts' : 'matrix'
  const use = isOutput ? 'output' : weight.name === 'embed' ? 'table' : inLayer
  return { name, shape, columns, dtype, use, rows }
}

/** MXFP4 with its scales apart is read in the blocks of GGUF files. */
const storedDtype = (dtype: DType): DType => (dtype === 'mxfp4' ? 'mxfp4_gguf' : dtype)

interface Run {
  /** The first row in the tensor, and how many follow. */
  readonly at: number
  readonly count: number
  rows: Rows
}

/** Where the rows of a weight lie in its tensor. @param dtype what the rows become */
function runsOf({ weight, role, slice }: Parts['weights'][number], columns: number, dtype: DType): Run[] {
  const total = size(weight.shape) / columns
  const read = rowReader(weight, columns, dtype)
  if (role.kind === 'gate' || role.kind === 'up') {
    const second = role.kind === 'up' ? 1 : 0
    const rows: Rows =
      weight.form === 'interleaved' ? entryRows(weight, second, columns, dtype) : everyOther(read, second, storedBytes(dtype, columns))
    return [{ at: 0, count: total / 2, rows }]
  }
  if (!slice) return [{ at: 0, count: total, rows: read }]
  const run = slice.run ?? total
  return Array.from({ length: total / run }, (_, n) => ({
    at: slice.from + n * (slice.every ?? 0),
    count: run,
    rows: (first, count, signal) => read(n * run + first, count, signal),
  }))
}

/** Rows of an inner weight. */
function rowReader(weight: PlannedWeight, columns: number, dtype: DType): Rows {
  const fillBytes = storedBytes(weight.dtype, columns)
  const toWanted = (bytes: Uint8Array<ArrayBuffer>) =>
    dtype === storedDtype(weight.dtype) ? bytes : asBytes(toFloats(bytes, storedDtype(weight.dtype)))
  return async (first, count, signal) => {
    const fill = weight.fill(signal)
    if (weight.dtype !== 'mxfp4') {
      const bytes = new Uint8Array(count * fillBytes)
      await fill('data', first * fillBytes, bytes)
      return toWanted(bytes)
    }
    const blocksOfRow = columns / MXFP4_BLOCK
    const pairs = new Uint8Array(count * blocksOfRow * MXFP4_BLOCK_BYTES)
    const scales = new Uint8Array(count * blocksOfRow)
    await fill('blocks', first * blocksOfRow * MXFP4_BLOCK_BYTES, pairs)
    await fill('scales', first * blocksOfRow, scales)
    return toWanted(ggufMxfp4(pairs, scales))
  }
}

/** Gate or up of experts that are published apart: read from their own tensors, expert after expert. */
function entryRows({ entries, dtype: from }: PlannedWeight, second: 0 | 1, columns: number, dtype: DType): Rows {
  const perExpert = size(entries[0]!.shape) / columns
  const rowBytes = entries[0]!.byteLength / perExpert
  const runs = entries
    .filter((_, n) => n % 2 === second)
    .map((entry, expert): Run => {
      const rows: Rows = async (first, count, signal) => {
        const bytes = new Uint8Array(count * rowBytes)
        await entry.source.read(entry.offset + first * rowBytes, bytes, signal)
        return dtype === from ? bytes : asBytes(toFloats(bytes, from))
      }
      return { at: expert * perExpert, count: perExpert, rows }
    })
  return joined(runs, storedBytes(dtype, columns))
}

/** Rows 2n + second. */
const everyOther =
  (rows: Rows, second: 0 | 1, rowBytes: number): Rows =>
  async (first, count, signal) => {
    const both = await rows(2 * first, 2 * count, signal)
    const out = new Uint8Array(count * rowBytes)
    for (let n = 0; n < count; n++) out.set(both.subarray((2 * n + second) * rowBytes, (2 * n + second + 1) * rowBytes), n * rowBytes)
    return out
  }

/** The rows of several runs, which follow one another. */
function joined(runs: readonly Run[], rowBytes: number): Rows {
  const [only] = runs
  if (runs.length === 1 && only) return only.rows
  return async (first, count, signal) => {
    const out = new Uint8Array(count * rowBytes)
    const end = first + count
    for (const { at, count: length, rows } of runs) {
      const [from, to] = [Math.max(first, at), Math.min(end, at + length)]
      if (from < to) out.set(await rows(from - at, to - from, signal), (from - first) * rowBytes)
    }
    return out
  }
}

/** The two values of a rotated pair side by side: row 2i + j of a head is published row j·(rows / 2) + i (the inverse of `unpermuted`). */
function pairedRows(rows: Rows, headRows: number, rowBytes: number): Rows {
  return async (first, count, signal) => {
    const begin = first - (first % headRows)
    const heads = Math.ceil((first + count - begin) / headRows)
    const published = await rows(begin, heads * headRows, signal)
    const out = new Uint8Array(count * rowBytes)
    for (let n = 0; n < count; n++) {
      const row = first + n - begin
      const inHead = row % headRows
      const from = row - inHead + (inHead % 2) * (headRows / 2) + Math.floor(inHead / 2)
      out.set(published.subarray(from * rowBytes, (from + 1) * rowBytes), n * rowBytes)
    }
    return out
  }
}

/** A small weight [N, C] as [C, N]. */
function transposedRows(weight: PlannedWeight, columns: number): Rows {
  const total = size(weight.shape) / columns
  return async (first, count, signal) => {
    const bytes = new Uint8Array(weight.byteLength)
    await weight.fill(signal)('data', 0, bytes)
    const values = toFloats(bytes, weight.dtype)
    return asBytes(
      Float32Array.from({ length: count * columns }, (_, i) => values[(i % columns) * total + first + Math.floor(i / columns)]!),
    )
  }
}

const changed =
  (rows: Rows, change: (value: number) => number): Rows =>
  async (first, count, signal) =>
    asBytes(toFloats(await rows(first, count, signal), 'f32').map(change))

const asBytes = (values: Float32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> => new Uint8Array(values.buffer)

function unnamed({ name, modelType }: Architecture, { name: tensor, shape }: PlannedWeight): WeightsMismatchError {
  return new WeightsMismatchError({
    file: name,
    tensor,
    expected: `weights of the model type "${modelType}" that GGUF has names for`,
    came: `${tensor} [${shape.join(', ')}]`,
    remedy: 'Write safetensors files: give a directory as the output.',
  })
}
