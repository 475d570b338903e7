/** What readers of grammars share: the text, the place that is read, and errors that name it. Knows no notation. */
import { UnsupportedTextError } from './unsupported.ts'

/** Longest text of a grammar. */
const LONGEST = 256 * 1024

/** The base of a reader of one notation. */
export class TextReader {
  protected readonly text: string
  /** Where reading continues. */
  protected at = 0

  /** @throws UnsupportedTextError for a text that is too long */
  constructor(text: string) {
    if (text.length > LONGEST) throw new UnsupportedTextError(`it has ${text.length} characters; at most ${LONGEST} are supported`)
    this.text = text
  }

  /** Goes past this character. False: another one is here. */
  protected skip(character: string): boolean {
    if (this.text[this.at] !== character) return false
    this.at++
    return true
  }

  /** Goes past what a sticky expression matches here, and returns the match. */
  protected take(form: RegExp): RegExpExecArray | undefined {
    form.lastIndex = this.at
    const match = form.exec(this.text)
    if (match === null) return undefined
    this.at = form.lastIndex
    return match
  }

  /** @throws UnsupportedTextError with line and column of this place */
  protected fail(what: string): never {
    const lines = this.text.slice(0, this.at).split('\n')
    throw new UnsupportedTextError(`${what} (line ${lines.length}, column ${lines.at(-1)!.length + 1})`)
  }
}
