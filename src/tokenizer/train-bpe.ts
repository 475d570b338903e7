/**
 * Learns byte-pair merges from a text: the commonest pair of neighbours becomes a token, again and again. Pieces are those of GPT-2, so no
 * token reaches over a word. Of equally common pairs the one with the lowest ids comes first, as in Hugging Face's tokenizers.
 * Sennrich et al. 2016; bytes as the alphabet: Radford et al. 2019.
 */
import { bpeTokenizerJson, type TokenizerJson } from './build.ts'
import { byteSpelling } from './byte-level.ts'

/** GPT-2's pieces; github.com/openai/gpt-2 src/encoder.py. */
const PIECES = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu
/** A pair that occurs once is no pattern. */
const LEAST = 2
const BYTES = 256
/** Ids fit below it, so a pair is one number. */
const RADIX = 2 ** 24

interface Word {
  ids: number[]
  readonly count: number
}

/**
 * A tokenizer.json of `size` ids: the bytes, as many merges as fit and occur, and the special tokens at the end.
 * @throws RangeError for a size without room for the bytes
 */
export function trainBpe(text: string, size: number, specials: readonly string[] = ['<|endoftext|>']): TokenizerJson {
  const merges = size - BYTES - specials.length
  if (!(merges >= 0) || size >= RADIX)
    throw new RangeError(`a BPE tokenizer has from ${BYTES + specials.length} to ${RADIX - 1} ids, got ${size}`)
  const alphabet = [...byteSpelling].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!)
  const idOfByte = byteSpelling.map((spelling) => alphabet.indexOf(spelling))
  const spellings = [...alphabet]
  const learned: [string, string][] = []
  const pairs = new Pairs(wordsOf(text, idOfByte))
  while (learned.length < merges) {
    const best = pairs.commonest()
    if (!best) break
    const [left, right] = best
    learned.push([spellings[left]!, spellings[right]!])
    pairs.merge(left, right, spellings.push(spellings[left]! + spellings[right]!) - 1)
  }
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }
  return bpeTokenizerJson({
    vocab: Object.fromEntries(spellings.map((spelling, id) => [spelling, id])),
    merges: learned,
    added: specials.map((content, i) => ({ id: spellings.length + i, content, special: true })),
    preTokenizer: bytes,
    decoder: bytes,
  })
}

/** The different pieces of a text, with how often they occur. */
function wordsOf(text: string, idOfByte: readonly number[]): Word[] {
  const counts = new Map<string, number>()
  for (const [piece] of text.toWellFormed().matchAll(PIECES)) counts.set(piece, (counts.get(piece) ?? 0) + 1)
  const encoder = new TextEncoder()
  return Array.from(counts, ([piece, count]) => ({ ids: Array.from(encoder.encode(piece), (byte) => idOfByte[byte]!), count }))
}

/** Neighbours in the words of a text: how often they occur, and where. */
class Pairs {
  readonly #words: Word[]
  readonly #counts = new Map<number, number>()
  /** Words in which a pair occurs or did. */
  readonly #places = new Map<number, Set<number>>()
  /** A heap of pairs with the counts they once had; stale entries are put right when they come up. */
  readonly #heap: { pair: number; count: number }[] = []

  constructor(words: Word[]) {
    this.#words = words
    for (const [w, { ids, count }] of words.entries())
      for (let i = 1; i < ids.length; i++) this.#change(ids[i - 1]! * RADIX + ids[i]!, count, w)
    for (const [pair, count] of this.#counts) this.#push(pair, count)
  }

  /** The commonest pair that occurs often enough. */
  commonest(): [left: number, right: number] | undefined {
    for (let top = this.#pop(); top; top = this.#pop()) {
      const count = this.#counts.get(top.pair)!
      if (count === top.count) return count < LEAST ? undefined : [Math.floor(top.pair / RADIX), top.pair % RADIX]
      if (count > 0) this.#push(top.pair, count)
    }
    return undefined
  }

  /** Replaces a pair by one id everywhere. */
  merge(left: number, right: number, merged: number): void {
    const pair = left * RADIX + right
    const grown = new Set<number>()
    for (const w of this.#places.get(pair)!) {
      const word = this.#words[w]!
      const { ids, count } = word
      const next: number[] = []
      for (let i = 0; i < ids.length; i++) {
        if (ids[i] !== left || ids[i + 1] !== right) {
          next.push(ids[i]!)
          continue
        }
        next.push(merged)
        i++
      }
      if (next.length === ids.length) continue
      for (let i = 1; i < ids.length; i++) this.#change(ids[i - 1]! * RADIX + ids[i]!, -count, w)
      for (let i = 1; i < next.length; i++) {
        const own = next[i - 1]! * RADIX + next[i]!
        this.#change(own, count, w)
        if (next[i - 1] === merged || next[i] === merged) grown.add(own)
      }
      word.ids = next
    }
    this.#places.delete(pair)
    this.#counts.set(pair, 0)
    for (const own of grown) this.#push(own, this.#counts.get(own)!)
  }

  #change(pair: number, by: number, word: number): void {
    this.#counts.set(pair, (this.#counts.get(pair) ?? 0) + by)
    if (by < 0) return
    const places = this.#places.get(pair)
    if (places) places.add(word)
    else this.#places.set(pair, new Set([word]))
  }

  #isBefore(a: number, b: number): boolean {
    const [one, other] = [this.#heap[a]!, this.#heap[b]!]
    return one.count === other.count ? one.pair < other.pair : one.count > other.count
  }

  #swap(a: number, b: number): void {
    ;[this.#heap[a], this.#heap[b]] = [this.#heap[b]!, this.#heap[a]!]
  }

  #push(pair: number, count: number): void {
    let at = this.#heap.push({ pair, count }) - 1
    for (let up = (at - 1) >> 1; at > 0 && this.#isBefore(at, up); up = (at - 1) >> 1) {
      this.#swap(at, up)
      at = up
    }
  }

  #pop(): { pair: number; count: number } | undefined {
    const top = this.#heap[0]
    const last = this.#heap.pop()
    if (top === undefined || this.#heap.length === 0) return top
    this.#heap[0] = last!
    for (let at = 0; ; ) {
      let best = at
      for (const child of [2 * at + 1, 2 * at + 2]) if (child < this.#heap.length && this.#isBefore(child, best)) best = child
      if (best === at) return top
      this.#swap(at, best)
      at = best
    }
  }
}
