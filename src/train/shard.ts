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
import type { Tensor } from '../ops/tensor.ts'
import { attentionSquares } from '../ops/training/attention.ts'
import { simdTraining, type TrainingBackend, type TrainingModules } from '../ops/training/backend.ts'
import { type AdamStep, adamw } from './adamw.ts'
import { type LowRankTraining, lowRankTree, vectorLength } from './low-rank.ts'
import { logSoftmax } from './objectives.ts'
import { buildWeights, byName, type ParameterLayout, parameterLayout, slice } from './parameters.ts'
import { type Example, Passes } from './pass.ts'

export type { Example }

/** Where everything is in the shared memory, in bytes; equal in all threads. */
export interface MemoryPlan {
  shards: number
  values: number
  /** Expert weights rounded to MXFP4, read instead of `values` while quantisation is on. */
  rounded: number
  first: number
  second: number
  /** Vectors of a base that is not trained. */
  vectors: number
  gradients: number[]
  arenas: number[]
  arenaBytes: number
  totalBytes: number
}

/** @param length values of the flat arrays; `vectors`: those of a base that is not trained; `rounds`: whether weights are read through MXFP4 */
export function planMemory(length: number, shards: number, arenaBytes: number, vectors = 0, rounds = true): MemoryPlan {
  const flat = length * 4
  let at = 0
  const take = (bytes: number) => {
    const from = at
    at += Math.ceil(bytes / 64) * 64
    return from
  }
  const values = take(flat)
  const rounded = rounds ? take(flat) : values
  const [first, second, constants] = [take(flat), take(flat), take(vectors * 4)]
  const gradients = Array.from({ length: shards }, () => take(flat))
  const arenas = Array.from({ length: shards }, () => take(arenaBytes))
  return { shards, values, rounded, first, second, vectors: constants, gradients, arenas, arenaBytes, totalBytes: at }
}

export interface Evaluation {
  /** Sum of negative log likelihoods. */
  loss: number
  rows: number
  /** Per example, per counted row: whether the likeliest token was the target. */
  correct: Uint8Array[]
}

/** Mean loss of the counted rows, and the share of them that was predicted right. */
export function meansOf({ loss, rows, correct }: Evaluation): { loss: number; accuracy: number } {
  const right = correct.reduce((sum, part) => sum + part.reduce((hits, hit) => hits + hit, 0), 0)
  return { loss: loss / rows, accuracy: right / rows }
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
  readonly #vectors: Float32Array
  readonly #lowRank: LowRankTraining | undefined
  readonly #passes: Passes
  #weights: Weights<Tensor>
  #quantised = false

  constructor(
    architecture: Architecture,
    memory: WebAssembly.Memory,
    plan: MemoryPlan,
    index: number,
    modules: TrainingModules,
    lowRank?: LowRankTraining,
  ) {
    this.#architecture = architecture
    this.#plan = plan
    this.index = index
    this.layout = parameterLayout(architecture, lowRank)
    this.#lowRank = lowRank
    const flat = (at: number) => new Float32Array(memory.buffer, at, this.layout.length)
    this.#values = flat(plan.values)
    this.#rounded = flat(plan.rounded)
    this.#first = flat(plan.first)
    this.#second = flat(plan.second)
    this.#gradients = plan.gradients.map(flat)
    this.#backend = simdTraining(memory, plan.arenas[index]!, plan.arenaBytes, modules)
    this.#vectors = new Float32Array(memory.buffer, plan.vectors, lowRank ? vectorLength(lowRank) : 0)
    this.#passes = new Passes(architecture, this.#backend, lowRank !== undefined)
    this.#weights = this.#tree()
  }

  #tree(): Weights<Tensor> {
    const own = this.#gradients[this.index]!
    if (this.#lowRank) {
      const places = byName(this.layout)
      return lowRankTree(this.#architecture, this.#lowRank, this.#backend, this.#vectors, ({ name, shape }) => {
        const { at, count } = places.get(name)!
        return this.#backend.tensor(shape, this.#values.subarray(at, at + count), own.subarray(at, at + count), name)
      })
    }
    return buildWeights(this.#architecture, this.layout, ({ spec, at, count }) => {
      const source = this.#quantised && spec.use === 'experts' ? this.#rounded : this.#values
      return this.#backend.tensor(spec.shape, source.subarray(at, at + count), own.subarray(at, at + count), spec.name)
    })
  }

  /** Passes forward and backward; returns the sum of the losses times `scale`. Gradients add up in this shard's array. */
  accumulate(examples: readonly Example[], scale: number, seed: number): number {
    return examples.reduce((sum, example, i) => sum + this.#passes.learn(this.#weights, example, scale, seed + i), 0)
  }

  /** Calls `see` for every matrix product [M, K]·[K, N] from now on. */
  watchProducts(see: (M: number, N: number, K: number) => void): void {
    this.#backend.watchProducts(see)
  }

  evaluate(examples: readonly Example[]): Evaluation {
    const result: Evaluation = { loss: 0, rows: 0, correct: [] }
    for (const example of examples) {
      const hits: number[] = []
      this.#passes.evaluate(this.#weights, example, (z, targets) => {
        result.loss += this.#backend.values(this.#backend.crossEntropy(z, targets, 1))[0]!
        hits.push(...likeliest(this.#backend.values(z), targets))
      })
      result.rows += example.rows.length
      result.correct.push(Uint8Array.from(hits))
    }
    return result
  }

  /** Per example: the log-probabilities of the targets, or with `whole` of all tokens, [rows, V]. */
  score(examples: readonly Example[], whole: boolean): Float32Array[] {
    const V = this.#architecture.vocabSize
    const row = new Float64Array(V)
    return examples.map((example) => {
      const scores = new Float32Array(whole ? example.rows.length * V : example.rows.length)
      this.#passes.evaluate(this.#weights, example, (logits, targets, first) => {
        const z = this.#backend.values(logits)
        targets.forEach((target, i) => {
          logSoftmax(z, i * V, V, row)
          if (whole) scores.set(row, (first + i) * V)
          else scores[first + i] = row[target]!
        })
      })
      return scores
    })
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
