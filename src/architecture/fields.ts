/**
 * Reads fields of a published config.json one by one and complains exactly: which file, which field, what was
 * expected, what came. Knows types and ranges, not models. Nothing is allocated from a size before it was checked.
 */
import type { DType } from './architecture.ts'

/** A config.json that cannot be an architecture. `message` is one line for people. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  readonly file: string
  readonly field: string
  constructor(file: string, field: string, problem: string) {
    super(`${file}: ${field}: ${problem}`)
    this.file = file
    this.field = field
  }
}

/** Largest size a field may state; keeps every product of two sizes below 2^53. */
const LARGEST_SIZE = 2 ** 26
/** Layers are objects in memory, so their number is bounded far below other sizes. */
const MOST_LAYERS = 4096
const DTYPES: Record<string, DType> = { float32: 'f32', float16: 'f16', bfloat16: 'bf16' }

export class Fields {
  readonly file: string
  readonly #path: string
  readonly #values: Record<string, unknown>

  constructor(values: unknown, file: string, path = '') {
    this.file = file
    this.#path = path
    if (typeof values !== 'object' || values === null || Array.isArray(values))
      throw new ConfigError(file, path || '(whole file)', `expected a JSON object, got ${show(values)}`)
    this.#values = values as Record<string, unknown>
  }

  /** Present and not null. */
  has(key: string): boolean {
    return this.raw(key) !== undefined
  }

  /** Present, be it as null. */
  mentions(key: string): boolean {
    return Object.hasOwn(this.#values, key)
  }

  /** The value as parsed; undefined when absent or null. Inherited keys ("constructor") do not count. */
  raw(key: string): unknown {
    return Object.hasOwn(this.#values, key) ? (this.#values[key] ?? undefined) : undefined
  }

  fail(key: string, problem: string): never {
    throw new ConfigError(this.file, this.#path + key, problem)
  }

  /** The first of several spellings that is present; all present ones must agree. */
  spelling(...keys: string[]): string {
    const present = keys.filter((key) => this.has(key))
    const [first, ...rest] = present
    for (const key of rest) {
      if (JSON.stringify(this.raw(key)) !== JSON.stringify(this.raw(first!)))
        this.fail(key, `contradicts ${this.#path}${first}: ${show(this.raw(key))} against ${show(this.raw(first!))}`)
    }
    return first ?? keys[0]!
  }

  /** A positive integer. */
  size(key: string, otherwise?: number): number {
    const value = this.#required(key, otherwise, 'a positive integer')
    if (!isInteger(value, 1, LARGEST_SIZE)) this.fail(key, `expected a positive integer up to ${LARGEST_SIZE}, got ${show(value)}`)
    return value as number
  }

  layerCount(key: string): number {
    const value = this.#required(key, undefined, 'a positive integer')
    if (!isInteger(value, 1, MOST_LAYERS)) this.fail(key, `expected a positive integer up to ${MOST_LAYERS}, got ${show(value)}`)
    return value as number
  }

  /** A size that may be absent or null. */
  optionalSize(key: string): number | null {
    return this.has(key) ? this.size(key) : null
  }

  /** A finite number above zero. */
  positive(key: string, otherwise?: number): number {
    const value = this.#required(key, otherwise, 'a number above 0')
    if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) this.fail(key, `expected a number above 0, got ${show(value)}`)
    return value
  }

  optionalPositive(key: string): number | null {
    return this.has(key) ? this.positive(key) : null
  }

  /** A finite number of at least zero. */
  notNegative(key: string, otherwise?: number): number {
    const value = this.#required(key, otherwise, 'a number of at least 0')
    if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
      this.fail(key, `expected a number of at least 0, got ${show(value)}`)
    return value
  }

  /** A number in [0, 1). */
  probability(key: string, otherwise?: number): number {
    const value = this.notNegative(key, otherwise)
    if (value >= 1) this.fail(key, `expected a probability below 1, got ${show(value)}`)
    return value
  }

  flag(key: string, otherwise?: boolean): boolean {
    const value = this.#required(key, otherwise, 'true or false')
    if (typeof value !== 'boolean') this.fail(key, `expected true or false, got ${show(value)}`)
    return value
  }

  /** One of the given strings; the answer is what the string stands for. */
  choice<T>(key: string, choices: Record<string, T>, otherwise?: string): T {
    const value = this.#required(key, otherwise, oneOf(Object.keys(choices)))
    if (typeof value !== 'string' || !Object.hasOwn(choices, value))
      this.fail(key, `expected ${oneOf(Object.keys(choices))}, got ${show(value)}`)
    return choices[value]!
  }

  /** An object below this one. */
  below(key: string): Fields {
    const value = this.#required(key, undefined, 'an object')
    return new Fields(value, this.file, `${this.#path}${key}.`)
  }

  /** Refuses a mathematical option the forward pass does not have, unless it is switched off. */
  refuse(key: string, why: string, ...allowed: unknown[]): void {
    const value = this.raw(key)
    if (value !== undefined && value !== false && !allowed.includes(value))
      this.fail(key, `expected ${allowed.length ? oneOf(allowed) : 'false or nothing'}, got ${show(value)}; ${why}`)
  }

  /** `dtype` or `torch_dtype`. */
  dtype(otherwise: DType): DType {
    const key = this.spelling('dtype', 'torch_dtype')
    return this.has(key) ? this.choice(key, DTYPES) : otherwise
  }

  /** `eos_token_id`: nothing, an id or a list of ids. */
  tokenIds(key: string): number[] {
    const value = this.raw(key)
    if (value === undefined) return []
    const ids = Array.isArray(value) ? value : [value]
    for (const id of ids)
      if (!isInteger(id, 0, LARGEST_SIZE)) this.fail(key, `expected a token id or a list of token ids, got ${show(value)}`)
    return ids as number[]
  }

  tokenId(key: string): number | null {
    const value = this.raw(key)
    if (value === undefined) return null
    if (!isInteger(value, 0, LARGEST_SIZE)) this.fail(key, `expected a token id or null, got ${show(value)}`)
    return value as number
  }

  /** `layer_types`: one known word per layer, or nothing. */
  layerTypes(layers: number): ('sliding' | 'full')[] | null {
    const value = this.raw('layer_types')
    if (value === undefined) return null
    if (!Array.isArray(value) || value.length !== layers)
      this.fail('layer_types', `expected ${layers} entries (one per layer), got ${Array.isArray(value) ? value.length : show(value)}`)
    return value.map((entry, index) => {
      if (entry === 'sliding_attention') return 'sliding'
      if (entry === 'full_attention') return 'full'
      return this.fail(`layer_types[${index}]`, `expected "sliding_attention" or "full_attention", got ${show(entry)}`)
    })
  }

  #required(key: string, otherwise: unknown, expected: string): unknown {
    const value = this.raw(key) ?? otherwise
    if (value === undefined) this.fail(key, `missing; expected ${expected}`)
    return value
  }
}

const isInteger = (value: unknown, least: number, most: number): boolean =>
  Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most

const oneOf = (choices: unknown[]): string => choices.map(show).join(' or ')

function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}
