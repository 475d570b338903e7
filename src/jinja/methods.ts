/** The attributes that values have in Python. Those that change a value are left out, as jinja2's immutable sandbox does. */

import { formatBraces } from './format.ts'
import { bind, intArgument, present, textArgument } from './functions.ts'
import { charge, fail } from './limits.ts'
import { itemOf } from './operators.ts'
import { capitalized, fold, lengthOf, pointIndex, points, replace, SPACE, split, splitLines, strip, unitIndex } from './text.ts'
import {
  Callable,
  Dict,
  DictView,
  equal,
  indexOf,
  integer,
  isSequence,
  isText,
  itemsOf,
  type Keywords,
  like,
  listOf,
  Markup,
  Namespace,
  orElse,
  PyObject,
  Range,
  Tuple,
  textOf,
  typeOf,
  Undefined,
  type Value,
} from './values.ts'

/** A value whose attributes are its own business: loops, cyclers. */
export abstract class Attributed extends PyObject {
  abstract attribute(name: string): Value | undefined
}

/** `of.name`: an attribute, else an item of that name, else undefined. */
export function getAttribute(of: Value, name: string): Value {
  if (of instanceof Undefined) fail(of.message)
  const found = attributeOf(of, name)
  return orElse(found === undefined ? itemOf(of, name) : found, () => new Undefined(`'${typeOf(of)}' object has no attribute '${name}'`))
}

/** `of[key]`: an item, else an attribute of that name, else undefined. */
export function getItem(of: Value, key: Value): Value {
  const item = itemOf(of, key)
  const found = item === undefined && isText(key) ? attributeOf(of, textOf(key)) : item
  return orElse(found, () => new Undefined(`'${typeOf(of)}' object has no ${isText(key) ? `attribute '${textOf(key)}'` : 'such element'}`))
}

function attributeOf(of: Value, name: string): Value | undefined {
  if (UNSAFE.has(name) || (MUTATING[typeOf(of)]?.includes(name) ?? false))
    return new Undefined(`access to attribute '${name}' of '${typeOf(of)}' object is unsafe.`)
  if (of instanceof Namespace) return of.fields.get(name)
  if (of instanceof Attributed) return of.attribute(name)
  if (of instanceof Callable) return of.attributes.get(name)
  if (of instanceof Tuple && of.names.includes(name)) return of.items[of.names.indexOf(name)]
  const isInt = integer(of) !== undefined
  if ((isInt || typeof of === 'number') && ['real', 'imag', 'numerator', 'denominator'].includes(name)) {
    if (!isInt && /^[nd]/.test(name)) return undefined
    return name === 'imag' ? (isInt ? 0n : 0) : name === 'denominator' ? 1n : isInt ? integer(of)! : of
  }
  if (of instanceof Range && ['start', 'stop', 'step'].includes(name))
    return name === 'start' ? of.start : name === 'step' ? of.step : of.stop
  const methods = methodsOf(of)
  const own = methods && Object.hasOwn(methods, name) ? methods[name] : undefined
  if (own === undefined) return undefined
  const [names, run] = own
  return new Callable(name, (args, keywords) =>
    names === null ? run(of as never, args, keywords) : run(of as never, bind(name, names, args, keywords), keywords),
  )
}

/** What Python's objects have and the sandbox hides. */
const UNSAFE = new Set(
  ['class', 'init', 'new', 'dict', 'doc', 'mro', 'bases', 'subclasses', 'globals', 'builtins', 'call', 'code', 'self', 'module', 'name']
    .concat(['getattribute', 'getattr', 'setattr', 'len', 'iter', 'eq', 'hash', 'str', 'repr', 'reduce', 'reduce_ex', 'format', 'sizeof'])
    .concat(['contains', 'getitem', 'add', 'mul', 'mod', 'dir', 'init_subclass', 'subclasshook', 'html', 'html_format'])
    .map((name) => `__${name}__`),
)
const MUTATING: Record<string, string[]> = {
  list: ['append', 'clear', 'pop', 'reverse', 'insert', 'sort', 'extend', 'remove'],
  dict: ['clear', 'pop', 'popitem', 'setdefault', 'update'],
}

/** Parameters (null: takes them as they come) and what the method gives. */
type Methods<T> = Record<string, readonly [string | null, (of: T, args: readonly (Value | undefined)[], keywords: Keywords) => Value]>

function methodsOf(of: Value): Methods<never> | undefined {
  if (isText(of)) return TEXT
  if (of instanceof Dict) return DICT
  if (isSequence(of)) return Array.isArray(of) ? { ...SEQUENCE, copy: ['/', (list: Value[]) => [...list]] as const } : SEQUENCE
  if (of instanceof Range) return SEQUENCE
  if (typeof of === 'number') return FLOAT
  return integer(of) === undefined ? undefined : INT
}

const DICT: Methods<Dict> = {
  get: ['/ key default?', (dict, [key, otherwise = null]) => orElse(dict.get(key!), () => otherwise)],
  items: ['/', (dict) => new DictView('dict_items', dict)],
  keys: ['/', (dict) => new DictView('dict_keys', dict)],
  values: ['/', (dict) => new DictView('dict_values', dict)],
  copy: ['/', (dict) => new Dict(dict.entries())],
  fromkeys: ['/ keys value?', (_, [keys, value = null]) => new Dict(listOf(keys!).map((key) => [key, value]))],
}

const itemsIn = (of: Value[] | Tuple | Range): readonly Value[] => (Array.isArray(of) ? of : of instanceof Tuple ? of.items : of.items())

const SEQUENCE: Methods<Value[] | Tuple | Range> = {
  count: ['/ value', (of, [value]) => BigInt(itemsIn(of).filter((item) => equal(item, value!)).length)],
  index: [
    '/ value start? stop?',
    (of, [value, start, stop]) => {
      const items = itemsIn(of)
      const clamp = (index: number) => (index < 0 ? Math.max(index + items.length, 0) : index)
      const [from, to] = [clamp(intArgument(start, 0)), clamp(intArgument(stop, items.length))]
      const index = items.findIndex((item, i) => i >= from && i < to && equal(item, value!))
      return index < 0 ? fail(`${typeOf(of)}.index(x): x not in ${typeOf(of)}`) : BigInt(index)
    },
  ],
}

const INT: Methods<bigint | boolean> = {
  bit_length: ['/', (of) => BigInt(of === 0n || of === false ? 0 : BigInt(of).toString(2).replace('-', '').length)],
  conjugate: ['/', (of) => BigInt(of)],
}
const FLOAT: Methods<number> = {
  is_integer: ['/', (of) => Number.isInteger(of)],
  conjugate: ['/', (of) => of],
}

type Text = string | Markup
const optionalText = (value: Value | undefined, what: string) => (present(value) === undefined ? null : textArgument(value, what))

/** A method that gives text made from this text. */
const making =
  (make: (text: string, args: readonly (Value | undefined)[]) => string) =>
  (of: Text, args: readonly (Value | undefined)[]): Value => {
    const text = make(textOf(of), args)
    charge(text.length)
    return like(of, text)
  }
const listing =
  (make: (text: string, args: readonly (Value | undefined)[]) => string[]) =>
  (of: Text, args: readonly (Value | undefined)[]): Value =>
    make(textOf(of), args).map((part) => like(of, part))
/** A method that asks something of the text without its marks. */
const asking = (ask: (text: string) => boolean) => ['/', (of: Text): Value => ask(fold(textOf(of)))] as const
/** Every character is of the class, and there is one. */
const every = (pattern: RegExp) => asking((text) => pattern.test(text))

/** The part of a text between two code point indices, and where it starts in UTF-16. */
function window(text: string, start: Value | undefined, stop: Value | undefined): [part: string, from: number] {
  const clamp = (value: Value | undefined, otherwise: number) => {
    const given = present(value)
    if (given === undefined) return otherwise
    const index = indexOf(given)
    return unitIndex(text, Math.max(0, index < 0 ? index + lengthOf(text) : index))
  }
  const [from, to] = [clamp(start, 0), clamp(stop, text.length)]
  return [text.slice(from, Math.max(from, to)), from > text.length ? -1 : from]
}

function find(of: Text, [sub, start, stop]: readonly (Value | undefined)[], last: boolean): number {
  const text = fold(textOf(of))
  const [part, from] = window(text, start, stop)
  const needle = fold(textArgument(sub, 'argument'))
  const at = from < 0 ? -1 : last ? part.lastIndexOf(needle) : part.indexOf(needle)
  return at < 0 ? -1 : pointIndex(text, from + at)
}

function affix(of: Text, [given, start, stop]: readonly (Value | undefined)[], test: (text: string, affix: string) => boolean): boolean {
  const [part, from] = window(fold(textOf(of)), start, stop)
  const all = given instanceof Tuple ? given.items : [given!]
  return all.some((one) => test(part, fold(textArgument(one, 'affix'))) && from >= 0)
}

function partition(of: Text, separator: Value | undefined, last: boolean): Tuple {
  const text = textOf(of)
  const needle = fold(textArgument(separator, 'separator'))
  if (needle === '') fail('empty separator')
  const at = last ? fold(text).lastIndexOf(needle) : fold(text).indexOf(needle)
  const end = at + needle.length
  const parts = at < 0 ? (last ? ['', '', text] : [text, '', '']) : [text.slice(0, at), text.slice(at, end), text.slice(end)]
  return new Tuple(parts.map((part) => like(of, part)))
}

function splitBy(text: string, [separator, limit]: readonly (Value | undefined)[], fromRight: boolean): string[] {
  const by = optionalText(separator, 'separator')
  if (by === '') fail('empty separator')
  return split(text, by, intArgument(limit, -1), fromRight)
}

export function aligned(text: string, width: number, fill: string, side: 'left' | 'right' | 'center'): string {
  if (lengthOf(fill) !== 1) fail('The fill character must be exactly one character long')
  const missing = width - lengthOf(text)
  if (missing <= 0) return text
  charge(width)
  // Python gives the odd one to the left where the width is odd.
  const left = side === 'left' ? 0 : side === 'right' ? missing : Math.floor(missing / 2) + (missing & width & 1)
  return fill.repeat(left) + text + fill.repeat(missing - left)
}

/** Words begin with a capital, as `str.title` finds words: runs of letters that have a case. */
const titled = (text: string) => text.replace(/\p{Cased}+/gu, (word) => capitalized(word))

const isCased = (text: string) => /[\p{Lu}\p{Ll}\p{Lt}]/u.test(text)

function joinTexts(of: Text, parts: Value[]): Value {
  const texts = parts.map((part, i) => {
    if (!isText(part)) return fail(`sequence item ${i}: expected str instance, ${typeOf(part)} found`)
    return of instanceof Markup ? Markup.escape(part).text : textOf(part)
  })
  charge(texts.reduce((sum, text) => sum + text.length + textOf(of).length, 0))
  return like(of, texts.join(textOf(of)))
}

const TEXT: Methods<Text> = {
  upper: ['/', making((text) => text.toUpperCase())],
  lower: ['/', making((text) => text.toLowerCase())],
  casefold: ['/', making((text) => text.toLowerCase().replaceAll('ß', 'ss').replaceAll('ς', 'σ'))],
  capitalize: ['/', making(capitalized)],
  title: ['/', making(titled)],
  swapcase: [
    '/',
    making((text) =>
      points(text)
        .map((c) => (c === c.toUpperCase() ? c.toLowerCase() : c.toUpperCase()))
        .join(''),
    ),
  ],
  strip: ['/ chars?', making((text, [chars]) => strip(text, optionalText(chars, 'strip arg')))],
  lstrip: ['/ chars?', making((text, [chars]) => strip(text, optionalText(chars, 'lstrip arg'), 'left'))],
  rstrip: ['/ chars?', making((text, [chars]) => strip(text, optionalText(chars, 'rstrip arg'), 'right'))],
  removeprefix: [
    '/ prefix',
    making((text, [prefix]) => text.slice(affix(text, [prefix], (a, b) => a.startsWith(b)) ? textArgument(prefix, 'prefix').length : 0)),
  ],
  removesuffix: [
    '/ suffix',
    making((text, [suffix]) =>
      text.slice(0, affix(text, [suffix], (a, b) => a.endsWith(b)) ? text.length - textArgument(suffix, 'suffix').length : undefined),
    ),
  ],
  replace: [
    '/ old new count?',
    (of, [old, by, count]) => {
      const insert = of instanceof Markup ? Markup.escape(by!).text : textArgument(by, 'replace() argument 2')
      return like(of, replace(textOf(of), textArgument(old, 'replace() argument 1'), insert, intArgument(count, -1)))
    },
  ],
  split: ['sep? maxsplit?', listing((text, args) => splitBy(text, args, false))],
  rsplit: ['sep? maxsplit?', listing((text, args) => splitBy(text, args, true))],
  splitlines: ['keepends?', listing((text, [keep]) => splitLines(text, intArgument(keep, 0) !== 0))],
  partition: ['/ sep', (of, [separator]) => partition(of, separator, false)],
  rpartition: ['/ sep', (of, [separator]) => partition(of, separator, true)],
  join: ['/ iterable', (of, [parts]) => joinTexts(of, [...itemsOf(parts!)])],
  startswith: ['/ prefix start? end?', (of, args) => affix(of, args, (text, prefix) => text.startsWith(prefix))],
  endswith: ['/ suffix start? end?', (of, args) => affix(of, args, (text, suffix) => text.endsWith(suffix))],
  find: ['/ sub start? end?', (of, args) => BigInt(find(of, args, false))],
  rfind: ['/ sub start? end?', (of, args) => BigInt(find(of, args, true))],
  index: ['/ sub start? end?', (of, args) => found(find(of, args, false))],
  rindex: ['/ sub start? end?', (of, args) => found(find(of, args, true))],
  count: [
    '/ sub start? end?',
    (of, [sub, start, stop]) => {
      const [part, from] = window(fold(textOf(of)), start, stop)
      const needle = fold(textArgument(sub, 'argument'))
      return BigInt(from < 0 ? 0 : needle === '' ? lengthOf(part) + 1 : part.split(needle).length - 1)
    },
  ],
  center: [
    '/ width fillchar?',
    making((text, [width, fill = ' ']) => aligned(text, indexOf(width!), textArgument(fill, 'fill'), 'center')),
  ],
  ljust: ['/ width fillchar?', making((text, [width, fill = ' ']) => aligned(text, indexOf(width!), textArgument(fill, 'fill'), 'left'))],
  rjust: ['/ width fillchar?', making((text, [width, fill = ' ']) => aligned(text, indexOf(width!), textArgument(fill, 'fill'), 'right'))],
  zfill: [
    '/ width',
    making((text, [width]) => {
      const sign = /^[-+]/.exec(text)?.[0] ?? ''
      return sign + aligned(text.slice(sign.length), indexOf(width!) - sign.length, '0', 'right')
    }),
  ],
  expandtabs: [
    'tabsize?',
    making((text, [size]) => {
      const every = intArgument(size, 8)
      let column = 0
      return points(text)
        .map((char) => {
          const width = char === '\t' ? (every > 0 ? every - (column % every) : 0) : 1
          column = /[\n\r]/.test(char) ? 0 : column + width
          if (char !== '\t') return char
          charge(width)
          return ' '.repeat(width)
        })
        .join('')
    }),
  ],
  format: [null, (of, args, keywords) => formatBraces(of, args as Value[], keywords, { attribute: getAttribute, item: getItem })],
  format_map: [
    '/ mapping',
    (of, [mapping]) => {
      const fields = mapping instanceof Dict ? mapping.entries() : fail('format_map() needs a mapping')
      const keywords = new Map(fields.filter(([key]) => isText(key)).map(([key, value]) => [textOf(key as Text), value]))
      return formatBraces(of, [], keywords, { attribute: getAttribute, item: getItem })
    },
  ],
  isalnum: every(/^[\p{L}\p{Nd}\p{Nl}\p{No}]+$/u),
  isalpha: every(/^\p{L}+$/u),
  isascii: asking((text) => [...text].every((char) => char.codePointAt(0)! < 128)),
  isdecimal: every(/^\p{Nd}+$/u),
  isdigit: every(/^[\p{Nd}\u00b2\u00b3\u00b9\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468]+$/u),
  isnumeric: every(/^\p{N}+$/u),
  isidentifier: every(/^[\p{XID_Start}_]\p{XID_Continue}*$/u),
  isprintable: asking((text) => !/[\p{C}\p{Z}]/u.test(text.replaceAll(' ', ''))),
  isspace: every(new RegExp(`^[${SPACE}]+$`)),
  islower: asking((text) => /\p{Lowercase}/u.test(text) && !/[\p{Lu}\p{Lt}]/u.test(text)),
  isupper: asking((text) => /\p{Uppercase}/u.test(text) && !/[\p{Ll}\p{Lt}]/u.test(text)),
  istitle: asking((text) => isCased(text) && text === titled(text)),
}

const found = (index: number): bigint => (index < 0 ? fail('substring not found') : BigInt(index))

/** A method of texts, for filters that are the same thing. */
export function textMethod(of: Text, name: string, ...args: (Value | undefined)[]): Value {
  return TEXT[name]![1](of, args, new Map())
}
