/**
 * One example forward and backward in an arena of limited size. What does not fit whole is passed with layers that run twice (Chen et al. 2016), or
 * in halves of fewer sequences. Sizes alone decide, so runs repeat bit for bit.
 */
import type { Architecture } from '../architecture/architecture.ts'
import { forward, logits } from '../model/transformer.ts'
import type { Weights } from '../model/weights.ts'
import type { Batch } from '../ops/ops.ts'
import type { Tensor } from '../ops/tensor.ts'
import type { TrainingBackend } from '../ops/training/backend.ts'
import { ArenaFullError } from '../ops/training/values.ts'
import { type Objective, objectiveLoss, objectiveRows } from './objectives.ts'
import { Tape } from './tape.ts'

/** Logits of at most so many values are held at once. */
const LOGITS = 1 << 23
/** Values of decoded bands of frozen weights, and their bytes. */
const BANDS = 1 << 20

/** Rows to read and what should follow at some of them. */
export interface Example {
  batch: Batch
  /** Rows whose next token counts. */
  rows: Int32Array
  /** The next tokens of these rows. */
  targets: Int32Array
  /** What these rows are trained towards; absent: their targets. */
  objective?: Objective
}

export class Passes {
  readonly #architecture: Architecture
  readonly #backend: TrainingBackend
  /** A load-balancing loss needs the routings of all layers, so their layers cannot run again. */
  readonly #balances: boolean
  readonly #frozen: boolean
  /** From so many rows on an example is known not to fit whole, and not to fit with layers that run twice. */
  #tooManyWhole = Number.POSITIVE_INFINITY
  #tooMany = Number.POSITIVE_INFINITY

  constructor(architecture: Architecture, backend: TrainingBackend, frozen: boolean) {
    this.#architecture = architecture
    this.#backend = backend
    this.#frozen = frozen
    this.#balances = architecture.layers.some(({ feedForward }) => feedForward.kind === 'moe' && feedForward.router.auxLossCoef > 0)
  }

  /**
   * Adds to the gradients of the weights; returns the sum of the losses times `scale`.
   * @throws ArenaFullError when a single sequence does not fit
   */
  learn(weights: Weights<Tensor>, example: Example, scale: number, seed: number): number {
    const T = example.batch.ids.length
    const parts = halves(example, this.#architecture.vocabSize)
    if (T < this.#tooMany || !parts) {
      const whole = T < this.#tooManyWhole ? this.#learn(weights, example, scale, seed, false) : undefined
      if (whole !== undefined) return whole
      this.#tooManyWhole = Math.min(this.#tooManyWhole, T)
      const again = this.#balances ? undefined : this.#learn(weights, example, scale, seed, true)
      if (again !== undefined) return again
      if (!parts) throw new ArenaFullError(this.#backend.context.arena.capacity)
      this.#tooMany = T
    }
    return parts!.reduce((sum, part, i) => sum + (part.rows.length > 0 ? this.learn(weights, part, scale, seed + 104729 * i) : 0), 0)
  }

  /** The same in one way; undefined, with no gradient changed, where it does not fit. */
  #learn(weights: Weights<Tensor>, { batch, rows, targets, objective }: Example, scale: number, seed: number, recomputes: boolean) {
    const backend = this.#backend
    const { dropout, vocabSize } = this.#architecture
    backend.reset(seed)
    const tape = new Tape(backend, recomputes)
    const atOnce = objective === undefined && rows.length * vocabSize <= LOGITS
    const y = unlessFull(() =>
      forward(tape, this.#architecture, weights, batch, { logitRows: rows, dropout, output: atOnce ? undefined : 'stream' }),
    )
    const ofLogits = rows.length * vocabSize * (atOnce ? 1 : 3)
    if (!y || this.#needed(batch, Math.min(ofLogits, 3 * LOGITS)) > backend.context.arena.capacity) return undefined
    // Every example adds its share of the balance loss, as of the mean.
    const share = scale * rows.length
    if (atOnce) {
      const loss = tape.crossEntropy(y, targets, scale)
      const balanced = tape.withBalance(loss, share)!
      tape.backward(balanced)
      return backend.values(loss)[0]!
    }
    let total = 0
    this.#inParts(y, targets, (part, own) => {
      const head = new Tape(backend)
      const z = logits(head, this.#architecture, weights, head.select(y, part))
      if (objective) {
        const wanted = objectiveRows(objective, part[0]!, part.at(-1)! + 1, vocabSize)
        total += objectiveLoss(backend.values(z), own, wanted, scale, backend.gradientFor(z))
        head.backward(undefined)
        return
      }
      const loss = head.crossEntropy(z, own, scale)
      total += backend.values(loss)[0]!
      head.backward(loss)
    })
    tape.backward(tape.withBalance(undefined, share))
    return total
  }

  /** Values that the arena has to hold at most until the end of the backward pass: every result gets a gradient. */
  #needed({ positions }: Batch, ofLogits: number): number {
    const { context, largestBody } = this.#backend
    const longest = positions.reduce((a, b) => Math.max(a, b), 0) + 1
    return 2 * (context.arena.mark() + 1.1 * largestBody + longest * longest) + ofLogits + (this.#frozen ? BANDS : 0)
  }

  /**
   * Visits the logits of all counted rows, part by part; `first`: the place of the first among the counted rows.
   * @throws ArenaFullError when a single sequence does not fit
   */
  evaluate(weights: Weights<Tensor>, example: Example, see: (logits: Tensor, targets: Int32Array, first: number) => void): void {
    const { batch, rows, targets } = example
    const backend = this.#backend
    const { arena } = backend.context
    const { vocabSize } = this.#architecture
    backend.reset(0)
    const stream = unlessFull(() =>
      forward(new Tape(backend, true), this.#architecture, weights, batch, { logitRows: rows, output: 'stream' }),
    )
    const ofLogits = 2 * Math.min(LOGITS, rows.length * vocabSize) + (this.#frozen ? BANDS : 0)
    if (!stream || arena.mark() + ofLogits > arena.capacity) {
      const parts = halves(example, vocabSize)
      if (!parts) throw new ArenaFullError(arena.capacity)
      const [left, right] = parts
      if (left.rows.length > 0) this.evaluate(weights, left, see)
      if (right.rows.length > 0) this.evaluate(weights, right, (z, own, first) => see(z, own, left.rows.length + first))
      return
    }
    this.#inParts(stream, targets, (part, own) => {
      const rows = part.length === targets.length ? stream : backend.select(stream, part)
      see(logits(backend, this.#architecture, weights, rows), own, part[0]!)
    })
  }

  /** Visits the rows of the residual stream in parts whose logits are few enough; nothing of a visit stays but gradients. */
  #inParts(stream: Tensor, targets: Int32Array, visit: (rows: Int32Array, targets: Int32Array) => void): void {
    const step = Math.max(1, Math.floor(LOGITS / this.#architecture.vocabSize))
    for (let from = 0; from < targets.length; from += step) {
      const own = targets.subarray(from, from + step)
      const rows = Int32Array.from(own, (_, r) => from + r)
      this.#backend.within(stream, () => visit(rows, own))
    }
  }
}

function unlessFull(work: () => Tensor): Tensor | undefined {
  try {
    return work()
  } catch (error) {
    if (error instanceof ArenaFullError) return undefined
    throw error
  }
}

/** Two examples of about half of the rows each; undefined where there is one sequence only. */
function halves({ batch, rows, targets, objective }: Example, V: number): [Example, Example] | undefined {
  const { ids, slots, positions } = batch
  const middle = ids.length / 2
  let cut = 0
  for (let t = 1; t < ids.length; t++) if (slots[t] !== slots[t - 1] && Math.abs(t - middle) < Math.abs(cut - middle)) cut = t
  if (cut === 0) return undefined
  const split = rows.findIndex((row) => row >= cut)
  const counted = split < 0 ? rows.length : split
  const part = (from: number, to: number, first: number, last: number): Example => ({
    batch: { ids: ids.subarray(from, to), slots: slots.subarray(from, to), positions: positions.subarray(from, to) },
    rows: rows.slice(first, last).map((row) => row - from),
    targets: targets.subarray(first, last),
    objective: objective && objectiveRows(objective, first, last, V),
  })
  return [part(0, cut, 0, counted), part(cut, ids.length, counted, rows.length)]
}
