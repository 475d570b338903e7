/**
 * The rule by which an id is chosen from the logits of one row. The engine and every backend that
 * draws follow it, so one seed gives one answer everywhere. Nothing is sorted but the ids at a cut:
 * ids are counted in buckets by their distance below the largest logit. Top-p: Holtzman et al. 2020;
 * min-p: Nguyen et al. 2024; the race: Gumbel-max in its exponential form (Maddison et al. 2014).
 */
/** How one id is chosen: changes, mask, then temperature, top-k, top-p and min-p in this order, then the race. */
export interface Draw {
  /** 0: greedy, the largest logit, on ties the lowest id. */
  readonly temperature: number
  /** Keep the k likeliest ids; 0: all. */
  readonly topK: number
  /** Keep the likeliest ids that together have this share of the probability; 1: all. */
  readonly topP: number
  /** Keep ids at least this fraction as likely as the likeliest; 0: all. */
  readonly minP: number
  /** 32 bits, another value for each draw of a seed. */
  readonly noise: number
  /** Allowed ids: id i is bit i & 31 of word i >> 5; ids of missing words are not allowed. */
  readonly mask?: Uint32Array
  /** Per id: a positive logit is divided by the factor, a negative one multiplied; then `add` is added. Ids beyond the vocabulary have no effect. */
  readonly changes?: { readonly ids: Int32Array; readonly factor: Float32Array; readonly add: Float32Array }
}

/** Number of buckets. PER_UNIT of them are one unit of (largest logit - logit) / temperature. */
const BUCKETS = 1024
const PER_UNIT = 16
/** Ids per block. A search skips a block whose largest logit is too small. */
const BLOCK = 512
const CENTRE = Float64Array.from({ length: BUCKETS }, (_, b) => Math.exp(-(b + 0.5) / PER_UNIT))
/** The largest weight in a bucket, in units of the hash. */
const LARGEST = Float64Array.from({ length: BUCKETS }, (_, b) => Math.exp(-b / PER_UNIT) * 2 ** 32)

/**
 * The chosen id, or -1 where no id has a logit above -Infinity. NaN is never chosen. Ids farther than
 * 64 temperatures below the largest are never drawn. Overwrites the logits [V].
 */
export function drawId(logits: Float32Array, draw: Draw): number {
  const { temperature, topK, topP, minP, noise } = draw
  change(logits, draw)
  const blockMaxima = new Float32Array(Math.ceil(logits.length / BLOCK))
  const best = argmax(logits, blockMaxima)
  const max = logits[best] ?? 0
  if (best < 0 || temperature === 0 || topK === 1 || max === Number.POSITIVE_INFINITY) return best
  const scale = PER_UNIT / temperature
  const distance = (id: number) => (max - logits[id]!) * scale

  // Kept are the buckets below `full`, and the ids of `edge`, which lie in the bucket `full`.
  let full = BUCKETS
  let edge: number[] = []
  /** Keeps the likeliest ids until `gain`, summed over them, reaches `target`. */
  const keep = (gains: ArrayLike<number>, gain: (id: number) => number, target: number) => {
    let sum = 0
    for (let bucket = 0; bucket < full; bucket++) {
      if (sum + gains[bucket]! >= target) {
        full = bucket
        edge = idsOf(bucket, logits, blockMaxima, max, scale).sort((a, b) => logits[b]! - logits[a]! || a - b)
        break
      }
      sum += gains[bucket]!
    }
    const last = edge.findIndex((id) => (sum += gain(id)) >= target)
    if (last >= 0) edge.length = last + 1
  }
  if (topK > 0) keep(counts(logits, max, scale), () => 1, topK)
  if (topP < 1) {
    const weightOf = (id: number) => Math.exp(-distance(id) / PER_UNIT)
    const masses = massesBelow(full, logits, max, scale)
    const total = masses.reduce((sum, mass) => sum + mass, 0) + edge.reduce((sum, id) => sum + weightOf(id), 0)
    keep(masses, weightOf, topP * total)
  }
  if (minP > 0) {
    const limit = -Math.log(minP) * PER_UNIT
    if (limit < full) {
      full = Math.floor(limit)
      edge = idsOf(full, logits, blockMaxima, max, scale)
    }
    edge = edge.filter((id) => distance(id) <= limit)
  }

  const first = -Math.log(uniformOf(hash(noise, best)))
  let winner = race(logits, blockMaxima, best, first, max, scale, full, noise)
  const timeOf = (id: number) => -Math.log(uniformOf(hash(noise, id))) * Math.exp(distance(id) / PER_UNIT)
  for (const id of edge) {
    const [time, least] = [timeOf(id), timeOf(winner)]
    if (time < least || (time === least && id < winner)) winner = id
  }
  return winner
}

/** One id per row of logits [R, V], which are overwritten. */
export function drawRows(logits: Float32Array, draws: readonly Draw[]): Int32Array {
  const width = logits.length / draws.length
  return Int32Array.from(draws, (draw, r) => drawId(logits.subarray(r * width, (r + 1) * width), draw))
}

/** Applies changes and mask. */
function change(logits: Float32Array, { changes, mask }: Draw): void {
  changes?.ids.forEach((id, i) => {
    const [logit, factor] = [logits[id]!, changes.factor[i]!]
    logits[id] = (logit > 0 ? logit / factor : logit * factor) + changes.add[i]!
  })
  if (!mask) return
  for (let start = 0; start < logits.length; start += 32) {
    const word = mask[start >> 5] ?? 0
    if (word === 0xffffffff) continue
    const end = Math.min(start + 32, logits.length)
    for (let id = start; id < end; id++) if (!((word >>> (id & 31)) & 1)) logits[id] = Number.NEGATIVE_INFINITY
  }
}

// Loops over the vocabulary are plain functions, which V8 compiles best.

/** The id of the largest logit, on ties the lowest, or -1; and the largest logit of each block. */
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

function counts(logits: Float32Array, max: number, scale: number): Int32Array {
  const found = new Int32Array(BUCKETS)
  for (let id = 0; id < logits.length; id++) {
    const at = (max - logits[id]!) * scale
    if (at < BUCKETS) found[at | 0]!++
  }
  return found
}

/** Weights e^(-at / PER_UNIT) by the bucket's centre and four terms of the series: 4e-8 off at most, the same everywhere. */
function massesBelow(limit: number, logits: Float32Array, max: number, scale: number): Float64Array {
  const found = new Float64Array(BUCKETS)
  for (let id = 0; id < logits.length; id++) {
    const at = (max - logits[id]!) * scale
    if (!(at < limit)) continue
    const bucket = at | 0
    const r = (bucket - at + 0.5) / PER_UNIT
    found[bucket]! += CENTRE[bucket]! * (1 + r * (1 + r * (1 / 2 + r * (1 / 6))))
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

/**
 * The id with the smallest -ln(u) / weight, u uniform in (0, 1) by a hash of noise and id: each id wins
 * with its share of the weights. As 1 - u <= -ln(u), comparing the hash rejects most ids.
 */
function race(
  logits: Float32Array,
  blockMaxima: Float32Array,
  best: number,
  first: number,
  max: number,
  scale: number,
  full: number,
  noise: number,
): number {
  let [winner, least] = [best, first]
  for (let block = 0; block < blockMaxima.length; block++) {
    const nearest = (max - blockMaxima[block]!) * scale
    if (!(nearest < full) || least * LARGEST[nearest | 0]! < 0.5) continue // not even the largest u could win
    const end = Math.min(logits.length, (block + 1) * BLOCK)
    for (let id = block * BLOCK; id < end; id++) {
      const at = (max - logits[id]!) * scale
      if (!(at < full)) continue
      const bits = hash(noise, id)
      if (2 ** 32 - bits > least * LARGEST[at | 0]! + 1) continue
      const time = -Math.log(uniformOf(bits)) * Math.exp(at / PER_UNIT)
      if (time < least || (time === least && id < winner)) {
        winner = id
        least = time
      }
    }
  }
  return winner
}

/** lowbias32(lowbias32(id) ^ noise), written out: the loop above calls it for the whole vocabulary. */
function hash(noise: number, id: number): number {
  let x = Math.imul(id ^ (id >>> 16), 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  x ^= (x >>> 16) ^ noise
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  return (x ^ (x >>> 16)) >>> 0
}

const uniformOf = (bits: number): number => (bits + 0.5) / 2 ** 32
