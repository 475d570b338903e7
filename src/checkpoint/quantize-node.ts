/**
 * A checkpoint directory -> the same model with its experts in MXFP4, stacked and named as in gpt-oss. Everything else is copied byte
 * for byte. Streams: memory stays at one expert, whatever the size of the model.
 */
import { copyFile, readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Architecture } from '../architecture/architecture.ts'
import { leaves } from '../model/weights.ts'
import { MXFP4_BLOCK } from '../ops/dtype.ts'
import { decode } from './encode.ts'
import { CheckpointError } from './errors.ts'
import type { OpenModel } from './load.ts'
import { openDirectory } from './load-node.ts'
import { publishedTensors } from './published.ts'
import { addErrors, noError, packMxfp4, type QuantizationError } from './quantize.ts'
import { type PublishedDtype, publishedBytes, type TensorEntry, type TensorShape } from './safetensors.ts'
import { saveTensors } from './save-node.ts'
import type { PlannedWeight } from './weights.ts'
import type { OutgoingTensor } from './write-node.ts'

export interface QuantizeOptions {
  readonly signal?: AbortSignal | undefined
  /** Bytes written, and to be written. */
  readonly onProgress?: ((bytes: number, totalBytes: number) => void) | undefined
  readonly shardBytes?: number
}

export interface QuantizeResult {
  readonly files: readonly string[]
  readonly bytesBefore: number
  readonly bytesAfter: number
  /** Per inner weight that was packed, in the order of the layers. */
  readonly errors: readonly { readonly name: string; readonly error: QuantizationError }[]
}

/** A model that cannot be quantised as asked. */
export class QuantizeError extends Error {
  override name = 'QuantizeError'
}

const STORED: Partial<Record<string, PublishedDtype>> = { f32: 'F32', f16: 'F16', bf16: 'BF16' }
const PIECE_BYTES = 8 << 20

/**
 * Writes the quantised model to `out`, with tokenizer and chat template of the original.
 * @throws QuantizeError when there is nothing to quantise; CheckpointError when the model cannot be read or a value is not finite.
 */
export async function quantizeExperts(directory: string, out: string, options: QuantizeOptions = {}): Promise<QuantizeResult> {
  if (resolve(directory) === resolve(out)) throw new QuantizeError(`${out} is the model itself; choose another directory.`)
  const model = await openDirectory(directory, options.signal)
  try {
    const target = targetOf(model, directory)
    const planned = new Map(leaves(model.tree).map((weight) => [weight.name, weight]))
    const errors = new Map<string, QuantizationError>()
    const scales = new Map<string, Uint8Array>()
    const tensors = publishedTensors(target, (name) => model.checkpoint.tensors.has(name)).flatMap(
      (tensor): (OutgoingTensor & TensorShape)[] => {
        const weight = planned.get(tensor.sources[0]!.spec.name)!
        if (tensor.role.kind === 'blocks') {
          return [{ ...tensor, bytes: () => packExperts(weight, errors, scales, options.signal) }]
        }
        // The blocks come first in the file, so the scales are ready when their turn comes.
        if (tensor.role.kind === 'scales') return [{ ...tensor, bytes: () => takeScales(scales, weight.name) }]
        // The published tensor itself, under its own name and in its own dtype.
        return weight.entries.map((entry) => ({
          name: entry.name,
          dtype: entry.dtype,
          shape: entry.shape,
          bytes: () => copyEntry(entry, options.signal),
        }))
      },
    )
    const unique = [...new Map(tensors.map((tensor) => [tensor.name, tensor])).values()]
    const files = await saveTensors(out, target, unique, options)
    await copyCompanions(directory, out)
    const bytesAfter = unique.reduce((sum, { dtype, shape }) => sum + publishedBytes(dtype, shape), 0)
    return {
      files,
      bytesBefore: model.weightBytes,
      bytesAfter,
      errors: [...errors].map(([name, error]) => ({ name, error })),
    }
  } finally {
    await model.checkpoint.close()
  }
}

/** The architecture after quantisation. */
function targetOf({ architecture, tree }: OpenModel, directory: string): Architecture {
  const experts = leaves(tree).filter((weight) => weight.use === 'experts')
  if (experts.length === 0) throw new QuantizeError(`${directory} has no experts; only the experts of a mixture are stored as MXFP4.`)
  if (experts.every((weight) => weight.dtype === 'mxfp4')) throw new QuantizeError(`${directory} has its experts in MXFP4 already.`)
  const odd = experts.find((weight) => weight.shape.at(-1)! % MXFP4_BLOCK !== 0 || weight.dtype === 'mxfp4')
  if (odd) {
    const what = `${odd.name} [${odd.shape.join(', ')}] in ${odd.dtype}`
    throw new QuantizeError(`${directory}: expected experts in bf16, f16 or f32 with rows of a multiple of ${MXFP4_BLOCK}, got ${what}.`)
  }
  return { ...architecture, expertDtype: 'mxfp4' }
}

/** Packs a weight in bands of whole rows. */
async function* packExperts(
  weight: PlannedWeight,
  errors: Map<string, QuantizationError>,
  scales: Map<string, Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const columns = weight.shape.at(-1)!
  const rows = weight.shape.slice(0, -1).reduce((product, length) => product * length, 1)
  const rowBytes = weight.byteLength / rows
  const fill = weight.fill(signal)
  const allScales = new Uint8Array((rows * columns) / MXFP4_BLOCK)
  const perBand = Math.max(1, Math.floor(PIECE_BYTES / rowBytes))
  let error = noError
  for (let row = 0; row < rows; row += perBand) {
    const bytes = new Uint8Array(Math.min(perBand, rows - row) * rowBytes)
    await fill('data', row * rowBytes, bytes)
    const packed = packBand(weight, decode(bytes, STORED[weight.dtype]!))
    allScales.set(packed.scales, (row * columns) / MXFP4_BLOCK)
    error = addErrors(error, packed.error)
    yield packed.blocks
  }
  scales.set(weight.name, allScales)
  errors.set(weight.name, error)
}

function packBand(weight: PlannedWeight, values: Float32Array) {
  try {
    return packMxfp4(values)
  } catch (cause) {
    const { source, name } = weight.entries[0]!
    const came = (cause as Error).message
    throw new CheckpointError(
      { file: source.name, tensor: name, expected: 'finite numbers', came, remedy: 'The checkpoint is damaged.' },
      { cause },
    )
  }
}

function* takeScales(scales: Map<string, Uint8Array>, name: string): Generator<Uint8Array> {
  yield scales.get(name)!
  scales.delete(name)
}

async function* copyEntry(entry: TensorEntry, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < entry.byteLength; at += PIECE_BYTES) {
    const piece = new Uint8Array(Math.min(PIECE_BYTES, entry.byteLength - at))
    await entry.source.read(entry.offset + at, piece, signal)
    yield piece
  }
}

const COMPANION =
  /^(generation_config\.json|tokenizer.*|vocab\.json|merges\.txt|special_tokens_map\.json|added_tokens\.json|chat_template.*)$/

async function copyCompanions(from: string, to: string): Promise<void> {
  for (const name of (await readdir(from)).filter((file) => COMPANION.test(file))) await copyFile(join(from, name), join(to, name))
}
