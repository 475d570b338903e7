/**
 * GPT-2's spelling of bytes: byte-level vocabularies write one printable character per byte, so that
 * they fit in JSON. Bytes 33-126, 161-172 and 174-255 are their own character; the other 68 become
 * U+0100 onwards, in order (a space is Ġ, a newline Ċ).
 * Source: openai/gpt-2 encoder.py, `bytes_to_unicode`.
 */

/** Byte -> the character that spells it. */
export const byteSpelling: readonly string[] = spellings()

/** Character -> the byte it spells. */
export const spelledByte: ReadonlyMap<string, number> = new Map(byteSpelling.map((character, byte) => [character, byte]))

/** The same by UTF-16 unit, for the units that spell a byte; -1 for others. */
const byteOfUnit = new Int16Array(0x200).fill(-1)
for (const [character, byte] of spelledByte) byteOfUnit[character.charCodeAt(0)] = byte

/** The bytes of a byte-level vocabulary entry; undefined when a character of it spells no byte. */
export function unspell(entry: string): Uint8Array | undefined {
  const bytes = new Uint8Array(entry.length)
  for (let i = 0; i < entry.length; i++) {
    const unit = entry.charCodeAt(i)
    const byte = unit < byteOfUnit.length ? byteOfUnit[unit]! : -1
    if (byte < 0) return undefined
    bytes[i] = byte
  }
  return bytes
}

function spellings(): string[] {
  const spellsItself = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
  let next = 0x100
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(spellsItself(byte) ? byte : next++))
}
