/**
 * Turns a piece of text into the initial symbols of BPE: one per byte (GPT-2 and later models), or one
 * per character with bytes or the unknown token as fallback (SentencePiece). Also finds the places in a
 * text that no merge can cross.
 */
import { byteSpelling } from './byte-level.ts'
import type { Vocabulary } from './vocabulary.ts'

type Spell = (piece: string, symbols: number[]) => void

/** One symbol per UTF-8 byte. @param vocabulary entries in GPT-2's spelling of bytes */
export function spellBytes(vocabulary: Vocabulary, unknown: number | undefined, file: string): Spell {
  const idOfByte = byteSpelling.map((spelling) => vocabulary.get(spelling) ?? unknown ?? -1)
  const encoder = new TextEncoder()
  let buffer = new Uint8Array(256)
  return (piece, symbols) => {
    if (buffer.length < piece.length * 3) buffer = new Uint8Array(piece.length * 3)
    const { written } = encoder.encodeInto(piece, buffer)
    for (let i = 0; i < written; i++) {
      const id = idOfByte[buffer[i]!]!
      if (id === -1)
        throw new RangeError(
          `${file}: the vocabulary has no entry for byte ${buffer[i]} of ${JSON.stringify(piece.slice(0, 20))} and no unknown-token`,
        )
      symbols.push(id)
    }
  }
}

/**
 * One symbol per character. A character outside the vocabulary becomes its bytes, or else the unknown
 * token.
 * @param bytes the ids of the 256 bytes, if the model has byte fallback; a character with a missing
 * byte is unknown
 * @param fuse whether adjacent unknown characters become one token
 */
export function spellCharacters(
  vocabulary: Vocabulary,
  bytes: readonly (number | undefined)[] | undefined,
  unknown: number | undefined,
  fuse: boolean,
  file: string,
): Spell {
  const encoder = new TextEncoder()
  return (piece, symbols) => {
    let afterUnknown = false
    for (const character of piece) {
      const id = vocabulary.get(character)
      if (id !== undefined) {
        symbols.push(id)
        afterUnknown = false
        continue
      }
      const spelled = bytes === undefined ? [undefined] : Array.from(encoder.encode(character), (byte) => bytes[byte])
      if (spelled.every((symbol) => symbol !== undefined)) {
        symbols.push(...spelled)
        afterUnknown = false
        continue
      }
      if (unknown === undefined)
        throw new RangeError(`${file}: the vocabulary has no entry for the character ${JSON.stringify(character)} and no unknown-token`)
      if (!(fuse && afterUnknown)) symbols.push(unknown)
      afterUnknown = true
    }
  }
}

const DIRECT_TABLE = 128

/**
 * Splits a text between two characters if no merge joins a symbol that ends with the first and a symbol
 * that begins with the second. The ids stay the same, because no merge crosses such a place. It is
 * faster, because the resulting parts repeat and are cached.
 * @param pairs [left, right] entries of all merges
 * @param keepTogether whether two characters must stay in one part for another reason
 */
export function cutter(
  pairs: Iterable<readonly [string, string]>,
  keepTogether: ((left: string, right: string) => boolean) | undefined,
): (piece: string, visit: (part: string) => void) => void {
  const ascii = new Uint8Array(DIRECT_TABLE * DIRECT_TABLE)
  const others = new Set<string>()
  for (const [left, right] of pairs) {
    const last = lastCharacter(left)
    const first = String.fromCodePoint(right.codePointAt(0)!)
    if (last < '\x80' && first < '\x80') ascii[last.charCodeAt(0) * DIRECT_TABLE + first.charCodeAt(0)] = 1
    else others.add(last + first)
  }
  return (piece, visit) => {
    let from = 0
    let last = piece.codePointAt(0)!
    let width = last > 0xffff ? 2 : 1
    for (let at = width; at < piece.length; at += width) {
      const first = piece.codePointAt(at)!
      const start = at - width
      width = first > 0xffff ? 2 : 1
      const joined =
        last < DIRECT_TABLE && first < DIRECT_TABLE ? ascii[last * DIRECT_TABLE + first] === 1 : others.has(piece.slice(start, at + width))
      if (!joined && !keepTogether?.(String.fromCodePoint(last), String.fromCodePoint(first))) {
        visit(piece.slice(from, at))
        from = at
      }
      last = first
    }
    visit(piece.slice(from))
  }
}

function lastCharacter(text: string): string {
  const unit = text.charCodeAt(text.length - 1)
  return unit >= 0xdc00 && unit <= 0xdfff ? text.slice(-2) : text.slice(-1)
}
