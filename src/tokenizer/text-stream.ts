/**
 * Ids -> text, one id at a time. The platform's streaming decoder reads UTF-8: it replaces malformed
 * bytes at once and holds back only the beginning of one unfinished character.
 */
import type { TextStream } from './tokenizer.ts'

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
