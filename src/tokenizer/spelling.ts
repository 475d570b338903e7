/**
 * How a piece of text becomes the symbols that merging starts from: one per byte (GPT-2 and its heirs), or one per character with
 * bytes or an unknown-token as the way out (SentencePiece). Also where a text may be cut because no merge can cross.
 */
import { byteSpelling } from './byte-level.ts'

type Spell = (piece: string, symbols: number[]) => void

/** One symbol per UTF-8 byte. @param vocabulary entries in GPT-2's spelling of bytes */
export function spellBytes(vocabulary: ReadonlyMap<string, number>, unknown: number | undefined, file: string): Spell {
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
 * One symbol per character; a character outside of the vocabulary becomes its bytes, or else the unknown-token.
 * @param bytes the entries of the 256 bytes, if the model falls back to bytes; a character of which one is missing is unknown
 * @param fuse whether neighbouring unknown characters become one token
 */
export function spellCharacters(
  vocabulary: ReadonlyMap<string, number>,
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

const directTable = 128

/**
 * Cuts a text between two characters where no merge joins a symbol ending in the first with one beginning with the second. Exact, because
 * merging never crosses such a place; fast, because words come back and can be remembered.
 * @param pairs [left, right] entries of all merges
 * @param together whether two characters must stay in one part for another reason
 */
export function cutter(
  pairs: Iterable<readonly [string, string]>,
  together: ((left: string, right: string) => boolean) | undefined,
): (piece: string, visit: (part: string) => void) => void {
  const ascii = new Uint8Array(directTable * directTable)
  const others = new Set<string>()
  for (const [left, right] of pairs) {
    const last = lastCharacter(left)
    const first = String.fromCodePoint(right.codePointAt(0)!)
    if (last < '\x80' && first < '\x80') ascii[last.charCodeAt(0) * directTable + first.charCodeAt(0)] = 1
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
        last < directTable && first < directTable ? ascii[last * directTable + first] === 1 : others.has(piece.slice(start, at + width))
      if (!joined && !together?.(String.fromCodePoint(last), String.fromCodePoint(first))) {
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
