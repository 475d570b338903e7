/**
 * What a pass consists of: one node per op, in order, with the temporaries it reads and makes. Nothing is computed until somebody waits;
 * then the nodes become dispatches (plan.ts). The form of a pass says everything that the dispatches depend on, as numbers to compare: passes
 * of the same form share a plan, and differ only in the words of the pass (ids, positions, rotations, uploads).
 */
import type { Gated, Router } from '../../architecture/architecture.ts'
import type { Batch, Rotation } from '../ops.ts'
import { writeRotations } from '../rotation.ts'
import { type Tensor, tensorsIn } from '../tensor.ts'
import { type BatchWords, describeBatch } from './batches.ts'
import type { GpuLayerCache, GpuStatePart } from './kv-cache.ts'
import type { Lowering } from './plan.ts'
import { oneRun, type Split, splitRows } from './rows.ts'
import { Temporary, type Vector, type Weight } from './tensor.ts'

export interface Norm {
  readonly op: 'norm'
  readonly kind: 'layer' | 'rms'
  readonly x: Temporary
  readonly gain: Vector | undefined
  readonly bias: Vector | undefined
  readonly eps: number
  readonly unitOffset: number
  /** Values of a group. */
  readonly width: number
  readonly y: Temporary
}

export interface Rope {
  readonly op: 'rope'
  readonly x: Temporary
  readonly headDim: number
  readonly rotaryDim: number
  readonly pairing: Rotation['pairing']
  /** Word of the table: R/2 cosines and R/2 sines per row. */
  readonly table: number
  readonly y: Temporary
}

/** One matrix of a product. */
export interface Part {
  readonly weight: Weight
  readonly bias: Vector | undefined
}

export interface Linear {
  readonly op: 'linear'
  readonly x: Temporary
  readonly part: Part
  readonly y: Temporary
}

export interface AttentionNode {
  readonly op: 'attention'
  readonly q: Temporary
  readonly k: Temporary
  readonly v: Temporary | undefined
  readonly batch: BatchWords
  readonly heads: number
  readonly kvHeads: number
  readonly keyDim: number
  readonly valueDim: number
  readonly scale: number
  readonly window: number | null
  readonly sinks: Vector | undefined
  readonly softcap: number | null
  readonly cache: GpuLayerCache | undefined
  /** After fusion: how rows that are a run by themselves place their queries and keys; each then stores its own key and value. */
  readonly place?: Placing | undefined
  readonly y: Temporary
}

/** Norms of heads and rotations before attention, where there are any. */
export interface Placing {
  /** Queries and keys before these. */
  readonly q: Temporary
  readonly k: Temporary
  readonly qNorm: Norm | undefined
  readonly kNorm: Norm | undefined
  readonly rope: Rope | undefined
}

export type ValueKind = 'scale' | 'softcap' | 'clamp' | 'geluTanh' | 'geluErf'

export interface ExpertMatrix {
  readonly weight: Weight
  readonly bias: Vector | undefined
  readonly adapter: { readonly a: Weight; readonly b: Weight; readonly scale: number } | undefined
}

export interface Route {
  readonly op: 'route'
  readonly x: Temporary
  readonly weight: Weight
  readonly bias: Vector | undefined
  readonly correction: Vector | undefined
  readonly active: number
  readonly router: Router
  /** [T, E] */
  readonly logits: Temporary
  /** After fusion: norms the rows of x first, and leaves them in its own result for the experts. */
  readonly norm?: Norm | undefined
  /** After fusion: the experts choose from the logits themselves. */
  readonly inExperts?: boolean | undefined
  /** [T, A], numbers of experts */
  readonly chosen: Temporary
  /** [T, A] */
  readonly y: Temporary
}

export interface Moe {
  readonly op: 'moe'
  readonly x: Temporary
  readonly route: Route
  readonly gateUp: ExpertMatrix
  readonly down: ExpertMatrix
  readonly activation: Gated
  /** After fusion: y = a + factor·(what the experts give). */
  readonly residual?: { readonly a: Temporary; readonly factor: number } | undefined
  readonly y: Temporary
}

export type Node =
  | Norm
  | Rope
  | Linear
  | AttentionNode
  | Route
  | Moe
  | { readonly op: 'upload'; readonly words: number; readonly y: Temporary }
  | {
      readonly op: 'embed'
      readonly table: Weight
      /** First word of the ids; of the rows of `drawn` that have them, where the ids are on the device. */
      readonly index: number
      readonly drawn: Temporary | undefined
      readonly rows: number
      readonly scale: number
      readonly y: Temporary
    }
  | { readonly op: 'select'; readonly x: Temporary; readonly index: number; readonly split: Split; readonly y: Temporary }
  | { readonly op: 'add'; readonly a: Temporary; readonly b: Temporary; readonly factor: number; readonly y: Temporary }
  | { readonly op: 'value'; readonly kind: ValueKind; readonly x: Temporary; readonly value: number; readonly y: Temporary }
  | { readonly op: 'gated'; readonly gate: Temporary; readonly up: Temporary; readonly activation: Gated; readonly y: Temporary }
  | { readonly op: 'join'; readonly a: Temporary; readonly b: Temporary; readonly heads: number; readonly y: Temporary }
  | {
      readonly op: 'convolution'
      readonly x: Temporary
      readonly weight: Vector
      readonly bias: Vector | undefined
      readonly batch: BatchWords
      readonly state: GpuStatePart | undefined
      readonly y: Temporary
    }
  | {
      readonly op: 'scan'
      readonly x: Temporary
      readonly step: Temporary
      readonly input: Temporary
      readonly output: Temporary
      readonly logRate: Vector
      readonly skip: Vector
      readonly batch: BatchWords
      readonly state: GpuStatePart | undefined
      readonly y: Temporary
    }
  /** An op of another file: it says itself what it dispatches. */
  | {
      readonly op: 'other'
      readonly reads: readonly Temporary[]
      readonly lower: (to: Lowering) => void
      readonly y: Temporary
    }

/** Numbers in a row, compared much faster than texts. */
export class Numbers {
  #values = new Float64Array(1 << 10)
  length = 0

  push(value: number): void {
    if (this.length === this.#values.length) {
      const longer = new Float64Array(2 * this.length)
      longer.set(this.#values)
      this.#values = longer
    }
    this.#values[this.length++] = value
  }

  clear(): void {
    this.length = 0
  }

  equals(others: Float64Array): boolean {
    const [values, { length }] = [this.#values, this]
    if (others.length !== length) return false
    for (let i = 0; i < length; i++) if (values[i] !== others[i]) return false
    return true
  }

  copy(): Float64Array {
    return this.#values.slice(0, this.length)
  }
}

export class Recorder {
  nodes: Node[] = []
  readonly form = new Numbers()
  /** Temporaries of this pass, by number. */
  made: Temporary[] = []
  /** Values of the host for this pass. */
  #words = new Int32Array(1 << 12)
  #floats = new Float32Array(this.#words.buffer)
  #used = 0
  #batches = new Map<Batch, BatchWords>()
  #rotations = new Map<BatchWords, Map<Rotation, number>>()
  readonly #scopes: Temporary[][] = []
  readonly #texts = new Map<string, number>()
  readonly #objects = new WeakMap<object, number>()
  /** Called when a temporary with a place of its own ends. */
  readonly #release: (temporary: Temporary) => void

  constructor(release: (temporary: Temporary) => void) {
    this.#release = release
  }

  scope<R>(body: () => R): R {
    this.#scopes.push([])
    let kept: Tensor[] = []
    try {
      const result = body()
      kept = tensorsIn(result)
      return result
    } finally {
      for (const temporary of this.#scopes.pop()!)
        if (!kept.includes(temporary)) this.close(temporary)
        else this.#scopes.at(-1)?.push(temporary)
    }
  }

  close(temporary: Temporary): void {
    temporary.open = false
    if (temporary.place !== undefined) this.#release(temporary)
  }

  /** A result without values yet. */
  temporary(shape: readonly number[]): Temporary {
    const made = new Temporary(shape, this.made.length)
    this.made.push(made)
    this.#scopes.at(-1)?.push(made)
    return made
  }

  /** Adds a node; `detail` holds all that its dispatches depend on, always so many numbers for the same first ones. */
  add<N extends Node>(node: N, detail: readonly number[]): N {
    this.nodes.push(node)
    this.form.push(this.nameOf(node.op))
    for (const value of detail) this.form.push(value)
    return node
  }

  /** A temporary in the form of a pass: its number in the pass, or where it lies, as a negative number. */
  numberOf(x: Temporary): number {
    return x.place === undefined ? x.id : -1 - x.place
  }

  /** A text, or an object of plain values, in the form of a pass: the same number for the same. */
  nameOf(x: string | object): number {
    let number = typeof x === 'string' ? this.#texts.get(x) : this.#objects.get(x)
    if (number !== undefined) return number
    if (typeof x === 'string') {
      number = this.#texts.size
      this.#texts.set(x, number)
    } else {
      number = this.nameOf(JSON.stringify(x))
      this.#objects.set(x, number)
    }
    return number
  }

  /** Puts values among the words of the pass. Returns the first word. */
  words(values: Int32Array | Float32Array | Uint32Array): number {
    const at = this.#used
    this.#used += values.length
    if (this.#used > this.#words.length) {
      const grown = new Int32Array(Math.max(this.#used, 2 * this.#words.length))
      grown.set(this.#words)
      this.#words = grown
      this.#floats = new Float32Array(grown.buffer)
    }
    if (values instanceof Float32Array) this.#floats.set(values, at)
    else this.#words.set(values, at)
    return at
  }

  batch(batch: Batch): BatchWords {
    let known = this.#batches.get(batch)
    if (!known) {
      known = describeBatch(batch, (values) => this.words(values))
      this.#batches.set(batch, known)
    }
    return known
  }

  /** How some rows of the newest batch are computed: those of a run that are chosen together are a run by themselves. */
  selection(rows: number, index: Int32Array): Split {
    const batch = [...this.#batches.values()].findLast((each) => each.rows === rows)
    return batch
      ? splitRows(
          index.map((row) => batch.runOf[row]!),
          (values) => this.words(values),
        )
      : oneRun(index.length)
  }

  rotation(batch: BatchWords, rotation: Rotation): number {
    let tables = this.#rotations.get(batch)
    if (!tables) {
      tables = new Map()
      this.#rotations.set(batch, tables)
    }
    let table = tables.get(rotation)
    if (table === undefined) {
      const values = new Float32Array(batch.rows * rotation.rotaryDim)
      writeRotations(rotation, batch.batch.positions, values)
      table = this.words(values)
      tables.set(rotation, table)
    }
    return table
  }

  get used(): number {
    return this.#used
  }

  /** The words of the pass, to be written to the device. */
  get data(): Int32Array<ArrayBuffer> {
    return this.#words.subarray(0, this.#used)
  }

  /** Begins the next pass. */
  clear(): void {
    this.nodes = []
    this.form.clear()
    this.made = []
    this.#used = 0
    this.#batches = new Map()
    this.#rotations = new Map()
  }
}
