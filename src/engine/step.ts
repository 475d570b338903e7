/**
 * One forward pass of the engine: pieces of jobs become rows of a batch, are enqueued at once and waited for later; then the jobs hear their
 * ids or logits. Where the ids also stay on the device, the pass of the ids after them can be enqueued before they have come back ("running
 * ahead"), so that the device does not wait for the host. Such a pass may turn out to be of no use for some of its jobs.
 */
import { type ForwardOptions, forward } from '../model/transformer.ts'
import type { Weights } from '../model/weights.ts'
import type { KeptDraw, KvCache } from '../ops/backend.ts'
import { type Draw, drawId } from '../ops/draw.ts'
import type { Batch } from '../ops/ops.ts'
import type { Tensor } from '../ops/tensor.ts'
import type { Job } from './job.ts'
import type { Model } from './read-logits.ts'

/** A job that has a slot; positions below `done` are in the cache. */
export interface Running {
  readonly job: Job
  readonly slot: number
  done: number
  /** When it got the slot, and when its ids up to then were in the cache (0: not yet), as `performance.now()`. */
  readonly since: number
  caughtUp: number
  /** Positions of the prompt at which other jobs may continue: its end, and where they part from it. */
  readonly ends: number[]
}

/** The next `rows` ids of a job. */
export interface Piece {
  readonly running: Running
  readonly rows: number
}

/** A row of a pass whose result a job wants. */
interface Row {
  readonly running: Running
  readonly position: number
  /** How its id is drawn; undefined where the job wants logits. */
  draw: Draw | undefined
}

/** Ids of the rows of a pass, or their logits or hidden states one after another. */
export type Values = Int32Array | Float32Array

const NO_VALUES = new Float32Array(0)

export interface Pass {
  /** Those that were dropped are missing. */
  pieces: readonly Piece[]
  readonly rows: readonly Row[]
  /** As `performance.now()`. */
  readonly started: number
  readonly result: Promise<Values>
  /** The ids of the rows on the device. */
  readonly kept: KeptDraw | undefined
}

export class Passes {
  readonly #model: Model
  readonly #adapters: ReadonlyMap<string, Weights>
  readonly #cache: KvCache
  readonly #keeps: boolean
  #logits = new Float32Array(0)

  /** @param keeps whether ids stay on the device */
  constructor(model: Model, adapters: ReadonlyMap<string, Weights>, cache: KvCache, keeps: boolean) {
    this.#model = model
    this.#adapters = adapters
    this.#cache = cache
    this.#keeps = keeps
  }

  /** Enqueues the pieces as one batch. */
  start(pieces: readonly Piece[]): Pass {
    const count = pieces.reduce((sum, piece) => sum + piece.rows, 0)
    const batch: Batch = { ids: new Int32Array(count), slots: new Int32Array(count), positions: new Int32Array(count) }
    const logitRows: number[] = []
    const rows: Row[] = []
    let t = 0
    for (const { running, rows: own } of pieces) {
      const { job, slot, done } = running
      for (let position = done; position < done + own; position++, t++) {
        batch.ids[t] = job.ids[position]!
        batch.slots[t] = slot
        batch.positions[t] = position
        if (!job.wants(position)) continue
        logitRows.push(t)
        rows.push({ running, position, draw: undefined })
      }
    }
    return this.#enqueue(pieces, rows, batch, { logitRows: Int32Array.from(logitRows) }, () => {
      for (const row of rows) row.draw = drawOfRow(row)
    })
  }

  /**
   * Enqueues the rows after those of a pass of decoded rows, with the ids that it draws. Undefined where a job must know its id first, where
   * one of `running` has other rows to compute, where no job goes on, or where the backend refuses: the error then comes again when the rows
   * are started.
   */
  follow({ pieces, rows, kept }: Pass, running: readonly Running[]): Pass | undefined {
    if (!kept) return undefined
    const going = new Set(pieces.map(({ running }) => running))
    const decoded = new Set<Running>()
    const next: Row[] = []
    const from: number[] = []
    for (const [r, { running, position }] of rows.entries()) {
      const { job } = running
      if (!going.has(running)) continue
      decoded.add(running)
      if (job.ended || job.paused) continue
      // After a prompt its keys and values are kept first.
      if (position < job.promptTokens || !job.wants(position)) return undefined
      const draw = job.drawAhead?.() ?? 'unknown'
      if (draw === 'unknown') return undefined
      if (draw === 'none') continue
      next.push({ running, position: position + 1, draw })
      from.push(r)
    }
    if (next.length === 0 || running.some((each) => !each.job.ended && !each.job.paused && !decoded.has(each))) return undefined
    const batch: Batch = {
      ids: new Int32Array(next.length).fill(-1),
      slots: Int32Array.from(next, ({ running }) => running.slot),
      positions: Int32Array.from(next, ({ position }) => position),
    }
    const drawn = { drawn: kept.drawn, rows: Int32Array.from(from) }
    const ahead = next.map(({ running }) => ({ running, rows: 1 }))
    try {
      // Once the pass is recorded, the ids of the one before may be overwritten.
      const pass = this.#enqueue(ahead, next, batch, { logitRows: Int32Array.from(next.keys()), drawn }, kept.release)
      pass.result.catch(() => {}) // it is waited for after the pass before, whose error comes first
      return pass
    } catch {
      return undefined
    }
  }

  /** Tells the jobs of a pass what it gave. */
  deliver({ pieces, rows, kept }: Pass, values: Values): void {
    const going = kept && new Set(pieces.map(({ running }) => running))
    const width = values.length / rows.length
    for (const [r, row] of rows.entries()) {
      if (going && !going.has(row.running)) continue
      const { draw } = row
      if (values instanceof Int32Array) tell(row, ({ job }) => job.chosen!(values[r]!))
      else {
        const own = values.subarray(r * width, (r + 1) * width)
        if (draw) tell(row, ({ job }) => job.chosen!(drawId(own, draw)))
        else tell(row, ({ job, position }) => job.receive(position, own)) // [V]
      }
    }
  }

  /** @param recorded called when all but the draws is recorded */
  #enqueue(pieces: readonly Piece[], rows: readonly Row[], batch: Batch, options: ForwardOptions, recorded: () => void): Pass {
    const { backend, architecture } = this.#model
    const { adapter, output } = pieces[0]!.running.job
    const weights = adapter === undefined ? this.#model.weights : this.#adapters.get(adapter)!
    const started = performance.now()
    // All but the logits ends with this scope, before they are waited for: a backend that computes later lets the layers share memory.
    const run = () =>
      backend.scope('pass', () => forward(backend, architecture, weights, batch, { ...options, cache: this.#cache, output }))
    if (rows.length === 0) {
      // The middle of a prompt: only keys and values are needed.
      backend.scope('step', () => void run())
      return { pieces, rows, started, result: backend.settled().then(() => NO_VALUES), kept: undefined }
    }
    // The draws are made while the pass runs: a mask may take a moment.
    const drawn = backend.scope('step', () => {
      const logits = run()
      recorded()
      const draws = rows.map(({ draw }) => draw)
      if (!backend.draw || !isComplete(draws))
        return this.#read(logits, rows.length * (output ? architecture.hiddenSize : architecture.vocabSize))
      return this.#keeps ? backend.drawAndKeep!(logits, draws) : backend.draw(logits, draws)
    })
    return drawn instanceof Promise
      ? { pieces, rows, started, result: drawn, kept: undefined }
      : { pieces, rows, started, result: drawn.ids, kept: drawn }
  }

  /** Into one array for all steps: new megabytes in every step would cost garbage collection. */
  #read(logits: Tensor, size: number): Promise<Float32Array> {
    if (this.#logits.length < size) this.#logits = new Float32Array(size)
    return this.#model.backend.read(logits, this.#logits)
  }
}

/** What is left of a pass that ran ahead, now that the ids before it are known. A job that has gone another way is dropped. */
export function withoutDropped({ pieces, rows }: Pass, running: readonly Running[]): readonly Piece[] {
  const going = new Set(running)
  return pieces.filter(({ running }, n) => {
    const { job } = running
    if (!going.has(running) || job.ended) return false
    try {
      return job.holds!(rows[n]!.position)
    } catch (error) {
      job.fail(error)
      return false
    }
  })
}

/** An error of a job's own code ends this job alone. */
function tell({ running: { job }, position }: Row, what: (row: { job: Job; position: number }) => void): void {
  if (job.ended || !job.wants(position)) return
  try {
    what({ job, position })
  } catch (error) {
    job.fail(error)
  }
}

/** How a row is drawn; undefined where its job wants logits. A job that failed here is drawn in vain. */
function drawOfRow(row: Row): Draw | undefined {
  let draw: Draw | undefined = GREEDY
  tell(row, ({ job, position }) => {
    draw = job.draw(position)
  })
  return draw
}

const isComplete = (draws: readonly (Draw | undefined)[]): draws is readonly Draw[] => draws.every((draw) => draw !== undefined)

const GREEDY: Draw = { temperature: 0, topK: 0, topP: 1, minP: 0, noise: 0 }
