/**
 * Packs the matrices of a checkpoint directory: experts as MXFP4, stacked and named as in gpt-oss; dense matrices in blocks, in the layout of
 * quantized/blocks.ts. Everything else is copied byte for byte. Several threads pack bands of rows, so memory does not grow with the model.
 */
import { copyFile, readdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Architecture } from '../architecture/architecture.ts'
import { leaves } from '../model/weights.ts'
import { MXFP4_BLOCK } from '../ops/dtype.ts'
import { size } from '../ops/tensor.ts'
import { requirePublished } from './checkpoint.ts'
import { CheckpointError } from './errors.ts'
import { type OpenModel, openModel } from './load.ts'
import { claimDirectory, isSameDirectory, madeBy } from './output-node.ts'
import type { PackedBlocks, PackFormat } from './pack-blocks.ts'
import { PUBLISHED_DTYPE, type PublishedTensor, publishedTensors } from './published.ts'
import { addErrors, noError, type PackedMxfp4, type QuantizationError } from './quantize.ts'
import type { PackAnswer, PackRequest } from './quantize-worker-node.ts'
import { LINEAGE, packedTensor } from './quantized/blocks.ts'
import { isPublished, type PublishedDtype, publishedBytes, type TensorEntry, type TensorShape } from './safetensors.ts'
import { saveTensors } from './save-node.ts'
import { fileFolder } from './source-node.ts'
import type { PlannedWeight } from './weights.ts'
import type { OutgoingTensor } from './write-node.ts'

export interface QuantizeOptions {
  /** Of experts that are not packed yet; default: MXFP4 where a model has experts. */
  readonly experts?: 'mxfp4' | 'keep' | undefined
  /** Of the dense matrices in layers; default: as they are. The output matrix becomes q8_0, tables and routers stay as they are. */
  readonly dense?: 'q4_0' | 'mxfp4' | undefined
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
  /** Per inner weight that was packed, in the order of the layers. */
  readonly errors: readonly { readonly name: string; readonly error: QuantizationError }[]
}

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
    const errors = new Map<string, QuantizationError>()
    const scales = new Map<string, Uint8Array>()
    const tensors = publishedTensors(target, (name) => model.checkpoint.tensors.has(name)).flatMap(
      (tensor): (OutgoingTensor & TensorShape)[] => {
        const weight = planned.get(tensor.sources[0]!.spec.name)!
        const packedAlready = weight.dtype === 'mxfp4'
        if (tensor.role.kind === 'blocks' && !packedAlready) {
          return [{ ...tensor, bytes: () => packExperts(weight, packers, errors, scales, options.signal) }]
        }
        // The blocks come first in the file, so the scales are known when they are written.
        if (tensor.role.kind === 'scales' && !packedAlready) return [{ ...tensor, bytes: () => takeScales(scales, weight.name) }]
        const format = options.dense && denseFormat(tensor, weight, options.dense)
        if (format) {
          const entry = weight.entries.find(({ name }) => name === tensor.name)!
          return [packedTensor(entry, format, () => packMatrix(entry, format, packers, errors, options.signal))]
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
      errors: [...errors].map(([name, error]) => ({ name, error })),
    }
  } finally {
    await packers.end()
    await model.checkpoint.close()
  }
}

/** The architecture after quantisation. */
function targetOf({ architecture, tree }: OpenModel, directory: string, { dense, experts: wanted }: QuantizeOptions): Architecture {
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

/** The format of a published matrix; undefined where it stays as it is: vectors, tables, routers, what must be exact, rows of no whole blocks. */
function denseFormat({ role, shape }: PublishedTensor, weight: PlannedWeight, dense: 'q4_0' | 'mxfp4'): PackFormat | undefined {
  const isMatrix = weight.use === 'matrix' && role.kind === 'values' && shape.length === 2
  if (!isMatrix || weight.exact || weight.name.endsWith('.router') || shape[1]! % MXFP4_BLOCK !== 0) return undefined
  return weight.name === 'unembed' || weight.name === 'embed' ? 'q8_0' : dense
}

/** Packs a matrix, or several behind one another, in bands of whole rows. */
export async function* packMatrix(
  entry: TensorEntry,
  format: PackFormat,
  packers: Packers,
  errors: Map<string, QuantizationError>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const rows = size(entry.shape) / entry.shape.at(-1)!
  const rowBytes = entry.byteLength / rows
  const read = async (row: number, count: number) => {
    const bytes = new Uint8Array(count * rowBytes)
    await entry.source.read(entry.offset + row * rowBytes, bytes, signal)
    return packers.pack(bytes, entry.dtype as PublishedDtype, format) as Promise<PackedBlocks>
  }
  let error = noError
  for await (const packed of inBands(rows, rowBytes, packers.threads, read, entry)) {
    error = addErrors(error, packed.error)
    yield packed.blocks
  }
  errors.set(entry.name, error)
}

/** Packs the experts of a weight in bands of whole rows. */
async function* packExperts(
  weight: PlannedWeight,
  packers: Packers,
  errors: Map<string, QuantizationError>,
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
    return packers.pack(bytes, PUBLISHED_DTYPE[weight.dtype]!, 'experts') as Promise<PackedMxfp4>
  }
  let error = noError
  let at = 0
  for await (const packed of inBands(rows, rowBytes, packers.threads, read, weight.entries[0]!)) {
    allScales.set(packed.scales, at)
    at += packed.scales.length
    error = addErrors(error, packed.error)
    yield packed.blocks
  }
  scales.set(weight.name, allScales)
  errors.set(weight.name, error)
}

/** Bands of rows of about PIECE_BYTES, several at once, in order. */
async function* inBands<T>(
  rows: number,
  rowBytes: number,
  threads: number,
  make: (row: number, count: number) => Promise<T>,
  entry: TensorEntry,
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
      throw cause instanceof RangeError ? notFinite(entry, cause) : cause
    })
    start()
    yield made
  }
}

function notFinite({ source, name }: TensorEntry, cause: Error): CheckpointError {
  const problem = { file: source.name, tensor: name, expected: 'finite numbers', came: cause.message, remedy: 'The checkpoint is damaged.' }
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

  pack(bytes: Uint8Array<ArrayBuffer>, dtype: PublishedDtype, format: PackRequest['format']): Promise<PackedMxfp4 | PackedBlocks> {
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

export async function copyCompanions(from: string, to: string): Promise<void> {
  for (const name of (await readdir(from)).filter((file) => COMPANION.test(file))) await copyFile(join(from, name), join(to, name))
}
