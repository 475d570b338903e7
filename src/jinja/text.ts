/**
 * Strings as Python sees them: code points, whitespace, quoting.
 * Marks: the caller may replace characters of its input by private stand-ins, to find them again in the output. Operations that look at
 * characters see what they stand for (`fold`); what is cut out or joined keeps its marks. A stand-in has the length of its character.
 */
import { charge, chargeItems } from './limits.ts'

/** Python's whitespace; JavaScript's `\s` has U+FEFF besides and lacks the separators U+001C to U+001F and U+0085. */
export const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'

/** Stand-in -> the character that it stands for. */
export type Marks = ReadonlyMap<string, string>

let marks: Marks | undefined
let markPattern = /$^/gu

export function withMarks<T>(own: Marks | undefined, run: () => T): T {
  const outer = { marks, markPattern }
  marks = own?.size ? own : undefined
  markPattern = new RegExp(`[${[...(marks?.keys() ?? [])].join('')}]`, 'gu')
  try {
    return run()
  } finally {
    ;({ marks, markPattern } = outer)
  }
}

/** The text without marks; of the same length. */
export function fold(text: string): string {
  return marks === undefined ? text : text.replace(markPattern, (char) => marks!.get(char)!)
}

const hasPairs = (text: string) => /[\ud800-\udfff]/.test(text)

/** Python's `len`. */
export function lengthOf(text: string): number {
  return hasPairs(text) ? points(text).length : text.length
}

export function points(text: string): string[] {
  charge(text.length)
  return Array.from(text)
}

/** The code point index of an index in UTF-16; -1 stays. */
export function pointIndex(text: string, index: number): number {
  return index <= 0 || !hasPairs(text) ? index : lengthOf(text.slice(0, index))
}

/** The UTF-16 index of a code point index within 0 and the length. */
export function unitIndex(text: string, index: number): number {
  return hasPairs(text) ? points(text).slice(0, index).join('').length : index
}

/** Items of a Python slice, as indices. Bounds may be missing. */
export function sliceIndices(length: number, start: number | undefined, stop: number | undefined, step: number): number[] {
  const clamp = (value: number | undefined, otherwise: number) => {
    if (value === undefined) return otherwise
    const from = value < 0 ? value + length : value
    return step < 0 ? Math.min(Math.max(from, -1), length - 1) : Math.min(Math.max(from, 0), length)
  }
  const [from, to] = step < 0 ? [clamp(start, length - 1), clamp(stop, -1)] : [clamp(start, 0), clamp(stop, length)]
  const indices: number[] = []
  for (let i = from; step < 0 ? i > to : i < to; i += step) indices.push(i)
  chargeItems(indices.length)
  return indices
}

export function sliceText(text: string, start: number | undefined, stop: number | undefined, step: number): string {
  if (step === 1 && !hasPairs(text)) {
    const [from, to] = [start ?? 0, stop ?? text.length]
    return text.slice(from, to)
  }
  const all = points(text)
  return sliceIndices(all.length, start, stop, step)
    .map((i) => all[i])
    .join('')
}

/** `strip`, `lstrip`, `rstrip`: `sides` says which; `chars` is a set of characters, whitespace by default. */
export function strip(text: string, chars: string | null, sides: 'both' | 'left' | 'right' = 'both'): string {
  const isIn = chars === null ? isSpace : (char: string) => fold(chars).includes(char)
  const all = points(fold(text))
  let [from, to] = [0, all.length]
  if (sides !== 'right') while (from < to && isIn(all[from]!)) from++
  if (sides !== 'left') while (to > from && isIn(all[to - 1]!)) to--
  const start = all.slice(0, from).join('').length
  return text.slice(start, start + all.slice(from, to).join('').length)
}

const oneSpace = new RegExp(`^[${SPACE}]$`)
export const isSpace = (char: string): boolean => oneSpace.test(char)

// biome-ignore lint/suspicious/noControlCharactersInRegex: Python ends lines there
const LINE_END = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/g

/** Python's `str.splitlines`. */
export function splitLines(text: string, keepEnds: boolean): string[] {
  const lines: string[] = []
  const plain = fold(text)
  let start = 0
  for (const { index, 0: end } of plain.matchAll(LINE_END)) {
    lines.push(text.slice(start, keepEnds ? index + end.length : index))
    start = index + end.length
  }
  if (start < text.length) lines.push(text.slice(start))
  chargeItems(lines.length)
  return lines
}

/** Splits at whitespace (`separator` null) or at a separator, at most `limit` times, from the left or from the right. */
export function split(text: string, separator: string | null, limit: number, fromRight = false): string[] {
  const plain = fold(text)
  charge(text.length)
  const gaps: [start: number, end: number][] = []
  if (separator === null) {
    for (const { index, 0: gap } of plain.matchAll(new RegExp(`[${SPACE}]+`, 'g'))) gaps.push([index, index + gap.length])
  } else if (fromRight) {
    const needle = fold(separator)
    for (let at = plain.lastIndexOf(needle); at >= 0; at = at < needle.length ? -1 : plain.lastIndexOf(needle, at - needle.length))
      gaps.unshift([at, at + needle.length])
  } else {
    const needle = fold(separator)
    for (let at = plain.indexOf(needle); at >= 0; at = plain.indexOf(needle, at + needle.length)) gaps.push([at, at + needle.length])
  }
  let [first, last] = [0, text.length]
  if (separator === null) {
    if (gaps[0]?.[0] === 0) first = gaps.shift()![1]
    if (gaps.at(-1)?.[1] === text.length) last = gaps.pop()![0]
    if (first >= last) return []
  }
  const taken = limit < 0 ? gaps : fromRight ? gaps.slice(Math.max(gaps.length - limit, 0)) : gaps.slice(0, limit)
  // With a limit, Python keeps whitespace at the far end of the part that is not split.
  if (separator === null && taken.length === limit && fromRight) first = 0
  if (separator === null && taken.length === limit && !fromRight) last = text.length
  const starts = [first, ...taken.map(([, end]) => end)]
  return starts.map((start, i) => text.slice(start, taken[i]?.[0] ?? last))
}

export function replace(text: string, old: string, by: string, limit: number): string {
  const needle = fold(old)
  if (needle === '') {
    const all = points(text)
    const count = limit < 0 ? all.length + 1 : Math.min(limit, all.length + 1)
    charge(text.length + count * by.length)
    return all.map((char, i) => (i < count ? by : '') + char).join('') + (count > all.length ? by : '')
  }
  const parts = split(text, needle, limit)
  charge(text.length + (parts.length - 1) * by.length)
  return parts.join(by)
}

/** Python's `repr` of a string. */
export function quoted(text: string): string {
  const plain = fold(text)
  charge(text.length)
  const quote = plain.includes("'") && !plain.includes('"') ? '"' : "'"
  let out = quote
  for (const own of text) {
    const char = fold(own)
    const code = char.codePointAt(0)!
    if (char === '\\' || char === quote) out += `\\${char}`
    else if (char === '\n') out += '\\n'
    else if (char === '\r') out += '\\r'
    else if (char === '\t') out += '\\t'
    else if (char !== ' ' && /[\p{C}\p{Z}]/u.test(char)) out += escaped(code)
    else out += own
  }
  return out + quote
}

function escaped(code: number): string {
  const hex = code.toString(16)
  if (code < 0x100) return `\\x${hex.padStart(2, '0')}`
  return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`
}

/** Python's `repr` of a float. */
export function floatText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf'
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) return exponent(value.toExponential())
  const text = String(value)
  return `${Object.is(value, -0) ? '-' : ''}${text.includes('.') ? text : `${text}.0`}`
}

/** At least two digits of the exponent, as C prints it. */
export function exponent(text: string): string {
  return text.replace(/e([+-])(\d)$/, 'e$10$2')
}

export function capitalized(text: string): string {
  const [first = '', ...rest] = points(text)
  return title(first) + rest.join('').toLowerCase()
}

/** The title case of one character: `ß` becomes `Ss`. */
export function title(char: string): string {
  const [first = '', ...rest] = Array.from(char.toUpperCase())
  return first + rest.join('').toLowerCase()
}
