/**
 * Writes a synthetic checkpoint to a directory with several threads. It can be resumed after any
 * interruption, and only complete files get their final names.
 */
import { existsSync } from 'node:fs'
import { mkdir, open, stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Architecture } from '../architecture/architecture.ts'
import { toConfigJson } from '../architecture/to-config-json.ts'
import { diskFull, requireSpace } from '../files/disk-space-node.ts'
import { PieceFile, removePieceFile } from '../files/piece-file-node.ts'
import { writeFileAtomically } from '../files/write-node.ts'
import { claimDirectory } from './output-node.ts'
import { SHARD_BYTES } from './shards.ts'
import { planSynth, SYNTHETIC, type SynthFile, type SynthPlan } from './synth.ts'
import type { SynthPiece, SynthWork } from './synth-worker-node.ts'

export interface SynthOptions {
  readonly seed?: number
  readonly threads?: number
  readonly signal?: AbortSignal
  /** Bytes written in this run and earlier ones, and in total. */
  readonly onProgress?: (bytes: number, totalBytes: number) => void
  readonly shardBytes?: number
  readonly pieceBytes?: number
  /** Replaces another model in the directory. */
  readonly force?: boolean | undefined
}

export interface SynthResult {
  readonly files: readonly string[]
  readonly totalBytes: number
  /** Bytes that this run wrote; earlier runs wrote the rest. */
  readonly writtenBytes: number
}

/**
 * Writes config.json and the safetensors files of a random checkpoint, or continues an earlier run.
 * @throws OutputExistsError when another model is in the directory
 */
export async function synthesizeCheckpoint(
  architecture: Architecture,
  directory: string,
  options: SynthOptions = {},
): Promise<SynthResult> {
  const { seed = 1, signal, pieceBytes = 16 << 20 } = options
  const config = toConfigJson(architecture)
  const plan = planSynth(architecture, seed, options.shardBytes ?? SHARD_BYTES)
  const complete = new Set<string>()
  for (const file of plan.files) if (await isComplete(join(directory, file.name), file)) complete.add(file.name)
  const keep = (name: string) =>
    existsSync(join(directory, `${name}.part`)) ? plan.files.some((file) => file.name === name) : complete.has(name)
  await claimDirectory(directory, SYNTHETIC, { force: options.force, keep, keepTexts: true })
  await mkdir(directory, { recursive: true })
  const totalBytes = plan.files.reduce((sum, file) => sum + file.size, 0)
  const parts: { part: PieceFile; final: string; file: SynthFile }[] = []
  let missing = 0
  try {
    for (const file of plan.files) {
      const final = join(directory, file.name)
      if (complete.has(file.name)) {
        await removePieceFile(`${final}.part`)
        continue
      }
      // A part with another identity belongs to another checkpoint and is discarded.
      const identity = `seed ${seed} of ${file.name}, ${file.header.byteLength} header bytes, ${plan.tensorBytes} tensor bytes`
      const part = await PieceFile.open(`${final}.part`, { size: file.size, pieceBytes, identity })
      missing += file.size - part.doneBytes
      parts.push({ part, final, file })
    }
    await requireSpace(directory, missing)
    await writeParts(parts, options, totalBytes - missing, totalBytes)
    for (const { part, final } of parts) await part.finish(final)
  } catch (error) {
    await Promise.allSettled(parts.map(({ part }) => part.close()))
    throw diskFull(error, directory)
  }
  signal?.throwIfAborted()
  return { files: await writeTexts(directory, config, plan), totalBytes, writtenBytes: missing }
}

async function writeTexts(directory: string, config: unknown, plan: SynthPlan): Promise<string[]> {
  if (plan.index) await writeFileAtomically(join(directory, 'model.safetensors.index.json'), plan.index)
  await writeFileAtomically(join(directory, 'config.json'), `${JSON.stringify(config, null, 2)}\n`)
  return ['config.json', ...(plan.index ? ['model.safetensors.index.json'] : []), ...plan.files.map(({ name }) => name)]
}

async function writeParts(
  parts: readonly { part: PieceFile; file: SynthFile }[],
  options: SynthOptions,
  before: number,
  totalBytes: number,
): Promise<void> {
  const pieces: SynthPiece[] = parts.flatMap(({ part }, file) =>
    Array.from({ length: part.pieceCount }, (_, piece) => ({ file, piece, ...part.range(piece) })).filter(
      ({ piece }) => !part.isDone(piece),
    ),
  )
  if (pieces.length === 0) return
  const state = new Int32Array(new SharedArrayBuffer(8))
  const work: SynthWork = { files: parts.map(({ file, part }) => ({ ...file, path: part.path })), pieces, state }
  const stop = () => Atomics.store(state, 1, 1)
  options.signal?.addEventListener('abort', stop, { once: true })
  if (options.signal?.aborted) stop()
  let bytes = before
  const url = new URL(import.meta.url.endsWith('.ts') ? './synth-worker-node.ts' : './synth-worker-node.js', import.meta.url)
  const run = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(url, { workerData: work, execArgv: [] }) // threads do not accept flags such as --input-type
      worker.on('message', (count: number) => {
        bytes += count
        options.onProgress?.(bytes, totalBytes)
      })
      worker.on('error', (error) => {
        stop()
        reject(error)
      })
      worker.on('exit', () => resolve())
    })
  try {
    const threads = Math.min(pieces.length, options.threads ?? availableParallelism())
    const outcomes = await Promise.allSettled(Array.from({ length: threads }, run))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed) throw failed.reason
    options.signal?.throwIfAborted()
  } finally {
    options.signal?.removeEventListener('abort', stop)
  }
}

/** Whether the final file exists with the expected size and header. */
async function isComplete(path: string, file: SynthFile): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  if (found?.size !== file.size) return false
  const handle = await open(path, 'r')
  try {
    const head = Buffer.alloc(file.header.byteLength)
    await handle.read(head, 0, head.byteLength, 0)
    return head.equals(file.header)
  } finally {
    await handle.close()
  }
}
