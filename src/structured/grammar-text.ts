/**
 * Reads a grammar as text: llama.cpp's GBNF and the EBNF that other servers take, which share their notation. Rules are
 * `name ::= …`, the first rule to apply is `root`. Line breaks mean nothing: a rule ends where the next one begins.
 */
import { type Expression, either, type Rules } from './expression.ts'
import { type CodeRange, complement } from './regex.ts'
import { TextReader } from './text-reader.ts'

const DEEPEST_GROUP = 50
export const MOST_REPEATS = 100_000
const LAST_CODE = 0x10ffff

const ESCAPES: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, b: 8, 0: 0 }
const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 }
const NAME = /[A-Za-z0-9_][A-Za-z0-9_-]*/y
const RULE = /(?:[ \t\r\n]|#[^\n]*)*::=/y
const BLANK = /(?:[ \t\r\n]|#[^\n]*)+/y
const TIMES = /\{\s*(\d{1,6})?\s*(?:(,)\s*(\d{1,6})?\s*)?\}/y

/** @throws UnsupportedTextError with line and column */
export const parseGrammar = (text: string): Rules => new Parser(text).parse()

class Parser extends TextReader {
  parse(): Rules {
    const rules = new Map<string, Expression>()
    for (this.#blank(); this.at < this.text.length; this.#blank()) {
      const name = this.take(NAME)?.[0]
      if (name === undefined || !this.take(RULE)) this.fail('expected "name ::= …"')
      if (rules.has(name)) this.fail(`the rule "${name}" is defined twice`)
      rules.set(name, this.#alternatives(0))
      this.skip(';')
    }
    return { start: 'root', rules }
  }

  #alternatives(depth: number): Expression {
    if (depth > DEEPEST_GROUP) this.fail(`groups nested deeper than ${DEEPEST_GROUP} are not supported`)
    const branches = [this.#sequence(depth)]
    while (this.skip('|')) branches.push(this.#sequence(depth))
    return either(branches)
  }

  #sequence(depth: number): Expression {
    const sequence: Expression[] = []
    for (;;) {
      this.#blank()
      const atom = this.#atom(depth)
      if (atom === undefined) return { sequence }
      sequence.push(this.#repeated(atom))
    }
  }

  /** The next symbol, or undefined where the sequence ends. */
  #atom(depth: number): Expression | undefined {
    const start = this.at
    const character = this.text[this.at]
    if (character === undefined || '|);'.includes(character)) {
      if (character === ')' && depth === 0) this.fail('")" without "("')
      return undefined
    }
    if (character === '"' || character === "'") return { texts: [this.#literal(character)] }
    if (character === '[') return { set: this.#set() }
    if (this.skip('.')) return { set: [[0, LAST_CODE]] }
    if (this.skip('(')) {
      if (this.text[this.at] === '=') this.fail('lookahead is not supported')
      const group = this.#alternatives(depth + 1)
      if (!this.skip(')')) this.fail('a group is not closed')
      return group
    }
    if (character === '<' || character === '!') this.fail('tokens in a grammar are not supported; write their text')
    const rule = this.take(NAME)?.[0]
    if (rule === undefined) this.fail(`unexpected ${JSON.stringify(character)}`)
    RULE.lastIndex = this.at
    if (!RULE.test(this.text)) return { rule }
    if (depth > 0) this.fail('a group is not closed')
    this.at = start // the next rule begins
    return undefined
  }

  #repeated(atom: Expression): Expression {
    this.#blank()
    let [least, most] = [0, Number.POSITIVE_INFINITY]
    if (this.skip('?')) most = 1
    else if (this.skip('+')) least = 1
    else if (this.text[this.at] === '{') {
      const [, first, comma, last] = this.take(TIMES) ?? this.fail('expected "{n}", "{n,}" or "{n,m}"')
      least = Number(first ?? 0)
      most = comma === undefined ? least : last === undefined ? most : Number(last)
      if (most < least || (first === undefined && last === undefined)) this.fail('this number of repetitions is not possible')
      if (Math.max(least, Number.isFinite(most) ? most : 0) > MOST_REPEATS)
        this.fail(`more than ${MOST_REPEATS} repetitions are not supported`)
    } else if (!this.skip('*')) return atom
    return this.#repeated({ repeat: atom, least, most })
  }

  #literal(quote: string): string {
    this.at++
    let text = ''
    while (!this.skip(quote)) text += String.fromCodePoint(this.#character('a text'))
    return text
  }

  #set(): readonly CodeRange[] {
    this.at++
    const negated = this.skip('^')
    const ranges: CodeRange[] = []
    while (!this.skip(']')) {
      const first = this.#character('a set')
      const isRange = this.text[this.at] === '-' && this.text[this.at + 1] !== ']'
      if (isRange) this.at++
      const last = isRange ? this.#character('a set') : first
      if (last < first) this.fail('this range of characters is backwards')
      ranges.push([first, last])
    }
    return negated ? complement(ranges) : ranges
  }

  /** The code of one character of a text or a set. */
  #character(where: string): number {
    const code = this.text.codePointAt(this.at)
    if (code === undefined) return this.fail(`${where} is not closed`)
    this.at += code > 0xffff ? 2 : 1
    if (code !== 0x5c) return code
    const escaped = this.text[this.at++] ?? ''
    if (Object.hasOwn(ESCAPES, escaped)) return ESCAPES[escaped]!
    if (Object.hasOwn(HEX_DIGITS, escaped)) {
      const digits = this.text.slice(this.at, this.at + HEX_DIGITS[escaped]!)
      this.at += digits.length
      const value = /^[0-9A-Fa-f]+$/.test(digits) && digits.length === HEX_DIGITS[escaped] ? Number.parseInt(digits, 16) : -1
      return value < 0 || value > LAST_CODE ? this.fail(`"\\${escaped}${digits}" is no character`) : value
    }
    return /[A-Za-z0-9]/.test(escaped) || escaped === '' ? this.fail(`the escape "\\${escaped}" is not supported`) : escaped.codePointAt(0)!
  }

  #blank(): void {
    this.take(BLANK)
  }
}
