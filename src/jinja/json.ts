/** JSON as Python's `json` module writes it. */
import { charge, fail, spend } from './limits.ts'
import { floatText, fold } from './text.ts'
import { compare, Dict, isSequence, isText, numeric, textOf, typeOf, type Value } from './values.ts'

export interface JsonOptions {
  /** Blanks per level, or their text; null writes one line. */
  indent: string | null
  /** Between items, and after a key. */
  separators: [item: string, key: string]
  asciiOnly: boolean
  sortKeys: boolean
}

export const PLAIN: JsonOptions = { indent: null, separators: [', ', ': '], asciiOnly: false, sortKeys: false }

export function toJson(value: Value, options: JsonOptions = PLAIN, level = ''): string {
  spend(1)
  if (value === null) return 'null'
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number') return numberText(value)
  if (isText(value)) return jsonString(textOf(value), options.asciiOnly)
  const inner = options.indent === null ? '' : `${level}${options.indent}`
  const wrapped = (open: string, parts: string[], close: string) => {
    if (parts.length === 0) return open + close
    charge(parts.reduce((sum, part) => sum + part.length + inner.length + 2, 0))
    if (options.indent === null) return open + parts.join(options.separators[0]) + close
    return `${open}\n${inner}${parts.join(`${options.separators[0]}\n${inner}`)}\n${level}${close}`
  }
  if (isSequence(value)) {
    const items = Array.isArray(value) ? value : value.items
    return wrapped(
      '[',
      items.map((item) => toJson(item, options, inner)),
      ']',
    )
  }
  if (value instanceof Dict) {
    const entries = value.entries()
    if (options.sortKeys) entries.sort(([a], [b]) => compare(a, b))
    const parts = entries.map(
      ([key, item]) => `${jsonString(keyText(key), options.asciiOnly)}${options.separators[1]}${toJson(item, options, inner)}`,
    )
    return wrapped('{', parts, '}')
  }
  return fail(`Object of type ${typeOf(value)} is not JSON serializable`)
}

function keyText(key: Value): string {
  if (isText(key)) return textOf(key)
  if (key === null) return 'null'
  if (typeof key === 'boolean') return String(key)
  const number = numeric(key)
  if (number === undefined) return fail(`keys must be str, int, float, bool or None, not ${typeOf(key)}`)
  return typeof number === 'number' ? numberText(number) : String(number)
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return floatText(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity'
}

const ESCAPES: Record<string, string> = { '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\f': '\\f', '\b': '\\b' }

function jsonString(text: string, asciiOnly: boolean): string {
  charge(text.length)
  if (!asciiOnly && !/["\\]|\p{Cc}/u.test(fold(text))) return `"${text}"`
  let out = '"'
  for (let i = 0; i < text.length; i++) {
    const own = text[i]!
    const char = fold(own)
    const code = char.charCodeAt(0)
    if (ESCAPES[char] !== undefined) out += ESCAPES[char]
    else if (code < 0x20 || (asciiOnly && code > 0x7e)) out += `\\u${code.toString(16).padStart(4, '0')}`
    else out += own
  }
  return `${out}"`
}
