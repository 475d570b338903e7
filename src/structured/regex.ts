/**
 * Parses the regular subset of ECMAScript expressions (flag u) that `pattern` may use: sets, groups,
 * alternatives, quantifiers, and ^ and $ at the ends. pattern.ts turns it into a finite automaton;
 * no backtracking engine runs it. Refuses what is not regular (lookaround, back references) and what
 * needs Unicode tables (\p).
 */

/** Inclusive range of code points. */
export type CodeRange = readonly [first: number, last: number]

export type Regex =
  | { readonly set: readonly CodeRange[] }
  | { readonly sequence: readonly Regex[] }
  | { readonly either: readonly Regex[] }
  | { readonly repeat: Regex; readonly least: number; readonly most: number } // most may be Infinity

const LAST_CODE = 0x10ffff
const LONGEST_PATTERN = 2000
const DEEPEST_GROUP = 50

const digits: CodeRange[] = [[0x30, 0x39]]
const word: CodeRange[] = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
]
const space: CodeRange[] = [
  [9, 13],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
]
const lineEnds: CodeRange[] = [
  [10, 10],
  [13, 13],
  [0x2028, 0x2029],
]
const anything: Regex = { repeat: { set: [[0, LAST_CODE]] }, least: 0, most: Number.POSITIVE_INFINITY }

/** Parses an expression that matches anywhere in a text, or the whole text. Throws SyntaxError outside of the subset. */
export function parseRegex(pattern: string, matches: 'anywhere' | 'whole' = 'anywhere'): Regex {
  if (pattern.length > LONGEST_PATTERN)
    throw new SyntaxError(`expression of ${pattern.length} characters; at most ${LONGEST_PATTERN} are supported`)
  return new Parser(pattern).parse(matches === 'whole' ? { sequence: [] } : anything)
}

class Parser {
  readonly #codes: number[]
  #at = 0

  constructor(pattern: string) {
    this.#codes = Array.from(pattern, (character) => character.codePointAt(0)!)
  }

  /** @param around what may stand before and after an expression without anchors */
  parse(around: Regex): Regex {
    const branches: Regex[] = []
    do {
      const anchored = this.#skip('^')
      const body = this.#sequence(0)
      const ends = this.#skip('$')
      branches.push({ sequence: [...(anchored ? [] : [around]), body, ...(ends ? [] : [around])] })
    } while (this.#skip('|'))
    if (this.#at < this.#codes.length) this.#refuse(`'${this.#peek()}' here`)
    return { either: branches }
  }

  #sequence(depth: number): Regex {
    if (depth > DEEPEST_GROUP) this.#refuse(`groups nested deeper than ${DEEPEST_GROUP}`)
    const parts: Regex[] = []
    while (this.#at < this.#codes.length && !')|'.includes(this.#peek()) && !(this.#peek() === '$' && depth === 0))
      parts.push(this.#quantified(this.#atom(depth)))
    return { sequence: parts }
  }

  #atom(depth: number): Regex {
    const character = this.#take()
    switch (character) {
      case '(': {
        if (this.#skip('?')) {
          this.#skip('P') // Python's spelling of a named group
          if (this.#skip('<')) {
            if (this.#peek() === '=' || this.#peek() === '!') this.#refuse('lookaround')
            while (this.#take() !== '>');
          } else if (!this.#skip(':')) this.#refuse('lookaround and flags')
        }
        const branches = [this.#sequence(depth + 1)]
        while (this.#skip('|')) branches.push(this.#sequence(depth + 1))
        if (!this.#skip(')')) this.#refuse('an open group')
        return { either: branches }
      }
      case '[':
        return { set: this.#class() }
      case '.':
        return { set: complement(lineEnds) }
      case '\\':
        return { set: this.#escape(false) }
      case '^':
      case '$':
        return this.#refuse(`'${character}' elsewhere than at the ends`)
      case '*':
      case '+':
      case '?':
      case '{':
      case '}':
      case ']':
        return this.#refuse(`'${character}' here`)
      default:
        return { set: [[character.codePointAt(0)!, character.codePointAt(0)!]] }
    }
  }

  #quantified(repeat: Regex): Regex {
    let least: number
    let most: number
    if (this.#skip('*')) [least, most] = [0, Number.POSITIVE_INFINITY]
    else if (this.#skip('+')) [least, most] = [1, Number.POSITIVE_INFINITY]
    else if (this.#skip('?')) [least, most] = [0, 1]
    else if (this.#peek() === '{') {
      const rest = String.fromCodePoint(...this.#codes.slice(this.#at, this.#at + 24))
      const match = /^\{(\d{1,5})(?:(,)(\d{1,5})?)?\}/.exec(rest)
      if (match === null) return this.#refuse("'{' here")
      this.#at += match[0].length
      least = Number(match[1])
      most = match[2] === undefined ? least : match[3] === undefined ? Number.POSITIVE_INFINITY : Number(match[3])
      if (most < least) this.#refuse(`the quantifier ${match[0]}`)
    } else return repeat
    this.#skip('?') // a lazy quantifier matches the same texts
    if (this.#peek() !== '' && '*+?{'.includes(this.#peek())) this.#refuse('a quantifier of a quantifier')
    return { repeat, least, most }
  }

  #class(): CodeRange[] {
    const negated = this.#skip('^')
    const ranges: CodeRange[] = []
    while (!this.#skip(']')) {
      const first = this.#classMember()
      if (this.#peek() !== '-' || this.#codes[this.#at + 1] === 0x5d) {
        ranges.push(...first)
        continue
      }
      this.#at++
      const last = this.#classMember()
      const from = single(first)
      const to = single(last)
      if (from === undefined || to === undefined || to < from) this.#refuse('this range')
      else ranges.push([from, to])
    }
    return negated ? complement(ranges) : ranges
  }

  #classMember(): readonly CodeRange[] {
    const character = this.#take()
    if (character === '\\') return this.#escape(true)
    return [[character.codePointAt(0)!, character.codePointAt(0)!]]
  }

  #escape(inClass: boolean): readonly CodeRange[] {
    const character = this.#take()
    const sets: Record<string, readonly CodeRange[]> = {
      d: digits,
      D: complement(digits),
      w: word,
      W: complement(word),
      s: space,
      S: complement(space),
    }
    const controls: Record<string, number> = { t: 9, n: 10, v: 11, f: 12, r: 13 }
    if (Object.hasOwn(sets, character)) return sets[character]!
    if (Object.hasOwn(controls, character)) return [[controls[character]!, controls[character]!]]
    if (character === '0' && !/\d/.test(this.#peek())) return [[0, 0]]
    if (inClass && character === 'b') return [[8, 8]]
    if (character === 'x') return this.#hex(/^([0-9A-Fa-f]{2})/)
    if (character === 'u') {
      const [[code]] = this.#hex(/^(?:([0-9A-Fa-f]{4})|\{([0-9A-Fa-f]{1,6})\})/) as [CodeRange]
      if (code < 0xd800 || code > 0xdfff) return [[code, code]]
      if (code > 0xdbff || !(this.#skip('\\') && this.#skip('u'))) return this.#refuse('a lone surrogate')
      const [[low]] = this.#hex(/^([dD][c-fC-F][0-9A-Fa-f]{2})/) as [CodeRange]
      const pair = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
      return [[pair, pair]]
    }
    if (/[A-Za-z0-9]/.test(character)) return this.#refuse(`\\${character}`)
    return [[character.codePointAt(0)!, character.codePointAt(0)!]]
  }

  #hex(form: RegExp): CodeRange[] {
    const match = form.exec(String.fromCodePoint(...this.#codes.slice(this.#at, this.#at + 8)))
    if (match === null) return this.#refuse('this escape')
    this.#at += match[0].length
    const code = Number.parseInt(match[1] ?? match[2]!, 16)
    return code > LAST_CODE ? this.#refuse('this escape') : [[code, code]]
  }

  #peek(): string {
    return this.#at < this.#codes.length ? String.fromCodePoint(this.#codes[this.#at]!) : ''
  }

  #take(): string {
    if (this.#at >= this.#codes.length) return this.#refuse('an early end')
    return String.fromCodePoint(this.#codes[this.#at++]!)
  }

  #skip(character: string): boolean {
    if (this.#peek() !== character) return false
    this.#at++
    return true
  }

  #refuse(what: string): never {
    throw new SyntaxError(`${what} is not supported in a pattern (character ${this.#at})`)
  }
}

/** Sorted, disjoint ranges. */
export function normalized(ranges: readonly CodeRange[]): CodeRange[] {
  const result: [number, number][] = []
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const previous = result.at(-1)
    if (previous !== undefined && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last)
    else result.push([first, last])
  }
  return result
}

export function complement(ranges: readonly CodeRange[]): CodeRange[] {
  const result: CodeRange[] = []
  let next = 0
  for (const [first, last] of normalized(ranges)) {
    if (first > next) result.push([next, first - 1])
    next = last + 1
  }
  if (next <= LAST_CODE) result.push([next, LAST_CODE])
  return result
}

function single(ranges: readonly CodeRange[]): number | undefined {
  return ranges.length === 1 && ranges[0]![0] === ranges[0]![1] ? ranges[0]![0] : undefined
}
