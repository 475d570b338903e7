/**
 * Packs the matrices of a checkpoint directory: experts as MXFP4, stacked and named as in gpt-oss; dense matrices in blocks, in the layout of
 * quantized/blocks.ts. Everything else is copied byte for byte. Several threads pack bands of rows, so memory does not grow with the model.
 */
import { copyFile, mkdir, readdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Architecture, DType } from '../architecture/architecture.ts'
import { leaves } from '../model/weights.ts'
import { dtypeName, MXFP4_BLOCK } from '../ops/dtype.ts'
import { size } from '../ops/tensor.ts'
import { requirePublished } from './checkpoint.ts'
import { CheckpointError } from './errors.ts'
import { type OpenModel, openModel } from './load.ts'
import { claimDirectory, isSameDirectory, madeBy } from './output-node.ts'
import { type FloatFormat, isFloatFormat, PACKED_DTYPE, type PackedBlocks, type PackFormat } from './pack-blocks.ts'
import { type PublishedTensor, publishedTensors } from './published.ts'
import { addErrors, noError, type PackedMxfp4, type QuantizationError } from './quantize.ts'
import type { PackAnswer, PackRequest } from './quantize-worker-node.ts'
import { LINEAGE, packedTensor } from './quantized/blocks.ts'
import { isPublished, publishedBytes, type TensorEntry, type TensorShape } from './safetensors.ts'
import { isWrapped, saveTensors } from './save-node.ts'
import { fileFolder } from './source-node.ts'
import { INNER_DTYPE, type PlannedWeight } from './weights.ts'
import type { OutgoingTensor } from './write-node.ts'

export interface QuantizeOptions {
  /** Of experts that are not packed yet; default: MXFP4, but with 8 or more bits for dense matrices the same. Directories: MXFP4 only. */
  readonly experts?: PackFormat | FloatFormat | 'keep' | undefined
  /**
   * Of the dense matrices in layers; default: as they are. With 4 bits the output matrix becomes q8_0 and tables stay as they are; with
   * more bits both get the same format. Only GGUF files are written in f32, f16 and bf16.
   */
  readonly dense?: PackFormat | FloatFormat | undefined
  readonly signal?: AbortSignal | undefined
  /** Bytes written so far, and in total. */
  readonly onProgress?: ((bytes: number, totalBytes: number) => void) | undefined
  readonly shardBytes?: number
  readonly threads?: number
  /** Replaces another model in `out`. */
  readonly force?: boolean | undefined
}

export interface QuantizeResult {
  readonly files: readonly string[]
  readonly bytesBefore: number
  readonly bytesAfter: number
  /** Per published tensor (of experts: per inner weight) that was packed, in the order of the layers. */
  readonly errors: readonly { readonly name: string; readonly type: string; readonly error: QuantizationError }[]
  /** Matrices that keep a larger type, because their rows are no whole blocks. */
  readonly kept: readonly { readonly name: string; readonly type: string; readonly width: number }[]
  /** What the file cannot say about the model. */
  readonly notes: readonly string[]
  /** The model has images or sound too, and only its language model was written. */
  readonly textOnly?: boolean
}

/** By name of the tensor: what it became, and how far that is from it. */
export type Errors = Map<string, { readonly type: string; readonly error: QuantizationError }>

/** The model cannot be quantised. */
export class QuantizeError extends Error {
  override name = 'QuantizeError'
}

const PIECE_BYTES = 8 << 20
const MADE = madeBy('lineage quantize')

/**
 * Writes the quantised model to `out`, with tokenizer and chat template of the original.
 * @throws QuantizeError when there is nothing to quantise; OutputExistsError when another model is in `out`; CheckpointError when the model cannot be
 * read or a value is not finite.
 */
export async function quantizeModel(directory: string, out: string, options: QuantizeOptions = {}): Promise<QuantizeResult> {
  if (await isSameDirectory(directory, out)) throw new QuantizeError(`${out} is the model itself; choose another directory.`)
  const model = await openModel(await fileFolder(directory), options.signal)
  const packers = new Packers(options.threads)
  try {
    requirePublished(model.checkpoint)
    const target = targetOf(model, directory, options)
    const planned = new Map(leaves(model.tree).map((weight) => [weight.name, weight]))
    const errors: Errors = new Map()
    const scales = new Map<string, Uint8Array>()
    const kept: QuantizeResult['kept'][number][] = []
    const tensors = publishedTensors(target, (name) => model.checkpoint.tensors.has(name)).flatMap(
      (tensor): (OutgoingTensor & TensorShape)[] => {
        const weight = planned.get(tensor.sources[0]!.spec.name)!
        const packedAlready = weight.dtype === 'mxfp4'
        if (tensor.role.kind === 'blocks' && !packedAlready) {
          return [{ ...tensor, bytes: () => packExperts(weight, packers, errors, scales, options.signal) }]
        }
        // The blocks come first in the file, so the scales are known when they are written.
        if (tensor.role.kind === 'scales' && !packedAlready) return [{ ...tensor, bytes: () => takeScales(scales, weight.name) }]
        const format = isDense(tensor, weight) ? denseFormat(weight, options.dense) : undefined
        const width = tensor.shape.at(-1)!
        // A dense matrix is one tensor. It may have a later one of the accepted names.
        const entry = weight.entries[0]!
        if (format && width % MXFP4_BLOCK !== 0) kept.push({ name: entry.name, type: tensor.dtype, width })
        else if (format) {
          return [packedTensor(entry, format, () => packMatrix(rowsOf(entry), format, packers, errors, options.signal))]
        }
        // The published tensor itself, under its own name and in its own dtype.
        return weight.entries.filter(isPublished).map((entry) => ({
          name: entry.name,
          dtype: entry.dtype,
          shape: entry.shape,
          bytes: () => copyEntry(entry, options.signal),
        }))
      },
    )
    const unique = [...new Map(tensors.map((tensor) => [tensor.name, tensor])).values()]
    await claimDirectory(out, MADE, { force: options.force })
    const config =
      options.dense && target.expertDtype !== 'mxfp4' ? { quantization_config: { quant_method: LINEAGE, format: options.dense } } : {}
    const files = await saveTensors(out, target, unique, { ...options, metadata: MADE, config })
    await copyCompanions(directory, out)
    const bytesAfter = unique.reduce((sum, { dtype, shape }) => sum + publishedBytes(dtype, shape), 0)
    return {
      files,
      bytesBefore: model.weightBytes,
      bytesAfter,
      errors: [...errors].map(([name, one]) => ({ name, ...one })),
      kept,
      notes: [],
      textOnly: isWrapped(model.checkpoint),
    }
  } finally {
    await packers.end()
    await model.checkpoint.close()
  }
}

/** The architecture after quantisation. */
function targetOf({ architecture, tree }: OpenModel, directory: string, { dense, experts: wanted }: QuantizeOptions): Architecture {
  if ((dense && isFloatFormat(dense)) || (wanted && wanted !== 'mxfp4' && wanted !== 'keep'))
    throw new QuantizeError(
      `Only GGUF files are written with ${dense && isFloatFormat(dense) ? `dense matrices in ${dense}` : `experts in ${wanted}`}: give a name that ends with .gguf as the output.`,
    )
  const all = leaves(tree)
  const experts = all.filter((weight) => weight.use === 'experts')
  if (dense) {
    const odd = all.find(({ form, use, shape }) => form === 'transposed' && use === 'matrix' && shape.length === 2)
    if (odd) throw new QuantizeError(`${directory}: ${odd.name} is published transposed; matrices of this model type are not packed.`)
  }
  if (wanted === 'keep' || (dense && (experts.length === 0 || experts.every((weight) => weight.dtype === 'mxfp4')))) {
    if (!dense) throw new QuantizeError(`${directory}: nothing to do: experts are kept, and no format of dense matrices was given.`)
    return architecture
  }
  if (experts.length === 0)
    throw new QuantizeError(`${directory} has no experts; give a format of its dense matrices (--dense q4_0 or mxfp4).`)
  if (experts.every((weight) => weight.dtype === 'mxfp4')) throw new QuantizeError(`${directory} has its experts in MXFP4 already.`)
  const odd = experts.find((weight) => weight.shape.at(-1)! % MXFP4_BLOCK !== 0 || weight.dtype === 'mxfp4')
  if (odd) {
    const what = `${odd.name} [${odd.shape.join(', ')}] in ${odd.dtype}`
    throw new QuantizeError(`${directory}: expected experts in bf16, f16 or f32 with rows of a multiple of ${MXFP4_BLOCK}, got ${what}.`)
  }
  return { ...architecture, expertDtype: 'mxfp4' }
}

/** Whether a published matrix is packed with dense matrices. Vectors, tables, routers and what must be exact stay as they are. */
function isDense({ role, shape }: PublishedTensor, weight: PlannedWeight): boolean {
  const isMatrix = weight.use === 'matrix' && role.kind === 'values' && shape.length === 2
  return isMatrix && !weight.exact && !weight.name.endsWith('.router')
}

function denseFormat({ name }: PlannedWeight, dense: QuantizeOptions['dense']): PackFormat | undefined {
  return dense && (name === 'unembed' || name === 'embed' ? 'q8_0' : (dense as PackFormat))
}

/** A matrix, or several behind one another, as rows that are read in bands. */
export interface RowSource {
  readonly name: string
  /** For errors: the file. */
  readonly file: string
  readonly dtype: DType
  readonly count: number
  /** Bytes of a row as it is stored. */
  readonly rowBytes: number
  rows(first: number, count: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>
}

/** The rows of a tensor of a file. */
export function rowsOf(entry: TensorEntry): RowSource {
  const { name, shape, source } = entry
  const count = size(shape) / shape.at(-1)!
  const rowBytes = entry.byteLength / count
  const rows: RowSource['rows'] = async (first, count, signal) => {
    const bytes = new Uint8Array(count * rowBytes)
    await source.read(entry.offset + first * rowBytes, bytes, signal)
    return bytes
  }
  return { name, file: source.name, dtype: INNER_DTYPE[entry.dtype]!, count, rowBytes, rows }
}

/** Packs a matrix in bands of whole rows. */
export async function* packMatrix(
  source: RowSource,
  format: PackFormat | FloatFormat,
  packers: Packers,
  errors: Errors,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const read = async (row: number, count: number) =>
    packers.pack(await source.rows(row, count, signal), source.dtype, format) as Promise<PackedBlocks>
  let error = noError
  for await (const packed of inBands(source, packers.threads, read)) {
    error = addErrors(error, packed.error)
    yield packed.blocks
  }
  errors.set(source.name, { type: dtypeName(PACKED_DTYPE[format]), error })
}

/** Packs the experts of a weight in bands of whole rows. */
async function* packExperts(
  weight: PlannedWeight,
  packers: Packers,
  errors: Errors,
  scales: Map<string, Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const columns = weight.shape.at(-1)!
  const rows = size(weight.shape) / columns
  const rowBytes = weight.byteLength / rows
  const fill = weight.fill(signal)
  const allScales = new Uint8Array((rows * columns) / MXFP4_BLOCK)
  const read = async (row: number, count: number) => {
    const bytes = new Uint8Array(count * rowBytes)
    await fill('data', row * rowBytes, bytes)
    return packers.pack(bytes, weight.dtype, 'experts') as Promise<PackedMxfp4>
  }
  let error = noError
  let at = 0
  const { name, source } = weight.entries[0]!
  for await (const packed of inBands({ count: rows, rowBytes, name, file: source.name }, packers.threads, read)) {
    allScales.set(packed.scales, at)
    at += packed.scales.length
    error = addErrors(error, packed.error)
    yield packed.blocks
  }
  scales.set(weight.name, allScales)
  errors.set(weight.name, { type: 'MXFP4', error })
}

/** Bands of rows of about PIECE_BYTES, several at once, in order. */
async function* inBands<T>(
  { count: rows, rowBytes, name, file }: Pick<RowSource, 'count' | 'rowBytes' | 'name' | 'file'>,
  threads: number,
  make: (row: number, count: number) => Promise<T>,
): AsyncGenerator<T> {
  const perBand = Math.max(1, Math.floor(PIECE_BYTES / rowBytes))
  const running: Promise<T>[] = []
  let next = 0
  const start = () => {
    for (; running.length < 2 * threads && next < rows; next += perBand) running.push(make(next, Math.min(perBand, rows - next)))
    // An error of a band is reported in order, not here.
    for (const promise of running) promise.catch(() => {})
  }
  start()
  while (running.length > 0) {
    const made = await running.shift()!.catch((cause) => {
      throw cause instanceof RangeError ? notFinite(file, name, cause) : cause
    })
    start()
    yield made
  }
}

function notFinite(file: string, tensor: string, cause: Error): CheckpointError {
  const problem = { file, tensor, expected: 'finite numbers', came: cause.message, remedy: 'The checkpoint is damaged.' }
  return new CheckpointError(problem, { cause })
}

/** Threads that pack bands, in turn. They start with the first band. */
export class Packers {
  readonly threads: number
  readonly #workers: Worker[] = []
  readonly #waiting = new Map<number, { resolve: (packed: PackedMxfp4 | PackedBlocks) => void; reject: (error: Error) => void }>()
  #next = 0

  constructor(threads = availableParallelism()) {
    this.threads = Math.max(1, threads)
  }

  pack(bytes: Uint8Array<ArrayBuffer>, dtype: DType, format: PackRequest['format']): Promise<PackedMxfp4 | PackedBlocks> {
    const id = this.#next++
    const turn = id % this.threads
    const worker = (this.#workers[turn] ??= this.#start())
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      worker.postMessage({ id, bytes, dtype, format } satisfies PackRequest, [bytes.buffer])
    })
  }

  async end(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker?.terminate()))
  }

  #start(): Worker {
    const url = new URL(import.meta.url.endsWith('.ts') ? './quantize-worker-node.ts' : './quantize-worker-node.js', import.meta.url)
    const worker = new Worker(url, { execArgv: [] })
    worker.on('message', (answer: PackAnswer) => {
      const { resolve, reject } = this.#waiting.get(answer.id)!
      this.#waiting.delete(answer.id)
      if ('problem' in answer) reject(new RangeError(answer.problem))
      else resolve(answer.packed)
    })
    worker.on('error', (error) => {
      for (const { reject } of this.#waiting.values()) reject(error as Error)
      this.#waiting.clear()
    })
    return worker
  }
}

function* takeScales(scales: Map<string, Uint8Array>, name: string): Generator<Uint8Array> {
  yield scales.get(name)!
  scales.delete(name)
}

export async function* copyEntry(entry: TensorEntry, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < entry.byteLength; at += PIECE_BYTES) {
    const piece = new Uint8Array(Math.min(PIECE_BYTES, entry.byteLength - at))
    await entry.source.read(entry.offset + at, piece, signal)
    yield piece
  }
}

const COMPANION =
  /^(generation_config\.json|tokenizer.*|vocab\.(json|bpe)|encoder\.json|merges\.txt|special_tokens_map\.json|added_tokens\.json|chat_template.*)$/

/** Folder of chat templates beside the main one, such as that for tools. */
const TEMPLATES = 'additional_chat_templates'

/** Copies tokenizer, chat templates and sampling of a model. */
export async function copyCompanions(from: string, to: string): Promise<void> {
  const names = await readdir(from)
  for (const name of names.filter((file) => COMPANION.test(file))) await copyFile(join(from, name), join(to, name))
  if (!names.includes(TEMPLATES)) return
  await mkdir(join(to, TEMPLATES), { recursive: true })
  for (const name of (await readdir(join(from, TEMPLATES))).filter((file) => file.endsWith('.jinja')))
    await copyFile(join(from, TEMPLATES, name), join(to, TEMPLATES, name))
}
