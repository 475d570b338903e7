/**
 * The state of a run on disk, so that it can be killed at any moment and continue exactly: weights, both moments and the progress in one file that is
 * written aside and renamed.
 */
import { readFile } from 'node:fs/promises'
import { writeFileAtomically } from '../files/write-node.ts'
import type { Crew } from './crew.ts'
import type { Progress } from './trainer.ts'

const MAGIC = 'lineage-training-state-1'

/** Header of one line of JSON, then values, first and second moments as f32, little endian. */
export async function saveState(path: string, crew: Crew, progress: Progress): Promise<void> {
  const header = new TextEncoder().encode(
    `${JSON.stringify({ magic: MAGIC, length: crew.layout.length, weights: names(crew), progress: { ...progress, bestLoss: String(progress.bestLoss) } })}\n`,
  )
  const parts = [crew.values, crew.first, crew.second].map((array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength))
  await writeFileAtomically(path, Buffer.concat([header, ...parts]))
}

const names = (crew: Crew): string => crew.layout.parameters.map(({ spec }) => `${spec.name}[${spec.shape}]`).join(' ')

/** Fills the crew; throws when the file belongs to another model. */
export async function loadState(path: string, crew: Crew): Promise<Progress> {
  const bytes = await readFile(path)
  const end = bytes.indexOf(10)
  const header = JSON.parse(bytes.subarray(0, Math.max(0, end)).toString('utf8') || '{}') as {
    magic?: string
    length?: number
    weights?: string
    progress?: Progress & { bestLoss: unknown }
  }
  if (header.magic !== MAGIC) throw new Error(`${path}: expected a training state of lineage, got another file`)
  if (header.weights !== names(crew) || header.length !== crew.layout.length)
    throw new Error(`${path}: the state belongs to a model with other weights; resume with the configuration it was made with`)
  const expected = end + 1 + 12 * crew.layout.length
  if (bytes.length !== expected) throw new Error(`${path}: expected ${expected} bytes, got ${bytes.length}; the file is damaged`)
  ;[crew.values, crew.first, crew.second].forEach((array, i) => {
    const from = end + 1 + i * array.byteLength
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(bytes.subarray(from, from + array.byteLength))
  })
  return { ...header.progress!, bestLoss: Number(header.progress!.bestLoss) }
}
