/**
 * What a synthetic task is: an endless, seeded source of sequences over a small vocabulary, with a mark on every position whose
 * next id is predictable and therefore counts. Tasks are data only.
 */
import type { Random } from '../../random/stream.ts'

export interface Task {
  readonly name: string
  readonly vocabSize: number
  /** One sequence of exactly `length` ids. */
  sample(next: Random, length: number): Example
}

export interface Example {
  readonly ids: Int32Array
  /** 1 where ids[t + 1] is to be predicted from ids[0…t] and scored; the last position is always 0. */
  readonly scored: Uint8Array
}

/** Collects ids and marks, cuts or pads to a length. */
export class Sequence {
  readonly #ids: number[] = []
  readonly #scoredIds = new Set<number>()

  get length(): number {
    return this.#ids.length
  }

  push(...ids: number[]): this {
    this.#ids.push(...ids)
    return this
  }

  /** Pushes ids that the ids before them determine. */
  pushScored(...ids: number[]): this {
    for (const id of ids) {
      this.#scoredIds.add(this.#ids.length)
      this.#ids.push(id)
    }
    return this
  }

  end(length: number, padding = 0): Example {
    const ids = new Int32Array(length).fill(padding)
    const scored = new Uint8Array(length)
    for (let t = 0; t < Math.min(length, this.#ids.length); t++) {
      ids[t] = this.#ids[t]!
      if (t > 0 && this.#scoredIds.has(t)) scored[t - 1] = 1
    }
    return { ids, scored }
  }
}
