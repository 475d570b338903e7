/** A thread of `synth-node.ts`: takes the next piece from a shared counter, generates, writes and marks it. */
import { closeSync, openSync, writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { journalOf, markSync } from '../files/piece-file-node.ts'
import { type SynthFile, synthesize } from './synth.ts'

/** A piece to write: `file` is an index into the files. */
export interface SynthPiece {
  readonly file: number
  readonly piece: number
  readonly offset: number
  readonly length: number
}

export interface SynthWork {
  readonly files: readonly (SynthFile & { path: string })[]
  readonly pieces: readonly SynthPiece[]
  /** [0]: index of the next piece; [1]: nonzero when all threads must stop. */
  readonly state: Int32Array
}

const { files, pieces, state } = workerData as SynthWork
const descriptors = new Map<number, { data: number; journal: number }>()
const buffer = new Uint8Array(Math.max(0, ...pieces.map(({ length }) => length)))
try {
  for (;;) {
    const piece = pieces[Atomics.add(state, 0, 1)]
    if (!piece || Atomics.load(state, 1) !== 0) break
    const { path } = files[piece.file]!
    let open = descriptors.get(piece.file)
    if (!open) {
      open = { data: openSync(path, 'r+'), journal: openSync(journalOf(path), 'r+') }
      descriptors.set(piece.file, open)
    }
    const bytes = buffer.subarray(0, piece.length)
    synthesize(files[piece.file]!, piece.offset, bytes)
    for (let done = 0; done < bytes.byteLength; ) done += writeSync(open.data, bytes, done, bytes.byteLength - done, piece.offset + done)
    markSync(open.journal, piece.piece)
    parentPort!.postMessage(piece.length)
  }
} finally {
  for (const { data, journal } of descriptors.values()) {
    closeSync(data)
    closeSync(journal)
  }
}
