/** Python's operators on values. */

import { formatPercent } from './format.ts'
import { charge, chargeItems, fail } from './limits.ts'
import { sliceIndices, sliceText } from './text.ts'
import {
  compare,
  contains,
  Dict,
  equal,
  indexOf,
  integer,
  isSequence,
  isText,
  like,
  Markup,
  numeric,
  PyObject,
  Range,
  strOf,
  Tuple,
  textOf,
  typeOf,
  Undefined,
  type Value,
} from './values.ts'

/** Bits of the largest integer that a template may compute. */
const LARGEST_INTEGER = 1 << 16

/** `start:stop:step` between square brackets. */
export class Slice extends PyObject {
  readonly type = 'slice'
  readonly bounds: readonly (number | undefined)[]
  constructor(bounds: readonly (Value | undefined)[]) {
    super()
    this.bounds = bounds.map((bound) => (bound === undefined || bound === null ? undefined : indexOf(bound, 'slice indices')))
  }

  get step(): number {
    return this.bounds[2] === 0 ? fail('slice step cannot be zero') : (this.bounds[2] ?? 1)
  }
}

export function binary(operator: string, left: Value, right: Value): Value {
  for (const side of [left, right]) if (side instanceof Undefined && !(operator === '%' && isText(left))) fail(side.message)
  const [a, b] = [numeric(left), numeric(right)]
  if (a !== undefined && b !== undefined) return arithmetic(operator, a, b)
  if (operator === '+') {
    if (isText(left) && isText(right)) {
      charge(textOf(left).length + textOf(right).length)
      if (typeof left === 'string' && typeof right === 'string') return left + right
      return new Markup(Markup.escape(left).text + Markup.escape(right).text)
    }
    if (Array.isArray(left) && Array.isArray(right)) return concatenated(left, right)
    if (left instanceof Tuple && right instanceof Tuple) return new Tuple(concatenated(left.items, right.items))
  }
  if (operator === '*') {
    const [count, other] = integer(right) === undefined ? [left, right] : [right, left]
    if (integer(count) !== undefined) {
      const times = Math.max(indexOf(count), 0)
      if (isText(other)) {
        charge(textOf(other).length * times)
        return like(other, textOf(other).repeat(times))
      }
      if (isSequence(other)) {
        const items = Array.isArray(other) ? other : other.items
        chargeItems(items.length * times)
        const repeated = Array.from({ length: items.length * times }, (_, i) => items[i % items.length]!)
        return Array.isArray(other) ? repeated : new Tuple(repeated)
      }
    }
  }
  if (operator === '%' && isText(left)) return formatPercent(left, right)
  if (operator === '|' && left instanceof Dict && right instanceof Dict) return new Dict([...left.entries(), ...right.entries()])
  return fail(`unsupported operand type(s) for ${operator}: '${typeOf(left)}' and '${typeOf(right)}'`)
}

function concatenated(left: readonly Value[], right: readonly Value[]): Value[] {
  chargeItems(left.length + right.length)
  return [...left, ...right]
}

function arithmetic(operator: string, a: bigint | number, b: bigint | number): Value {
  if (typeof a === 'bigint' && typeof b === 'bigint' && !(operator === '**' && b < 0n)) {
    if (operator === '/') return b === 0n ? fail('division by zero') : Number(a) / Number(b)
    return checked(integers(operator, a, b))
  }
  const [x, y] = [Number(a), Number(b)]
  if (y === 0 && ['/', '//', '%'].includes(operator)) fail('float division by zero')
  switch (operator) {
    case '+':
      return x + y
    case '-':
      return x - y
    case '*':
      return x * y
    case '/':
      return x / y
    case '//':
      return Math.floor(x / y)
    case '%': {
      const rest = x % y
      return rest !== 0 && rest < 0 !== y < 0 ? rest + y : rest
    }
    default:
      if (x === 0 && y < 0) fail('0.0 cannot be raised to a negative power')
      if (x < 0 && !Number.isInteger(y)) fail('a negative number has no real power with a fraction as exponent')
      return x ** y
  }
}

function integers(operator: string, a: bigint, b: bigint): bigint {
  switch (operator) {
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return a * b
    case '//': {
      if (b === 0n) fail('integer division or modulo by zero')
      return a / b - (a % b !== 0n && a < 0n !== b < 0n ? 1n : 0n)
    }
    case '%': {
      if (b === 0n) fail('integer modulo by zero')
      const rest = a % b
      return rest !== 0n && rest < 0n !== b < 0n ? rest + b : rest
    }
    default:
      if (BigInt(bits(a)) * b > BigInt(LARGEST_INTEGER) && bits(a) > 1) fail('the integer is larger than allowed')
      return bits(a) <= 1 ? a ** (b % 2n === 0n ? (b === 0n ? 0n : 2n) : 1n) : a ** b
  }
}

const bits = (value: bigint) => (value < 0n ? -value : value).toString(16).length * 4 - (value > -2n && value < 2n ? 3 : 0)

function checked(value: bigint): bigint {
  if (value > 1n << 64n || value < -(1n << 64n)) {
    charge(bits(value) / 8)
    if (bits(value) > LARGEST_INTEGER) fail('the integer is larger than allowed')
  }
  return value
}

export function unary(operator: 'not' | '-' | '+', value: Value): Value {
  if (value instanceof Undefined) fail(value.message)
  const number = numeric(value) ?? fail(`bad operand type for unary ${operator}: '${typeOf(value)}'`)
  return operator === '-' ? -number : number
}

export function compared(operator: string, left: Value, right: Value): boolean {
  switch (operator) {
    case '==':
      return equal(left, right)
    case '!=':
      return !equal(left, right)
    case 'in':
      return contains(right, left)
    case 'not in':
      return !contains(right, left)
    case '<':
      return compare(left, right, operator) < 0
    case '<=':
      return compare(left, right, operator) <= 0
    case '>':
      return compare(left, right, operator) > 0
    default:
      return compare(left, right, operator) >= 0
  }
}

/** `~`: the text of all values. */
export function concat(values: Value[]): string {
  const texts = values.map(strOf)
  charge(texts.reduce((sum, { length }) => sum + length, 0))
  return texts.join('')
}

/** `of[key]`; undefined where Python raises KeyError, IndexError or TypeError. A slice of something else is an error. */
export function itemOf(of: Value, key: Value): Value | undefined {
  if (of instanceof Undefined) fail(of.message)
  if (of instanceof Dict && !(key instanceof Slice)) return isHashable(key) ? of.get(key) : undefined
  if (key instanceof Slice) {
    const [start, stop] = key.bounds
    if (isText(of)) return like(of, sliceText(textOf(of), start, stop, key.step))
    if (!isSequence(of) && !(of instanceof Range)) return fail(`'${typeOf(of)}' object is not subscriptable by a slice`)
    const items: readonly Value[] = Array.isArray(of) ? of : of instanceof Tuple ? of.items : of.items()
    const part = sliceIndices(items.length, start, stop, key.step).map((i) => items[i]!)
    return Array.isArray(of) ? part : new Tuple(part)
  }
  if (integer(key) === undefined) return undefined
  const index = indexOf(key)
  if (isText(of)) {
    const [start, stop] = index < 0 ? [index, index === -1 ? undefined : index + 1] : [index, index + 1]
    const char = sliceText(textOf(of), start, stop, 1)
    return char === '' ? undefined : like(of, char)
  }
  if (of instanceof Range) return index >= of.length || index < -of.length ? undefined : of.at(index < 0 ? index + of.length : index)
  return isSequence(of) ? (Array.isArray(of) ? of : of.items).at(index) : undefined
}

function isHashable(key: Value): boolean {
  if (key instanceof Tuple) return key.items.every(isHashable)
  return !(Array.isArray(key) || (key instanceof PyObject && !(key instanceof Undefined) && !(key instanceof Markup)))
}
