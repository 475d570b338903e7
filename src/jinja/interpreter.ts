/** Runs the syntax tree of a template: scopes, loops, macros and expressions, as jinja2 does. */
import { isFilter, runFilter } from './filters.ts'
import { setField } from './globals.ts'
import { charge, checkLength, fail, nested, spend } from './limits.ts'
import { Loop } from './loop.ts'
import { getAttribute, getItem } from './methods.ts'
import type { Arguments, Expression, Parameter, Statement, Target } from './nodes.ts'
import { binary, compared, concat, Slice, unary } from './operators.ts'
import { runTest } from './tests.ts'
import {
  Callable,
  Dict,
  isText,
  isTrue,
  itemsOf,
  type Keywords,
  listOf,
  Namespace,
  orElse,
  strOf,
  Tuple,
  textOf,
  typeOf,
  Undefined,
  type Value,
} from './values.ts'

/** Variables of one block; names that it lacks are those of the block around it. */
export class Scope {
  readonly #values = new Map<string, Value>()
  readonly #outer: Scope | undefined

  constructor(outer?: Scope) {
    this.#outer = outer
  }

  get(name: string): Value | undefined {
    for (let scope: Scope | undefined = this; scope; scope = scope.#outer) {
      const value = scope.#values.get(name)
      if (value !== undefined) return value
    }
    return undefined
  }

  set(name: string, value: Value): void {
    this.#values.set(name, value)
  }
}

type Jump = 'break' | 'continue' | undefined
const NO_ARGUMENTS: Keywords = new Map()

export class Interpreter {
  #out: string[] = []
  #length = 0

  readonly #strict: boolean

  /** @param strict an undefined value that is printed or filtered is an error */
  constructor(strict = false) {
    this.#strict = strict
  }

  /** The text that these statements print. */
  text(body: readonly Statement[], scope: Scope): string {
    const outer = this.#out
    this.#out = []
    try {
      this.#run(body, scope)
      return this.#out.join('')
    } finally {
      this.#out = outer
    }
  }

  #known(value: Value): Value {
    return this.#strict && value instanceof Undefined ? fail(value.message) : value
  }

  #print(text: string): void {
    this.#length += text.length
    checkLength(this.#length)
    charge(text.length)
    this.#out.push(text)
  }

  #run(body: readonly Statement[], scope: Scope): Jump {
    for (const statement of body) {
      const jump = this.#statement(statement, scope)
      if (jump !== undefined) return jump
    }
    return undefined
  }

  #statement(node: Statement, scope: Scope): Jump {
    spend(1)
    switch (node.kind) {
      case 'data':
        this.#print(node.text)
        return undefined
      case 'output':
        this.#print(strOf(this.#known(this.#value(node.of, scope))))
        return undefined
      case 'if': {
        const branch = node.branches.find(({ test }) => isTrue(this.#value(test, scope)))
        return this.#run(branch?.body ?? node.otherwise, scope)
      }
      case 'for':
        this.#loop(node, scope)
        return undefined
      case 'set':
        this.#assign(node.target, this.#value(node.value, scope), scope)
        return undefined
      case 'set-block': {
        const text = this.text(node.body, new Scope(scope))
        this.#assign(node.target, node.filter === undefined ? text : this.#filtered(node.filter, text, scope), scope)
        return undefined
      }
      case 'macro':
        scope.set(node.name, this.#macro(node.name, node.parameters, node.body, scope))
        return undefined
      case 'call-block': {
        const caller = this.#macro('caller', node.parameters, node.body, scope)
        const call = node.call as Expression & { kind: 'call' }
        this.#print(strOf(this.#call(call, scope, caller)))
        return undefined
      }
      case 'filter-block':
        this.#print(strOf(this.#filtered(node.filter, this.text(node.body, new Scope(scope)), scope)))
        return undefined
      case 'with': {
        const values = node.targets.map(([, value]) => this.#value(value, scope))
        const inner = new Scope(scope)
        for (const [i, [target]] of node.targets.entries()) this.#assign(target, values[i]!, inner)
        return this.#run(node.body, inner)
      }
      case 'scope':
        return this.#run(node.body, new Scope(scope))
      default:
        return node.kind
    }
  }

  #assign(target: Target, value: Value, scope: Scope): void {
    if (target.kind === 'name') scope.set(target.name, value)
    else if (target.kind === 'field') {
      const space = scope.get(target.name)
      if (!(space instanceof Namespace)) fail(`cannot assign attribute '${target.field}' on non-namespace object`)
      setField(space, target.field, value)
    } else {
      const items = listOf(value)
      if (items.length !== target.items.length) {
        const problem = items.length > target.items.length ? 'too many' : 'not enough'
        fail(`${problem} values to unpack (expected ${target.items.length}, got ${items.length})`)
      }
      for (const [i, item] of target.items.entries()) this.#assign(item, items[i]!, scope)
    }
  }

  #loop(node: Statement & { kind: 'for' }, scope: Scope, over = this.#value(node.items, scope), depth = 0): void {
    const again = node.recursive
      ? (items: Value) => nested(() => this.#captured(() => this.#loop(node, scope, items, depth + 1)))
      : undefined
    const source = node.test === undefined ? over : undefined
    const loop = new Loop(node.test === undefined ? itemsOf(over) : this.#chosen(node, node.test, over, scope), source, depth, again)
    let isEmpty = true
    for (;;) {
      const next = loop.next()
      if (next === undefined) break
      spend(5) // a scope of its own takes about as long
      isEmpty = false
      const inner = new Scope(scope)
      inner.set('loop', loop)
      this.#assign(node.target, next, inner)
      if (this.#run(node.body, inner) === 'break') break
    }
    if (isEmpty) this.#run(node.otherwise, new Scope(scope))
  }

  #captured(run: () => void): string {
    const outer = this.#out
    this.#out = []
    try {
      run()
      return this.#out.join('')
    } finally {
      this.#out = outer
    }
  }

  /** The items that pass the test of `for … if`, each tested when its turn comes. */
  *#chosen(node: Statement & { kind: 'for' }, test: Expression, over: Value, scope: Scope): Generator<Value> {
    for (const item of itemsOf(over)) {
      spend(1)
      const inner = new Scope(scope)
      this.#assign(node.target, item, inner)
      if (isTrue(this.#value(test, inner))) yield item
    }
  }

  #macro(name: string, parameters: readonly Parameter[], body: readonly Statement[], scope: Scope): Callable {
    const names = new Set(parameters.map((parameter) => parameter.name))
    const mentions = (word: string) => !names.has(word) && usesName(body, word)
    const [takesRest, takesKeywords, takesCaller] = [mentions('varargs'), mentions('kwargs'), mentions('caller')]
    const call: Callable['call'] = (args, keywords) => {
      const inner = new Scope(scope)
      const rest = new Map(keywords)
      parameters.forEach(({ name, otherwise }, i) => {
        const given = i < args.length ? args[i] : rest.get(name)
        if (i >= args.length) rest.delete(name)
        const value = orElse(given, () =>
          otherwise === undefined ? new Undefined(`parameter '${name}' was not provided`) : this.#value(otherwise, inner),
        )
        inner.set(name, value)
      })
      if (takesCaller) {
        inner.set('caller', rest.get('caller') ?? new Undefined('No caller defined'))
        rest.delete('caller')
      }
      if (rest.size > 0 && !takesKeywords) fail(`macro '${name}' takes no keyword argument '${[...rest.keys()][0]}'`)
      if (args.length > parameters.length && !takesRest) fail(`macro '${name}' takes not more than ${parameters.length} argument(s)`)
      inner.set('kwargs', new Dict(rest))
      inner.set('varargs', new Tuple(args.slice(parameters.length)))
      return nested(() => this.text(body, inner))
    }
    const attributes = new Map<string, Value>([
      ['name', name],
      ['arguments', new Tuple(parameters.map((parameter) => parameter.name))],
      ['catch_kwargs', takesKeywords],
      ['catch_varargs', takesRest],
      ['caller', takesCaller],
    ])
    return new Callable(name, call, 'Macro', attributes)
  }

  // ---------------------------------------------------------------- expressions

  #value(node: Expression, scope: Scope): Value {
    spend(1)
    switch (node.kind) {
      case 'const':
        return node.value
      case 'name':
        return orElse(scope.get(node.name), () => new Undefined(`'${node.name}' is undefined`))
      case 'list':
        return node.items.map((item) => this.#value(item, scope))
      case 'tuple':
        return new Tuple(node.items.map((item) => this.#value(item, scope)))
      case 'dict':
        return new Dict(node.pairs.map(([key, value]) => [this.#value(key, scope), this.#value(value, scope)] as const))
      case 'concat':
        return concat(node.items.map((item) => this.#value(item, scope)))
      case 'unary': {
        const value = this.#value(node.of, scope)
        return node.operator === 'not' ? !isTrue(value) : unary(node.operator, value)
      }
      case 'binary':
        return binary(node.operator, this.#value(node.left, scope), this.#value(node.right, scope))
      case 'and':
      case 'or': {
        const left = this.#value(node.left, scope)
        return isTrue(left) === (node.kind === 'or') ? left : this.#value(node.right, scope)
      }
      case 'compare':
        return this.#compared(node, scope)
      case 'choice': {
        if (isTrue(this.#value(node.test, scope))) return this.#value(node.yes, scope)
        if (node.no !== undefined) return this.#value(node.no, scope)
        return new Undefined('the inline if-expression evaluated to false and no else section was defined.')
      }
      case 'attribute':
        return getAttribute(this.#value(node.of, scope), node.name)
      case 'item':
        return getItem(this.#value(node.of, scope), this.#value(node.key, scope))
      case 'slice':
        return new Slice(node.bounds.map((bound) => bound && this.#value(bound, scope)))
      case 'call':
        return this.#call(node, scope)
      case 'filter':
        return this.#filtered(node, '', scope)
      case 'test': {
        const value = this.#value(node.of, scope)
        const { args, keywords } = this.#arguments(node.given, scope)
        return runTest(node.name, value, args, keywords, isFilter)
      }
    }
  }

  #compared(node: Expression & { kind: 'compare' }, scope: Scope): boolean {
    let left = this.#value(node.first, scope)
    for (const [operator, operand] of node.rest) {
      const right = this.#value(operand, scope)
      if (!compared(operator, left, right)) return false
      left = right
    }
    return true
  }

  /** @param text of the block, where the innermost filter stands alone */
  #filtered(node: Expression, text: string, scope: Scope): Value {
    if (node.kind !== 'filter') return this.#value(node, scope)
    const value =
      node.of === undefined ? text : node.of.kind === 'filter' ? this.#filtered(node.of, text, scope) : this.#value(node.of, scope)
    const { args, keywords } = this.#arguments(node.given, scope)
    return runFilter(node.name, node.name === 'default' || node.name === 'd' ? value : this.#known(value), args, keywords)
  }

  #call(node: Expression & { kind: 'call' }, scope: Scope, caller?: Callable): Value {
    const of = this.#value(node.of, scope)
    const { args, keywords } = this.#arguments(node.given, scope)
    if (of instanceof Undefined) fail(of.message)
    const all = caller === undefined ? keywords : new Map([...keywords, ['caller', caller]])
    if (of instanceof Loop) return of.recurse(orElse(args[0], () => fail('loop() needs the items')))
    if (!(of instanceof Callable)) return fail(`'${typeOf(of)}' object is not callable`)
    return of.call(args, all)
  }

  #arguments(given: Arguments, scope: Scope): { args: Value[]; keywords: Keywords } {
    const args = given.args.map((arg) => this.#value(arg, scope))
    if (given.rest !== undefined) args.push(...listOf(this.#value(given.rest, scope)))
    if (given.keywords.length === 0 && given.restKeywords === undefined) return { args, keywords: NO_ARGUMENTS }
    const keywords = new Map(given.keywords.map(([name, value]) => [name, this.#value(value, scope)]))
    if (given.restKeywords !== undefined) {
      const rest = this.#value(given.restKeywords, scope)
      if (!(rest instanceof Dict)) return fail(`argument after ** must be a mapping, not ${typeOf(rest)}`)
      for (const [key, value] of rest.entries()) keywords.set(isText(key) ? textOf(key) : fail('keywords must be strings'), value)
    }
    return { args, keywords }
  }
}

/** Whether a body of a macro reads this name; macros take further arguments only then. */
function usesName(body: unknown, name: string): boolean {
  if (Array.isArray(body)) return body.some((part) => usesName(part, name))
  if (typeof body !== 'object' || body === null) return false
  const node = body as { kind?: string; name?: string }
  if (node.kind === 'name' && node.name === name) return true
  return Object.values(body).some((part) => usesName(part, name))
}
