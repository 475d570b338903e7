/**
 * The state of a run on disk: weights, both moments and the progress in one file, written under a temporary name and renamed.
 * A run that is killed at any moment continues exactly from it.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { writeAtomically } from '../files/write-node.ts'
import type { ParameterLayout } from './parameters.ts'
import type { Progress } from './trainer.ts'
import type { TrainingWorkers } from './workers.ts'

const MAGIC = 'lineage-training-state-1'
/** Reads and writes in pieces: Node.js takes at most 2 GiB at once. */
const PIECE_BYTES = 64 << 20
/** A header of more bytes belongs to another file. */
const HEADER_BYTES = 16 << 20

/** Bytes of a state file, but for its header. */
export const stateBytes = (length: number): number => 12 * length

/** Header of one line of JSON, then values, first and second moments as f32, little endian. */
export async function saveState(path: string, workers: TrainingWorkers, progress: Progress): Promise<void> {
  const { length } = workers.layout
  const header = { magic: MAGIC, length, weights: names(workers.layout), progress: { ...progress, bestLoss: String(progress.bestLoss) } }
  await writeAtomically(path, async (handle) => {
    await handle.writeFile(`${JSON.stringify(header)}\n`)
    for (const piece of pieces(workers)) await handle.writeFile(piece)
  })
}

const names = (layout: ParameterLayout): string => layout.parameters.map(({ spec }) => `${spec.name}[${spec.shape}]`).join(' ')

function* pieces({ values, first, second }: TrainingWorkers): Generator<Uint8Array> {
  for (const { buffer, byteOffset, byteLength } of [values, first, second])
    for (let at = 0; at < byteLength; at += PIECE_BYTES)
      yield new Uint8Array(buffer, byteOffset + at, Math.min(PIECE_BYTES, byteLength - at))
}

/** The weights of a saved state alone, as the start of another run. @throws Error when the file is damaged or belongs to another model */
export async function loadValues(path: string, layout: ParameterLayout, values: Float32Array): Promise<void> {
  const handle = await open(path)
  try {
    const { end } = await checkedHeader(path, handle, layout)
    await handle.read(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), 0, values.byteLength, end)
  } finally {
    await handle.close()
  }
}

/** Fills the arrays of the workers. @throws Error when the file is damaged or belongs to another model */
export async function loadState(path: string, workers: TrainingWorkers): Promise<Progress> {
  const handle = await open(path)
  try {
    const { header, end } = await checkedHeader(path, handle, workers.layout)
    let at = end
    for (const piece of pieces(workers)) {
      await handle.read(piece, 0, piece.byteLength, at)
      at += piece.byteLength
    }
    return { ...header.progress!, bestLoss: Number(header.progress!.bestLoss) }
  } finally {
    await handle.close()
  }
}

async function checkedHeader(path: string, handle: FileHandle, layout: ParameterLayout): Promise<{ header: Header; end: number }> {
  const { header, end } = await readHeader(handle)
  if (header.magic !== MAGIC) throw new Error(`${path}: expected a training state of lineage, got another file`)
  if (header.weights !== names(layout) || header.length !== layout.length)
    throw new Error(`${path}: the state belongs to a model with other weights; resume with the configuration it was made with`)
  const expected = end + stateBytes(layout.length)
  const { size } = await handle.stat()
  if (size !== expected) throw new Error(`${path}: expected ${expected} bytes, got ${size}; the file is damaged`)
  return { header, end }
}

interface Header {
  magic?: string
  length?: number
  weights?: string
  progress?: Progress & { bestLoss: unknown }
}

/** The line of JSON at the beginning, and where the values begin. */
async function readHeader(handle: FileHandle): Promise<{ header: Header; end: number }> {
  const bytes = Buffer.alloc(Math.min(HEADER_BYTES, (await handle.stat()).size))
  await handle.read(bytes, 0, bytes.byteLength, 0)
  const end = bytes.indexOf(10)
  try {
    return { header: JSON.parse(bytes.subarray(0, Math.max(0, end)).toString('utf8')) as Header, end: end + 1 }
  } catch {
    return { header: {}, end: 0 }
  }
}
