/**
 * The vocabulary and the merges in the text of a tokenizer.json, read without making a value of every piece. Published files hold up to
 * half a million merges; as JavaScript values these take most of the time of loading. What is unusual in a list is left to JSON.parse.
 */

/** Where the pieces of the merges stand in a text. */
export interface MergeText {
  readonly text: string
  /** Four numbers a merge: start and end of its left piece, and of its right one. A start is -1 - start where the piece has escapes. */
  readonly ranges: Int32Array
  readonly count: number
}

/**
 * Parses the text of a tokenizer.json with `parse`. Where that is possible, `model.merges` becomes a MergeText and `model.vocab` a Map:
 * what is left to `parse` is short.
 */
export function parseTokenizerJson(text: string, parse: (text: string) => unknown): unknown {
  const cuts = [
    { key: 'merges', empty: '[]', ...listAt(text, /"merges"\s*:\s*\[/g, scanMerges) },
    { key: 'vocab', empty: '{}', ...listAt(text, /"vocab"\s*:\s*\{/g, scanVocabulary) },
  ]
  let rest = ''
  let at = 0
  for (const { from = 0, to = 0, empty, value } of cuts.sort((a, b) => (a.from ?? 0) - (b.from ?? 0))) {
    if (value === undefined) continue
    rest += text.slice(at, from) + empty
    at = to
  }
  const json = parse(rest + text.slice(at)) as { model?: Record<string, unknown> } | null
  for (const { key, value } of cuts) {
    if (value === undefined) continue
    if (typeof json?.model !== 'object' || json.model === null || !Object.hasOwn(json.model, key)) return parse(text)
    json.model[key] = value
  }
  return json
}

/** Scans the only list under a key. In valid JSON a quoted word before a colon is a key: quotes inside of strings are escaped. */
function listAt<T>(text: string, key: RegExp, scan: (text: string, at: number) => { value: T; end: number } | undefined) {
  const [found, ...others] = text.matchAll(key)
  if (found === undefined || others.length > 0) return undefined
  const at = found.index + found[0].length
  const scanned = scan(text, at)
  return scanned && { from: at - 1, to: scanned.end, value: scanned.value }
}

/** Entries with ids; undefined when the text is unusual. */
function scanVocabulary(text: string, at: number): { value: Map<string, number>; end: number } | undefined {
  const vocabulary = new Map<string, number>()
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
    if (text.charCodeAt(at++) !== 0x3a) return undefined
    while (text.charCodeAt(at) <= BLANK) at++
    let id = 0
    const digits = at
    for (let unit = text.charCodeAt(at); unit >= 0x30 && unit <= 0x39; unit = text.charCodeAt(++at)) id = id * 10 + unit - 0x30
    if (at === digits || at - digits > 9 || (at - digits > 1 && text.charCodeAt(digits) === 0x30) || vocabulary.has(entry)) return undefined
    vocabulary.set(entry, id)
    while (text.charCodeAt(at) <= BLANK) at++
    if (text.charCodeAt(at) === 0x7d) return { value: vocabulary, end: at + 1 }
    if (text.charCodeAt(at++) !== COMMA) return undefined
  }
}

/** The piece in a range, its escapes read. */
export function unescaped(text: string, from: number, to: number): string {
  return from >= 0 ? text.slice(from, to) : (JSON.parse(`"${text.slice(-1 - from, to)}"`) as string)
}

const [QUOTE, BACKSLASH, COMMA, OPEN, CLOSE, BLANK] = [0x22, 0x5c, 0x2c, 0x5b, 0x5d, 0x20]

/** The merges of the list whose first item may stand at `at`, and the index after its closing bracket; undefined if it is unusual. */
function scanMerges(text: string, at: number): { value: MergeText; end: number } | undefined {
  let ranges = new Int32Array(1 << 16)
  let used = 0
  let inPair = false
  let pieces = 0 // of the open pair
  let previous = OPEN // the punctuation or, as QUOTE, the value before
  for (;;) {
    const code = text.charCodeAt(at++)
    if (code === BLANK || code === 0x0a || code === 0x0d || code === 0x09) continue
    const beginsItem = previous === OPEN || previous === COMMA
    if (code === QUOTE && beginsItem) {
      if (used + 4 > ranges.length) {
        const larger = new Int32Array(ranges.length * 2)
        larger.set(ranges)
        ranges = larger
      }
      const start = at
      let escaped = false
      let blank = -1
      for (let unit = text.charCodeAt(at); unit !== QUOTE; unit = text.charCodeAt(++at)) {
        if (unit === BACKSLASH) {
          escaped = true
          at++
        } else if (unit === BLANK) blank = blank === -1 ? at : -2
        else if (!(unit > BLANK)) return undefined
      }
      if (escaped) JSON.parse(text.slice(start - 1, at + 1)) // throws on escapes that JSON does not have
      if (inPair) {
        if (++pieces > 2) return undefined
        ranges[used++] = escaped ? -1 - start : start
        ranges[used++] = at++
      } else {
        // Older files write both pieces as one string.
        if (blank < 0 || escaped) return undefined
        ranges[used++] = start
        ranges[used++] = blank
        ranges[used++] = blank + 1
        ranges[used++] = at++
      }
      previous = QUOTE
    } else if (code === COMMA && previous === QUOTE) previous = COMMA
    else if (code === OPEN && beginsItem && !inPair) {
      inPair = true
      pieces = 0
      previous = OPEN
    } else if (code === CLOSE && inPair && pieces === 2 && previous === QUOTE) inPair = false
    else if (code === CLOSE && !inPair && previous !== COMMA) return { value: { text, ranges, count: used / 4 }, end: at }
    else return undefined
  }
}

/** Entries of a vocabulary by their UTF-16 units, found in a part of a text or in two parts joined. */
export class EntryTable {
  /** Four numbers a slot: hash, where the units begin, how many there are, id. They are used together, so they stand together. */
  readonly #slots: Int32Array
  readonly #mask: number
  readonly #units: Uint16Array
  /** The slot of the entry that two parts made last. */
  #last = -1

  constructor(vocabulary: ReadonlyMap<string, number>) {
    const count = 2 ** Math.ceil(Math.log2(Math.max(8, vocabulary.size * 1.5)))
    this.#mask = count - 1
    const slots = new Int32Array(count * 4).fill(-1)
    this.#slots = slots
    let length = 0
    for (const entry of vocabulary.keys()) length += entry.length
    this.#units = new Uint16Array(length)
    let used = 0
    for (const [entry, id] of vocabulary) {
      const key = hash(entry, 0, entry.length)
      let slot = (mixed(key) & this.#mask) * 4
      while (slots[slot + 3] !== -1) slot = (slot + 4) & (this.#mask * 4)
      slots[slot] = key
      slots[slot + 1] = used
      slots[slot + 2] = entry.length
      slots[slot + 3] = id
      for (let i = 0; i < entry.length; i++) this.#units[used++] = entry.charCodeAt(i)
    }
  }

  /** The id of the entry that stands in the text from `from` to `to`, or -1. */
  find(text: string, from: number, to: number): number {
    return this.#find(hash(text, from, to), text, from, to, text, to, to)
  }

  /** The id of the entry that two parts of texts make together, or -1. */
  findJoined(left: string, from: number, to: number, right: string, rightFrom: number, rightTo: number): number {
    // Published lists name an entry several times in a row, once for each way to join it.
    if (this.#last >= 0 && this.#isAt(this.#last, left, from, to, right, rightFrom, rightTo)) return this.#slots[this.#last + 3]!
    return this.#find(hash(right, rightFrom, rightTo, hash(left, from, to)), left, from, to, right, rightFrom, rightTo)
  }

  #find(key: number, left: string, from: number, to: number, right: string, rightFrom: number, rightTo: number): number {
    const slots = this.#slots
    for (let slot = (mixed(key) & this.#mask) * 4; slots[slot + 3] !== -1; slot = (slot + 4) & (this.#mask * 4)) {
      if (slots[slot] !== key || !this.#isAt(slot, left, from, to, right, rightFrom, rightTo)) continue
      if (rightFrom < rightTo) this.#last = slot
      return slots[slot + 3]!
    }
    return -1
  }

  #isAt(slot: number, left: string, from: number, to: number, right: string, rightFrom: number, rightTo: number): boolean {
    const units = this.#units
    if (this.#slots[slot + 2] !== to - from + rightTo - rightFrom) return false
    let at = this.#slots[slot + 1]!
    for (let i = from; i < to; i++) if (units[at++] !== left.charCodeAt(i)) return false
    for (let i = rightFrom; i < rightTo; i++) if (units[at++] !== right.charCodeAt(i)) return false
    return true
  }
}

function hash(text: string, from: number, to: number, seed = 0x811c9dc5 | 0): number {
  let value = seed
  for (let i = from; i < to; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return value
}

const mixed = (value: number): number => {
  const first = Math.imul(value ^ (value >>> 16), 0x2c1b3c6d)
  return first ^ (first >>> 15)
}
