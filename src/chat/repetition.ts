/** Notices a model that has fallen into a loop: the same few ids over and over. Long lists and tables are no loops; their ids differ. */
const longestPeriod = 256
/** A loop must have gone round at least this often. */
const rounds = 8

export class RepetitionGuard {
  readonly #limit: number
  readonly #recent = new Int32Array(longestPeriod).fill(-1)
  /** For each period: how many of the last ids equal the one a period before. */
  readonly #runs = new Int32Array(longestPeriod + 1)
  #count = 0

  /** @param limit how many ids must repeat; 0: never. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Takes the next id; true when the answer is going round in circles. */
  push(id: number): boolean {
    if (this.#limit <= 0) return false
    let loops = false
    for (let period = 1; period <= longestPeriod; period++) {
      const before = this.#recent[(this.#count - period + 2 * longestPeriod) % longestPeriod]
      const run = before === id ? this.#runs[period]! + 1 : 0
      this.#runs[period] = run
      if (run >= this.#limit && run >= rounds * period) loops = true
    }
    this.#recent[this.#count++ % longestPeriod] = id
    return loops
  }
}
