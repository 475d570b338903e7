/** jinja2's filters, with the `tojson` of transformers. `pprint`, `urlize`, `wordwrap`, `xmlattr` and `random` are left out. */
import { fixed, formatPercent, rounded } from './format.ts'
import { bind, intArgument, present, textArgument } from './functions.ts'
import { PLAIN, toJson } from './json.ts'
import { charge, chargeItems, fail, spend } from './limits.ts'
import { aligned, getAttribute, getItem, textMethod } from './methods.ts'
import { binary } from './operators.ts'
import { runTest } from './tests.ts'
import { capitalized, fold, points, replace, SPACE, splitLines, strip } from './text.ts'
import {
  compare,
  Dict,
  equal,
  hashOf,
  indexOf,
  integer,
  isText,
  isTrue,
  itemsIfAny,
  itemsOf,
  type Keywords,
  Lazy,
  length,
  like,
  listOf,
  Markup,
  numeric,
  orElse,
  strOf,
  Tuple,
  textOf,
  typeOf,
  Undefined,
  type Value,
} from './values.ts'

type Filter = (value: Value, ...args: (Value | undefined)[]) => Value

/** `soft_str`: text stays what it is, escaped or not. */
const soft = (value: Value): string | Markup => (isText(value) ? value : strOf(value))
const isOn = (value: Value | undefined) => value !== undefined && isTrue(value)
/** As an argument that Python takes for an int. */
const isReversed = (value: Value | undefined) => intArgument(value, 0) !== 0
const lowered = (value: Value): Value => (isText(value) ? like(value, fold(textOf(value)).toLowerCase()) : value)

/** Follows `a.b.0` from an item; None is the item itself. */
function getter(attribute: Value | undefined, otherwise?: Value): (item: Value) => Value {
  const path = present(attribute)
  const parts: Value[] =
    path === undefined
      ? []
      : isText(path)
        ? textOf(path)
            .split('.')
            .map((part) => (/^\d+$/.test(part) ? BigInt(part) : part))
        : [path]
  const fallback = present(otherwise)
  return (item) => {
    let value = item
    for (const part of parts) {
      value = getItem(value, part)
      if (fallback !== undefined && value instanceof Undefined) value = fallback
    }
    return value
  }
}

/** The key to compare by: several attributes may be named with commas. */
function sortKey(attribute: Value | undefined, caseSensitive: Value | undefined): (item: Value) => Value {
  const path = present(attribute)
  const getters =
    path !== undefined && isText(path)
      ? textOf(path)
          .split(',')
          .map((part) => getter(part))
      : [getter(path)]
  return (item) => getters.map((get) => (isOn(caseSensitive) ? get(item) : lowered(get(item))))
}

function sorted(items: Value[], key: (item: Value) => Value, reverse: boolean): Value[] {
  const keyed = items.map((item) => ({ item, key: key(item) }))
  const sign = reverse ? -1 : 1
  return keyed.sort((a, b) => sign * compare(a.key, b.key)).map(({ item }) => item)
}

function extreme(value: Value, caseSensitive: Value | undefined, attribute: Value | undefined, sign: number): Value {
  const get = getter(attribute)
  const key = (item: Value) => (isOn(caseSensitive) ? get(item) : lowered(get(item)))
  const items = listOf(value)
  if (items.length === 0) return new Undefined('No aggregated item, sequence was empty.')
  return items.reduce((best, item) => (sign * compare(key(item), key(best)) > 0 ? item : best))
}

function toInt(value: Value, otherwise: Value, radix: Value | undefined): Value {
  if (value instanceof Undefined) fail(value.message)
  if (isText(value) && (radix === undefined || integer(radix) !== undefined)) {
    const base = intArgument(radix, 10)
    const text = strip(fold(textOf(value)), null).replace(/(?<=[\da-z])_(?=[\da-z])/gi, '')
    const [, sign = '', prefix = '', digits = ''] = /^([-+]?)(0[xob])?([\da-z]+)$/i.exec(text) ?? []
    const own = { '0x': 16, '0o': 8, '0b': 2 }[prefix.toLowerCase()]
    const valid = new RegExp(`^[${'0123456789abcdefghijklmnopqrstuvwxyz'.slice(0, base || own || 10)}]+$`, 'i')
    if (digits !== '' && valid.test(digits) && (prefix === '' || own === base || base === 0)) {
      let number = 0n
      charge(digits.length ** 2)
      for (const digit of digits) number = number * BigInt(base || own || 10) + BigInt(Number.parseInt(digit, 36))
      return sign === '-' ? -number : number
    }
  }
  const number = typeof value === 'bigint' || typeof value === 'boolean' ? BigInt(value) : toFloat(value, null)
  if (typeof number === 'bigint') return number
  return typeof number === 'number' && Number.isFinite(number) ? BigInt(Math.trunc(number)) : otherwise
}

function toFloat(value: Value, otherwise: Value): Value {
  if (value instanceof Undefined) fail(value.message)
  if (!isText(value)) return numeric(value) === undefined ? otherwise : Number(numeric(value))
  const text = strip(fold(textOf(value)), null).replace(/(?<=\d)_(?=\d)/g, '')
  if (/^[-+]?(inf|infinity)$/i.test(text)) return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  if (/^[-+]?nan$/i.test(text)) return Number.NaN
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? Number(text) : otherwise
}

function* batches(value: Value, size: Value, fill: Value | undefined): Generator<Value> {
  let batch: Value[] = []
  for (const item of itemsOf(value)) {
    if (equal(BigInt(batch.length), size)) {
      yield batch
      batch = []
    }
    batch.push(item)
  }
  if (batch.length === 0) return
  if (present(fill) !== undefined && compare(BigInt(batch.length), size) < 0) {
    chargeItems(indexOf(size))
    while (batch.length < indexOf(size)) batch.push(fill!)
  }
  yield batch
}

function* pairsOf(value: Value): Generator<Value> {
  if (value instanceof Undefined) return
  if (!(value instanceof Dict)) fail('Can only get item pairs from a mapping.')
  for (const pair of value.entries()) yield new Tuple(pair)
}

function* distinct(value: Value, caseSensitive: Value | undefined, attribute: Value | undefined): Generator<Value> {
  const get = getter(attribute)
  const seen = new Set<string>()
  for (const item of itemsOf(value)) {
    spend(1)
    const hash = hashOf(isOn(caseSensitive) ? get(item) : lowered(get(item)))
    if (!seen.has(hash)) yield item
    seen.add(hash)
  }
}

function* slices(value: Value, slices: Value, fill: Value | undefined): Generator<Value> {
  const items = listOf(value)
  const count = indexOf(slices)
  if (count === 0) fail('integer division or modulo by zero')
  const [size, extra] = [Math.floor(items.length / count), items.length % count]
  for (let i = 0, start = 0; i < count; i++) {
    spend(4)
    const end = start + size + (i < extra ? 1 : 0)
    const slice = items.slice(start, end)
    if (present(fill) !== undefined && i >= extra) slice.push(fill!)
    yield slice
    start = end
  }
}

function groups(value: Value, attribute: Value | undefined, otherwise: Value | undefined, caseSensitive: Value | undefined): Value {
  const get = getter(attribute, otherwise)
  const key = (item: Value) => (isOn(caseSensitive) ? get(item) : lowered(get(item)))
  const found: { key: Value; items: Value[] }[] = []
  for (const item of sorted(listOf(value), key, false)) {
    const last = found.at(-1)
    if (last && equal(last.key, key(item))) last.items.push(item)
    else found.push({ key: key(item), items: [item] })
  }
  return found.map(({ key, items }) => new Tuple([isOn(caseSensitive) ? key : get(items[0]!), items], ['grouper', 'list']))
}

function indented(value: Value, width: Value | undefined, first: Value | undefined, blank: Value | undefined): Value {
  if (!isText(value)) return fail(`unsupported operand type(s) for +=: '${typeOf(value)}' and 'str'`)
  const by = width !== undefined && isText(width) ? textOf(width) : ' '.repeat(chargedWidth(intArgument(width, 4)))
  const [start = '', ...rest] = splitLines(`${textOf(value)}\n`, false)
  charge(textOf(value).length + (rest.length + 1) * by.length)
  const lines = rest.map((line) => (isOn(blank) || line !== '' ? by + line : line))
  return like(value, (isOn(first) ? by : '') + [start, ...lines].join('\n'))
}

function chargedWidth(width: number): number {
  charge(width)
  return Math.max(width, 0)
}

function titled(value: Value): Value {
  return like(
    soft(value),
    textOf(soft(value))
      .split(new RegExp(`([-${SPACE}({\\[<]+)`))
      .map(capitalized)
      .join(''),
  )
}

function truncated(
  value: Value,
  size: Value | undefined,
  kill: Value | undefined,
  end: Value | undefined,
  leeway: Value | undefined,
): Value {
  const [limit, more] = [intArgument(size, 255), end === undefined ? '...' : textArgument(end, 'end')]
  if (limit < more.length) fail(`expected length >= ${more.length}, got ${limit}`)
  if (Number(length(value)) <= limit + intArgument(present(leeway), 5)) return value
  if (!isText(value)) return fail(`'${typeOf(value)}' object cannot be truncated`)
  const kept = points(textOf(value))
    .slice(0, limit - points(more).length)
    .join('')
  return like(value, (isOn(kill) || !kept.includes(' ') ? kept : kept.slice(0, kept.lastIndexOf(' '))) + more)
}

function round(value: Value, precision: Value | undefined, method: Value | undefined): Value {
  const number = numeric(value) ?? fail(`type ${typeOf(value)} doesn't define __round__ method`)
  const places = intArgument(precision, 0)
  const how = method === undefined ? 'common' : textArgument(method, 'method')
  if (how === 'common') return rounded(number, places)
  if (how !== 'ceil' && how !== 'floor') return fail('method must be common, ceil or floor')
  const unit = 10 ** places
  return Math[how](Number(number) * unit) / unit
}

/** Of what can be walked backwards an iterator, else a list. */
function reversed(value: Value): Value {
  if (isText(value)) return like(value, Array.from(textOf(value)).reverse().join(''))
  const items = listOf(value).reverse()
  return value instanceof Lazy ? items : new Lazy(items)
}

function fileSize(value: Value, isBinary: Value | undefined): string {
  const bytes = toFloat(value, null)
  if (typeof bytes !== 'number') return fail('filesizeformat needs a number')
  const base = isOn(isBinary) ? 1024 : 1000
  if (bytes === 1) return '1 Byte'
  if (bytes < base) return `${Math.trunc(bytes)} Bytes`
  const power = Math.min(Math.floor(Math.log(bytes) / Math.log(base) + 1e-12), 8)
  const prefix = 'kMGTPEZY'[power - 1]!
  return `${fixed(bytes / base ** power, 1)} ${isOn(isBinary) ? `${prefix.toUpperCase()}i` : prefix}B`
}

function urlQuoted(value: Value, isQuery: boolean): string {
  const quoted = encodeURIComponent(fold(strOf(value))).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
  return isQuery ? quoted.replaceAll('%20', '+') : quoted.replaceAll('%2F', '/')
}

function urlEncoded(value: Value): string {
  if (isText(value) || itemsIfAny(value) === undefined) return urlQuoted(value, false)
  const pairs = value instanceof Dict ? value.entries() : listOf(value).map(listOf)
  return pairs
    .map((pair) => {
      if (pair.length !== 2) fail(`expected pairs of two values, got ${pair.length}`)
      return pair.map((part) => urlQuoted(part, true)).join('=')
    })
    .join('&')
}

function json(value: Value, ascii?: Value, indent?: Value, separators?: Value, sortKeys?: Value): Value {
  const levels = present(indent)
  const blanks = levels === undefined ? null : isText(levels) ? textOf(levels) : ' '.repeat(chargedWidth(indexOf(levels)))
  const pair = present(separators)
  const [item, key] =
    pair === undefined ? [levels === undefined ? ', ' : ',', ': '] : listOf(pair).map((part) => textArgument(part, 'separator'))
  return toJson(value, { ...PLAIN, indent: blanks, separators: [item!, key!], asciiOnly: isOn(ascii), sortKeys: isOn(sortKeys) })
}

/** Name -> its parameters after the value, and what it gives. */
const FILTERS: Record<string, [parameters: string, filter: Filter]> = {
  abs: [
    '/',
    (value) => ((numeric(value) ?? fail(`bad operand type for abs(): '${typeOf(value)}'`)) < 0 ? -numeric(value)! : numeric(value)!),
  ],
  attr: [
    'name',
    (value, name) =>
      typeof name === 'string' && !(value instanceof Dict) ? getAttribute(value, name) : new Undefined('no such attribute'),
  ],
  batch: ['linecount fill_with?', (value, size, fill) => new Lazy(batches(value, size!, fill))],
  capitalize: ['', (value) => textMethod(soft(value), 'capitalize')],
  center: ['width?', (value, width) => like(soft(value), aligned(textOf(soft(value)), intArgument(width, 80), ' ', 'center'))],
  default: [
    'default_value? boolean?',
    (value, otherwise = '', empty) => (value instanceof Undefined || (isOn(empty) && !isTrue(value)) ? otherwise : value),
  ],
  dictsort: [
    'case_sensitive? by? reverse?',
    (value, caseSensitive, by = 'key', reverse) => {
      if (!(value instanceof Dict)) return fail(`'${typeOf(value)}' object has no attribute 'items'`)
      if (by !== 'key' && by !== 'value') return fail('You can only sort by either "key" or "value"')
      const key = sortKey(by === 'key' ? 0n : 1n, caseSensitive)
      return sorted(
        value.entries().map((pair) => new Tuple(pair)),
        key,
        isReversed(reverse),
      )
    },
  ],
  escape: ['/', (value) => Markup.escape(value)],
  filesizeformat: ['binary?', fileSize],
  first: ['', (value) => orElse(firstOf(itemsOf(value)), () => new Undefined('No first item, sequence was empty.'))],
  float: ['default?', (value, otherwise = 0) => toFloat(value, otherwise)],
  forceescape: ['', (value) => Markup.escape(strOf(value))],
  groupby: ['attribute default? case_sensitive?', groups],
  indent: ['width? first? blank?', indented],
  int: ['default? base?', (value, otherwise = 0n, base) => toInt(value, otherwise, base)],
  items: ['', (value) => new Lazy(pairsOf(value))],
  join: [
    'd? attribute?',
    (value, separator = '', attribute) => {
      const texts = listOf(value).map(getter(attribute)).map(strOf)
      charge(texts.reduce((sum, text) => sum + text.length + strOf(separator).length, 0))
      return texts.join(strOf(separator))
    },
  ],
  last: [
    '',
    (value) => {
      if (value instanceof Lazy) return fail("'generator' object is not reversible")
      return orElse(listOf(value).at(-1), () => new Undefined('No last item, sequence was empty.'))
    },
  ],
  length: ['/', length],
  list: ['', listOf],
  lower: ['', (value) => textMethod(soft(value), 'lower')],
  max: ['case_sensitive? attribute?', (value, caseSensitive, attribute) => extreme(value, caseSensitive, attribute, 1)],
  min: ['case_sensitive? attribute?', (value, caseSensitive, attribute) => extreme(value, caseSensitive, attribute, -1)],
  replace: ['old new count?', (value, old, by, count) => replace(strOf(value), strOf(old!), strOf(by!), intArgument(present(count), -1))],
  reverse: ['', reversed],
  round: ['precision? method?', round],
  safe: ['', (value) => new Markup(strOf(value))],
  slice: ['slices fill_with?', (value, count, fill) => new Lazy(slices(value, count!, fill))],
  sort: [
    'reverse? case_sensitive? attribute?',
    (value, reverse, caseSensitive, attribute) => sorted(listOf(value), sortKey(attribute, caseSensitive), isReversed(reverse)),
  ],
  string: ['/', soft],
  striptags: [
    '',
    (value) =>
      textOf(soft(value))
        .replace(/<!--[\s\S]*?-->|<[^>]*>/g, '')
        .split(new RegExp(`[${SPACE}]+`))
        .filter(Boolean)
        .join(' ')
        .replace(/&(lt|gt|amp|quot|#39|#34);/g, (_, name: string) => ENTITIES[name]!),
  ],
  sum: [
    'attribute? start?',
    (value, attribute, start = 0n) =>
      listOf(value)
        .map(getter(attribute))
        .reduce((sum, item) => binary('+', sum, item), start),
  ],
  title: ['', titled],
  tojson: ['ensure_ascii? indent? separators? sort_keys?', json],
  trim: [
    'chars?',
    (value, chars) => like(soft(value), strip(textOf(soft(value)), present(chars) === undefined ? null : textArgument(chars, 'chars'))),
  ],
  truncate: ['length? killwords? end? leeway?', truncated],
  unique: ['case_sensitive? attribute?', (value, caseSensitive, attribute) => new Lazy(distinct(value, caseSensitive, attribute))],
  upper: ['', (value) => textMethod(soft(value), 'upper')],
  urlencode: ['', urlEncoded],
  wordcount: ['', (value) => BigInt(fold(textOf(soft(value))).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0)],
}
const ENTITIES: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', '#39': "'", '#34': '"' }
const ALIASES: Record<string, string> = { count: 'length', d: 'default', e: 'escape' }
/** Filters that take any arguments. */
const OPEN = ['format', 'map', 'select', 'reject', 'selectattr', 'rejectattr']

export function isFilter(name: string): boolean {
  return Object.hasOwn(FILTERS, name) || Object.hasOwn(ALIASES, name) || OPEN.includes(name)
}

export function runFilter(name: string, value: Value, args: readonly Value[], keywords: Keywords): Value {
  spend(1)
  const own = Object.hasOwn(ALIASES, name) ? ALIASES[name]! : name
  if (Object.hasOwn(FILTERS, own)) {
    const [parameters, filter] = FILTERS[own]!
    return filter(value, ...bind(name, parameters, args, keywords))
  }
  if (name === 'format') {
    if (args.length > 0 && keywords.size > 0) fail("can't handle positional and keyword arguments at the same time")
    return formatPercent(soft(value), keywords.size > 0 ? new Dict(keywords) : new Tuple(args))
  }
  if (name === 'map') return isTrue(value) || value instanceof Lazy ? mapped(value, args, keywords) : new Lazy([])
  if (OPEN.includes(name)) return isTrue(value) ? selected(name, value, args, keywords) : new Lazy([])
  return fail(`No filter named '${name}'.`)
}

function firstOf(items: Iterable<Value>): Value | undefined {
  for (const item of items) return item
  return undefined
}

function* lazily(value: Value, each: (item: Value) => Value | undefined): Generator<Value> {
  for (const item of itemsOf(value)) {
    spend(1)
    const result = each(item)
    if (result !== undefined) yield result
  }
}

function mapped(value: Value, args: readonly Value[], keywords: Keywords): Value {
  if (args.length > 0) {
    const [name, ...rest] = args
    const filter = textArgument(name, 'the name of a filter')
    return new Lazy(lazily(value, (item) => runFilter(filter, item, rest, keywords)))
  }
  if (!keywords.has('attribute')) return fail('map requires a filter argument')
  const [attribute, otherwise] = bind('map', 'attribute default?', [], keywords)
  return new Lazy(lazily(value, getter(attribute, otherwise)))
}

function selected(name: string, value: Value, args: readonly Value[], keywords: Keywords): Value {
  const rest = [...args]
  const get = name.endsWith('attr') ? getter(rest.shift() ?? fail('Missing parameter for attribute name')) : (item: Value) => item
  const test = rest.shift()
  const wanted = name.startsWith('select')
  const passes = (item: Value) =>
    test === undefined ? isTrue(item) : runTest(textArgument(test, 'the name of a test'), item, rest, keywords, isFilter)
  return new Lazy(lazily(value, (item) => (passes(get(item)) === wanted ? item : undefined)))
}
