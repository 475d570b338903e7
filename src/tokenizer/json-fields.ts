/**
 * Reads an untrusted JSON value field by field; every error names the file and the path, what was
 * expected and what came.
 */
import { literalPattern, translatePattern } from './pattern.ts'

/** An object inside a JSON file, with its path. */
export class Fields {
  readonly file: string
  readonly path: string
  readonly object: Readonly<Record<string, unknown>>

  constructor(file: string, path: string, value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new TypeError(`${file}: ${path || 'the file'}: expected an object, got ${describe(value)}`)
    this.file = file
    this.path = path
    this.object = value as Record<string, unknown>
  }

  /** The own value of a field; undefined when missing or null. */
  value(name: string): unknown {
    return Object.hasOwn(this.object, name) ? (this.object[name] ?? undefined) : undefined
  }

  string(name: string, fallback?: string): string {
    const value = this.value(name) ?? fallback
    return typeof value === 'string' ? value : this.refuse(name, 'a string', value)
  }

  boolean(name: string, fallback: boolean): boolean {
    const value = this.value(name) ?? fallback
    return typeof value === 'boolean' ? value : this.refuse(name, 'true or false', value)
  }

  integer(name: string, fallback?: number): number {
    const value = this.value(name) ?? fallback
    return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : this.refuse(name, 'an integer of at least 0', value)
  }

  array(name: string): readonly unknown[] {
    const value = this.value(name)
    return Array.isArray(value) ? value : this.refuse(name, 'an array', value)
  }

  /** An object inside; undefined when missing or null. */
  inner(name: string): Fields | undefined {
    const value = this.value(name)
    return value === undefined ? undefined : new Fields(this.file, this.#join(name), value)
  }

  /** An array of objects. */
  list(name: string): Fields[] {
    return this.array(name).map((value, i) => new Fields(this.file, `${this.#join(name)}[${i}]`, value))
  }

  refuse(name: string, expected: string, got: unknown): never {
    throw new TypeError(`${this.file}: ${this.#join(name)}: expected ${expected}, got ${describe(got)}`)
  }

  #join(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`
  }
}

/** The expression in `{"Regex": …}` or `{"String": …}`. */
export function patternAt(fields: Fields, name: string): RegExp {
  const pattern = fields.inner(name)
  if (pattern === undefined) return fields.refuse(name, '{"Regex": …} or {"String": …}', undefined)
  const regex = pattern.value('Regex')
  if (regex === undefined) return literalPattern(pattern.string('String'))
  if (typeof regex !== 'string') return pattern.refuse('Regex', 'a string', regex)
  try {
    return translatePattern(regex)
  } catch (error) {
    if (error instanceof SyntaxError) return pattern.refuse('Regex', 'a supported expression', `${error.message} in ${regex}`)
    throw error
  }
}

/** A short rendering of an unexpected value for error messages. */
export function describe(value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  const text = typeof value === 'object' ? (Array.isArray(value) ? 'an array' : 'an object') : JSON.stringify(value)
  return text.length > 120 ? text.slice(0, 117) + '…' : text
}
