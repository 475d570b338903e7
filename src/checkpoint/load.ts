/**
 * A planned checkpoint into a backend: several reads under way at once, progress, cancellation. Knows no file system and no
 * backend; after an error nothing goes on reading, and the backend with its half-loaded weights is the caller's to dispose.
 */
import type { Architecture } from '../architecture/architecture.ts'
import { leaves, mapWeights, type Weights } from '../model/weights.ts'
import type { Backend, Fill } from '../ops/backend.ts'
import type { Tensor } from '../ops/tensor.ts'
import type { PlannedWeight, WeightPlan } from './weights.ts'

export interface LoadProgress {
  /** Bytes of weights delivered to the backend so far, and of all. */
  readonly bytes: number
  readonly totalBytes: number
  /** Mean since the beginning. */
  readonly bytesPerSecond: number
}

export interface LoadOptions {
  readonly signal?: AbortSignal | undefined
  /** Called at most ten times a second, and once at the end. */
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined
  /** Reads under way at once. */
  readonly readers?: number | undefined
}

export interface LoadedCheckpoint {
  readonly architecture: Architecture
  readonly weights: Weights<Tensor>
}

/** Large weights are pulled in pieces of this size, so that progress and cancellation are prompt. */
const PIECE_BYTES = 8 << 20

/** The part of a backend that loading needs. */
export type WeightSink = Pick<Backend, 'weight'>

/**
 * Makes every weight of the plan in the backend.
 * @throws the first error of a source or of the backend, or the signal's reason.
 */
export async function loadWeights(plan: WeightPlan, backend: WeightSink, options: LoadOptions = {}): Promise<LoadedCheckpoint> {
  const failure = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, failure.signal]) : failure.signal
  const gate = new Gate(options.readers ?? 4)
  const report = reporter(plan.weightBytes, options.onProgress)

  const inPieces =
    (weight: PlannedWeight): Fill =>
    async (part, offset, into) => {
      const fill = weight.fill(signal)
      const pieces: Promise<void>[] = []
      for (let at = 0; at < into.byteLength; at += PIECE_BYTES) {
        const piece = into.subarray(at, Math.min(into.byteLength, at + PIECE_BYTES))
        pieces.push(
          gate.run(async () => {
            signal.throwIfAborted()
            await fill(part, offset + at, piece)
            report(piece.byteLength)
          }),
        )
      }
      await Promise.all(pieces)
    }

  // The order of the files keeps a disk's read-ahead useful.
  const queue = leaves(plan.tree).sort((a, b) => order(a, b))
  const loaded = new Map<string, Tensor>()
  let next = 0
  const worker = async () => {
    for (let weight = queue[next++]; weight; weight = queue[next++]) {
      signal.throwIfAborted()
      const { name, shape, dtype, use } = weight
      loaded.set(name, await backend.weight({ name, shape, dtype, use }, inPieces(weight)))
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

/** Lets a limited number of tasks run at once. */
class Gate {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(limit: number) {
    this.#free = limit
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await task()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free++
    }
  }
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
