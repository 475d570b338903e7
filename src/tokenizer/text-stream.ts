/**
 * Ids -> text, one id at a time. The platform's streaming decoder reads UTF-8: it replaces malformed
 * bytes at once and holds back only the beginning of one unfinished character.
 */
import type { TextStream } from './tokenizer.ts'

/** Whether these bytes end inside a character of well-formed UTF-8, which the next bytes may finish. */
export function endsInsideCharacter(bytes: Uint8Array): boolean {
  for (let length = 1; length <= Math.min(3, bytes.length); length++) {
    const byte = bytes[bytes.length - length]!
    if (byte < 0x80) return false
    if (byte >= 0xc0) return length < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2)
  }
  return false
}

export class ByteTextStream implements TextStream {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  readonly #bytes: (id: number) => Uint8Array
  #blanksToDrop: number

  /** @param leadingBlanks how many spaces at the start of the text are dropped */
  constructor(bytes: (id: number) => Uint8Array, leadingBlanks: number) {
    this.#bytes = bytes
    this.#blanksToDrop = leadingBlanks
  }

  push(id: number): string {
    return this.#emit(this.#decoder.decode(this.#bytes(id), { stream: true }))
  }

  end(): string {
    return this.#emit(this.#decoder.decode())
  }

  #emit(text: string): string {
    if (this.#blanksToDrop === 0 || text === '') return text
    let start = 0
    while (start < this.#blanksToDrop && text[start] === ' ') start++
    this.#blanksToDrop = start < text.length ? 0 : this.#blanksToDrop - start
    return text.slice(start)
  }
}
