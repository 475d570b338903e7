/**
 * The vocabulary and the merges of a tokenizer.json, read without making a value of every piece. Published files hold up to half a million
 * merges; as JavaScript values these take most of the time of loading. What is unusual in a list is left to JSON.parse.
 */

/** Where the pieces of the merges stand in the bytes of a file. */
export interface MergePieces {
  readonly bytes: Uint8Array
  /** Six numbers a merge: start, end and hash of its left piece, and of its right one. A start is -1 - start where the piece has escapes. */
  readonly pieces: Int32Array
  readonly count: number
}

/**
 * Parses the bytes of a tokenizer.json, using `parse` for its text. Where that is possible, `model.merges` becomes MergePieces and
 * `model.vocab` a Map: what is left to `parse` is short.
 * @throws TypeError on bytes that are not UTF-8
 */
export function parseTokenizerJson(bytes: Uint8Array, parse: (text: string) => unknown): unknown {
  const decode = (part: Uint8Array) => new TextDecoder('utf-8', { fatal: true }).decode(part)
  const merges = findMerges(bytes)
  const text = decode(merges === undefined ? bytes : without(bytes, merges.from, merges.to))
  const vocab = findVocabulary(text)
  const json = parse(vocab === undefined ? text : `${text.slice(0, vocab.from)}{}${text.slice(vocab.to)}`) as {
    model?: Record<string, unknown>
  } | null
  for (const [key, found] of Object.entries({ merges, vocab })) {
    if (found === undefined) continue
    if (typeof json?.model !== 'object' || json.model === null || !Object.hasOwn(json.model, key)) return parse(decode(bytes))
    json.model[key] = found.value
  }
  return json
}

/** The bytes with an empty list in place of a range. */
function without(bytes: Uint8Array, from: number, to: number): Uint8Array {
  const rest = new Uint8Array(from + 2 + bytes.length - to)
  rest.set(bytes.subarray(0, from))
  rest.set([OPEN, CLOSE], from)
  rest.set(bytes.subarray(to), from + 2)
  return rest
}

/** The only list of merges. In valid JSON a quoted word before a colon is a key: quotes inside of strings are escaped. */
function findMerges(bytes: Uint8Array): { from: number; to: number; value: MergePieces } | undefined {
  const at = afterKey(bytes, 0)
  const scanned = at < 0 ? undefined : scanMerges(bytes, at)
  return scanned === undefined || afterKey(bytes, scanned.end) >= 0 ? undefined : { from: at - 1, to: scanned.end, value: scanned.value }
}

/** The index after the first `"merges": [` from an index on, or -1. */
function afterKey(bytes: Uint8Array, from: number): number {
  const key = new TextEncoder().encode('"merges"')
  search: for (let i = from + 1; i < bytes.length; i++) {
    if (bytes[i] !== key[1]) continue
    for (let k = 0; k < key.length; k++) if (bytes[i - 1 + k] !== key[k]) continue search
    let at = i - 1 + key.length
    while (bytes[at]! <= BLANK) at++
    if (bytes[at++] !== COLON) continue
    while (bytes[at]! <= BLANK) at++
    if (bytes[at] === OPEN) return at + 1
  }
  return -1
}

/** The only vocabulary. */
function findVocabulary(text: string): { from: number; to: number; value: Map<string, number> } | undefined {
  const [found, ...others] = text.matchAll(/"vocab"\s*:\s*\{/g)
  if (found === undefined || others.length > 0) return undefined
  const at = found.index + found[0].length
  const scanned = scanVocabulary(text, at)
  return scanned && { from: at - 1, to: scanned.end, value: scanned.value }
}

/** Entries with ids; undefined when the text is unusual. */
function scanVocabulary(text: string, at: number): { value: Map<string, number>; end: number } | undefined {
  const vocabulary = new Map<string, number>()
  let count = 0
  for (;;) {
    let start = at
    while (text.charCodeAt(start) <= BLANK) start++
    if (text.charCodeAt(start) !== QUOTE) return undefined
    let escaped = false
    let end = start + 1
    for (let unit = text.charCodeAt(end); unit !== QUOTE; unit = text.charCodeAt(++end)) {
      if (unit === BACKSLASH) {
        escaped = true
        end++
      } else if (!(unit >= BLANK)) return undefined
    }
    const entry = escaped ? (JSON.parse(text.slice(start, end + 1)) as string) : text.slice(start + 1, end)
    at = end + 1
    while (text.charCodeAt(at) <= BLANK) at++
    if (text.charCodeAt(at++) !== COLON) return undefined
    while (text.charCodeAt(at) <= BLANK) at++
    let id = 0
    const digits = at
    for (let unit = text.charCodeAt(at); unit >= 0x30 && unit <= 0x39; unit = text.charCodeAt(++at)) id = id * 10 + unit - 0x30
    if (at === digits || at - digits > 9 || (at - digits > 1 && text.charCodeAt(digits) === 0x30)) return undefined
    vocabulary.set(entry, id)
    if (vocabulary.size !== ++count) return undefined // a repeated key
    while (text.charCodeAt(at) <= BLANK) at++
    if (text.charCodeAt(at) === 0x7d) return { value: vocabulary, end: at + 1 }
    if (text.charCodeAt(at++) !== COMMA) return undefined
  }
}

/** The piece in a range, its escapes read. */
export function unescaped(bytes: Uint8Array, from: number, to: number): string {
  const text = new TextDecoder().decode(bytes.subarray(from >= 0 ? from : -1 - from, to))
  return from >= 0 ? text : (JSON.parse(`"${text}"`) as string)
}

const [QUOTE, BACKSLASH, COMMA, COLON, OPEN, CLOSE, BLANK] = [0x22, 0x5c, 0x2c, 0x3a, 0x5b, 0x5d, 0x20]

/** The merges of the list whose first item may stand at `at`, and the index after its closing bracket; undefined if it is unusual. */
function scanMerges(bytes: Uint8Array, at: number): { value: MergePieces; end: number } | undefined {
  let pieces = new Int32Array(1 << 17)
  let used = 0
  let inPair = false
  let ofPair = 0 // pieces of the open pair
  let previous = OPEN // the punctuation or, as QUOTE, the value before
  for (;;) {
    const code = bytes[at++]
    if (code === BLANK || code === 0x0a || code === 0x0d || code === 0x09) continue
    const beginsItem = previous === OPEN || previous === COMMA
    if (code === QUOTE && beginsItem) {
      if (used + 6 > pieces.length) {
        const larger = new Int32Array(pieces.length * 2)
        larger.set(pieces)
        pieces = larger
      }
      const start = at
      let escaped = false
      let hash = 0
      for (let byte = bytes[at]; byte !== QUOTE; byte = bytes[++at]) {
        if (byte === BACKSLASH) {
          escaped = true
          at++
        } else if (byte === BLANK && !inPair) {
          // Older files write both pieces as one string.
          if (ofPair++ === 1) return undefined
          pieces[used++] = start
          pieces[used++] = at
          pieces[used++] = hash
          hash = 0
        } else if (byte! >= BLANK) hash = (Math.imul(hash, FACTOR) + byte!) | 0
        else return undefined
      }
      if (escaped) JSON.parse(new TextDecoder().decode(bytes.subarray(start - 1, at + 1))) // throws on escapes that JSON does not have
      if (inPair) {
        if (++ofPair > 2) return undefined
        pieces[used++] = escaped ? -1 - start : start
      } else {
        if (ofPair !== 1 || escaped) return undefined
        ofPair = 0
        pieces[used] = pieces[used - 2]! + 1
        used++
      }
      pieces[used++] = at++
      pieces[used++] = hash
      previous = QUOTE
    } else if (code === COMMA && previous === QUOTE) previous = COMMA
    else if (code === OPEN && beginsItem && !inPair) {
      inPair = true
      previous = OPEN
    } else if (code === CLOSE && inPair && ofPair === 2 && previous === QUOTE) {
      inPair = false
      ofPair = 0
    } else if (code === CLOSE && !inPair && previous !== COMMA) return { value: { bytes, pieces, count: used / 6 }, end: at }
    else return undefined
  }
}

/** Entries of a vocabulary by their bytes, found in a range of bytes or in two ranges joined. */
export class EntryTable {
  /** Two numbers a slot, which are used together: the hash of an entry and its index; -1 where the slot is free. */
  readonly #slots: Int32Array
  readonly #mask: number
  /** The bytes of all entries in the order of the vocabulary, and where each begins. */
  readonly #bytes: Uint8Array
  readonly #offsets: Int32Array
  readonly #ids: Int32Array
  /** The index of the entry that two ranges made last. */
  #last = 0

  constructor(vocabulary: ReadonlyMap<string, number>) {
    const count = 2 ** Math.ceil(Math.log2(Math.max(8, vocabulary.size * 1.3)))
    this.#mask = (count - 1) * 2
    const slots = new Int32Array(count * 2).fill(-1)
    this.#slots = slots
    let units = 0
    for (const entry of vocabulary.keys()) units += entry.length
    const bytes = new Uint8Array(units * 3)
    this.#bytes = bytes
    this.#offsets = new Int32Array(vocabulary.size + 1)
    this.#ids = new Int32Array(vocabulary.size)
    let index = 0
    let used = 0
    for (const [entry, id] of vocabulary) {
      const end = writeEntry(entry, bytes, used)
      const hash = hashOf(bytes, used, end)
      let slot = slotOf(hash) & this.#mask
      while (slots[slot + 1] !== -1) slot = (slot + 2) & this.#mask
      slots[slot] = hash
      slots[slot + 1] = index
      this.#ids[index++] = id
      this.#offsets[index] = end
      used = end
    }
  }

  /** The id of the entry that stands from `from` to `to`, or -1. */
  find(bytes: Uint8Array, from: number, to: number, hash: number): number {
    const index = this.#find(hash, bytes, from, to, to, to)
    return index < 0 ? -1 : this.#ids[index]!
  }

  /** The id of the entry that two ranges make together, or -1. */
  findJoined(bytes: Uint8Array, from: number, to: number, hash: number, rightFrom: number, rightTo: number, rightHash: number): number {
    // Published lists name an entry several times in a row, once for each way to join it, and then the next one.
    let index = this.#last
    if (!this.#isAt(index, bytes, from, to, rightFrom, rightTo) && !this.#isAt(++index, bytes, from, to, rightFrom, rightTo))
      index = this.#find((Math.imul(hash, power(rightTo - rightFrom)) + rightHash) | 0, bytes, from, to, rightFrom, rightTo)
    if (index < 0) return -1
    this.#last = index
    return this.#ids[index]!
  }

  #find(hash: number, bytes: Uint8Array, from: number, to: number, rightFrom: number, rightTo: number): number {
    const slots = this.#slots
    for (let slot = slotOf(hash) & this.#mask; slots[slot + 1] !== -1; slot = (slot + 2) & this.#mask)
      if (slots[slot] === hash && this.#isAt(slots[slot + 1]!, bytes, from, to, rightFrom, rightTo)) return slots[slot + 1]!
    return -1
  }

  #isAt(index: number, bytes: Uint8Array, from: number, to: number, rightFrom: number, rightTo: number): boolean {
    if (index >= this.#ids.length) return false
    const own = this.#bytes
    let at = this.#offsets[index]!
    if (this.#offsets[index + 1]! - at !== to - from + rightTo - rightFrom) return false
    for (let i = from; i < to; i++) if (own[at++] !== bytes[i]) return false
    for (let i = rightFrom; i < rightTo; i++) if (own[at++] !== bytes[i]) return false
    return true
  }
}

/** Writes a text as UTF-8, half pairs of UTF-16 as three bytes of their own, and returns where it ends. There are at most 3 bytes a unit. */
export function writeEntry(text: string, bytes: Uint8Array, at: number): number {
  for (let i = 0; i < text.length; i++) {
    const point = text.codePointAt(i)!
    if (point < 0x80) bytes[at++] = point
    else {
      if (point < 0x800) bytes[at++] = 0xc0 | (point >> 6)
      else {
        if (point < 0x10000) bytes[at++] = 0xe0 | (point >> 12)
        else {
          i++
          bytes[at++] = 0xf0 | (point >> 18)
          bytes[at++] = 0x80 | ((point >> 12) & 0x3f)
        }
        bytes[at++] = 0x80 | ((point >> 6) & 0x3f)
      }
      bytes[at++] = 0x80 | (point & 0x3f)
    }
  }
  return at
}

/** The hash of a range is a polynomial of its bytes, so that the hash of two ranges joined follows from theirs. */
export function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0
  for (let i = from; i < to; i++) hash = (Math.imul(hash, FACTOR) + bytes[i]!) | 0
  return hash
}

const FACTOR = 0x01000193
const powers = new Int32Array(64).fill(1)
for (let i = 1; i < powers.length; i++) powers[i] = Math.imul(powers[i - 1]!, FACTOR)

/** FACTOR to the power of a length. */
function power(length: number): number {
  if (length < powers.length) return powers[length]!
  let value = powers.at(-1)!
  for (let i = powers.length - 1; i < length; i++) value = Math.imul(value, FACTOR)
  return value
}

/** Twice a number that depends on all bits of a hash. */
const slotOf = (hash: number): number => {
  const first = Math.imul(hash ^ (hash >>> 16), 0x2c1b3c6d)
  return (first ^ (first >>> 15)) << 1
}
