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
const NO_NUMBERS: ReadonlyMap<string, string> = new Map()

/** Deeper texts are refused: everything that walks a value calls itself. */
const DEEPEST = 512

/**
 * The value of a JSON text, as JSON.parse gives it.
 * @throws SyntaxError when the text is no JSON, or is nested deeper than 512 levels
 */
export function readJson(text: string): unknown {
  const steps = readJsonSteps(text)
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
  }
}

/**
 * The same for texts of strangers, in steps of at most about a millisecond after JSON.parse. The key `__proto__` is dropped everywhere.
 * @throws as `readJson`
 */
export function* readJsonSteps(text: string, dropPrototypes = false): Generator<void, unknown, void> {
  const value: unknown = JSON.parse(text)
  if (typeof value === 'object' && value !== null) yield* remember(text, value, dropPrototypes)
  return value
}

/** An object or array whose text is being walked. */
interface Open {
  value: object | undefined
  /** Of an array: the index of the next item; -1: an object. */
  index: number
  keys: string[]
  numbers: Map<string, string> | undefined
  /** The key whose value comes next. */
  key: string
  expectsKey: boolean
}

const QUOTE = 0x22
const COMMA = 0x2c
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
/** Characters and tokens between two pauses. */
const STEP = 4096

/** Walks a text of valid JSON beside its value and notes what the value has lost. */
function* remember(text: string, root: object, dropPrototypes: boolean): Generator<void, void, void> {
  const stack: Open[] = []
  const spelling = /[-+.\deE]+/y
  let open: Open | undefined
  let untilPause = STEP
  for (let at = 0; at < text.length; at++) {
    if (--untilPause === 0) {
      untilPause = STEP
      yield
    }
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      const end = endOfString(text, at)
      if (open?.expectsKey) {
        open.key = keyOf(text.slice(at, end))
        open.keys.push(open.key)
        open.expectsKey = false
        if (dropPrototypes && open.key === '__proto__' && open.value) delete (open.value as Record<string, unknown>)[open.key]
      }
      at = end - 1
    } else if (code === OPEN_OBJECT || code === OPEN_LIST) {
      if (stack.length >= DEEPEST) throw new SyntaxError(`expected JSON of at most ${DEEPEST} levels`)
      const value: object | undefined = open === undefined ? root : innerOf(open)
      const isList = code === OPEN_LIST
      open = { value, index: isList ? 0 : -1, keys: [], numbers: undefined, key: '', expectsKey: !isList }
      stack.push(open)
    } else if (code === CLOSE_OBJECT || code === CLOSE_LIST) {
      note(stack.pop()!)
      open = stack.at(-1)
    } else if (code === COMMA) {
      if (open!.index >= 0) open!.index++
      else open!.expectsKey = true
    } else if (open && (code === 0x2d || (code >= 0x30 && code <= 0x39))) {
      const end = endOfInteger(text, at)
      if (end > 0)
        open.numbers?.delete(keyIn(open)) // of a repeated key the last value counts
      else {
        spelling.lastIndex = at
        const [number] = spelling.exec(text)!
        if (String(Number(number)) !== number) (open.numbers ??= new Map()).set(keyIn(open), number)
        else open.numbers?.delete(keyIn(open))
      }
      at = (end > 0 ? end : spelling.lastIndex) - 1
    }
  }
}

/** The index after an integer of at most 15 digits, which JavaScript writes as it is written here; 0: it is another number. */
function endOfInteger(text: string, start: number): number {
  let end = start
  let code = text.charCodeAt(end)
  while (code >= 0x30 && code <= 0x39) code = text.charCodeAt(++end)
  const digits = end - start
  const isOther = code === 0x2e || code === 0x45 || code === 0x65 || text.charCodeAt(start) === 0x2d
  return isOther || digits > 15 || (digits > 1 && text.charCodeAt(start) === 0x30) ? 0 : end
}

const keyIn = ({ index, key }: Open): string => (index < 0 ? key : String(index))

/** The inner object at the open key; undefined where a repeated key has replaced it. */
function innerOf(open: Open): object | undefined {
  const key = keyIn(open)
  if (open.value === undefined || !Object.hasOwn(open.value, key)) return undefined
  const inner = (open.value as Record<string, unknown>)[key]
  return typeof inner === 'object' && inner !== null ? inner : undefined
}

function note({ value, index, keys, numbers }: Open): void {
  if (value === undefined) return
  const isReordered = index < 0 && keys.some((key) => /^\d+$/.test(key))
  if (isReordered || numbers?.size)
    sources.set(value, { keys: isReordered ? [...new Set(keys)] : undefined, numbers: numbers ?? NO_NUMBERS })
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
