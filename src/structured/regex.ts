/**
 * Parses the regular subset of ECMAScript expressions (flag u) that `pattern` may use: sets, groups,
 * alternatives, quantifiers, anchors and lookahead. pattern.ts turns it into a finite automaton; no
 * backtracking engine runs it. Refuses what is not regular (back references), lookbehind and \b.
 */

/** Inclusive range of code points. */
export type CodeRange = readonly [first: number, last: number]

export type Regex =
  | { readonly set: readonly CodeRange[] }
  | { readonly sequence: readonly Regex[] }
  | { readonly either: readonly Regex[] }
  | { readonly repeat: Regex; readonly least: number; readonly most: number } // most may be Infinity
  /** What follows begins with a match of `ahead`, or must not. */
  | { readonly ahead: Regex; readonly negated: boolean }
  /** The start or the end of the text. */
  | { readonly anchor: 'start' | 'end' }

const LAST_CODE = 0x10ffff
const LONGEST_PATTERN = 10_000
const DEEPEST_GROUP = 50
const MOST_REPEATS = 1_000_000_000

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
export const anything: Regex = { repeat: { set: [[0, LAST_CODE]] }, least: 0, most: Number.POSITIVE_INFINITY }

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
    const branches = this.#branches(0).map((parts): Regex => {
      const starts = isAnchor(parts[0], 'start')
      const ends = parts.length > (starts ? 1 : 0) && isAnchor(parts.at(-1), 'end')
      let body = parts.slice(starts ? 1 : 0, ends ? -1 : undefined)
      if (around === anything && !starts) body = withoutExcess(body)
      if (around === anything && !ends) body = withoutExcess(body.reverse()).reverse()
      return { sequence: [...(starts ? [] : [around]), ...body, ...(ends ? [] : [around])] }
    })
    if (this.#at < this.#codes.length) this.#refuse(`'${this.#peek()}' here`)
    return branches.length === 1 ? branches[0]! : { either: branches }
  }

  /** Alternatives up to the end of the group. */
  #branches(depth: number): Regex[][] {
    if (depth > DEEPEST_GROUP) this.#refuse(`groups nested deeper than ${DEEPEST_GROUP}`)
    const branches: Regex[][] = []
    do {
      const parts: Regex[] = []
      while (this.#at < this.#codes.length && !')|'.includes(this.#peek())) parts.push(this.#quantified(this.#atom(depth)))
      branches.push(parts)
    } while (this.#skip('|'))
    return branches
  }

  #atom(depth: number): Regex {
    const character = this.#take()
    switch (character) {
      case '(': {
        let look: string | undefined
        if (this.#skip('?')) {
          this.#skip('P') // Python's spelling of a named group
          look = this.#take()
          if (look === '<') {
            if (this.#peek() === '=' || this.#peek() === '!') this.#refuse('lookbehind')
            while (this.#take() !== '>');
          } else if (!':=!'.includes(look)) this.#refuse('a group with flags')
        }
        const either = this.#branches(depth + 1).map((sequence): Regex => ({ sequence }))
        if (!this.#skip(')')) this.#refuse('an open group')
        return look === '=' || look === '!' ? { ahead: { either }, negated: look === '!' } : { either }
      }
      case '[':
        return { set: this.#class() }
      case '.':
        return { set: complement(lineEnds) }
      case '\\':
        return { set: this.#escape(false) }
      case '^':
      case '$':
        return { anchor: character === '^' ? 'start' : 'end' }
      case '*':
      case '+':
      case '?':
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
      const brace = this.#at++
      const first = this.#digits()
      const isRange = first !== '' && this.#skip(',')
      const last = isRange ? this.#digits() : first
      if (first === '' || !this.#skip('}')) {
        this.#at = brace
        return repeat // a brace that stands for itself
      }
      least = Number(first)
      most = last === '' ? Number.POSITIVE_INFINITY : Number(last)
      if (most < least) this.#refuse(`the quantifier {${first},${last}}`)
      if (least > MOST_REPEATS || (last !== '' && most > MOST_REPEATS)) this.#refuse(`a count above ${MOST_REPEATS}`)
    } else return repeat
    this.#skip('?') // a lazy quantifier matches the same texts
    if (this.#peek() !== '' && '*+?'.includes(this.#peek())) this.#refuse('a quantifier of a quantifier')
    if ('ahead' in repeat || 'anchor' in repeat) this.#refuse('a quantifier of an assertion')
    return { repeat, least, most }
  }

  #digits(): string {
    const start = this.#at
    while (/^\d$/.test(this.#peek())) this.#at++
    return String.fromCodePoint(...this.#codes.slice(start, this.#at))
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
    if (character === 'p' || character === 'P') return this.#property(character === 'P')
    if (/[A-Za-z0-9]/.test(character)) return this.#refuse(`\\${character}`)
    return [[character.codePointAt(0)!, character.codePointAt(0)!]]
  }

  /** A set that Unicode defines, such as \p{L}. The platform knows its members. */
  #property(negated: boolean): readonly CodeRange[] {
    const match = /^\{([A-Za-z_=0-9]+)\}/.exec(String.fromCodePoint(...this.#codes.slice(this.#at, this.#at + 60)))
    if (match === null) return this.#refuse('this escape')
    this.#at += match[0].length
    const ranges = unicodeSet(match[1]!) ?? this.#refuse(`the property ${match[1]}`)
    return negated ? complement(ranges) : ranges
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

const unicodeSets = new Map<string, readonly CodeRange[]>()

let characters: { first: number; units: number; text: string }[] | undefined

/** All characters except surrogates, in order, with their number of UTF-16 units. */
function allCharacters() {
  characters ??= (
    [
      [0, 0xd7ff],
      [0xe000, 0xffff],
      [0x10000, LAST_CODE],
    ] as const
  ).map(([first, last]) => {
    const text = Array.from({ length: last - first + 1 }, (_, i) => String.fromCodePoint(first + i)).join('')
    return { first, units: first > 0xffff ? 2 : 1, text }
  })
  return characters
}

/** The code points that have a Unicode property; undefined when there is no such property. */
function unicodeSet(property: string): readonly CodeRange[] | undefined {
  let ranges = unicodeSets.get(property)
  if (ranges !== undefined) return ranges
  let members: RegExp
  try {
    members = new RegExp(`\\p{${property}}+`, 'gu')
  } catch {
    return undefined
  }
  const found: CodeRange[] = []
  for (const { first, units, text } of allCharacters()) {
    for (const { index, 0: match } of text.matchAll(members))
      found.push([first + index / units, first + (index + match.length) / units - 1])
  }
  ranges = found
  unicodeSets.set(property, ranges)
  return ranges
}

/**
 * The parts of an expression after any text, without what that text may take over at their start: where x{2,500} matches,
 * x{2} matches a little later.
 */
function withoutExcess(parts: readonly Regex[]): Regex[] {
  const needed = parts.findIndex((part) => !('repeat' in part) || part.least > 0)
  if (needed < 0) return []
  const [first, ...rest] = parts.slice(needed) as [Regex, ...Regex[]]
  return ['repeat' in first ? { ...first, most: first.least } : first, ...rest]
}

function isAnchor(part: Regex | undefined, at: 'start' | 'end'): boolean {
  return part !== undefined && 'anchor' in part && part.anchor === at
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

/** The codes in both lists. */
export function common(some: readonly CodeRange[], others: readonly CodeRange[]): CodeRange[] {
  return some.flatMap(([first, last]) =>
    others.flatMap(([low, high]): CodeRange[] => (first <= high && low <= last ? [[Math.max(first, low), Math.min(last, high)]] : [])),
  )
}

function single(ranges: readonly CodeRange[]): number | undefined {
  return ranges.length === 1 && ranges[0]![0] === ranges[0]![1] ? ranges[0]![0] : undefined
}
