/**
 * Hands out the arguments of a call while they come, as far as they are strict JSON. From the first character that JSON does not
 * allow, the rest is kept back until it can be read as a whole, because what was handed out cannot be taken back.
 */
import { readJson } from './lenient-json.ts'

const LITERALS = ['true', 'false', 'null']

export class ArgumentStream {
  /** Where the value ended, in what was written; undefined while it goes on. */
  end: number | undefined
  /** A character came that is not JSON's. */
  isHeld = false
  #text = ''
  /** So many characters were looked at, and so many handed out. */
  #seen = 0
  #shown = 0
  #open: string[] = []
  #inString = false
  /** What a backslash began. */
  #escape = ''
  #word = ''
  /** Where a comma stands that waits for what follows: before a bracket it has to go. */
  #comma: number | undefined

  /** Whether the text so far ends in a string; tags within one are text. */
  get inString(): boolean {
    return this.#inString && !this.isHeld
  }

  /** Everything that was written. */
  get text(): string {
    return this.#text
  }

  /** @returns what can be handed out */
  write(text: string): string {
    this.#text += text
    while (!this.isHeld && this.end === undefined && this.#seen < this.#text.length) {
      const char = this.#text[this.#seen]!
      if (!this.#accepts(char)) {
        this.isHeld = true
        break
      }
      if (!this.#inString && char === ',') this.#comma = this.#seen
      else if (this.#inString || !/\s/.test(char)) this.#comma = undefined
      this.#seen++
      if (this.#open.length === 0) this.end = this.#seen
    }
    const ready = Math.max(this.#shown, this.#comma ?? this.#seen - this.#escape.length)
    const shown = this.#text.slice(this.#shown, ready)
    this.#shown = ready
    return shown
  }

  /**
   * Reads what was written to its end: the whole value, repaired if need be.
   * @param until the value is within so many characters
   * @returns what is still to be handed out, and the index after the value
   */
  finish(isWhole: boolean, until = this.#text.length): { rest: string; end: number; isRepaired: boolean; isComplete: boolean } {
    const text = this.#text.slice(0, until)
    const reading = readJson(text, 0, isWhole)
    if (reading?.json.startsWith(text.slice(0, this.#shown)))
      return { rest: reading.json.slice(this.#shown), end: reading.end, isRepaired: reading.isRepaired, isComplete: true }
    const found = this.end ?? endOfBrackets(text)
    const end = found ?? text.length
    return {
      rest: text.slice(this.#shown, Math.max(this.#shown, end)),
      end: Math.max(this.#shown, end),
      isRepaired: false,
      isComplete: found !== undefined,
    }
  }

  #accepts(char: string): boolean {
    if (this.#inString) return this.#acceptsInString(char)
    if (/[a-z]/.test(char)) {
      this.#word += char
      // Exponents of numbers are the only other letters.
      return LITERALS.some((word) => word.startsWith(this.#word)) || (this.#word === 'e' && /\d/.test(this.#text[this.#seen - 1]!))
    }
    this.#word = ''
    if (char === '"') this.#inString = true
    else if (char === '{' || char === '[') this.#open.push(char)
    else if (char === '}' || char === ']') {
      if (this.#open.at(-1) !== (char === '}' ? '{' : '[')) return false
      if (this.#comma !== undefined) return false
      this.#open.pop()
    } else return /[ \t\n\r\d,:.+\-E]/.test(char)
    return true
  }

  #acceptsInString(char: string): boolean {
    if (this.#escape !== '') {
      this.#escape += char
      if (!/^\\(?:["\\/bfnrt]|u[\da-fA-F]{0,4})$/.test(this.#escape)) return false
      if (this.#escape[1] !== 'u' || this.#escape.length === 6) this.#escape = ''
    } else if (char === '\\') this.#escape = char
    else if (char === '"') this.#inString = false
    else return char >= ' '
    return true
  }
}

/** Where a value in brackets ends if nothing but brackets and strings counts. */
function endOfBrackets(text: string): number | undefined {
  let depth = 0
  for (const { 0: piece, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]]/gs)) {
    if (piece === '{' || piece === '[') depth++
    else if ((piece === '}' || piece === ']') && --depth <= 0) return index + 1
  }
  return undefined
}
