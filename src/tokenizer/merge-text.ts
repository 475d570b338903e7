/**
 * The vocabulary and the merges of a tokenizer.json, read without making a value of every piece. Published files hold up to half a million
 * merges; as JavaScript values these take most of the time of loading. What is unusual in a list is left to JSON.parse.
 */
import { FACTOR, Vocabulary } from './vocabulary.ts'

/** Where the pieces of the merges stand in the bytes of a file. */
export interface MergePieces {
  readonly bytes: Uint8Array
  /** Six numbers a merge: start, end and hash of its left piece, and of its right one. A start is -1 - start where the piece has escapes. */
  readonly pieces: Int32Array
  readonly count: number
}

/**
 * Parses the bytes of a tokenizer.json, using `parse` for its text. Where that is possible, `model.merges` becomes MergePieces and
 * `model.vocab` a Vocabulary: what is left to `parse` is short.
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
function findVocabulary(text: string): { from: number; to: number; value: Vocabulary } | undefined {
  const [found, ...others] = text.matchAll(/"vocab"\s*:\s*\{/g)
  if (found === undefined || others.length > 0) return undefined
  const at = found.index + found[0].length
  const scanned = scanVocabulary(text, at)
  return scanned && { from: at - 1, to: scanned.end, value: scanned.value }
}

/** Entries with ids; undefined when the text is unusual. */
function scanVocabulary(text: string, at: number): { value: Vocabulary; end: number } | undefined {
  const entries: string[] = []
  const ids: number[] = []
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
    entries.push(entry)
    ids.push(id)
    while (text.charCodeAt(at) <= BLANK) at++
    if (text.charCodeAt(at) === 0x7d) {
      const value = new Vocabulary(entries, ids)
      return value.repeats ? undefined : { value, end: at + 1 }
    }
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
