/**
 * JSON as Python's `json.dumps(value, ensure_ascii=False)` spells it, which is what the published chat templates were trained on:
 * a blank after every comma and colon, characters as they are, keys in their order.
 * Two spellings are lost before it is called, by JavaScript itself: `1.0` is 1, and keys that look like integers come first.
 */
export function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined)
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}: ${pythonJson(item)}`).join(', ')}}`
  }
  if (typeof value === 'number' && Number.isFinite(value)) return pythonNumber(value)
  return JSON.stringify(value) ?? 'null'
}

/** Python writes exponents from 1e16 on and below 1e-4, with at least two digits; integers in full. */
function pythonNumber(value: number): string {
  if (Number.isInteger(value)) return BigInt(value).toString()
  const size = Math.abs(value)
  if (size >= 1e-4) return String(value)
  return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2')
}

/** A JSON value as Python prints it in running text: strings bare, True, False, None. */
export function pythonText(value: unknown): string {
  if (typeof value === 'string') return value
  if (value === true) return 'True'
  if (value === false) return 'False'
  if (value === null || value === undefined) return 'None'
  return pythonJson(value)
}
