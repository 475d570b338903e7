/** What may stand after `is`: jinja2's tests. */
import { bind } from './functions.ts'
import { fail } from './limits.ts'
import { textMethod } from './methods.ts'
import { binary, compared } from './operators.ts'
import {
  Callable,
  contains,
  Dict,
  DictView,
  equal,
  integer,
  isText,
  itemsIfAny,
  type Keywords,
  Lazy,
  lengthIfAny,
  Markup,
  numeric,
  strOf,
  textOf,
  Undefined,
  type Value,
} from './values.ts'

type Test = (value: Value, other: Value) => boolean

const order =
  (operator: string): Test =>
  (value, other) =>
    compared(operator, value, other)

const ONE: Record<string, (value: Value) => boolean> = {
  odd: (value) => equal(binary('%', value, 2n), 1n),
  even: (value) => equal(binary('%', value, 2n), 0n),
  defined: (value) => !(value instanceof Undefined),
  undefined: (value) => value instanceof Undefined,
  none: (value) => value === null,
  boolean: (value) => typeof value === 'boolean',
  false: (value) => value === false,
  true: (value) => value === true,
  integer: (value) => typeof value === 'bigint',
  float: (value) => typeof value === 'number',
  lower: (value) => textMethod(strOf(value), 'islower') === true,
  upper: (value) => textMethod(strOf(value), 'isupper') === true,
  string: isText,
  mapping: (value) => value instanceof Dict,
  number: (value) => numeric(value) !== undefined,
  sequence: (value) => lengthIfAny(value) !== undefined && !(value instanceof DictView),
  iterable: (value) => value instanceof Lazy || itemsIfAny(value) !== undefined,
  callable: (value) => value instanceof Callable || value instanceof Undefined,
  escaped: (value) => value instanceof Markup,
}

const TWO: Record<string, Test> = {
  divisibleby: (value, other) => equal(binary('%', value, other), 0n),
  sameas: (value, other) => value === other || (integer(value) !== undefined && typeof value === typeof other && equal(value, other)),
  in: (value, other) => contains(other, value),
}
for (const [names, operator] of [
  ['== eq equalto', '=='],
  ['!= ne', '!='],
  ['> gt greaterthan', '>'],
  ['>= ge', '>='],
  ['< lt lessthan', '<'],
  ['<= le', '<='],
] as const)
  for (const name of names.split(' ')) TWO[name] = order(operator)

export function isTest(name: string): boolean {
  return Object.hasOwn(ONE, name) || Object.hasOwn(TWO, name) || name === 'filter' || name === 'test'
}

/** @param isFilter for the test `filter`, which asks whether a filter exists */
export function runTest(
  name: string,
  value: Value,
  args: readonly Value[],
  keywords: Keywords,
  isFilter: (name: string) => boolean,
): boolean {
  if (name === 'filter' || name === 'test') return isText(value) && (name === 'test' ? isTest : isFilter)(textOf(value))
  if (Object.hasOwn(ONE, name)) {
    bind(name, '/', args, keywords)
    return ONE[name]!(value)
  }
  if (!Object.hasOwn(TWO, name)) return fail(`No test named '${name}'.`)
  const parameter = name === 'divisibleby' ? 'num' : name === 'sameas' ? 'other' : name === 'in' ? 'seq' : '/ other'
  return TWO[name]!(value, bind(name, parameter, args, keywords)[0]!)
}
