/**
 * JSON as Python's `json.dumps(value, ensure_ascii=False)` spells it, which is what the published chat templates were trained on:
 * a blank after every comma and colon, characters as they are, keys in their order, numbers as Python reads and prints them.
 * Values that json/lossless.ts has read keep the order of their keys and their numbers; others are as JavaScript has them.
 */
import { entriesOf, type JsonStyle, writeJson } from '../../../json/lossless.ts'

const PYTHON: JsonStyle = { comma: ', ', colon: ': ', number: pythonNumber }

export function pythonJson(value: unknown): string {
  return writeJson(value, PYTHON)
}

/**
 * A JSON spelling of a number as Python prints it after json.loads: integers in full, the shortest decimal of a float, with `.0`
 * where it has no fraction, and exponents of at least two digits from 1e16 on and below 1e-4.
 */
export function pythonNumber(spelling: string): string {
  if (/^-?\d+$/.test(spelling)) return BigInt(spelling).toString()
  const value = Number(spelling)
  const size = Math.abs(value)
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity'
  // JavaScript prints integral floats above 2^53 without an exponent, and small numbers up to 1e-6 without one.
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2')
  const text = Object.is(value, -0) ? '-0' : String(value)
  return text.includes('.') ? text : `${text}.0`
}

/** A JSON value as Python's `str` prints it: strings bare, True, False, None, and the `repr` of lists and objects. */
export function pythonText(value: unknown, spelling?: string): string {
  return typeof value === 'string' ? value : pythonRepr(value, spelling)
}

function pythonRepr(value: unknown, spelling?: string): string {
  if (typeof value === 'string') return pythonString(value)
  if (value === true) return 'True'
  if (value === false) return 'False'
  if (typeof value === 'number') return pythonNumber(spelling ?? JSON.stringify(value))
  if (typeof value !== 'object' || value === null) return 'None'
  const items = entriesOf(value).filter(([, item]) => item !== undefined)
  if (Array.isArray(value)) return `[${items.map(([, item, spelled]) => pythonRepr(item, spelled)).join(', ')}]`
  return `{${items.map(([key, item, spelled]) => `${pythonString(key)}: ${pythonRepr(item, spelled)}`).join(', ')}}`
}

/** Quoted as Python's `repr` does: single quotes unless only double ones need no escape; characters that cannot be printed as escapes. */
function pythonString(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const short: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', [quote]: `\\${quote}` }
  const escaped = text.replace(/[\\'"]|(?! )[\p{C}\p{Z}]/gu, (char) => {
    if (short[char] !== undefined) return short[char]
    if (char === "'" || char === '"') return char
    const code = char.codePointAt(0)!
    if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`
    return code <= 0xffff ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`
  })
  return quote + escaped + quote
}
