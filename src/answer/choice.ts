/** One of several id sequences, chosen by the model id by id: which tool it calls, or that it ends the answer. */
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

  /** Takes the ids that all candidates share from here on, and returns them: there is nothing to choose among. */
  shared(): number[] {
    const start = this.#taken
    const [first, ...others] = this.#candidates.map(({ ids }) => ids)
    while (this.#taken < first!.length && others.every((ids) => ids[this.#taken] === first![this.#taken])) this.#taken++
    return first!.slice(start, this.#taken)
  }

  /** The decision, once it is made, with the ids that are still missing. */
  decision(): Candidate<T> | undefined {
    const whole = this.#candidates.find(({ ids }) => ids.length <= this.#taken)
    const only = whole ?? (this.#candidates.length === 1 ? this.#candidates[0] : undefined)
    return only && { ids: only.ids.slice(this.#taken), value: only.value }
  }
}
