/**
 * Detects a model that repeats the same few ids without end. Long lists and tables are no loops, because their ids differ.
 * So many ids must repeat those one period before, and the period must have come at least ROUNDS times.
 */

/** Repeated ids that end an answer, unless the caller asks for another limit. */
export const REPEATED_IDS = 256
const LONGEST_PERIOD = 256
const ROUNDS = 8

export class RepetitionGuard {
  readonly #limit: number
  readonly #recent = new Int32Array(LONGEST_PERIOD).fill(-1)
  /** For each period: how many of the last ids equal the one a period before. */
  readonly #runs = new Int32Array(LONGEST_PERIOD + 1)
  #count = 0

  /** @param limit how many ids must repeat; 0: never */
  constructor(limit = REPEATED_IDS) {
    this.#limit = limit
  }

  /** Takes the next id; true when the answer repeats itself. */
  push(id: number): boolean {
    if (this.#limit <= 0) return false
    let loops = false
    for (let period = 1; period <= LONGEST_PERIOD; period++) {
      const before = this.#recent[(this.#count - period + 2 * LONGEST_PERIOD) % LONGEST_PERIOD]
      const run = before === id ? this.#runs[period]! + 1 : 0
      this.#runs[period] = run
      if (run >= this.#limit && run >= ROUNDS * period) loops = true
    }
    this.#recent[this.#count++ % LONGEST_PERIOD] = id
    return loops
  }
}
