/** Template text -> tokens, with the rules of `trim_blocks` and `lstrip_blocks`. The patterns are those of jinja2's lexer. */
import { fail } from './limits.ts'
import { SPACE } from './text.ts'

export interface Token {
  /** An operator is its own type. */
  type: 'data' | 'begin' | 'end' | 'name' | 'string' | 'integer' | 'float' | 'eof' | (string & {})
  /** Text of data, names and strings; `%` or `{` for begin and end. */
  text: string
  line: number
}

const S = `[${SPACE}]`
const OPENING = new RegExp(`\\{(?:%([-+]?)${S}*raw${S}*(?:-%\\}${S}*|%\\})|([%#{])([-+]?))`, 'g')
const END_RAW = new RegExp(`\\{%([-+]?)${S}*endraw${S}*(?:\\+%\\}|-%\\}${S}*|%\\}\\n?)`, 'g')
const END_COMMENT = new RegExp(`\\+#\\}|-#\\}${S}*|#\\}\\n?`, 'g')
const END_OF: Record<string, RegExp> = {
  '%': new RegExp(`\\+%\\}|-%\\}${S}*|%\\}\\n?`, 'y'),
  '{': new RegExp(`-\\}\\}${S}*|\\}\\}`, 'y'),
}
const INSIDE: [type: string, pattern: RegExp][] = [
  ['space', new RegExp(`${S}+`, 'y')],
  ['float', /(?<!\.)(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy],
  ['integer', /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy],
  ['name', /[\p{L}\p{N}_]+/uy],
  ['string', /'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*"/sy],
  ['operator', /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}<>=.:|,;]/y],
]
const CLOSES: Record<string, string> = { ')': '(', ']': '[', '}': '{' }
const blankLine = new RegExp(`^${S}+$`)
const trailingSpace = new RegExp(`${S}+$`)

export function tokenize(template: string): Token[] {
  const source = template.replace(/\r\n?/g, '\n').replace(/\n$/, '')
  const tokens: Token[] = []
  let [line, counted] = [1, 0]
  let at = 0
  const add = (type: string, text: string, from: number) => {
    for (; counted < from; counted++) if (source[counted] === '\n') line++
    tokens.push({ type, text, line })
  }
  /** Text before a tag; `-` takes the whitespace before the tag, and a tag alone on its line takes its indent. */
  const data = (text: string, from: number, sign: string, strips: boolean) => {
    let kept = text
    if (sign === '-') kept = text.replace(trailingSpace, '')
    else if (sign !== '+' && strips) {
      const start = text.lastIndexOf('\n') + 1
      const isLineStart = start > 0 || from === 0 || source[from - 1] === '\n'
      if (isLineStart && blankLine.test(text.slice(start))) kept = text.slice(0, start)
    }
    if (kept !== '') add('data', kept, from)
  }
  while (at < source.length) {
    const from = at
    OPENING.lastIndex = at
    const opening = OPENING.exec(source)
    if (opening === null) {
      add('data', source.slice(at), from)
      break
    }
    const [whole, rawSign, kind, sign] = opening
    data(source.slice(at, opening.index), from, (rawSign ?? sign)!, kind !== '{')
    at = opening.index + whole.length
    if (kind === undefined || kind === '#') {
      const pattern = kind === '#' ? END_COMMENT : END_RAW
      pattern.lastIndex = at
      const end = pattern.exec(source)
      if (end === null) fail(kind === '#' ? 'Missing end of comment tag' : 'Missing end of raw directive')
      if (kind === undefined) data(source.slice(at, end.index), at, end[1]!, true)
      at = end.index + end[0].length
      continue
    }
    add('begin', kind, opening.index)
    at = inside(source, at, kind, add)
  }
  add('eof', '', source.length)
  return tokens
}

/** The tokens of one tag; returns where it ends. */
function inside(source: string, start: number, kind: string, add: (type: string, text: string, from: number) => void): number {
  const open: string[] = []
  for (let at = start; at < source.length; ) {
    const end = END_OF[kind]!
    end.lastIndex = at
    const closing = open.length === 0 ? end.exec(source) : null
    if (closing !== null) {
      add('end', kind, at)
      return at + closing[0].length
    }
    const [type, text] = tokenAt(source, at)
    if ('([{'.includes(text)) open.push(text)
    else if (type === 'operator' && CLOSES[text] !== undefined && open.pop() !== CLOSES[text]) fail(`unexpected '${text}'`)
    if (type === 'string') add(type, unescaped(text.slice(1, -1)), at)
    else if (type !== 'space') add(type === 'operator' ? text : type, text, at)
    at += text.length
  }
  return fail(`unexpected end of template; '${kind === '%' ? '%}' : '}}'}' is missing`)
}

function tokenAt(source: string, at: number): [type: string, text: string] {
  for (const [type, pattern] of INSIDE) {
    pattern.lastIndex = at
    const match = pattern.exec(source)
    if (match !== null) return [type, match[0]]
  }
  return fail(`unexpected char ${JSON.stringify(source[at])}`)
}

const SIMPLE: Record<string, string> = {
  '\n': '',
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}

/** Python's escapes; an unknown one stays as it is written. */
function unescaped(text: string): string {
  return text.replace(
    /\\(?:([0-7]{1,3})|x([\da-f]{2})|u([\da-f]{4})|U([\da-f]{8})|(.))/gis,
    (whole, octal?: string, x?: string, u?: string, U?: string, other?: string) => {
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8))
      const hex = x ?? u ?? U
      if (hex === undefined) {
        if (/[xuUN]/.test(other!)) fail(`unknown escape ${whole} in a string`)
        return Object.hasOwn(SIMPLE, other!) ? SIMPLE[other!]! : whole
      }
      const code = Number.parseInt(hex, 16)
      return code <= 0x10ffff ? String.fromCodePoint(code) : fail(`illegal Unicode character ${whole}`)
    },
  )
}
