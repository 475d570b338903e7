/**
 * Translates the regular expressions of published tokenizers (written for Oniguruma) into JavaScript.
 * The two differ in white space (Oniguruma includes U+0085 and excludes U+FEFF), `\d`, `\w`, `.`, `^`,
 * `$`, inline case-insensitivity and possessive quantifiers. What cannot be translated exactly is
 * refused. A possessive quantifier becomes an ordinary one: published expressions use it for speed only.
 */
import type { Fields } from '../json/fields.ts'

/** Unicode White_Space, as the inside of a character class. */
export const whiteSpace = String.raw`\t-\r\x20\x85\xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000`
const wordCharacter = String.raw`\p{L}\p{M}\p{Nd}\p{Pc}`

/** A sticky JavaScript expression equal to `source`. Throws SyntaxError with the unsupported construct. */
export function translatePattern(source: string): RegExp {
  return new RegExp(new Translator(source).translate(), 'vy')
}

/** A sticky expression for literal text. */
export function literalPattern(text: string): RegExp {
  return new RegExp(Array.from(text, escapeCharacter).join(''), 'vy')
}

class Translator {
  readonly #characters: string[]
  #at = 0

  constructor(source: string) {
    this.#characters = Array.from(source)
  }

  translate(): string {
    const result = this.#alternatives(false)
    if (this.#at < this.#characters.length) this.#refuse(')')
    return result
  }

  /** Reads up to the closing parenthesis, which it does not consume. */
  #alternatives(ignoreCase: boolean): string {
    let result = ''
    while (this.#at < this.#characters.length && this.#peek() !== ')') {
      if (this.#skip('|')) result += '|'
      else if (this.#skip('(?i)')) return result + '(?:' + this.#alternatives(true) + ')'
      else result += this.#atom(ignoreCase) + this.#quantifier()
    }
    return result
  }

  #atom(ignoreCase: boolean): string {
    const character = this.#take()
    if (character === '(') return this.#group(ignoreCase)
    if (character === '[') return this.#class(ignoreCase)
    if (character === '\\') return this.#escape(false, ignoreCase)
    if (character === '.') return String.raw`[^\n]`
    if (character === '^') return String.raw`(?<![^\n])`
    if (character === '$') return String.raw`(?![^\n])`
    if ('*+?{'.includes(character)) this.#refuse(character)
    return ignoreCase ? eitherCase(character) : escapeCharacter(character)
  }

  #group(ignoreCase: boolean): string {
    let opening = '(?:'
    let inner = ignoreCase
    if (this.#skip('?i:')) inner = true
    else if (this.#skip('?:')) inner = ignoreCase
    else if (this.#peek() === '?') {
      const kind = ['?=', '?!', '?<=', '?<!'].find((prefix) => this.#skip(prefix))
      if (kind === undefined) this.#refuse('(' + this.#characters.slice(this.#at, this.#at + 3).join(''))
      opening = '(' + kind
    }
    const body = this.#alternatives(inner)
    if (!this.#skip(')')) this.#refuse('an open group')
    return opening + body + ')'
  }

  #quantifier(): string {
    let result = ''
    if (this.#peek() === '{') {
      const close = this.#characters.indexOf('}', this.#at)
      const text = this.#characters.slice(this.#at, close + 1).join('')
      if (!/^\{\d+(,\d*)?\}$/.test(text)) this.#refuse(text || '{')
      this.#at = close + 1
      result = text
      if (this.#peek() === '+') this.#refuse(`${text}+`) // Oniguruma repeats here, others are possessive
    } else {
      result = ['*', '+', '?'].find((mark) => this.#skip(mark)) ?? ''
      if (result !== '') this.#skip('+')
    }
    if (result !== '' && this.#skip('?')) result += '?'
    if (result !== '' && ['*', '+', '?', '{'].includes(this.#peek())) this.#refuse(`a repeated quantifier ${result}${this.#peek()}`)
    return result
  }

  #class(ignoreCase: boolean): string {
    let result = this.#skip('^') ? '[^' : '['
    let empty = true
    while (this.#peek() !== ']' || empty) {
      if (this.#at >= this.#characters.length) this.#refuse('an open character class')
      if (this.#peek() === '[' || (this.#peek() === '&' && this.#characters[this.#at + 1] === '&')) this.#refuse('a nested character class')
      empty = false
      const from = this.#take()
      if (from === '\\' && !this.#escapesOneCharacter()) {
        result += this.#escape(true, ignoreCase)
        continue
      }
      const first = from === '\\' ? this.#escapedCharacter() : from
      if (this.#peek() !== '-' || this.#characters[this.#at + 1] === ']') {
        result += ignoreCase ? eitherCase(first, true) : escapeCharacter(first)
        continue
      }
      this.#at++
      const to = this.#take()
      if (to === '\\' && !this.#escapesOneCharacter()) this.#refuse('a range that ends in a class')
      const last = to === '\\' ? this.#escapedCharacter() : to
      if (ignoreCase && `${first}${last}` !== '09') this.#refuse('a case-insensitive range')
      result += escapeCharacter(first) + '-' + escapeCharacter(last)
    }
    this.#at++
    return result + ']'
  }

  /** After a backslash: a class of characters, or one character. */
  #escape(inClass: boolean, ignoreCase: boolean): string {
    const open = inClass ? '' : '['
    const close = inClass ? '' : ']'
    if (this.#skip('s')) return open + whiteSpace + close
    if (this.#skip('S')) return `[^${whiteSpace}]`
    if (this.#skip('d')) return String.raw`\p{Nd}`
    if (this.#skip('D')) return String.raw`\P{Nd}`
    if (this.#skip('w')) return open + wordCharacter + close
    if (this.#skip('W')) return `[^${wordCharacter}]`
    if (this.#peek() === 'p' || this.#peek() === 'P') {
      const close = this.#characters.indexOf('}', this.#at)
      const match = /^([pP])\{(\^?)([A-Za-z_]+)\}$/.exec(this.#characters.slice(this.#at, close + 1).join(''))
      if (match === null) this.#refuse('\\' + this.#peek())
      this.#at = close + 1
      const negated = (match![1] === 'P') !== (match![2] === '^')
      return `\\${negated ? 'P' : 'p'}{${match![3]}}`
    }
    if (!this.#escapesOneCharacter()) this.#refuse('\\' + this.#peek())
    const character = this.#escapedCharacter()
    return ignoreCase ? eitherCase(character, inClass) : escapeCharacter(character)
  }

  /** Whether the escape after the backslash means a single character. */
  #escapesOneCharacter(): boolean {
    return /^[rntfvxu]$|^[^A-Za-z0-9]$/.test(this.#peek())
  }

  #escapedCharacter(): string {
    const character = this.#take()
    const control = { r: '\r', n: '\n', t: '\t', f: '\f', v: '\v' }[character]
    if (control !== undefined) return control
    if (character !== 'x' && character !== 'u') return character
    const rest = this.#characters.slice(this.#at, this.#at + 12).join('')
    const match = (character === 'x' ? /^(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))/ : /^([0-9A-Fa-f]{4})/).exec(rest)
    if (match === null) this.#refuse('\\' + character)
    this.#at += match![0].length
    return String.fromCodePoint(Number.parseInt(match![1] ?? match![2]!, 16))
  }

  #peek(): string {
    return this.#characters[this.#at] ?? ''
  }

  #take(): string {
    if (this.#at >= this.#characters.length) this.#refuse('the end of the expression')
    return this.#characters[this.#at++]!
  }

  #skip(text: string): boolean {
    const characters = Array.from(text)
    if (!characters.every((character, i) => this.#characters[this.#at + i] === character)) return false
    this.#at += characters.length
    return true
  }

  #refuse(construct: string): never {
    throw new SyntaxError(`unsupported in a tokenizer's expression at character ${this.#at}: ${construct}`)
  }
}

/** A character without special meaning, inside and outside of classes. */
function escapeCharacter(character: string): string {
  return /^[A-Za-z0-9]$/.test(character) ? character : `\\u{${character.codePointAt(0)!.toString(16)}}`
}

/** A letter in both cases, with the two other characters that fold to an ASCII letter (ſ and the Kelvin sign). */
function eitherCase(character: string, inClass = false): string {
  if (!/^[A-Za-z]$/.test(character)) {
    if (character.toLowerCase() !== character.toUpperCase())
      throw new SyntaxError(`case-insensitive ${character} is not supported in a tokenizer's expression`)
    return escapeCharacter(character)
  }
  const lower = character.toLowerCase()
  const set = lower + lower.toUpperCase() + ({ s: '\u017f', k: '\u212a' }[lower] ?? '')
  return inClass ? set : `[${set}]`
}

/** The expression in `{"Regex": …}` or `{"String": …}`. */
export function patternAt(fields: Fields, name: string): RegExp {
  const pattern = fields.inner(name)
  if (pattern === undefined) return fields.expected(name, '{"Regex": …} or {"String": …}', undefined)
  const regex = pattern.raw('Regex')
  if (regex === undefined) return literalPattern(pattern.string('String'))
  if (typeof regex !== 'string') return pattern.expected('Regex', 'a string', regex)
  try {
    return translatePattern(regex)
  } catch (error) {
    if (error instanceof SyntaxError) return pattern.expected('Regex', 'a supported expression', `${error.message} in ${regex}`)
    throw error
  }
}
