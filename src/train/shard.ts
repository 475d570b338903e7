/**
 * One share of a training step, in one thread. A shard passes over its examples into gradients of its own, then sums and updates
 * its slice of the parameters. Shards share one memory. Each writes only its own parts, in an order that does not depend on time,
 * so runs repeat bit for bit.
 */
import type { Architecture } from '../architecture/architecture.ts'
import { multiHeadOf } from '../architecture/slots.ts'
import { packMxfp4 } from '../checkpoint/quantize.ts'
import { forward } from '../model/transformer.ts'
import type { Weights } from '../model/weights.ts'
import { unpackMxfp4Block } from '../ops/dtype.ts'
import type { Batch } from '../ops/ops.ts'
import type { Tensor } from '../ops/tensor.ts'
import { attentionSquares } from '../ops/training/attention.ts'
import { simdTraining, type TrainingBackend, type TrainingModules } from '../ops/training/backend.ts'
import { type AdamStep, adamw } from './adamw.ts'
import { buildWeights, type ParameterLayout, parameterLayout, slice } from './parameters.ts'
import { Tape } from './tape.ts'

/** Rows to read and what should follow at some of them. */
export interface Example {
  batch: Batch
  /** Rows whose next token counts. */
  rows: Int32Array
  /** The next tokens of these rows. */
  targets: Int32Array
}

/** Where everything is in the shared memory, in bytes; equal in all threads. */
export interface MemoryPlan {
  shards: number
  values: number
  /** Expert weights rounded to MXFP4, read instead of `values` while quantisation is on. */
  rounded: number
  first: number
  second: number
  gradients: number[]
  arenas: number[]
  arenaBytes: number
  totalBytes: number
}

export function planMemory(length: number, shards: number, arenaBytes: number): MemoryPlan {
  const flat = length * 4
  let at = 0
  const take = (bytes: number) => {
    const from = at
    at += Math.ceil(bytes / 64) * 64
    return from
  }
  const [values, rounded, first, second] = [take(flat), take(flat), take(flat), take(flat)] as [number, number, number, number]
  const gradients = Array.from({ length: shards }, () => take(flat))
  const arenas = Array.from({ length: shards }, () => take(arenaBytes))
  return { shards, values, rounded, first, second, gradients, arenas, arenaBytes, totalBytes: at }
}

export interface Evaluation {
  /** Sum of negative log likelihoods. */
  loss: number
  rows: number
  /** Per example, per counted row: whether the likeliest token was the target. */
  correct: Uint8Array[]
}

export interface AttentionMass {
  /** Share on the first position. */
  first: number
  /** Share that goes to a sink, that is to nothing. */
  sink: number
}

export class Shard {
  readonly index: number
  readonly layout: ParameterLayout
  readonly #architecture: Architecture
  readonly #plan: MemoryPlan
  readonly #backend: TrainingBackend
  readonly #values: Float32Array
  readonly #rounded: Float32Array
  readonly #first: Float32Array
  readonly #second: Float32Array
  readonly #gradients: Float32Array[]
  #weights: Weights<Tensor>
  #quantised = false

  constructor(architecture: Architecture, memory: WebAssembly.Memory, plan: MemoryPlan, index: number, modules: TrainingModules) {
    this.#architecture = architecture
    this.#plan = plan
    this.index = index
    this.layout = parameterLayout(architecture)
    const flat = (at: number) => new Float32Array(memory.buffer, at, this.layout.length)
    this.#values = flat(plan.values)
    this.#rounded = flat(plan.rounded)
    this.#first = flat(plan.first)
    this.#second = flat(plan.second)
    this.#gradients = plan.gradients.map(flat)
    this.#backend = simdTraining(memory, plan.arenas[index]!, plan.arenaBytes, modules)
    this.#weights = this.#tree()
  }

  #tree(): Weights<Tensor> {
    const own = this.#gradients[this.index]!
    return buildWeights(this.#architecture, this.layout, ({ spec, at, count }) => {
      const source = this.#quantised && spec.use === 'experts' ? this.#rounded : this.#values
      return this.#backend.tensor(spec.shape, source.subarray(at, at + count), own.subarray(at, at + count), spec.name)
    })
  }

  /** Passes forward and backward; returns the sum of the losses times `scale`. Gradients add up in this shard's array. */
  accumulate(examples: readonly Example[], scale: number, seed: number): number {
    let total = 0
    examples.forEach((example, i) => {
      this.#backend.reset(seed + i)
      const tape = new Tape(this.#backend)
      const logits = forward(tape, this.#architecture, this.#weights, example.batch, {
        logitRows: example.rows,
        dropout: this.#architecture.dropout,
      })
      const loss = tape.crossEntropy(logits, example.targets, scale)
      total += this.#backend.values(loss)[0]!
      // Every example adds its share of the balance loss, as of the mean.
      tape.backward(tape.withBalance(loss, scale * example.rows.length))
    })
    return total
  }

  /** Calls `see` for every matrix product [M, K]·[K, N] from now on. */
  watchProducts(see: (M: number, N: number, K: number) => void): void {
    this.#backend.watchProducts(see)
  }

  evaluate(examples: readonly Example[]): Evaluation {
    const result: Evaluation = { loss: 0, rows: 0, correct: [] }
    for (const { batch, rows, targets } of examples) {
      this.#backend.reset(0)
      const logits = forward(this.#backend, this.#architecture, this.#weights, batch, { logitRows: rows })
      result.loss += this.#backend.values(this.#backend.crossEntropy(logits, targets, 1))[0]!
      result.rows += rows.length
      result.correct.push(likeliest(this.#backend.values(logits), targets))
    }
    return result
  }

  /** Per layer: mean attention of the counted rows, over rows and heads, on the first position and on the sink. */
  attentionMass(examples: readonly Example[]): AttentionMass[] {
    const masses = this.#architecture.layers.map((): AttentionMass => ({ first: 0, sink: 0 }))
    let count = 0
    for (const { batch, rows } of examples) {
      this.#backend.reset(0)
      this.#backend.watched = []
      forward(this.#backend, this.#architecture, this.#weights, batch)
      // One square per sequence and head; all heads of a sequence come before the next sequence.
      this.#backend.watched.forEach((memory, layer) => {
        const { heads } = multiHeadOf(this.#architecture, layer)
        attentionSquares(memory).forEach(({ stride, values }, i) => {
          const slot = Math.floor(i / heads)
          for (const row of rows) {
            if (batch.slots[row] !== slot) continue
            const t = batch.positions[row]!
            let seen = 0
            for (let j = 0; j <= t; j++) seen += values[t * stride + j]!
            masses[layer]!.first += values[t * stride]!
            masses[layer]!.sink += 1 - seen
            if (layer === 0) count++
          }
        })
      })
      this.#backend.watched = null
    }
    return masses.map(({ first, sink }) => ({ first: first / count, sink: Math.max(0, sink / count) }))
  }

  /** Sums this shard's slice over all gradient arrays into the first. Returns the sum of squares and the place of a value that is not finite, or -1. */
  reduce(): { squares: number; broken: number } {
    const [from, to] = slice(this.layout, this.index, this.#plan.shards)
    const sum = this.#gradients[0]!
    for (const other of this.#gradients.slice(1))
      for (let i = from; i < to; i++) {
        sum[i]! += other[i]!
        other[i] = 0
      }
    let squares = 0
    for (let i = from; i < to; i++) squares += sum[i]! * sum[i]!
    if (Number.isFinite(squares)) return { squares, broken: -1 }
    for (let i = from; i < to; i++) if (!Number.isFinite(sum[i]!)) return { squares, broken: i }
    return { squares, broken: from }
  }

  /** Updates this shard's slice. */
  update(options: AdamStep): void {
    const [from, to] = slice(this.layout, this.index, this.#plan.shards)
    adamw(this.layout, from, to, this.#values, this.#gradients[0]!, this.#first, this.#second, options, this.#backend.context.kernels)
    if (this.#quantised) this.#round()
  }

  /** From now on experts are read through MXFP4; gradients ignore the rounding (straight-through, Bengio et al. 2013). Call it on all shards. */
  quantise(on: boolean): void {
    this.#quantised = on
    if (on) this.#round()
    this.#weights = this.#tree()
  }

  #round(): void {
    const [from, to] = slice(this.layout, this.index, this.#plan.shards)
    for (const { spec, at, count } of this.layout.parameters) {
      const begin = Math.max(at, from)
      const end = Math.min(at + count, to)
      if (spec.use !== 'experts' || begin >= end) continue
      const { blocks, scales } = packMxfp4(this.#values.subarray(begin, end))
      for (let i = 0; i < scales.length; i++) unpackMxfp4Block(blocks, 16 * i, scales[i]!, this.#rounded, begin + 32 * i)
    }
  }
}

function likeliest(logits: ArrayLike<number>, targets: Int32Array): Uint8Array {
  const V = logits.length / targets.length
  return Uint8Array.from(targets, (target, r) => {
    for (let i = r * V; i < (r + 1) * V; i++) if (logits[i]! > logits[r * V + target]!) return 0
    return 1
  })
}
