/** The metadata of a GGUF file, read one by one with errors that name file and key. */
import { abbreviate } from '../../json/json.ts'
import { CorruptConfigError } from '../errors.ts'
import type { GgufArray, GgufValue, Metadata } from './header.ts'

export class MetadataFields {
  readonly file: string
  /** Put before every key: the architecture and a dot. */
  readonly prefix: string
  readonly #metadata: Metadata

  constructor(file: string, metadata: Metadata, prefix = '') {
    this.file = file
    this.prefix = prefix
    this.#metadata = metadata
  }

  raw(key: string): GgufValue | undefined {
    return this.#metadata.get(this.prefix + key)
  }

  /** A number, shown as the shortest decimal of the same f32: 1e-6, not 9.999999974752427e-7. */
  number(key: string): number | undefined {
    const value = this.raw(key)
    if (value === undefined) return undefined
    if (typeof value !== 'number' || !Number.isFinite(value)) return this.fail(key, 'a number', value)
    return shortest(value)
  }

  /** @throws CorruptConfigError when it is absent */
  required(key: string): number {
    return this.number(key) ?? this.fail(key, 'a number', undefined)
  }

  /** A number that a file may give once or for every layer. @throws CorruptConfigError when layers differ */
  same(key: string): number | undefined {
    const value = this.raw(key)
    if (!Array.isArray(value)) return this.number(key)
    if (value.length === 0 || typeof value[0] !== 'number' || value.some((one) => one !== value[0]))
      return this.fail(key, 'one number for all layers', value)
    return value[0]
  }

  flag(key: string): boolean | undefined {
    const value = this.raw(key)
    return value === undefined || typeof value === 'boolean' ? value : this.fail(key, 'true or false', value)
  }

  text(key: string): string | undefined {
    const value = this.raw(key)
    return value === undefined || typeof value === 'string' ? value : this.fail(key, 'a text', value)
  }

  texts(key: string): readonly string[] | undefined {
    return this.#list(key, 'a list of texts', (one) => typeof one === 'string') as readonly string[] | undefined
  }

  numbers(key: string): readonly number[] | undefined {
    return this.#list(key, 'a list of numbers', (one) => typeof one === 'number') as readonly number[] | undefined
  }

  flags(key: string): readonly boolean[] | undefined {
    return this.#list(key, 'a list of flags', (one) => typeof one === 'boolean') as readonly boolean[] | undefined
  }

  #list(key: string, expected: string, fits: (value: GgufValue) => boolean): GgufArray | undefined {
    const value = this.raw(key)
    if (value === undefined) return undefined
    if (!Array.isArray(value) || !value.every(fits)) return this.fail(key, expected, value)
    return value
  }

  fail(key: string, expected: string, value: GgufValue | undefined): never {
    const came = value === undefined ? 'nothing' : Array.isArray(value) ? `a list of ${value.length}` : abbreviate(String(value))
    throw new CorruptConfigError({
      file: this.file,
      expected: `${expected} in the metadata "${this.prefix}${key}"`,
      came,
      remedy: 'Take another file of the model.',
    })
  }
}

/** The decimal with the fewest digits that is the same f32, for numbers that are exactly an f32. */
function shortest(value: number): number {
  if (Number.isInteger(value) || Math.fround(value) !== value) return value
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === value) return short
  }
  return value
}
