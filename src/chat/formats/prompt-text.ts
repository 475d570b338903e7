/** Builds prompt text and marks untrusted ranges. Special tokens are recognised in the template's text only. */
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'

export class PromptText {
  #text = ''
  readonly #untrusted: [number, number][] = []

  /** Words of the format; spellings of added tokens become these tokens. */
  template(text: string): this {
    this.#text += text
    return this
  }

  /** Words of people, tools and models; they stay text whatever they spell. */
  plain(text: string): this {
    if (text !== '') this.#untrusted.push([this.#text.length, this.#text.length + text.length])
    this.#text += text
    return this
  }

  encode(tokenizer: Tokenizer): number[] {
    return tokenizer.encodeTemplate(this.#text, this.#untrusted)
  }
}
