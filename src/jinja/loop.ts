/** The variable `loop` within a for loop. */
import { fail, spend } from './limits.ts'
import { Attributed } from './methods.ts'
import { Callable, equal, lengthIfAny, orElse, Undefined, type Value } from './values.ts'

/** The variable `loop`. Looks ahead only when asked to. */
export class Loop extends Attributed {
  readonly type = 'LoopContext'
  readonly #iterator: Iterator<Value>
  readonly #source: Value | undefined
  readonly #depth: number
  readonly #again: ((items: Value) => string) | undefined
  readonly #ahead: Value[] = []
  #index = -1
  #current: Value | undefined
  #before: Value | undefined
  #changed: Value[] | undefined
  #length: number | undefined

  constructor(items: Iterable<Value>, source: Value | undefined, depth: number, again: ((items: Value) => string) | undefined) {
    super()
    this.#iterator = items[Symbol.iterator]()
    this.#source = source
    this.#depth = depth
    this.#again = again
  }

  next(): Value | undefined {
    const next = this.#peek()
    if (next === undefined) return undefined
    this.#ahead.shift()
    this.#index++
    this.#before = this.#current
    this.#current = next
    return next
  }

  recurse(items: Value): Value {
    return this.#again?.(items) ?? fail("The loop must have the 'recursive' marker to be called recursively.")
  }

  #peek(): Value | undefined {
    if (this.#ahead.length === 0) {
      const { done, value } = this.#iterator.next()
      if (!done) this.#ahead.push(value)
    }
    return this.#ahead[0]
  }

  #size(): number {
    if (this.#length !== undefined) return this.#length
    const known = this.#source === undefined ? undefined : lengthIfAny(this.#source)
    if (known === undefined)
      for (;;) {
        const { done, value } = this.#iterator.next()
        if (done) break
        spend(1)
        this.#ahead.push(value)
      }
    this.#length = known ?? this.#index + 1 + this.#ahead.length
    return this.#length
  }

  attribute(name: string): Value | undefined {
    switch (name) {
      case 'index':
        return BigInt(this.#index + 1)
      case 'index0':
        return BigInt(this.#index)
      case 'first':
        return this.#index === 0
      case 'last':
        return this.#peek() === undefined
      case 'length':
        return BigInt(this.#size())
      case 'revindex':
        return BigInt(this.#size() - this.#index)
      case 'revindex0':
        return BigInt(this.#size() - this.#index - 1)
      case 'depth':
        return BigInt(this.#depth + 1)
      case 'depth0':
        return BigInt(this.#depth)
      case 'previtem':
        return orElse(this.#before, () => new Undefined('there is no previous item'))
      case 'nextitem':
        return orElse(this.#peek(), () => new Undefined('there is no next item'))
      case 'cycle':
        return new Callable('cycle', (args) => (args.length === 0 ? fail('no items for cycling given') : args[this.#index % args.length]!))
      case 'changed':
        return new Callable('changed', (args) => {
          const isSame = this.#changed !== undefined && equal([...args], this.#changed)
          this.#changed = [...args]
          return !isSame
        })
      default:
        return undefined
    }
  }
}
