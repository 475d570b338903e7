/**
 * Makes an answer a call of one of several tools: ids that all of the possible beginnings share are forced, and where they differ the
 * model draws among them. The arguments that follow are free; a grammar for them is the server's matter.
 */
export class ForcedCall {
  #candidates: (readonly number[])[]
  #at = 0

  /** @param beginnings of the calls, one per tool, as ChatParser.force.toolCall gives them */
  constructor(beginnings: readonly (readonly number[])[]) {
    this.#candidates = [...beginnings]
  }

  get isDone(): boolean {
    return this.#candidates.every((candidate) => candidate.length <= this.#at)
  }

  /** Ids that must follow, [] where the model may choose. Counts them as written. */
  forced(): number[] {
    const ids: number[] = []
    while (!this.isDone) {
      const [first, ...others] = new Set(this.#candidates.map((candidate) => candidate[this.#at]))
      if (first === undefined || others.length > 0) break
      ids.push(first)
      this.#at++
    }
    return ids
  }

  /** The ids the model may choose from, as the engine's bitset. */
  mask(): Uint32Array {
    const ids = this.#candidates.map((candidate) => candidate[this.#at]).filter((id) => id !== undefined)
    const mask = new Uint32Array((Math.max(...ids) >> 5) + 1)
    for (const id of ids) mask[id >> 5]! |= 1 << (id & 31)
    return mask
  }

  choose(id: number): void {
    this.#candidates = this.#candidates.filter((candidate) => candidate[this.#at] === id)
    this.#at++
  }
}
