/**
 * The state of a run on disk: weights, both moments and the progress in one file, written under a temporary name and renamed.
 * A run that is killed at any moment continues exactly from it.
 */
import { readFile } from 'node:fs/promises'
import { writeFileAtomically } from '../files/write-node.ts'
import type { Progress } from './trainer.ts'
import type { TrainingWorkers } from './workers.ts'

const MAGIC = 'lineage-training-state-1'

/** Header of one line of JSON, then values, first and second moments as f32, little endian. */
export async function saveState(path: string, workers: TrainingWorkers, progress: Progress): Promise<void> {
  const header = new TextEncoder().encode(
    `${JSON.stringify({ magic: MAGIC, length: workers.layout.length, weights: names(workers), progress: { ...progress, bestLoss: String(progress.bestLoss) } })}\n`,
  )
  const parts = [workers.values, workers.first, workers.second].map(
    (array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength),
  )
  await writeFileAtomically(path, Buffer.concat([header, ...parts]))
}

const names = (workers: TrainingWorkers): string => workers.layout.parameters.map(({ spec }) => `${spec.name}[${spec.shape}]`).join(' ')

/** Fills the arrays of the workers. @throws Error when the file is damaged or belongs to another model */
export async function loadState(path: string, workers: TrainingWorkers): Promise<Progress> {
  const bytes = await readFile(path)
  const end = bytes.indexOf(10)
  const header = JSON.parse(bytes.subarray(0, Math.max(0, end)).toString('utf8') || '{}') as {
    magic?: string
    length?: number
    weights?: string
    progress?: Progress & { bestLoss: unknown }
  }
  if (header.magic !== MAGIC) throw new Error(`${path}: expected a training state of lineage, got another file`)
  if (header.weights !== names(workers) || header.length !== workers.layout.length)
    throw new Error(`${path}: the state belongs to a model with other weights; resume with the configuration it was made with`)
  const expected = end + 1 + 12 * workers.layout.length
  if (bytes.length !== expected) throw new Error(`${path}: expected ${expected} bytes, got ${bytes.length}; the file is damaged`)
  ;[workers.values, workers.first, workers.second].forEach((array, i) => {
    const from = end + 1 + i * array.byteLength
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(bytes.subarray(from, from + array.byteLength))
  })
  return { ...header.progress!, bestLoss: Number(header.progress!.bestLoss) }
}
