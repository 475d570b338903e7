/**
 * The BPE tokenizer behind every supported file: find added tokens, normalize the rest, split it into
 * pieces, spell each piece in symbols, merge. Untrusted text never becomes a special token, whatever
 * the file says.
 */
import { type AddedToken, AddedTokens, type Range } from './added-tokens.ts'
import { type MergeTable, mergePiece } from './bpe.ts'
import type { Decoder } from './decoder.ts'
import type { Normalize } from './normalizer.ts'
import type { PreTokenizer } from './pre-tokenizer.ts'
import { ByteTextStream } from './text-stream.ts'
import type { TextStream, Tokenizer } from './tokenizer.ts'
import type { Vocabulary } from './vocabulary.ts'

export interface BpeParts {
  /** Entry -> id, without special tokens. */
  readonly vocabulary: Vocabulary
  readonly merges: MergeTable
  readonly added: readonly AddedToken[]
  readonly normalize: Normalize | undefined
  readonly preTokenizer: PreTokenizer
  readonly decoder: Decoder
  /** Writes a piece of text as symbols. */
  readonly spell: (piece: string, symbols: number[]) => void
  /** Splits a piece at places that no merge can cross, and calls `visit` in order. */
  readonly cut: ((piece: string, visit: (part: string) => void) => void) | undefined
  /** Looks up a whole piece before any merge (`ignore_merges`). */
  readonly whole: ((piece: string) => number | undefined) | undefined
  /** Ids that the published tokenizer puts before every text. */
  readonly prefix: readonly number[]
}

/** Longer pieces rarely repeat. A longer slice would also keep the whole text alive in V8. */
const LONGEST_CACHED_PIECE = 12
const CACHE_ENTRIES = 1 << 16
const NO_BYTES = new Uint8Array(0)
const replacement = Uint8Array.of(0xef, 0xbf, 0xbd) // U+FFFD

export class BpeTokenizer implements Tokenizer {
  readonly vocabSize: number
  readonly specials: ReadonlyMap<string, number>
  readonly prefix: readonly number[]
  readonly #parts: BpeParts
  readonly #added: AddedTokens
  readonly #special: Uint8Array // 1 for specials, by id
  readonly #hidden: Uint8Array // 1 for ids that skipSpecials omits
  readonly #pool: Uint8Array // the bytes of all ids
  readonly #offset: Int32Array // [vocabSize + 1] start of each id's bytes in the pool; an id without bytes is unknown
  #cache = new Map<string, number | number[]>()

  constructor(parts: BpeParts) {
    this.#parts = parts
    this.prefix = parts.prefix
    this.#added = new AddedTokens(parts.added)
    let last = -1
    const { ids } = parts.vocabulary
    for (let index = 0; index < ids.length; index++) if (ids[index]! > last) last = ids[index]!
    for (const token of parts.added) if (token.id > last) last = token.id
    this.vocabSize = last + 1
    this.#special = new Uint8Array(this.vocabSize)
    this.#hidden = new Uint8Array(this.vocabSize)
    const specials = new Map<string, number>()
    const entries = new Array<string | undefined>(this.vocabSize).fill(undefined)
    for (const [entry, id] of parts.vocabulary) entries[id] = entry
    for (const token of parts.added) {
      if (!token.special) continue
      entries[token.id] = token.content
      this.#special[token.id] = 1
      this.#hidden[token.id] = token.hidden ? 1 : 0
      specials.set(token.content, token.id)
    }
    this.specials = specials
    this.#offset = new Int32Array(this.vocabSize + 1)
    const utf8 = new TextEncoder()
    let pool = new Uint8Array(this.vocabSize * 8)
    for (let id = 0; id < this.vocabSize; id++) {
      const entry = entries[id]
      const from = this.#offset[id]!
      const bytes = entry === undefined ? NO_BYTES : this.#special[id] === 1 ? utf8.encode(entry) : parts.decoder.bytes(entry)
      if (from + bytes.length > pool.length) {
        const larger = new Uint8Array(2 * (from + bytes.length))
        larger.set(pool)
        pool = larger
      }
      pool.set(bytes, from)
      this.#offset[id + 1] = from + bytes.length
    }
    this.#pool = pool.slice(0, this.#offset[this.vocabSize])
  }

  encode(text: string): number[] {
    return this.#encode(text, false, [])
  }

  encodeTemplate(text: string, untrusted: readonly Range[] = []): number[] {
    return this.#encode(text, true, untrusted)
  }

  decode(ids: Iterable<number>, options: { skipSpecials?: boolean } = {}): string {
    const stream = this.stream()
    let text = ''
    for (const id of ids) if (!(options.skipSpecials && this.#hidden[id] === 1)) text += stream.push(id)
    return text + stream.end()
  }

  bytes(id: number): Uint8Array {
    const bytes = this.#find(id)
    if (bytes === undefined) throw new RangeError(`token id ${id}: not in the vocabulary of ${this.vocabSize} ids`)
    return bytes.slice()
  }

  isSpecial(id: number): boolean {
    return this.#special[id] === 1
  }

  stream(): TextStream {
    return new ByteTextStream((id) => this.#find(id) ?? replacement, this.#parts.decoder.leadingBlanks)
  }

  #find(id: number): Uint8Array | undefined {
    const from = this.#offset[id]
    const to = this.#offset[id + 1]
    return from === undefined || to === undefined || from === to ? undefined : this.#pool.subarray(from, to)
  }

  #encode(text: string, trusted: boolean, untrusted: readonly Range[]): number[] {
    const out: number[] = []
    const visit = (piece: string) => this.#encodePiece(piece, out)
    let atStart = true
    for (const segment of this.#added.split(text.toWellFormed(), trusted, untrusted)) {
      if ('id' in segment) out.push(segment.id)
      else {
        const normal = this.#parts.normalize === undefined ? segment.text : this.#parts.normalize(segment.text)
        if (normal !== '') this.#parts.preTokenizer.stage(normal, atStart, visit)
      }
      atStart = false
    }
    return out
  }

  #encodePiece(piece: string, out: number[]): void {
    if (piece === '') return
    const id = this.#parts.whole?.(piece)
    if (id !== undefined) out.push(id)
    else if (this.#parts.cut === undefined) this.#merge(piece, out)
    else this.#parts.cut(piece, (part) => this.#merge(part, out))
  }

  #merge(piece: string, out: number[]): void {
    const known = piece.length <= LONGEST_CACHED_PIECE ? this.#cache.get(piece) : undefined
    if (known !== undefined) {
      if (typeof known === 'number') out.push(known)
      else for (const id of known) out.push(id)
      return
    }
    const symbols: number[] = []
    this.#parts.spell(piece, symbols)
    const start = out.length
    if (symbols.length > 0) mergePiece(symbols, this.#parts.merges, out)
    if (piece.length > LONGEST_CACHED_PIECE) return
    if (this.#cache.size >= CACHE_ENTRIES) this.#cache = new Map()
    this.#cache.set(piece, out.length === start + 1 ? out[start]! : out.slice(start))
  }
}
