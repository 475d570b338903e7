/**
 * What kernels need to know about a batch, uploaded once per batch and not once per layer: slots, positions, runs of rows, rotation tables.
 * Batches are compared by their contents, since a caller may reuse its arrays. The last few are kept.
 */
import type { Batch, Rotation } from '../ops.ts'
import { writeRotations } from '../rotation.ts'
import type { Block } from './memory.ts'

export interface BatchData {
  readonly slots: Int32Array
  readonly positions: Int32Array
  /** Heap addresses. */
  readonly slotList: number
  readonly positionList: number
  /** Runs of rows of one sequence, four words each: slot, first row, rows, first position. */
  readonly segmentList: number
  readonly segments: number
  readonly rotations: Map<Rotation, number>
  readonly blocks: Block[]
  /** The same rows for attention without a cache. */
  plain?: BatchData
}

export interface Staging {
  readonly words: Int32Array
  readonly floats: Float32Array
  hostBlock(bytes: number): Block
  retire(block: Block): void
}

const KEPT = 4
function same(a: Int32Array, b: Int32Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

export class Batches {
  readonly #staging: Staging
  readonly #known: BatchData[] = []

  constructor(staging: Staging) {
    this.#staging = staging
  }

  of({ slots, positions }: Batch): BatchData {
    const found = this.#known.find((data) => same(data.slots, slots) && same(data.positions, positions))
    if (found) return found
    const data = this.#describe(slots.slice(), positions.slice())
    this.#known.push(data)
    if (this.#known.length > KEPT) {
      const oldest = this.#known.shift()!
      for (const block of [...oldest.blocks, ...(oldest.plain?.blocks ?? [])]) this.#staging.retire(block)
    }
    return data
  }

  #describe(slots: Int32Array, positions: Int32Array): BatchData {
    const { words } = this.#staging
    const segments: number[] = []
    slots.forEach((slot, t) => {
      const follows = t > 0 && slots[t - 1] === slot && positions[t - 1]! + 1 === positions[t]
      if (follows) segments[segments.length - 2]!++
      else segments.push(slot, t, 1, positions[t]!)
    })
    const T = slots.length
    const list = this.#staging.hostBlock((2 * T + segments.length) * 4)
    words.set(slots, list.address / 4)
    words.set(positions, list.address / 4 + T)
    words.set(segments, list.address / 4 + 2 * T)
    return {
      slots,
      positions,
      slotList: list.address,
      positionList: list.address + T * 4,
      segmentList: list.address + 8 * T,
      segments: segments.length / 4,
      rotations: new Map(),
      blocks: [list],
    }
  }

  /** Without a cache a row sees the earlier rows of its run: run n is slot n and its first row position 0 (attention only needs differences). */
  withoutCache(data: BatchData): BatchData {
    if (data.plain) return data.plain
    const slots = new Int32Array(data.slots.length)
    const positions = new Int32Array(data.slots.length)
    for (let t = 1; t < slots.length; t++) {
      const follows = data.slots[t] === data.slots[t - 1] && data.positions[t] === data.positions[t - 1]! + 1
      slots[t] = slots[t - 1]! + (follows ? 0 : 1)
      positions[t] = follows ? positions[t - 1]! + 1 : 0
    }
    data.plain = this.#describe(slots, positions)
    return data.plain
  }

  /** Heap address of R/2 cosines and R/2 sines per row. */
  rotationTable(data: BatchData, rotation: Rotation): number {
    const known = data.rotations.get(rotation)
    if (known !== undefined) return known
    const block = this.#staging.hostBlock(data.positions.length * rotation.rotaryDim * 4)
    writeRotations(rotation, data.positions, this.#staging.floats, block.address / 4)
    data.rotations.set(rotation, block.address)
    data.blocks.push(block)
    return block.address
  }
}
