/** Numbers and texts in Python's format languages: `'%5.2f' % x`, `'{:>8}'.format(x)`, `strftime`. */
import { charge, fail } from './limits.ts'
import { exponent, floatText, fold, lengthOf } from './text.ts'
import {
  Dict,
  indexOf,
  isText,
  type Keywords,
  like,
  Markup,
  numeric,
  orElse,
  reprOf,
  strOf,
  Tuple,
  textOf,
  typeOf,
  Undefined,
  type Value,
} from './values.ts'

/** A decimal with so many places, halves to even as Python rounds. */
export function fixed(value: number, places: number): string {
  if (!Number.isFinite(value)) return floatText(value)
  const digits = Math.min(places, 100)
  const size = Math.abs(value)
  let text = size >= 1e21 ? `${BigInt(size)}${digits > 0 ? `.${'0'.repeat(digits)}` : ''}` : size.toFixed(digits)
  // JavaScript rounds an exact half up. A half has few binary places, so the exact decimal shows it.
  const exact = size < 1e21 && digits < 60 ? size.toFixed(digits + 40) : ''
  const isHalf = exact !== '' && /^50*$/.test(exact.slice(exact.length - 40)) && Number(exact) === size
  if (isHalf) {
    const down = exact.slice(0, exact.length - 40).replace(/\.$/, '')
    if (Number(down.at(-1)) % 2 === 0) text = down
  }
  return (value < 0 || Object.is(value, -0) ? '-' : '') + text
}

/** Python's `round`: an int stays one. */
export function rounded(value: bigint | number, places: number): bigint | number {
  if (typeof value === 'number') {
    if (places >= 0) return Number(fixed(value, places))
    const unit = 10 ** -places
    return Number(fixed(value / unit, 0)) * unit
  }
  if (places >= 0) return value
  const unit = 10n ** BigInt(Math.min(-places, 400))
  const [whole, rest] = [value / unit, value % unit]
  const twice = 2n * (rest < 0n ? -rest : rest)
  const up = twice > unit || (twice === unit && whole % 2n !== 0n)
  return (whole + (up ? (value < 0n ? -1n : 1n) : 0n)) * unit
}

/** e, f, g and % of both format languages, for a number without its sign. */
function floating(size: number, kind: string, precision: number | undefined, alternate: boolean): string {
  if (!Number.isFinite(size)) return /[A-Z]/.test(kind) ? floatText(size).toUpperCase() : floatText(size)
  const places = Math.min(precision ?? 6, 100)
  const lower = kind.toLowerCase()
  let text: string
  if (lower === 'f') text = fixed(size, places)
  else if (lower === 'e') text = exponent(size.toExponential(places))
  else {
    const digits = Math.max(places, 1)
    const [, power] = size.toExponential(digits - 1).split('e')
    const isSmall = Number(power) < -4 || Number(power) >= digits
    text = isSmall ? exponent(size.toExponential(digits - 1)) : fixed(size, digits - 1 - Number(power))
    if (!alternate && text.includes('.')) text = text.replace(/\.?0+(?=e|$)/, '')
  }
  return kind === lower ? text : text.toUpperCase()
}

function radix(value: bigint, kind: string): string {
  const size = (value < 0n ? -value : value).toString({ d: 10, i: 10, u: 10, n: 10, b: 2, o: 8, x: 16, X: 16 }[kind] ?? 10)
  return kind === 'X' ? size.toUpperCase() : size
}

function padded(text: string, width: number, align: string, fill: string): string {
  const missing = width - lengthOf(text)
  if (missing <= 0) return text
  charge(width)
  const left = align === '<' ? 0 : align === '^' ? Math.floor(missing / 2) : missing
  return fill.repeat(left) + text + fill.repeat(missing - left)
}

/** Sign, prefix, digits -> one text of at least this width. */
function number(sign: string, prefix: string, digits: string, width: number, align: string, fill: string): string {
  if (align !== '=') return padded(sign + prefix + digits, width, align, fill)
  return sign + prefix + padded(digits, width - sign.length - prefix.length, '>', fill)
}

const PERCENT = /%(?:\((?<key>[^)]*)\))?(?<flags>[-+ #0]*)(?<width>\*|\d+)?(?:\.(?<precision>\*|\d*))?[hlL]?(?<kind>.)/gsu

/** `format % values`. */
export function formatPercent(format: string | Markup, values: Value): string | Markup {
  const prepare = (value: Value) => (format instanceof Markup && numeric(value) === undefined ? Markup.escape(value).text : value)
  const given = values instanceof Tuple ? [...values.items] : [values]
  let [taken, usedKeys] = [0, false]
  const next = () => (taken < given.length ? given[taken++]! : fail('not enough arguments for format string'))
  const source = fold(textOf(format))
  if (source.replace(PERCENT, '').includes('%')) fail('incomplete format')
  const out = textOf(format).replace(PERCENT, (...match) => {
    const { key, flags, width, precision, kind } = match.at(-1) as Record<string, string | undefined>
    if (kind === '%') return '%'
    const size = width === '*' ? indexOf(next()) : Number(width ?? 0)
    const places = precision === '*' ? indexOf(next()) : precision === undefined ? undefined : Number(precision)
    let value: Value
    if (key === undefined) value = next()
    else {
      usedKeys = true
      value = orElse(values instanceof Dict ? values.get(key) : fail('format requires a mapping'), () => fail(`KeyError: '${key}'`))
    }
    const align = size < 0 || flags!.includes('-') ? '<' : '>'
    return percentItem(prepare(value), kind!, flags!, Math.abs(size), places, align)
  })
  if (taken < given.length && !usedKeys && !(values instanceof Dict || Array.isArray(values)))
    fail('not all arguments converted during string formatting')
  charge(out.length)
  return like(format, out)
}

function percentItem(value: Value, kind: string, flags: string, width: number, places: number | undefined, align: string): string {
  if ('sra'.includes(kind)) {
    const text = kind === 's' ? strOf(value) : reprOf(value)
    return padded(Array.from(text).slice(0, places).join(''), width, align, ' ')
  }
  if (kind === 'c') return padded(isText(value) ? textOf(value) : String.fromCodePoint(indexOf(value)), width, align, ' ')
  const number_ = numeric(value) ?? fail(`%${kind} format: a real number is required, not ${typeOf(value)}`)
  const isWhole = 'diuxXo'.includes(kind)
  if (!isWhole && !'eEfFgG'.includes(kind)) fail(`unsupported format character '${kind}'`)
  if (isWhole && typeof number_ === 'number' && !'diu'.includes(kind)) fail(`%${kind} format: an integer is required, not float`)
  const real = isWhole ? BigInt(typeof number_ === 'number' ? Math.trunc(number_) : number_) : Number(number_)
  const sign = real < 0 || Object.is(real, -0) ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : ''
  const prefix = flags.includes('#') && 'xXo'.includes(kind) ? `0${kind}` : ''
  const digits =
    typeof real === 'bigint' ? radix(real, kind).padStart(places ?? 0, '0') : floating(Math.abs(real), kind, places, flags.includes('#'))
  const zeros = flags.includes('0') && align === '>'
  return number(sign, prefix, digits, width, zeros ? '=' : align, zeros ? '0' : ' ')
}

const SPEC =
  /^(?:(?<fill>.)?(?<align>[<>=^]))?(?<sign>[-+ ])?z?(?<alternate>#)?(?<zero>0)?(?<width>\d+)?(?<group>[,_])?(?:\.(?<precision>\d+))?(?<kind>[a-zA-Z%])?$/su

/** `format(value, spec)`. */
export function formatSpec(value: Value, spec: string): string {
  if (spec === '') return strOf(value)
  const found = SPEC.exec(spec) ?? fail(`Invalid format specifier '${spec}'`)
  const { fill, align, sign: signs, alternate, zero, width: widthText, group, precision, kind } = found.groups as Record<string, string>
  const width = Number(widthText ?? 0)
  const places = precision === undefined ? undefined : Number(precision)
  if (isText(value)) {
    if ((kind ?? 's') !== 's' || signs || align === '=') fail(`Unknown format code '${kind ?? signs ?? '='}' for object of type 'str'`)
    return padded(Array.from(textOf(value)).slice(0, places).join(''), width, align ?? '<', fill ?? (zero ? '0' : ' '))
  }
  const real = typeof value === 'boolean' && kind === undefined ? undefined : numeric(value)
  if (real === undefined) {
    if (typeof value === 'boolean') return padded(strOf(value), width, align ?? '<', fill ?? ' ')
    return fail(`unsupported format string passed to ${typeOf(value)}.__format__`)
  }
  const isWhole = typeof real === 'bigint' && !'eEfFgG%'.includes(kind ?? 'd')
  if (kind !== undefined && !(isWhole ? 'bcdnoxX' : 'eEfFgGn%').includes(kind))
    fail(`Unknown format code '${kind}' for object of type '${typeOf(value)}'`)
  if (isWhole && places !== undefined) fail('Precision not allowed in integer format specifier')
  const size = Math.abs(Number(real))
  let digits: string
  if (kind === 'c') digits = String.fromCodePoint(indexOf(value))
  else if (isWhole) digits = radix(real as bigint, kind ?? 'd')
  else if (kind === '%') digits = `${floating(size * 100, 'f', places, false)}%`
  else if (kind === undefined && places === undefined) digits = floatText(size)
  else if (kind === undefined) {
    digits = floating(size, 'g', places, false)
    if (/^\d+$/.test(digits)) digits += '.0'
  } else digits = floating(size, kind === 'n' ? 'g' : kind, places, alternate !== undefined)
  if (group !== undefined) {
    const [, whole, rest] = /^(\d*)(.*)$/.exec(digits)!
    const every = isWhole && 'bxXo'.includes(kind ?? 'd') ? 4 : 3
    digits = whole!.replace(new RegExp(`\\B(?=(.{${every}})+$)`, 'g'), group) + rest
  }
  const sign = real < 0 || Object.is(real, -0) ? '-' : signs === '+' || signs === ' ' ? signs : ''
  const prefix = alternate && isWhole && 'bxXo'.includes(kind ?? 'd') ? `0${kind}` : ''
  return number(sign, prefix, digits, width, align ?? (zero ? '=' : '>'), fill ?? (zero ? '0' : ' '))
}

const FIELD = /\{\{|\}\}|\{([^{}!:]*)(?:!([rsa]))?(?::((?:[^{}]|\{[^{}]*\})*))?\}/g

/** `text.format(*args, **keywords)`; `attribute` and `item` resolve `{0.name}` and `{0[key]}`. */
export function formatBraces(
  format: string | Markup,
  args: readonly Value[],
  keywords: Keywords,
  resolve: { attribute(of: Value, name: string): Value; item(of: Value, key: Value): Value },
): string | Markup {
  let automatic = 0
  const resolved = (field: string): Value => {
    const [, first = '', rest = ''] = /^([^.[]*)(.*)$/s.exec(field)!
    const index = first === '' ? automatic++ : Number(first)
    const isIndex = Number.isInteger(index)
    let value = orElse(isIndex ? args[index] : keywords.get(first), () =>
      fail(isIndex ? 'Replacement index out of range' : `KeyError: '${first}'`),
    )
    for (const [, name, key] of rest.matchAll(/\.([^.[]+)|\[([^\]]+)\]/g))
      value = name === undefined ? resolve.item(value, /^\d+$/.test(key!) ? BigInt(key!) : key!) : resolve.attribute(value, name)
    return value
  }
  const source = textOf(format)
  if (/[{}]/.test(fold(source).replace(FIELD, ''))) fail("Single '}' or '{' encountered in format string")
  const out = source.replace(FIELD, (whole, field?: string, conversion?: string, spec = '') => {
    if (field === undefined) return whole[0]!
    const value = resolved(field)
    const shown = conversion === undefined ? value : conversion === 's' ? strOf(value) : reprOf(value)
    const filled = spec.replace(/\{([^{}]*)\}/g, (_: string, inner: string) => strOf(resolved(inner)))
    const text = shown instanceof Undefined ? '' : formatSpec(shown, filled)
    return format instanceof Markup ? Markup.escape(shown instanceof Markup ? shown : text).text : text
  })
  charge(out.length)
  return like(format, out)
}

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const MONTHS = 'January February March April May June July August September October November December'.split(' ')

/** `datetime.strftime` of the C locale, for a local time without a time zone. */
export function strftime(date: Date, format: string): string {
  const day = Math.round((Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - Date.UTC(date.getFullYear(), 0, 1)) / 86_400_000)
  const hours = date.getHours()
  const hour12 = hours % 12 || 12
  const iso = isoWeek(date)
  const two = (value: number) => String(value).padStart(2, '0')
  const fields: Record<string, string | (() => string)> = {
    a: DAYS[date.getDay()]!.slice(0, 3),
    A: DAYS[date.getDay()]!,
    b: MONTHS[date.getMonth()]!.slice(0, 3),
    B: MONTHS[date.getMonth()]!,
    C: two(Math.floor(date.getFullYear() / 100)),
    d: two(date.getDate()),
    e: String(date.getDate()).padStart(2, ' '),
    f: String(date.getMilliseconds() * 1000).padStart(6, '0'),
    g: two(iso.year % 100),
    G: String(iso.year),
    H: two(hours),
    I: two(hour12),
    j: String(day + 1).padStart(3, '0'),
    k: String(hours).padStart(2, ' '),
    l: String(hour12).padStart(2, ' '),
    m: two(date.getMonth() + 1),
    M: two(date.getMinutes()),
    n: '\n',
    p: hours < 12 ? 'AM' : 'PM',
    P: hours < 12 ? 'am' : 'pm',
    s: String(Math.floor(date.getTime() / 1000)),
    S: two(date.getSeconds()),
    t: '\t',
    u: String(date.getDay() || 7),
    U: two(Math.floor((day + 7 - date.getDay()) / 7)),
    V: two(iso.week),
    w: String(date.getDay()),
    W: two(Math.floor((day + 7 - ((date.getDay() + 6) % 7)) / 7)),
    y: two(date.getFullYear() % 100),
    Y: String(date.getFullYear()),
    z: '',
    Z: '',
    '%': '%',
    c: () => strftime(date, '%a %b %e %H:%M:%S %Y'),
    D: () => strftime(date, '%m/%d/%y'),
    F: () => strftime(date, '%Y-%m-%d'),
    h: () => strftime(date, '%b'),
    r: () => strftime(date, '%I:%M:%S %p'),
    R: () => strftime(date, '%H:%M'),
    T: () => strftime(date, '%H:%M:%S'),
    x: () => strftime(date, '%m/%d/%y'),
    X: () => strftime(date, '%H:%M:%S'),
  }
  return format.replace(/%([-_0^#]?)([a-zA-Z%])/g, (whole, flag: string, letter: string) => {
    if (!Object.hasOwn(fields, letter)) return whole
    const found = fields[letter]!
    const text = typeof found === 'string' ? found : found()
    if (flag === '-') return text.replace(/^[0 ]+(?=.)/, '')
    if (flag === '_') return text.replace(/^0+(?=.)/, (zeros) => ' '.repeat(zeros.length))
    if (flag === '0') return text.replace(/^ +/, (blanks) => '0'.repeat(blanks.length))
    return flag === '^' ? text.toUpperCase() : flag === '#' ? (letter === 'p' ? text.toLowerCase() : text.toUpperCase()) : text
  })
}

/** The week of ISO 8601 holds the Thursday of its seven days. */
function isoWeek(date: Date): { year: number; week: number } {
  const thursday = new Date(Date.UTC(date.getFullYear(), date.getMonth(), date.getDate() + 4 - (date.getDay() || 7)))
  const start = Date.UTC(thursday.getUTCFullYear(), 0, 1)
  return { year: thursday.getUTCFullYear(), week: Math.ceil(((thursday.getTime() - start) / 86_400_000 + 1) / 7) }
}
