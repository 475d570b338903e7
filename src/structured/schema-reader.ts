/**
 * Reads a JSON schema (draft 2020-12 and its predecessors, as listed in docs/structured-output.md) into
 * nodes. Schemas that hold together (`allOf`, `$ref` with siblings, `anyOf` beside other keywords) are
 * read as one list and merged. A keyword that is neither enforced nor an annotation is refused with its
 * path, and so is a schema that no finite value satisfies.
 */
import { isObject, type Json } from '../json/json.ts'
import { entriesOf, writeJson } from '../json/lossless.ts'
import { finish, type Steps } from './cooperative.ts'
import { Exclusive } from './exclusive.ts'
import { anyNumber, type Limits, limitedNumber } from './number.ts'
import { type ByteAutomaton, compilePattern, type StringRules } from './pattern.ts'
import type { ArrayNode, LiteralNode, NeverNode, NodeId, NumberNode, SchemaNode, SchemaNodes, SchemaOptions, StringNode } from './schema.ts'
import {
  assertions,
  attempt,
  booleanOf,
  bounds,
  checkDepth,
  contradiction,
  inner,
  keywordsOf,
  kindOf,
  type Located,
  listOf,
  type Plain,
  refuse,
  schemaLimits,
} from './schema-fields.ts'
import { objectNode } from './schema-object.ts'
import { References } from './schema-references.ts'
import { filtered, hasType, limitsOf, pathOfPattern, spokenTypes, stringRules, typesOf } from './schema-values.ts'
import { NoStringError, patternWork } from './subsets.ts'
import { UnsupportedSchemaError } from './unsupported.ts'

/** @throws UnsupportedSchemaError */
export function* readSchema(schema: unknown, options: SchemaOptions = {}): Steps<SchemaNodes> {
  checkDepth(schema)
  return yield* new SchemaReader(schema, options).read()
}

/** Most elements that `minItems` may require beside `uniqueItems`. */
const MOST_UNIQUE = 500

/** Schemas that hold together, taken apart. */
interface Parts {
  readonly plains: Plain[]
  readonly choices: { keyword: 'anyOf' | 'oneOf'; branches: Located[]; path: string; rest: Located }[]
  isNever: boolean
}

export class SchemaReader {
  readonly options: SchemaOptions
  readonly #schema: unknown
  readonly #references: References
  readonly #nodes: SchemaNode[] = []
  readonly #byKey = new Map<string, NodeId>()
  /** The types of nodes without `type`: their schemas also allow all values of other types, which are not written. */
  readonly #spoken = new Map<SchemaNode, readonly string[]>()
  readonly #exclusive: { path: string; branches: NodeId[] }[] = []
  readonly #patternWork = patternWork()
  readonly #patterns = new Map<string, ByteAutomaton>()
  /** What is done after all nodes are known: automata first, then the literals that must fit them. */
  readonly #automata: Steps<void>[] = []
  readonly #filters: Steps<void>[] = []
  /** The first contradiction between schemas that hold together. */
  #conflict: string | undefined
  #literalCharacters = 0
  #level = 0
  #any: NodeId | undefined

  constructor(schema: unknown, options: SchemaOptions) {
    this.#schema = schema
    this.options = options
    this.#references = new References(schema)
  }

  *read(): Steps<SchemaNodes> {
    const root = this.readAll([inner(this.#schema, '')], '')
    const exclusive = new Exclusive(this.#nodes, this.#spoken)
    for (const automaton of this.#automata) yield* automaton
    for (const filter of this.#filters) yield* filter
    for (const { path, branches } of this.#exclusive) yield* exclusive.check(branches, path)
    return { nodes: this.#nodes, root, conflict: this.#conflict }
  }

  add(node: SchemaNode, path: string): NodeId {
    if (this.#nodes.length >= schemaLimits.nodes) refuse(path, `more than ${schemaLimits.nodes} subschemas are not supported`)
    return this.#nodes.push(node) - 1
  }

  node(id: NodeId): SchemaNode {
    return this.#nodes[id]!
  }

  /** The node of schemas that hold together. While they are being read, they already have their node id. */
  readAll(all: readonly Located[], path: string): NodeId {
    const list = all.filter(({ schema }) => schema !== true)
    if (list.length === 0) return this.#anyValue(path)
    const key = [...new Set(list.map((located) => located.key))].join('\n')
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    const id = this.add({ kind: 'never' }, path)
    this.#byKey.set(key, id)
    if (++this.#level > schemaLimits.references)
      refuse(path, `more than ${schemaLimits.references} levels, counted through $ref, are not supported`)
    this.#nodes[id] = this.#node(list, path)
    this.#level--
    return id
  }

  #node(list: readonly Located[], path: string): SchemaNode {
    const target = list.length === 1 ? this.#reference(list[0]!) : undefined
    if (target !== undefined) return { kind: 'either', branches: [this.readAll([target], target.path)] }
    const parts: Parts = { plains: [], choices: [], isNever: false }
    const seen = new Set<string>()
    for (const located of list) this.#takeApart(located, parts, seen, [])
    if (parts.isNever) return { kind: 'never' }
    const [choice, ...others] = parts.choices
    if (choice === undefined) return this.#plain(parts.plains, path)
    const beside = [...parts.plains, ...others.map(({ rest }) => rest)]
    const branches = choice.branches.map((branch) => this.readAll([...beside, branch], branch.path))
    if (choice.keyword === 'oneOf') this.#exclusive.push({ path: choice.path, branches })
    return { kind: 'either', branches, path: choice.path }
  }

  /** Where a schema leads that is nothing but a reference. */
  #reference({ schema, path }: Located): Located | undefined {
    if (!isObject(schema) || schema.$ref === undefined) return undefined
    const { own, applicators } = assertions(schema, path)
    return own.length === 0 && applicators.length === 1 ? this.#references.find(schema.$ref, `${path}/$ref`) : undefined
  }

  /**
   * Sorts what a schema asserts: keywords of its own, and alternatives.
   * @param chain keys of the references that led here
   */
  #takeApart(located: Located, parts: Parts, seen: Set<string>, chain: readonly string[]): void {
    const { schema, path, key } = located
    if (chain.includes(key)) parts.isNever = true // it refers to itself without an end
    if (schema === true || seen.has(key)) return
    seen.add(key)
    if (schema === false) {
      parts.isNever = true
      return
    }
    if (!isObject(schema))
      throw new UnsupportedSchemaError(path, `expected a schema (an object, true or false), got ${JSON.stringify(schema) ?? typeof schema}`)
    const { own, applicators } = assertions(schema, path)
    const within = [...chain, key]
    // OpenAPI 3.0 as generators write it: `nullable` beside a reference allows null, too.
    if (schema.nullable === true && schema.type === undefined && applicators.length > 0) {
      const { nullable: _, ...others } = schema
      const rest = { schema: others, path, key: `${key} others` }
      parts.choices.push({ keyword: 'anyOf', branches: [rest, { schema: { type: 'null' }, path, key: 'null' }], path, rest: located })
      return
    }
    if (own.length > 0)
      parts.plains.push(
        applicators.length === 0 ? { schema, path, key } : { schema: withoutApplicators(schema, own), path, key: `${key} own` },
      )
    for (const keyword of applicators) {
      if (keyword === '$ref') this.#takeApart(this.#references.find(schema.$ref, `${path}/$ref`), parts, seen, within)
      else if (keyword === 'not') this.#not(schema.not, `${path}/not`, parts)
      else {
        const branches = listOf({ schema, path }, keyword).map((branch, i) => inner(branch, `${path}/${keyword}/${i}`))
        if (keyword === 'allOf') for (const branch of branches) this.#takeApart(branch, parts, seen, within)
        else {
          const isAlone = applicators.length === 1 && own.length === 0
          const rest = isAlone ? located : { schema: { [keyword]: schema[keyword] }, path, key: `${key} ${keyword}` }
          if (!isAlone && seen.has(rest.key)) continue
          seen.add(rest.key)
          parts.choices.push({ keyword: keyword as 'anyOf' | 'oneOf', branches, path, rest })
        }
      }
    }
  }

  #not(schema: unknown, path: string, parts: Parts): void {
    const isAll = schema === true || (isObject(schema) && Object.keys(schema).length === 0)
    if (isAll) parts.isNever = true
    else if (schema !== false) refuse(path, 'only {} is supported here, which no value satisfies')
  }

  /** The node of schemas without alternatives. */
  #plain(plains: readonly Plain[], path: string): SchemaNode {
    if (plains.length === 0) return { kind: 'either', branches: [this.#anyValue(path)] }
    const declared = typesOf(plains)
    const hasValues = plains.some(({ schema }) => schema.enum !== undefined || schema.const !== undefined)
    if (hasValues) return this.#literal(plains, declared, path)
    const types = declared ?? spokenTypes(plains)
    if (types === undefined) return { kind: 'either', branches: [this.#anyValue(path)] }
    if (types.length === 0) return { kind: 'never' }
    const nodes = types.map((type) => this.#typed(type, plains, path))
    if (declared === undefined) for (const node of nodes) this.#spoken.set(node, types)
    return nodes.length === 1 ? nodes[0]! : { kind: 'either', branches: nodes.map((node) => this.add(node, path)) }
  }

  #typed(type: string, plains: readonly Plain[], path: string): SchemaNode {
    switch (type) {
      case 'object':
        return objectNode(this, plains, path)
      case 'array':
        return this.#array(plains, path)
      case 'string':
        return this.stringNode(plains, path)
      case 'integer':
      case 'number':
        return this.#number(type === 'integer', plains, path)
      case 'boolean':
        return { kind: 'literal', texts: ['true', 'false'] }
      default:
        return { kind: 'literal', texts: ['null'] }
    }
  }

  #array(plains: readonly Plain[], path: string): ArrayNode | NeverNode {
    const [least, most] = bounds(plains, 'minItems', 'maxItems')
    if (least > most) return this.conflict(plains, path, contradiction([least, most]))
    const prefixes = plains.map((plain) => {
      const keyword = Array.isArray(plain.schema.items) ? 'items' : 'prefixItems'
      if (plain.schema[keyword] === undefined) return []
      const list = keyword === 'items' && (plain.schema.items as unknown[]).length === 0 ? [] : listOf(plain, keyword)
      return list.map((item, i) => inner(item, `${plain.path}/${keyword}/${i}`))
    })
    const rests = plains.map(({ schema, path: at }) => {
      const keyword = Array.isArray(schema.items) ? 'additionalItems' : 'items'
      const name = schema[keyword] === undefined && schema.unevaluatedItems !== undefined ? 'unevaluatedItems' : keyword
      return schema[name] === undefined ? [] : [inner(schema[name], `${at}/${name}`)]
    })
    const length = Math.max(...prefixes.map((prefix) => prefix.length))
    const at = (index: number) => prefixes.flatMap((prefix, i) => (index < prefix.length ? [prefix[index]!] : rests[i]!))
    const prefix = Array.from({ length }, (_, index) => this.readAll(at(index), at(index)[0]?.path ?? path))
    const rest = at(length)
    const isClosed = rest.some(({ schema }) => schema === false)
    const marked = plains.find((plain) => booleanOf(plain, 'uniqueItems'))
    const unique = marked === undefined || most <= 1 ? undefined : `${marked.path}/uniqueItems`
    const items = isClosed ? undefined : this.readAll(rest, rest[0]?.path ?? path)
    if (unique !== undefined && (prefix.length > 0 || least > MOST_UNIQUE || (items !== undefined && !this.#isSimple(items))))
      refuse(
        unique,
        `only elements without prefixItems that are strings, integers or constants are supported, and minItems up to ${MOST_UNIQUE}`,
      )
    return { kind: 'array', prefix, items, least, most, unique }
  }

  /** Whether all values of a node are written in one way, apart from escapes. */
  #isSimple(id: NodeId, seen = new Set<NodeId>()): boolean {
    const node = this.#nodes[id]!
    if (seen.has(id)) return true
    seen.add(id)
    if (node.kind === 'either') return node.branches.every((branch) => this.#isSimple(branch, seen))
    if (node.kind === 'literal') return node.texts.every((text) => JSON.stringify(JSON.parse(text)) === text)
    return node.kind === 'never' || node.kind === 'string' || (node.kind === 'number' && node.integer)
  }

  stringNode(plains: readonly Plain[], path: string): StringNode | NeverNode {
    const rules = stringRules(plains)
    if (rules.least > rules.most && plains.length > 1) return this.conflict(plains, path, contradiction([rules.least, rules.most]))
    const node: StringNode = { kind: 'string', rules, pattern: undefined }
    const at = pathOfPattern(plains, path)
    if (rules.patterns.length > 0) this.automaton(rules, at, (automaton) => (node.pattern = automaton ?? 'none'), plains.length > 1)
    return node
  }

  /** The texts of schemas that allow strings only: a list, or rules. Undefined when it is neither. */
  strings(list: readonly Located[], path: string): { texts: string[] } | { rules: StringRules } | undefined {
    const texts: string[] = []
    const open = [this.readAll(list, path)]
    for (const id of open) {
      const node = this.#nodes[id]!
      if (node.kind === 'either') open.push(...node.branches)
      else if (node.kind === 'literal') texts.push(...node.texts.map((text) => JSON.parse(text) as string))
      else if (node.kind === 'string') return open.length === 1 ? { rules: node.rules } : undefined
      else if (node.kind !== 'never') return undefined
    }
    return { texts }
  }

  /**
   * Has an automaton made once all nodes are known. Equal ones are made once.
   * @param mayBeNone whether it is no error that no string satisfies the rules; then there is no automaton
   */
  automaton(rules: StringRules, path: string, use: (automaton: ByteAutomaton | undefined) => void, mayBeNone: boolean): void {
    this.#automata.push(this.#compile(rules, path, use, mayBeNone))
  }

  /** Whether a name is a text that the rules allow. */
  isAllowed(name: string, rules: StringRules, path: string): boolean {
    let automaton: ByteAutomaton | undefined
    finish(this.#compile(rules, path, (made) => (automaton = made), true))
    return automaton?.matches(name) ?? false
  }

  *#compile(rules: StringRules, path: string, use: (automaton: ByteAutomaton | undefined) => void, mayBeNone: boolean): Steps<void> {
    const key = JSON.stringify(rules)
    let automaton = this.#patterns.get(key)
    try {
      automaton ??= yield* compilePattern(rules, this.#patternWork)
    } catch (error) {
      if (mayBeNone && error instanceof NoStringError) return use(undefined)
      return refuse(path, (error as Error).message)
    }
    this.#patterns.set(key, automaton)
    use(automaton)
  }

  #number(integer: boolean, plains: readonly Plain[], path: string): NumberNode | NeverNode {
    const limits = limitsOf(plains)
    const node: NumberNode = { kind: 'number', automaton: anyNumber, integer }
    if (!integer && Object.keys(limits).length === 0) return node
    if (plains.length === 1) {
      this.#automata.push(this.#limits(node, limits, path))
      return node
    }
    try {
      return { ...node, automaton: limitedNumber(integer, limits) }
    } catch (error) {
      return this.conflict(plains, path, (error as Error).message)
    }
  }

  /**
   * What schemas that contradict each other make: no value, which another alternative may replace. A single schema that
   * contradicts itself is an error.
   */
  conflict(plains: readonly Plain[], path: string, reason: string): NeverNode {
    if (plains.length === 1) return refuse(path, reason)
    this.#conflict ??= path === '' ? reason : `${path}: ${reason}`
    return { kind: 'never' }
  }

  *#limits(node: NumberNode, limits: Limits, path: string): Steps<void> {
    yield
    node.automaton = attempt(path, () => limitedNumber(node.integer, limits))
  }

  /** The values of `enum` and `const` that all schemas allow. */
  #literal(plains: readonly Plain[], types: readonly string[] | undefined, path: string): LiteralNode | NeverNode {
    let texts: Map<string, unknown> | undefined
    for (const plain of plains) {
      for (const keyword of ['enum', 'const']) {
        const value = plain.schema[keyword]
        if (value === undefined) continue
        const entries = keyword === 'enum' ? entriesOf(listOf(plain, 'enum')) : entriesOf(plain.schema).filter(([name]) => name === 'const')
        const own = new Map<string, unknown>()
        for (const [, each, spelling] of entries) {
          if (JSON.stringify(each) === undefined) refuse(`${plain.path}/${keyword}`, 'expected JSON values')
          own.set(spelling ?? writeJson(each), each)
        }
        const before: Map<string, unknown> | undefined = texts
        texts = before === undefined ? own : new Map([...before].filter(([text]) => own.has(text)))
      }
    }
    const kept = [...texts!].filter(([, value]) => types === undefined || types.some((type) => hasType(value, type)))
    for (const [text] of kept) this.count(text, path)
    if (kept.length === 0) return this.conflict(plains, path, 'no value of enum or const fits the other keywords')
    const node: LiteralNode = { kind: 'literal', texts: kept.map(([text]) => text) }
    this.#filterLiterals(
      node,
      kept.map(([, value]) => value),
      plains,
      path,
    )
    return node
  }

  /** Beside other keywords, only the values stay that fit them. */
  #filterLiterals(node: LiteralNode, values: readonly unknown[], plains: readonly Plain[], path: string): void {
    for (const [type, keywords] of Object.entries(keywordsOf)) {
      const other = plains.find(({ schema }) => keywords.some((name) => schema[name] !== undefined))
      if (other === undefined || !values.some((value) => kindOf(value) === type)) continue
      const keyword = keywords.find((name) => other.schema[name] !== undefined)!
      if (type !== 'string' && type !== 'number') refuse(`${other.path}/${keyword}`, 'not supported beside enum or const')
      const sibling = type === 'string' ? this.stringNode(plains, path) : this.#number(false, plains, path)
      if (sibling.kind === 'never') node.texts = node.texts.filter((text) => kindOf(JSON.parse(text)) !== type)
      else this.#filters.push(filtered(node, sibling))
    }
  }

  /** Any JSON value. */
  #anyValue(path: string): NodeId {
    if (this.#any !== undefined) return this.#any
    const any = this.add({ kind: 'never' }, path)
    this.#any = any
    const least = 0
    const most = Number.POSITIVE_INFINITY
    const undeclared = [{ names: undefined, node: any }]
    const branches = [
      this.add({ kind: 'literal', texts: ['null', 'true', 'false'] }, path),
      this.add({ kind: 'number', automaton: anyNumber, integer: false }, path),
      this.add({ kind: 'string', rules: { patterns: [], least, most }, pattern: undefined }, path),
      this.add({ kind: 'object', properties: [], undeclared, least, most, isOpen: true }, path),
      this.add({ kind: 'array', prefix: [], items: any, least, most, unique: undefined }, path),
    ]
    this.#nodes[any] = { kind: 'either', branches }
    return any
  }

  /** Counts the characters of names and constants. */
  count(text: string, path: string): void {
    this.#literalCharacters += text.length
    if (this.#literalCharacters > schemaLimits.literalCharacters)
      refuse(path, `more than ${schemaLimits.literalCharacters} characters of names and constants are not supported`)
  }
}

function withoutApplicators(schema: Json, own: readonly string[]): Json {
  // The keys of the copy are in the order of the text already where that matters: inside `properties`.
  return Object.fromEntries(own.map((name) => [name, schema[name]]))
}
