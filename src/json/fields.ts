/**
 * Reads an untrusted JSON object field by field. Every error names the file, the path of the field, what was expected and what came.
 * Nothing is allocated from a size before it was checked. Fields that are null count as absent; inherited keys ("constructor") do not count.
 */
import { describe, isObject, type Json } from './json.ts'

/** A field that is not what its reader expects. `message` is one line for people. */
export class FieldError extends TypeError {
  override name = 'FieldError'
  readonly file: string
  readonly field: string

  constructor(file: string, field: string, problem: string) {
    super(`${file}: ${field}: ${problem}`)
    this.file = file
    this.field = field
  }
}

/** Largest size a field may state; keeps every product of two sizes below 2^53. */
export const LARGEST_SIZE = 2 ** 26

/** An object inside a JSON file, with its path. */
export class Fields {
  readonly file: string
  readonly path: string
  readonly object: Readonly<Json>

  constructor(value: unknown, file: string, path = '') {
    this.file = file
    this.path = path
    this.object = isObject(value) ? value : this.expected('', 'a JSON object', value)
  }

  /** The error to throw; a reader of one kind of file may have its own. */
  error(field: string, problem: string): FieldError {
    return new FieldError(this.file, field, problem)
  }

  fail(key: string, problem: string): never {
    throw this.error(this.#join(key) || '(whole file)', problem)
  }

  expected(key: string, what: string, got: unknown): never {
    return this.fail(key, `expected ${what}, got ${describe(got)}`)
  }

  /** Present and not null. */
  has(key: string): boolean {
    return this.raw(key) !== undefined
  }

  /** Present, be it as null. */
  mentions(key: string): boolean {
    return Object.hasOwn(this.object, key)
  }

  /** The value as parsed; undefined when absent or null. */
  raw(key: string): unknown {
    return Object.hasOwn(this.object, key) ? (this.object[key] ?? undefined) : undefined
  }

  /** The first of several spellings that is present; all present ones must agree. */
  spelling(...keys: string[]): string {
    const [first, ...rest] = keys.filter((key) => this.has(key))
    for (const key of rest) {
      const [one, other] = [this.raw(first!), this.raw(key)]
      if (JSON.stringify(one) !== JSON.stringify(other))
        this.fail(key, `contradicts ${this.#join(first!)}: ${describe(other)} against ${describe(one)}`)
    }
    return first ?? keys[0]!
  }

  string(key: string, otherwise?: string): string {
    return this.#checked(key, otherwise, 'a string', (value) => typeof value === 'string') as string
  }

  flag(key: string, otherwise?: boolean): boolean {
    return this.#checked(key, otherwise, 'true or false', (value) => typeof value === 'boolean') as boolean
  }

  /** An integer of at least zero. */
  integer(key: string, otherwise?: number): number {
    return this.#checked(key, otherwise, 'an integer of at least 0', (value) => isInteger(value, 0)) as number
  }

  /** A positive integer. */
  size(key: string, otherwise?: number, most = LARGEST_SIZE): number {
    return this.#checked(key, otherwise, `a positive integer up to ${most}`, (value) => isInteger(value, 1, most)) as number
  }

  /** A size that may be absent or null. */
  optionalSize(key: string): number | null {
    return this.has(key) ? this.size(key) : null
  }

  /** A finite number above zero. */
  positive(key: string, otherwise?: number): number {
    return this.#checked(key, otherwise, 'a number above 0', (value) => Number.isFinite(value) && (value as number) > 0) as number
  }

  optionalPositive(key: string): number | null {
    return this.has(key) ? this.positive(key) : null
  }

  /** A finite number of at least zero. */
  notNegative(key: string, otherwise?: number): number {
    return this.#checked(key, otherwise, 'a number of at least 0', (value) => Number.isFinite(value) && (value as number) >= 0) as number
  }

  /** A number in [0, 1). */
  probability(key: string, otherwise?: number): number {
    const value = this.notNegative(key, otherwise)
    return value < 1 ? value : this.expected(key, 'a probability below 1', value)
  }

  /** One of the given strings; the answer is what the string stands for. */
  choice<T>(key: string, choices: Record<string, T>, otherwise?: string): T {
    const known = (value: unknown) => typeof value === 'string' && Object.hasOwn(choices, value)
    return choices[this.#checked(key, otherwise, oneOf(Object.keys(choices)), known) as string]!
  }

  array(key: string): readonly unknown[] {
    return this.#checked(key, undefined, 'an array', Array.isArray) as unknown[]
  }

  /** The object of a field. */
  below(key: string): this {
    return this.#at(this.#checked(key, undefined, 'an object', isObject), this.#join(key))
  }

  /** The object of a field; undefined when absent or null. */
  inner(key: string): this | undefined {
    return this.has(key) ? this.below(key) : undefined
  }

  /** The same object with these values where its own are absent or null. */
  with(defaults: Json): this {
    const own = Object.entries(this.object).filter(([key, value]) => value !== undefined && (value !== null || defaults[key] == null))
    return this.#at({ ...defaults, ...Object.fromEntries(own) }, this.path)
  }

  /** An array of objects. */
  list(key: string): this[] {
    return this.array(key).map((value, i) => this.#at(value, `${this.#join(key)}[${i}]`))
  }

  /** Refuses an option that the reader does not support, unless it is switched off. */
  refuse(key: string, why: string, ...allowed: unknown[]): void {
    const value = this.raw(key)
    if (value === undefined || value === false || allowed.includes(value)) return
    this.fail(key, `expected ${allowed.length ? oneOf(allowed) : 'false or nothing'}, got ${describe(value)}; ${why}`)
  }

  #checked(key: string, otherwise: unknown, what: string, is: (value: unknown) => boolean): unknown {
    const value = this.raw(key) ?? otherwise
    if (value === undefined) this.fail(key, `missing; expected ${what}`)
    return is(value) ? value : this.expected(key, what, value)
  }

  #at(value: unknown, path: string): this {
    return new (this.constructor as new (value: unknown, file: string, path: string) => this)(value, this.file, path)
  }

  #join(key: string): string {
    return this.path && key ? `${this.path}.${key}` : this.path + key
  }
}

export const isInteger = (value: unknown, least: number, most = Number.MAX_SAFE_INTEGER): boolean =>
  Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most

const oneOf = (choices: unknown[]): string => choices.map(describe).join(' or ')

/** The objects of a JSON Lines text; empty lines are left out. @throws SyntaxError that names file and line for a line that is no JSON */
export function objectLines(text: string, file: string): Fields[] {
  return text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return []
    const place = `${file}:${i + 1}`
    try {
      return [new Fields(JSON.parse(line), place)]
    } catch (error) {
      throw error instanceof SyntaxError ? new SyntaxError(`${place}: expected one JSON object per line: ${error.message}`) : error
    }
  })
}
