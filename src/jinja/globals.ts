/** The functions that every template may call, besides those that depend on the render. */
import { callable } from './functions.ts'
import { fail } from './limits.ts'
import { Attributed } from './methods.ts'
import { Callable, Dict, integer, type Keywords, listOf, Namespace, Range, strOf, type Value } from './values.ts'

/** Fields that begin with an underscore are refused, as transformers does. */
export function setField(space: Namespace, name: string, value: Value): void {
  if (name.startsWith('_')) fail(`Chat templates cannot store underscore-prefixed attributes on a namespace, but got '${name}'.`)
  space.fields.set(name, value)
}

/** Name and items of `dict(…)` and `namespace(…)`. */
function entriesOf(name: string, args: readonly Value[], keywords: Keywords): [Value, Value][] {
  if (args.length > 1) fail(`${name} expected at most 1 argument, got ${args.length}`)
  const [first] = args
  const given =
    first === undefined ? [] : first instanceof Dict ? first.entries() : listOf(first).map((pair) => listOf(pair) as [Value, Value])
  for (const pair of given) if (pair.length !== 2) fail('dictionary update sequence element has not the length 2')
  return [...given, ...keywords]
}

/** A value that gives its items in turn. */
class Cycler extends Attributed {
  readonly type = 'Cycler'
  readonly #items: readonly Value[]
  #at = 0
  constructor(items: readonly Value[]) {
    super()
    if (items.length === 0) fail('at least one item has to be provided')
    this.#items = items
  }

  attribute(name: string): Value | undefined {
    if (name === 'current') return this.#items[this.#at]
    if (name === 'next')
      return new Callable('next', () => {
        const item = this.#items[this.#at]!
        this.#at = (this.#at + 1) % this.#items.length
        return item
      })
    if (name === 'reset')
      return new Callable('reset', () => {
        this.#at = 0
        return null
      })
    return undefined
  }
}

export const GLOBALS: readonly [name: string, value: Value][] = [
  ['range', range()],
  [
    'dict',
    new Callable('dict', (args, keywords) => new Dict(entriesOf('dict', args, keywords)), 'type', new Map([['fromkeys', fromKeys()]])),
  ],
  [
    'namespace',
    new Callable('namespace', (args, keywords) => {
      const space = new Namespace()
      for (const [key, value] of entriesOf('namespace', args, keywords)) setField(space, strOf(key), value)
      return space
    }),
  ],
  ['cycler', new Callable('cycler', (args) => new Cycler(args))],
  [
    'joiner',
    new Callable('joiner', ([separator = ', ']) => {
      let used = false
      return new Callable('joiner', () => {
        const text = used ? separator : ''
        used = true
        return text
      })
    }),
  ],
]

function fromKeys(): Callable {
  return callable('fromkeys', '/ keys value?', (keys, value = null) => new Dict(listOf(keys!).map((key) => [key, value])))
}

function range(): Callable {
  return callable('range', '/ start stop? step?', (start, stop, step) => {
    const int = (value: Value) => integer(value) ?? fail('range() arguments must be integers')
    return stop === undefined ? new Range(0n, int(start!), 1n) : new Range(int(start!), int(stop), step === undefined ? 1n : int(step))
  })
}
