/**
 * The logits of a vocabulary in buckets, by their distance below the largest, so that sampling needs no
 * sorting. Weights are e^(-distance / temperature), unnormalised. Loops over the vocabulary are plain
 * functions, which V8 compiles best.
 */

/** Number of buckets. PER_UNIT of them are one unit of (largest logit - logit) / temperature. */
const BUCKETS = 1024
const PER_UNIT = 16
/** Ids per block. A search for ids skips a block whose largest logit is too small. */
const BLOCK = 512
const CENTRE = Float64Array.from({ length: BUCKETS }, (_, b) => Math.exp(-(b + 0.5) / PER_UNIT))

export class Buckets {
  static readonly count = BUCKETS
  readonly logits: Float32Array
  /** The likeliest id, on ties the lowest; -1 when no id has a logit above -Infinity. */
  readonly best: number
  readonly #blockMaxima: Float32Array
  readonly #max: number
  readonly #scale: number

  /** `temperature` > 0; `best` does not depend on it. */
  constructor(logits: Float32Array, temperature: number) {
    this.logits = logits
    this.#blockMaxima = new Float32Array(Math.ceil(logits.length / BLOCK))
    this.best = argmax(logits, this.#blockMaxima)
    this.#max = logits[this.best] ?? 0
    this.#scale = PER_UNIT / temperature
  }

  /** How many ids each bucket holds, the likeliest first. */
  counts(): Int32Array {
    return counts(this.logits, this.#max, this.#scale)
  }

  /** The sum of weights in each bucket below `limit`. */
  masses(limit: number): Float64Array {
    return masses(this.logits, this.#max, this.#scale, limit)
  }

  /** The ids of a bucket, ascending. */
  ids(bucket: number): number[] {
    return idsOf(bucket, this.logits, this.#blockMaxima, this.#max, this.#scale)
  }

  /** The id of a bucket at which the running sum of weights passes `rest`; the last one if rounding left too much. */
  draw(bucket: number, rest: number): number {
    return draw(rest, bucket, this.logits, this.#blockMaxima, this.#max, this.#scale)
  }

  /** The ids of a bucket, likeliest first, ties by id. */
  ranked(bucket: number): number[] {
    return this.ids(bucket).sort((a, b) => this.logits[b]! - this.logits[a]! || a - b)
  }

  weight(id: number): number {
    const at = (this.#max - this.logits[id]!) * this.#scale
    return weight(at, at | 0)
  }

  /** Distance below the likeliest id, in buckets. */
  distance(id: number): number {
    return (this.#max - this.logits[id]!) * this.#scale
  }

  /** The distance at which an id is this fraction as likely as the likeliest. */
  static distanceOf(fraction: number): number {
    return -Math.log(fraction) * PER_UNIT
  }
}

/** e^(-at / PER_UNIT): the bucket's centre and four terms of the series; error at most 4e-8 on every machine. */
function weight(at: number, bucket: number): number {
  const r = (bucket - at + 0.5) / PER_UNIT
  return CENTRE[bucket]! * (1 + r * (1 + r * (1 / 2 + r * (1 / 6))))
}

function counts(logits: Float32Array, max: number, scale: number): Int32Array {
  const found = new Int32Array(BUCKETS)
  for (let id = 0; id < logits.length; id++) {
    const at = (max - logits[id]!) * scale
    if (at < BUCKETS) found[at | 0]!++
  }
  return found
}

function masses(logits: Float32Array, max: number, scale: number, limit: number): Float64Array {
  const found = new Float64Array(BUCKETS)
  for (let id = 0; id < logits.length; id++) {
    const at = (max - logits[id]!) * scale
    if (at < limit) found[at | 0]! += weight(at, at | 0)
  }
  return found
}

function idsOf(bucket: number, logits: Float32Array, blockMaxima: Float32Array, max: number, scale: number): number[] {
  const ids: number[] = []
  for (let block = 0; block < blockMaxima.length; block++) {
    if ((max - blockMaxima[block]!) * scale >= bucket + 1) continue
    const end = Math.min(logits.length, (block + 1) * BLOCK)
    for (let id = block * BLOCK; id < end; id++) {
      const at = (max - logits[id]!) * scale
      if (at >= bucket && at < bucket + 1) ids.push(id)
    }
  }
  return ids
}

/** As idsOf, but ends at the id that is drawn. */
function draw(rest: number, bucket: number, logits: Float32Array, blockMaxima: Float32Array, max: number, scale: number): number {
  let last = -1
  for (let block = 0; block < blockMaxima.length; block++) {
    if ((max - blockMaxima[block]!) * scale >= bucket + 1) continue
    const end = Math.min(logits.length, (block + 1) * BLOCK)
    for (let id = block * BLOCK; id < end; id++) {
      const at = (max - logits[id]!) * scale
      if (!(at >= bucket && at < bucket + 1)) continue
      rest -= weight(at, bucket)
      if (rest < 0) return id
      last = id
    }
  }
  return last
}

/** The likeliest id, and the largest logit of every block. */
function argmax(logits: Float32Array, blockMaxima: Float32Array): number {
  let [best, max] = [-1, Number.NEGATIVE_INFINITY]
  for (let block = 0; block < blockMaxima.length; block++) {
    let largest = Number.NEGATIVE_INFINITY
    const end = Math.min(logits.length, (block + 1) * BLOCK)
    for (let id = block * BLOCK; id < end; id++) if (logits[id]! > largest) largest = logits[id]!
    blockMaxima[block] = largest
    if (largest > max) {
      max = largest
      best = logits.indexOf(largest, block * BLOCK)
    }
  }
  return best
}
