/** The tokens of a template, as its parser walks through them. */
import type { Token } from './lexer.ts'
import { TemplateError } from './limits.ts'

/** Expressions and statements inside each other; reading them is recursive. */
const DEEPEST = 150

export class TokenStream {
  readonly #tokens: Token[]
  #at = 0
  #depth = 0

  constructor(tokens: Token[]) {
    this.#tokens = tokens
  }

  protected get token(): Token {
    return this.#tokens[this.#at]!
  }

  protected next(): Token {
    const token = this.token
    if (token.type !== 'eof') this.#at++
    return token
  }

  protected is(type: string, text?: string): boolean {
    return this.token.type === type && (text === undefined || this.token.text === text)
  }

  protected isName(...names: string[]): boolean {
    return this.token.type === 'name' && names.includes(this.token.text)
  }

  protected skip(type: string, text?: string): boolean {
    const found = this.is(type, text)
    if (found) this.#at++
    return found
  }

  protected expect(type: string, text?: string): Token {
    if (!this.is(type, text)) {
      const came = this.token.type === 'eof' ? 'end of template' : this.token.type === 'end' ? 'end of tag' : `'${this.token.text}'`
      this.fail(`expected ${text ?? type}, got ${came}`)
    }
    return this.next()
  }

  protected fail(message: string): never {
    throw new TemplateError(`line ${this.token.line}: ${message}`)
  }

  protected nested<T>(rule: () => T): T {
    if (++this.#depth > DEEPEST) this.fail(`nested deeper than ${DEEPEST} levels`)
    const result = rule()
    this.#depth--
    return result
  }

  /** The token after the current one. */
  protected get following(): Token | undefined {
    return this.#tokens[this.#at + 1]
  }

  protected move(by: number): void {
    this.#at += by
  }
}
