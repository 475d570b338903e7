/** One of several id sequences, decided by the model id by id: which tool it calls, or whether it answers instead. */
import { maskOf, type TokenMask } from './token-mask.ts'

export interface Candidate<T> {
  ids: readonly number[]
  value: T
}

export class Choice<T> {
  #candidates: readonly Candidate<T>[]
  #taken = 0

  constructor(candidates: readonly Candidate<T>[]) {
    this.#candidates = candidates
  }

  /** The ids that go on with some candidate. */
  mask(): TokenMask {
    return maskOf(this.#candidates.map(({ ids }) => ids[this.#taken]!))
  }

  /** Keeps the candidates that go on with this id. */
  accept(id: number): boolean {
    const left = this.#candidates.filter(({ ids }) => ids[this.#taken] === id)
    if (left.length === 0) return false
    this.#candidates = left
    this.#taken++
    return true
  }

  /** The decision, once it is made, with the ids that are still missing. */
  decision(): Candidate<T> | undefined {
    const whole = this.#candidates.find(({ ids }) => ids.length <= this.#taken)
    const only = whole ?? (this.#candidates.length === 1 ? this.#candidates[0] : undefined)
    return only && { ids: only.ids.slice(this.#taken), value: only.value }
  }
}
