/**
 * JSON that keeps what JSON.parse loses: the order of keys that look like integers, and the spelling of numbers (1.0, 1e16, integers
 * above 2^53). `readJson` gives ordinary objects and arrays, so every reader of them goes on working, and remembers beside them how
 * they were written. `entriesOf` and `writeJson` look there. A copy of an object has forgotten it; what it contains has not.
 */

/** How an object or array was written, where its JavaScript value does not say it. */
interface Source {
  /** The keys in their order; undefined where JavaScript has the same order. */
  keys: readonly string[] | undefined
  /** Key or index -> spelling of a number that JavaScript writes otherwise. */
  numbers: ReadonlyMap<string, string>
}

const sources = new WeakMap<object, Source>()

/** Deeper texts are refused: everything that walks a value calls itself. */
const DEEPEST = 512

/**
 * The value of a JSON text, as JSON.parse gives it.
 * @param reviver as for JSON.parse; it may drop keys
 * @throws SyntaxError when the text is no JSON, or is nested deeper than 512 levels
 */
export function readJson(text: string, reviver?: (key: string, value: unknown) => unknown): unknown {
  const value: unknown = JSON.parse(text, reviver)
  if (typeof value === 'object' && value !== null) remember(text, value)
  return value
}

/** An object or array whose text is being walked. */
interface Open {
  value: object | undefined
  isArray: boolean
  keys: string[]
  numbers: Map<string, string>
  /** The key or index whose value comes next. */
  key: string
  expectsKey: boolean
}

/** Walks a text of valid JSON beside its value and notes what the value has lost. */
function remember(text: string, root: object): void {
  const stack: Open[] = []
  let open: Open | undefined
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!
    if (char === '"') {
      const end = endOfString(text, at)
      if (open?.expectsKey) {
        open.key = keyOf(text.slice(at, end))
        open.keys.push(open.key)
        open.expectsKey = false
      }
      at = end - 1
    } else if (char === '{' || char === '[') {
      if (stack.length >= DEEPEST) throw new SyntaxError(`expected JSON of at most ${DEEPEST} levels`)
      const value = open === undefined ? root : innerOf(open)
      open = { value, isArray: char === '[', keys: [], numbers: new Map(), key: '0', expectsKey: char === '{' }
      stack.push(open)
    } else if (char === '}' || char === ']') {
      note(stack.pop()!)
      open = stack.at(-1)
    } else if (char === ',') {
      if (open!.isArray) open!.key = String(Number(open!.key) + 1)
      else open!.expectsKey = true
    } else if (open && (char === '-' || (char >= '0' && char <= '9'))) {
      const spelling = /[-+.\deE]+/y
      spelling.lastIndex = at
      const [number] = spelling.exec(text)!
      if (String(Number(number)) !== number) open.numbers.set(open.key, number)
      else open.numbers.delete(open.key) // of a repeated key the last value counts
      at += number.length - 1
    }
  }
}

/** The inner object at the open key; undefined where a repeated key has replaced it. */
function innerOf({ value, key }: Open): object | undefined {
  if (value === undefined || !Object.hasOwn(value, key)) return undefined
  const inner = (value as Record<string, unknown>)[key]
  return typeof inner === 'object' && inner !== null ? inner : undefined
}

function note({ value, keys, numbers, isArray }: Open): void {
  if (value === undefined) return
  const isReordered = !isArray && keys.some((key) => /^\d+$/.test(key))
  if (isReordered || numbers.size > 0) sources.set(value, { keys: isReordered ? [...new Set(keys)] : undefined, numbers })
  else sources.delete(value)
}

/** The index after the closing quote of the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let end = start; ; ) {
    end = text.indexOf('"', end + 1)
    let slashes = 0
    while (text[end - 1 - slashes] === '\\') slashes++
    if (slashes % 2 === 0) return end + 1
  }
}

const keyOf = (quoted: string): string => (quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1))

/** The entries of an object in the order in which they were written. The third item is the JSON spelling of a number. */
export function entriesOf(object: object): [key: string, value: unknown, spelling: string | undefined][] {
  const source = sources.get(object)
  const own = Object.keys(object)
  // The object may have been changed since it was read.
  const keys = source?.keys === undefined ? own : [...new Set([...source.keys.filter((key) => Object.hasOwn(object, key)), ...own])]
  return keys.map((key) => {
    const value = (object as Record<string, unknown>)[key]
    return [key, value, typeof value === 'number' ? spellingOf(value, source?.numbers.get(key)) : undefined]
  })
}

const spellingOf = (value: number, written: string | undefined): string =>
  written !== undefined && Object.is(Number(written), value) ? written : JSON.stringify(value)

/** The JSON text of the value at a key. It must be there. */
export function writeAt(object: object, key: string, style?: JsonStyle): string {
  const [, value, spelling] = entriesOf(object).find(([name]) => name === key)!
  return typeof value === 'number' && spelling !== undefined ? (style?.number?.(spelling) ?? spelling) : writeJson(value, style)
}

/** How `writeJson` writes. */
export interface JsonStyle {
  /** Between items and after keys. Default `,` and `:`. */
  comma?: string
  colon?: string
  /** JSON spelling of a number -> what is written. Default the same. */
  number?(spelling: string): string
}

/** A value as JSON.stringify writes it, with numbers as they were spelled and keys in the order in which they were read. */
export function writeJson(value: unknown, style: JsonStyle = {}): string {
  const { comma = ',', colon = ':', number = (spelling) => spelling } = style
  const write = (item: unknown, spelling?: string): string => {
    if (typeof item === 'number' && (spelling !== undefined || Number.isFinite(item))) return number(spelling ?? JSON.stringify(item))
    if (typeof item !== 'object' || item === null) return JSON.stringify(item) ?? 'null'
    if ('toJSON' in item && typeof item.toJSON === 'function') return write(item.toJSON())
    if (Array.isArray(item))
      return `[${entriesOf(item)
        .map(([, inner, spelled]) => write(inner, spelled))
        .join(comma)}]`
    const entries = entriesOf(item).filter(([, inner]) => inner !== undefined && typeof inner !== 'function')
    return `{${entries.map(([key, inner, spelled]) => `${JSON.stringify(key)}${colon}${write(inner, spelled)}`).join(comma)}}`
  }
  return write(value)
}
