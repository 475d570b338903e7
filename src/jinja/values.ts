/**
 * The values of templates: Python's. None is null, int is bigint, float is number, str is string, list is an array; the other types are
 * classes below. JavaScript objects never appear, so a template cannot reach a prototype.
 */
import { charge, fail, spend } from './limits.ts'
import { floatText, fold, lengthOf, points, quoted } from './text.ts'

export type Value = null | boolean | bigint | number | string | Value[] | PyObject

export abstract class PyObject {
  /** The name of the type in error messages. */
  abstract readonly type: string
}

/** What a missing variable, attribute or item gives: empty as text, false, without items; an error where more is asked of it. */
export class Undefined extends PyObject {
  readonly type = 'Undefined'
  readonly message: string
  constructor(message: string) {
    super()
    this.message = message
  }
}

export class Tuple extends PyObject {
  readonly type = 'tuple'
  readonly items: readonly Value[]
  /** Of a named tuple. */
  readonly names: readonly string[]
  constructor(items: readonly Value[], names: readonly string[] = []) {
    super()
    this.items = items
    this.names = names
  }
}

export class Dict extends PyObject {
  readonly type = 'dict'
  readonly #entries = new Map<string, [key: Value, value: Value]>()

  constructor(entries: Iterable<readonly [Value, Value]> = []) {
    super()
    for (const [key, value] of entries) this.set(key, value)
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: Value): Value | undefined {
    return this.#entries.get(hashOf(key))?.[1]
  }

  has(key: Value): boolean {
    return this.#entries.has(hashOf(key))
  }

  set(key: Value, value: Value): void {
    const hash = hashOf(key)
    const old = this.#entries.get(hash)
    if (old) old[1] = value
    else this.#entries.set(hash, [key, value])
  }

  entries(): [Value, Value][] {
    return [...this.#entries.values()]
  }

  keys(): Value[] {
    return this.entries().map(([key]) => key)
  }
}

/** `d.items()`, `d.keys()`, `d.values()`. */
export class DictView extends PyObject {
  readonly type: 'dict_items' | 'dict_keys' | 'dict_values'
  readonly dict: Dict
  constructor(type: DictView['type'], dict: Dict) {
    super()
    this.type = type
    this.dict = dict
  }

  items(): Value[] {
    if (this.type === 'dict_keys') return this.dict.keys()
    return this.dict.entries().map(([key, value]) => (this.type === 'dict_items' ? new Tuple([key, value]) : value))
  }
}

/** Text that counts as escaped HTML. */
export class Markup extends PyObject {
  readonly type = 'Markup'
  readonly text: string
  constructor(text: string) {
    super()
    this.text = text
  }

  static escape(value: Value): Markup {
    if (value instanceof Markup) return value
    const text = strOf(value)
    charge(text.length)
    const codes: Record<string, string> = { '&': '&amp;', '>': '&gt;', '<': '&lt;', "'": '&#39;', '"': '&#34;' }
    return new Markup(Array.from(text, (char) => codes[fold(char)] ?? char).join(''))
  }
}

export class Namespace extends PyObject {
  readonly type = 'Namespace'
  readonly fields = new Map<string, Value>()
}

/** What maps, filters and iterators give: items that can be taken once. */
export class Lazy extends PyObject {
  readonly type = 'generator'
  readonly iterator: Iterator<Value>
  constructor(items: Iterable<Value>) {
    super()
    this.iterator = items[Symbol.iterator]()
  }
}

export class Range extends PyObject {
  readonly type = 'range'
  readonly start: bigint
  readonly stop: bigint
  readonly step: bigint
  readonly length: number
  constructor(start: bigint, stop: bigint, step: bigint) {
    super()
    if (step === 0n) fail('range() arg 3 must not be zero')
    const span = step > 0n ? stop - start : start - stop
    const size = step > 0n ? step : -step
    const length = span <= 0n ? 0n : (span + size - 1n) / size
    if (length > 100_000n) fail('Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).')
    this.start = start
    this.stop = stop
    this.step = step
    this.length = Number(length)
  }

  at(index: number): bigint {
    return this.start + BigInt(index) * this.step
  }

  items(): bigint[] {
    return Array.from({ length: this.length }, (_, i) => this.at(i))
  }
}

export type Keywords = ReadonlyMap<string, Value>

/** A function, method or macro. */
export class Callable extends PyObject {
  readonly type: string
  readonly name: string
  readonly call: (args: readonly Value[], keywords: Keywords) => Value
  readonly attributes: ReadonlyMap<string, Value>
  constructor(
    name: string,
    call: Callable['call'],
    type = 'builtin_function_or_method',
    attributes: ReadonlyMap<string, Value> = new Map(),
  ) {
    super()
    this.name = name
    this.call = call
    this.type = type
    this.attributes = attributes
  }
}

/** The value, None included, or another one where nothing was found. */
export const orElse = (value: Value | undefined, otherwise: () => Value): Value => (value === undefined ? otherwise() : value)

export function typeOf(value: Value): string {
  if (value === null) return 'NoneType'
  if (Array.isArray(value)) return 'list'
  if (value instanceof PyObject) return value.type
  return { boolean: 'bool', bigint: 'int', number: 'float', string: 'str' }[typeof value as 'string']
}

export const isText = (value: Value): value is string | Markup => typeof value === 'string' || value instanceof Markup
export const isSequence = (value: Value): value is Value[] | Tuple => Array.isArray(value) || value instanceof Tuple

/** An int where Python takes bool for int; undefined for other types. */
export function integer(value: Value): bigint | undefined {
  return typeof value === 'boolean' ? BigInt(value) : typeof value === 'bigint' ? value : undefined
}

/** A number, bool included; undefined for other types. */
export function numeric(value: Value): bigint | number | undefined {
  return typeof value === 'number' ? value : integer(value)
}

/** The index that an int means in JavaScript; hostile sizes become the largest one. */
export function indexOf(value: Value, what = 'argument'): number {
  const int = integer(value)
  if (int === undefined) fail(`${what}: '${typeOf(value)}' object cannot be interpreted as an integer`)
  const number = Number(int)
  return Math.max(Math.min(number, Number.MAX_SAFE_INTEGER), -Number.MAX_SAFE_INTEGER)
}

/** Equal values have equal hashes, over the types: 1, 1.0 and True are one key. */
export function hashOf(value: Value): string {
  if (isText(value)) return `s${fold(textOf(value))}`
  if (typeof value === 'number' && !Number.isInteger(value)) return `n${value}`
  const number = numeric(value)
  if (number !== undefined) return `n${BigInt(number)}`
  if (value === null) return 'none'
  if (value instanceof Undefined) return 'undefined'
  if (value instanceof Tuple) return `t${JSON.stringify(value.items.map(hashOf))}`
  return fail(`unhashable type: '${typeOf(value)}'`)
}

export function isTrue(value: Value): boolean {
  if (value === null || value instanceof Undefined) return false
  if (typeof value === 'boolean') return value
  if (typeof value === 'bigint') return value !== 0n
  if (typeof value === 'number') return value !== 0
  return lengthIfAny(value) !== 0
}

/** Python's `len`; undefined where the type has none. */
export function lengthIfAny(value: Value): number | undefined {
  if (isText(value)) return lengthOf(textOf(value))
  if (Array.isArray(value)) return value.length
  if (value instanceof Tuple) return value.items.length
  if (value instanceof Dict) return value.size
  if (value instanceof DictView) return value.dict.size
  if (value instanceof Range) return value.length
  return value instanceof Undefined ? 0 : undefined
}

export function length(value: Value): bigint {
  return BigInt(lengthIfAny(value) ?? fail(`object of type '${typeOf(value)}' has no len()`))
}

/** The items of something iterable; undefined for other types. */
export function itemsIfAny(value: Value): Iterable<Value> | undefined {
  if (Array.isArray(value)) return value
  if (value instanceof Tuple) return value.items
  if (isText(value)) return points(textOf(value))
  if (value instanceof Dict) return value.keys()
  if (value instanceof DictView || value instanceof Range) return value.items()
  if (value instanceof Undefined) return []
  if (value instanceof Lazy) return { [Symbol.iterator]: () => ({ next: () => value.iterator.next() }) }
  return undefined
}

export function itemsOf(value: Value): Iterable<Value> {
  return itemsIfAny(value) ?? fail(`'${typeOf(value)}' object is not iterable`)
}

/** All items, each paid for. */
export function listOf(value: Value): Value[] {
  const list: Value[] = []
  for (const item of itemsOf(value)) {
    spend(1)
    list.push(item)
  }
  return list
}

export function textOf(value: string | Markup): string {
  return typeof value === 'string' ? value : value.text
}

/** Text made from another one: escaped stays escaped. */
export function like(source: string | Markup, text: string): string | Markup {
  return typeof source === 'string' ? text : new Markup(text)
}

/** Python's `str`. */
export function strOf(value: Value): string {
  if (isText(value)) return textOf(value)
  return value instanceof Undefined ? '' : reprOf(value)
}

/** Python's `repr`. */
export function reprOf(value: Value): string {
  spend(1)
  if (value === null) return 'None'
  if (typeof value === 'string') return quoted(value)
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number') return floatText(value)
  const all = (items: readonly Value[]) => joined(items.map(reprOf))
  if (Array.isArray(value)) return `[${all(value)}]`
  if (value instanceof Tuple) return `(${all(value.items)}${value.items.length === 1 ? ',' : ''})`
  if (value instanceof Dict) return `{${joined(value.entries().map(([key, item]) => `${reprOf(key)}: ${reprOf(item)}`))}}`
  if (value instanceof DictView) return `${value.type}([${all(value.items())}])`
  if (value instanceof Markup) return `Markup(${quoted(value.text)})`
  if (value instanceof Undefined) return 'Undefined'
  if (value instanceof Range) {
    return `range(${value.start}, ${value.stop}${value.step === 1n ? '' : `, ${value.step}`})`
  }
  if (value instanceof Namespace) return `<Namespace ${reprOf(new Dict(value.fields))}>`
  return value instanceof Callable ? `<${value.type} ${value.name}>` : `<${value.type} object>`
}

function joined(parts: string[]): string {
  charge(parts.reduce((sum, { length }) => sum + length, 0))
  return parts.join(', ')
}

export function equal(a: Value, b: Value): boolean {
  spend(1)
  if (a === b) return true
  if (isText(a) && isText(b)) return fold(textOf(a)) === fold(textOf(b))
  const [x, y] = [numeric(a), numeric(b)]
  // biome-ignore lint/suspicious/noDoubleEquals: int and float compare by value
  if (x !== undefined && y !== undefined) return x == y
  if ((Array.isArray(a) && Array.isArray(b)) || (a instanceof Tuple && b instanceof Tuple)) {
    const [left, right] = [listed(a), listed(b)]
    return left.length === right.length && left.every((item, i) => equal(item, right[i]!))
  }
  if (a instanceof Dict && b instanceof Dict)
    return (
      a.size === b.size &&
      a.entries().every(([key, value]) => {
        const other = b.get(key)
        return other !== undefined && equal(value, other)
      })
    )
  if (a instanceof Range && b instanceof Range) return equal(a.items(), b.items())
  return a instanceof Undefined && b instanceof Undefined
}

const listed = (value: Value[] | Tuple): readonly Value[] => (Array.isArray(value) ? value : value.items)

/** Negative, zero or positive; NaN where a number is NaN. An error for types without an order. */
export function compare(a: Value, b: Value, operator = '<'): number {
  spend(1)
  const [x, y] = [numeric(a), numeric(b)]
  if (x !== undefined && y !== undefined) return x < y ? -1 : x > y ? 1 : Number.isNaN(x) || Number.isNaN(y) ? Number.NaN : 0
  if (isText(a) && isText(b)) return compareTexts(fold(textOf(a)), fold(textOf(b)))
  if ((Array.isArray(a) && Array.isArray(b)) || (a instanceof Tuple && b instanceof Tuple)) {
    const [left, right] = [listed(a), listed(b)]
    const i = left.findIndex((item, i) => i >= right.length || !equal(item, right[i]!))
    return i >= 0 && i < right.length ? compare(left[i]!, right[i]!, operator) : left.length - right.length
  }
  for (const value of [a, b]) if (value instanceof Undefined) fail(value.message)
  return fail(`'${operator}' not supported between instances of '${typeOf(a)}' and '${typeOf(b)}'`)
}

/** By code points, where JavaScript compares UTF-16 units. */
function compareTexts(a: string, b: string): number {
  let i = 0
  while (i < a.length && a[i] === b[i]) i++
  if (i > 0 && /[\udc00-\udfff]/.test((a[i] ?? '') + (b[i] ?? ''))) i--
  return (a.codePointAt(i) ?? -1) - (b.codePointAt(i) ?? -1)
}

/** `item in container`. */
export function contains(container: Value, item: Value): boolean {
  if (isText(container)) {
    if (!isText(item)) fail(`'in <string>' requires string as left operand, not ${typeOf(item)}`)
    return fold(textOf(container)).includes(fold(textOf(item)))
  }
  if (container instanceof Dict) return container.has(item)
  const items = itemsIfAny(container) ?? fail(`argument of type '${typeOf(container)}' is not iterable`)
  for (const other of items) if (equal(other, item)) return true
  return false
}
