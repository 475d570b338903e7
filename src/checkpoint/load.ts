/**
 * Loads a checkpoint into a backend: checks everything first, then reads several weights at once, with
 * progress and cancellation. Knows no file system and no backend. After an error all reading has
 * stopped, and the caller must dispose of the backend with its partly loaded weights.
 */
import type { Architecture } from '../architecture/architecture.ts'
import { configFromJson, quantizationFromJson } from '../architecture/config-json.ts'
import type { Quantization } from '../architecture/quantization.ts'
import { Gate } from '../files/gate.ts'
import { abbreviate } from '../json/json.ts'
import { parsePythonJson } from '../json/python.ts'
import { leaves, mapWeights, type Weights } from '../model/weights.ts'
import { type Backend, DISK_ALIGNMENT, type Fill } from '../ops/backend.ts'
import type { Tensor } from '../ops/tensor.ts'
import { type Checkpoint, openCheckpoint } from './checkpoint.ts'
import { CorruptConfigError } from './errors.ts'
import { withModelNames } from './names.ts'
import { missingFrom, refuseAdapter } from './other-formats.ts'
import { refuseModelOpt, unpacked } from './quantized/quantized.ts'
import { cancellable, type Folder, readText } from './source.ts'
import { type PlannedWeight, planWeights, type WeightPlan } from './weights.ts'

export interface LoadProgress {
  /** Bytes of weights passed to the backend so far, and in total. */
  readonly bytes: number
  readonly totalBytes: number
  /** Mean rate since the beginning. */
  readonly bytesPerSecond: number
}

export interface LoadOptions {
  readonly signal?: AbortSignal | undefined
  /** Called at most ten times a second, and once at the end. */
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined
  /** Number of parallel reads. */
  readonly readers?: number | undefined
  /** Leaves an untied embedding in its file, open until `close`, and reads rows on demand. Needs `Source.readNow`. */
  readonly lowMemory?: boolean | undefined
}

export interface LoadedCheckpoint {
  /** As the files have it. */
  readonly architecture: Architecture
  readonly weights: Weights<Tensor>
  /** Closes the files from which tables are read. Does nothing when all weights are in memory. */
  close(): Promise<void>
}

/** Large weights are read in pieces of this size, for prompt progress and cancellation. */
const PIECE_BYTES = 8 << 20

/** The part of a backend that loading needs. */
export type WeightSink = Pick<Backend, 'weight' | 'ordersColumns'>

/**
 * Creates every weight of the plan in the backend.
 * @throws the first error of a source or of the backend, or the signal's reason.
 */
export async function loadWeights(
  plan: WeightPlan,
  backend: WeightSink,
  options: LoadOptions = {},
): Promise<Omit<LoadedCheckpoint, 'close'>> {
  const failure = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, failure.signal]) : failure.signal
  const gate = new Gate(options.readers ?? 4)
  /** What is loaded of a weight: where the backend can order columns, its packed form. */
  const formOf = (weight: PlannedWeight) => (backend.ordersColumns ? weight.ordered : undefined) ?? weight
  const totalBytes = leaves(plan.tree).reduce((sum, weight) => sum + formOf(weight).byteLength, 0)
  const report = reporter(totalBytes, options.onProgress)

  const inPieces = (weight: Pick<PlannedWeight, 'fill'>): Fill => {
    const whole = weight.fill(signal)
    const fill: Fill = async (part, offset, into) => {
      const pieces: Promise<void>[] = []
      // Let pieces end where an aligned disk read can begin.
      const lead = (whole.at?.(part, offset) ?? 0) % DISK_ALIGNMENT
      for (let at = 0; at < into.byteLength; ) {
        const end = Math.min(into.byteLength, at + PIECE_BYTES - (at === 0 ? lead : 0))
        const [from, piece] = [offset + at, into.subarray(at, end)]
        pieces.push(
          gate.run(async () => {
            signal.throwIfAborted()
            await whole(part, from, piece)
            report(piece.byteLength)
          }),
        )
        at = end
      }
      await Promise.all(pieces)
    }
    return Object.assign(fill, { at: whole.at })
  }

  // Read in file order, so that the disk's read-ahead helps.
  const queue = leaves(plan.tree).sort((a, b) => order(a, b))
  const loaded = new Map<string, Tensor>()
  let next = 0
  const worker = async () => {
    for (let weight = queue[next++]; weight; weight = queue[next++]) {
      signal.throwIfAborted()
      const { name, use, exact } = weight
      const form = formOf(weight)
      const readRow = options.lowMemory ? weight.readRow : undefined
      const spec = { name, shape: form.shape, dtype: form.dtype, use, exact, order: form.order }
      loaded.set(name, await backend.weight(spec, inPieces(form), readRow))
    }
  }
  const workers = Array.from({ length: options.readers ?? 4 }, () =>
    worker().catch((error) => {
      failure.abort(error)
      throw error
    }),
  )
  await Promise.allSettled(workers)
  signal.throwIfAborted()
  report(0, true)
  return { architecture: plan.architecture, weights: mapWeights(plan.tree, (weight) => loaded.get(weight.name)!) }
}

function order(a: PlannedWeight, b: PlannedWeight): number {
  const [x, y] = [a.entries[0]!, b.entries[0]!]
  return x.source === y.source ? x.offset - y.offset : x.source.name < y.source.name ? -1 : 1
}

function reporter(totalBytes: number, onProgress: LoadOptions['onProgress']): (count: number, last?: boolean) => void {
  const start = performance.now()
  let bytes = 0
  let reported = Number.NEGATIVE_INFINITY
  return (count, last = false) => {
    bytes += count
    const now = performance.now()
    if (!onProgress || (!last && now - reported < 100)) return
    reported = now
    onProgress({ bytes, totalBytes, bytesPerSecond: (bytes / Math.max(now - start, 1)) * 1000 })
  }
}

/** A checkpoint's description and its open files. The caller closes `checkpoint`. */
export interface OpenModel extends WeightPlan {
  readonly checkpoint: Checkpoint
  /** How another program packed the matrices. */
  readonly quantization: Quantization | undefined
}

/**
 * Reads config.json and the safetensors headers of a folder and checks that they agree. Reads no weights.
 * @throws CheckpointError subclasses and ConfigError that name the file, the field or the tensor; the signal's reason.
 */
export async function openModel(place: Folder, signal?: AbortSignal): Promise<OpenModel> {
  const folder = cancellable(place, signal)
  const { architecture, quantization } = await readConfig(folder)
  await refuseAdapter(folder)
  await refuseModelOpt(folder)
  const opened = await openCheckpoint(folder, signal)
  try {
    const checkpoint = withModelNames(await unpacked(opened, quantization), architecture)
    return { ...planWeights(architecture, checkpoint), checkpoint, quantization }
  } catch (error) {
    await opened.close()
    throw error
  }
}

/** The architecture that a folder's config.json describes. */
export const readArchitecture = async (folder: Folder): Promise<Architecture> => (await readConfig(folder)).architecture

/** What config.json says: the model, and how its matrices are packed. */
export async function readConfig(folder: Folder): Promise<{ architecture: Architecture; quantization: Quantization | undefined }> {
  const source = await folder.open('config.json')
  if (!source) throw await missingFrom(folder, 'config.json')
  try {
    const json = parseJson(source.name, await readText(source))
    return { architecture: configFromJson(json, source.name), quantization: quantizationFromJson(json, source.name) }
  } finally {
    await source.close()
  }
}

/** Opens the folder, loads everything into the backend, and closes the files (later with `lowMemory`). */
export async function loadFolder(folder: Folder, backend: WeightSink, options: LoadOptions = {}): Promise<LoadedCheckpoint> {
  const { checkpoint, ...plan } = await openModel(folder, options.signal)
  try {
    const loaded = await loadWeights(plan, backend, options)
    if (options.lowMemory && leaves(plan.tree).some(({ readRow }) => readRow)) return { ...loaded, close: () => checkpoint.close() }
    await checkpoint.close()
    return { ...loaded, close: async () => {} }
  } catch (error) {
    await checkpoint.close()
    throw error
  }
}

/** The JSON of a small file, as Python writes it. @throws CorruptConfigError */
export function parseJson(file: string, text: string): unknown {
  try {
    return parsePythonJson(text)
  } catch (cause) {
    const came = `"${abbreviate((cause as Error).message)}"`
    throw new CorruptConfigError(
      { file, expected: 'JSON', came, remedy: 'The file is damaged: pull or save the checkpoint again.' },
      { cause },
    )
  }
}
