/**
 * Reads a JSON schema (draft 2020-12, the part listed in docs/structured-output.md) into nodes that
 * say how a value is written. A node may allow less than its schema, never more: every value written
 * under it is valid. A keyword that is neither enforced nor an annotation is refused with its path,
 * and so is a schema that no finite value satisfies.
 */
import { isObject, type Json } from '../json/json.ts'
import type { Steps } from './cooperative.ts'
import { anyNumber, type Limits, limitedNumber } from './number.ts'
import type { NumberAutomaton } from './number-automaton.ts'
import { type ByteAutomaton, compilePattern } from './pattern.ts'
import { formatPatterns } from './string-formats.ts'
import { patternWork } from './subsets.ts'
import { UnsupportedSchemaError } from './unsupported.ts'

/** Index of a node; schemas may refer to each other. */
export type NodeId = number

export interface Property {
  readonly name: string
  readonly node: NodeId
  readonly required: boolean
}

export type SchemaNode =
  | { readonly kind: 'never' }
  /** One of these JSON texts. */
  | { readonly kind: 'literal'; readonly texts: readonly string[] }
  | { readonly kind: 'either'; readonly branches: readonly NodeId[] }
  | { readonly kind: 'string'; readonly least: number; readonly most: number; readonly pattern: ByteAutomaton | undefined }
  | { readonly kind: 'number'; readonly automaton: NumberAutomaton; readonly integer: boolean }
  /** `properties` in this order, then any number of `additional` ones. */
  | {
      readonly kind: 'object'
      readonly properties: readonly Property[]
      readonly additional: NodeId | undefined
      readonly least: number
      readonly most: number
    }
  /** The elements of `prefix`, then any number of `items`. */
  | {
      readonly kind: 'array'
      readonly prefix: readonly NodeId[]
      readonly items: NodeId | undefined
      readonly least: number
      readonly most: number
    }

export interface SchemaNodes {
  readonly nodes: readonly SchemaNode[]
  readonly root: NodeId
}

/** Limits on the size of a schema. */
export const schemaLimits = {
  depth: 100,
  references: 400,
  nodes: 10_000,
  literalCharacters: 500_000,
  branches: 1000,
  count: 65_536,
  comparisons: 20_000_000,
} as const

const annotations = new Set([
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
  '$comment',
  '$schema',
  '$defs',
  'definitions',
  'contentMediaType',
  'contentEncoding',
])
const keywordsOf: Readonly<Record<string, readonly string[]>> = {
  object: ['properties', 'required', 'additionalProperties', 'minProperties', 'maxProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems', 'uniqueItems'],
  string: ['minLength', 'maxLength', 'pattern', 'format'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  boolean: [],
  null: [],
}
const supported = new Set(['type', 'enum', 'const', 'anyOf', 'oneOf', 'allOf', '$ref', 'nullable', ...Object.values(keywordsOf).flat()])

/** @throws UnsupportedSchemaError */
export function* readSchema(schema: unknown): Steps<SchemaNodes> {
  checkDepth(schema)
  return yield* new Reader(schema).read()
}

class Reader {
  readonly #schema: unknown
  readonly #nodes: SchemaNode[] = []
  readonly #byPath = new Map<string, NodeId>()
  readonly #exclusive: { path: string; branches: NodeId[] }[] = []
  readonly #patternWork = patternWork()
  readonly #patterns = new Map<string, ByteAutomaton>()
  /** The automata of strings and numbers, which are built after all nodes are known. */
  readonly #automata: Steps<void>[] = []
  #literalCharacters = 0
  #comparisons = 0
  #level = 0
  #any: NodeId | undefined

  constructor(schema: unknown) {
    this.#schema = schema
  }

  *read(): Steps<SchemaNodes> {
    const root = this.#read(this.#schema, '')
    for (const { path, branches } of this.#exclusive)
      for (const [i, branch] of branches.entries()) {
        for (const before of branches.slice(0, i)) {
          yield
          if (!this.#disjoint(branch, before))
            this.#refuse(
              `${path}/oneOf/${i}`,
              'oneOf is supported only where its branches visibly exclude each other (by type, or by a required property with different constants); use anyOf',
            )
        }
      }
    for (const automaton of this.#automata) yield* automaton
    return { nodes: this.#nodes, root }
  }

  #add(node: SchemaNode, path: string): NodeId {
    if (this.#nodes.length >= schemaLimits.nodes) this.#refuse(path, `more than ${schemaLimits.nodes} subschemas are not supported`)
    return this.#nodes.push(node) - 1
  }

  /** The node of the schema at a path. A schema that is still being read already has its node id. */
  #read(schema: unknown, path: string): NodeId {
    const known = this.#byPath.get(path)
    if (known !== undefined) return known
    const id = this.#add({ kind: 'never' }, path)
    this.#byPath.set(path, id)
    if (++this.#level > schemaLimits.references)
      this.#refuse(path, `more than ${schemaLimits.references} levels, counted through $ref, are not supported`)
    this.#nodes[id] = this.#node(schema, path)
    this.#level--
    return id
  }

  #node(schema: unknown, path: string): SchemaNode {
    if (schema === true) return { kind: 'either', branches: [this.#anyValue(path)] }
    if (schema === false) return { kind: 'never' }
    if (!isObject(schema))
      return this.#refuse(path, `expected a schema (an object, true or false), got ${JSON.stringify(schema) ?? typeof schema}`)
    const keywords = Object.keys(schema).filter(
      (name) => schema[name] !== undefined && !annotations.has(name) && !name.startsWith('x-') && !(name === '$id' && path === ''),
    )
    for (const name of keywords) if (!supported.has(name)) this.#refuse(`${path}/${escapePointer(name)}`, 'this keyword is not supported')
    for (const name of ['$ref', 'allOf', 'anyOf', 'oneOf']) {
      if (!keywords.includes(name)) continue
      const other = keywords.find((keyword) => keyword !== name)
      if (other !== undefined) this.#refuse(`${path}/${escapePointer(other)}`, `not supported beside ${name}`)
      if (name === '$ref') return { kind: 'either', branches: [this.#reference(schema.$ref, `${path}/$ref`)] }
      const list = this.#list(schema, name, path)
      if (name === 'allOf' && list.length > 1) this.#refuse(`${path}/allOf`, 'allOf is supported with a single schema only')
      const branches = list.map((branch, i) => this.#read(branch, `${path}/${name}/${i}`))
      if (name === 'oneOf') this.#exclusive.push({ path, branches })
      return { kind: 'either', branches }
    }
    if (keywords.includes('enum') || keywords.includes('const')) return this.#literal(schema, keywords, path)
    const types = this.#types(schema, keywords, path)
    if (types.length === 0) return { kind: 'either', branches: [this.#anyValue(path)] }
    const nodes = types.map((type) => this.#typed(type, schema, path))
    return nodes.length === 1 ? nodes[0]! : { kind: 'either', branches: nodes.map((node) => this.#add(node, path)) }
  }

  /** The declared types, or else the types to which the keywords apply. */
  #types(schema: Json, keywords: readonly string[], path: string): string[] {
    const declared = schema.type === undefined ? undefined : Array.isArray(schema.type) ? schema.type : [schema.type]
    if (declared !== undefined && declared.length === 0) this.#refuse(`${path}/type`, 'expected at least one type')
    for (const type of declared ?? [])
      if (typeof type !== 'string' || !Object.hasOwn(keywordsOf, type))
        this.#refuse(`${path}/type`, `expected a JSON type, got ${JSON.stringify(type)}`)
    const spoken = ['object', 'array', 'string', 'number'].filter((type) => keywords.some((name) => keywordsOf[type]!.includes(name)))
    const types = new Set<string>((declared as string[] | undefined) ?? spoken)
    if (this.#boolean(schema, 'nullable', path) && types.size > 0) types.add('null')
    if (types.has('number')) types.delete('integer')
    return [...types]
  }

  #typed(type: string, schema: Json, path: string): SchemaNode {
    switch (type) {
      case 'object':
        return this.#object(schema, path)
      case 'array':
        return this.#array(schema, path)
      case 'string':
        return this.#string(schema, path)
      case 'integer':
      case 'number':
        return this.#number(type === 'integer', schema, path)
      case 'boolean':
        return { kind: 'literal', texts: ['true', 'false'] }
      default:
        return { kind: 'literal', texts: ['null'] }
    }
  }

  #object(schema: Json, path: string): SchemaNode {
    const declared = schema.properties ?? {}
    if (!isObject(declared)) return this.#refuse(`${path}/properties`, 'expected an object')
    const required = schema.required ?? []
    if (!Array.isArray(required) || required.some((name) => typeof name !== 'string'))
      return this.#refuse(`${path}/required`, 'expected a list of names')
    const names = new Set<string>(required)
    const additional = this.#optional(schema, 'additionalProperties', path)
    const properties: Property[] = Object.keys(declared).map((name) => ({
      name,
      node: this.#read(declared[name], `${path}/properties/${escapePointer(name)}`),
      required: names.delete(name),
    }))
    for (const name of names) {
      if (additional === undefined)
        return this.#refuse(`${path}/required`, `${JSON.stringify(name)} is required but neither declared nor allowed`)
      properties.push({ name, node: additional, required: true })
    }
    const [least, most] = this.#bounds(schema, 'minProperties', 'maxProperties', path)
    for (const { name } of properties) this.#count(name, path)
    return { kind: 'object', properties, additional, least, most }
  }

  #array(schema: Json, path: string): SchemaNode {
    if (this.#boolean(schema, 'uniqueItems', path)) return this.#refuse(`${path}/uniqueItems`, 'this keyword is not supported')
    if (Array.isArray(schema.items)) return this.#refuse(`${path}/items`, 'a list is not supported here; use prefixItems')
    const prefix =
      schema.prefixItems === undefined
        ? []
        : this.#list(schema, 'prefixItems', path).map((item, i) => this.#read(item, `${path}/prefixItems/${i}`))
    const [least, most] = this.#bounds(schema, 'minItems', 'maxItems', path)
    return { kind: 'array', prefix, items: this.#optional(schema, 'items', path), least, most }
  }

  #string(schema: Json, path: string): SchemaNode {
    const [least, most] = this.#bounds(schema, 'minLength', 'maxLength', path)
    const { pattern, format } = schema
    if (pattern === undefined && format === undefined) return { kind: 'string', least, most, pattern: undefined }
    if (pattern !== undefined && format !== undefined) return this.#refuse(`${path}/format`, 'not supported beside pattern')
    const keyword = `${path}/${pattern === undefined ? 'format' : 'pattern'}`
    const source = pattern ?? (typeof format === 'string' && Object.hasOwn(formatPatterns, format) ? formatPatterns[format] : undefined)
    if (typeof source !== 'string')
      return this.#refuse(
        keyword,
        pattern === undefined
          ? `expected one of ${Object.keys(formatPatterns).join(', ')}, got ${JSON.stringify(format)}`
          : 'expected a string',
      )
    const node = { kind: 'string' as const, least, most, pattern: undefined as ByteAutomaton | undefined }
    this.#automata.push(this.#pattern(node, source, keyword))
    return node
  }

  /** Compiles equal patterns once. */
  *#pattern(
    node: { readonly least: number; readonly most: number; pattern: ByteAutomaton | undefined },
    source: string,
    path: string,
  ): Steps<void> {
    const { least, most } = node
    const key = `${least} ${most} ${source}`
    let automaton = this.#patterns.get(key)
    try {
      automaton ??= yield* compilePattern({ patterns: [{ source, negated: false }], least, most }, this.#patternWork)
    } catch (error) {
      return this.#refuse(path, (error as Error).message)
    }
    this.#patterns.set(key, automaton)
    node.pattern = automaton
  }

  #number(integer: boolean, schema: Json, path: string): SchemaNode {
    const limits: { -readonly [name in keyof Limits]: Limits[name] } = {}
    for (const name of keywordsOf.number! as (keyof Limits)[]) {
      const limit = schema[name]
      if (limit === undefined) continue
      if (typeof limit !== 'number' || !Number.isFinite(limit))
        return this.#refuse(`${path}/${name}`, `expected a number, got ${JSON.stringify(limit)}`)
      if (name === 'multipleOf' && limit <= 0) return this.#refuse(`${path}/multipleOf`, `expected a number above 0, got ${limit}`)
      limits[name] = [{ value: limit }]
    }
    if (!integer && Object.keys(limits).length === 0) return { kind: 'number', automaton: anyNumber, integer }
    const node = { kind: 'number' as const, automaton: anyNumber, integer }
    this.#automata.push(this.#limits(node, limits, path))
    return node
  }

  *#limits(node: { automaton: NumberAutomaton; readonly integer: boolean }, limits: Limits, path: string): Steps<void> {
    yield
    node.automaton = this.#attempt(path, () => limitedNumber(node.integer, limits))
  }

  #literal(schema: Json, keywords: readonly string[], path: string): SchemaNode {
    const other = keywords.find((name) => !['enum', 'const', 'type', 'nullable'].includes(name))
    if (other !== undefined) this.#refuse(`${path}/${escapePointer(other)}`, 'not supported beside enum or const')
    const types = this.#types(schema, keywords, path)
    const values: unknown[] = keywords.includes('enum') ? [...this.#list(schema, 'enum', path)] : [schema.const]
    const constant = keywords.includes('const') ? JSON.stringify(schema.const) : undefined
    const texts = new Set<string>()
    for (const value of values) {
      const text = JSON.stringify(value)
      if (text === undefined) return this.#refuse(`${path}/enum`, 'expected JSON values')
      if (types.length > 0 && !types.some((type) => hasType(value, type))) continue
      if (constant !== undefined && constant !== text) continue
      this.#count(text, path)
      texts.add(text)
    }
    if (texts.size === 0) return this.#refuse(path, 'no value of enum or const fits the other keywords')
    return { kind: 'literal', texts: [...texts] }
  }

  /** Any JSON value. */
  #anyValue(path: string): NodeId {
    if (this.#any !== undefined) return this.#any
    const any = this.#add({ kind: 'never' }, path)
    this.#any = any
    const least = 0
    const most = Number.POSITIVE_INFINITY
    const branches = [
      this.#add({ kind: 'literal', texts: ['null', 'true', 'false'] }, path),
      this.#add({ kind: 'number', automaton: anyNumber, integer: false }, path),
      this.#add({ kind: 'string', least, most, pattern: undefined }, path),
      this.#add({ kind: 'object', properties: [], additional: any, least, most }, path),
      this.#add({ kind: 'array', prefix: [], items: any, least, most }, path),
    ]
    this.#nodes[any] = { kind: 'either', branches }
    return any
  }

  #reference(reference: unknown, path: string): NodeId {
    if (typeof reference !== 'string' || !/^#(\/|$)/.test(reference))
      return this.#refuse(path, `only references into the same schema (#/…) are supported, got ${JSON.stringify(reference)}`)
    let schema: unknown = this.#schema
    let at = ''
    for (const part of reference.split('/').slice(1)) {
      const name = this.#attempt(path, () => decodeURIComponent(part))
        .replaceAll('~1', '/')
        .replaceAll('~0', '~')
      if (typeof schema !== 'object' || schema === null || !Object.hasOwn(schema, name))
        return this.#refuse(path, `${reference} leads nowhere`)
      schema = (schema as Json)[name]
      at += `/${escapePointer(name)}`
    }
    return this.#read(schema, at)
  }

  /** A keyword whose value is a schema. Absent means any value, false means none. */
  #optional(schema: Json, name: string, path: string): NodeId | undefined {
    if (schema[name] === false) return undefined
    return schema[name] === undefined ? this.#anyValue(path) : this.#read(schema[name], `${path}/${name}`)
  }

  #bounds(schema: Json, least: string, most: string, path: string): [number, number] {
    const [low, high] = [least, most].map((name) => {
      const value = schema[name]
      if (value === undefined) return undefined
      if (typeof value !== 'number' || !Number.isInteger(value) || value < 0)
        return this.#refuse(`${path}/${name}`, `expected an integer of at least 0, got ${JSON.stringify(value)}`)
      if (name === least && value > schemaLimits.count)
        return this.#refuse(`${path}/${name}`, `more than ${schemaLimits.count} is not supported`)
      return value
    })
    if ((low ?? 0) > (high ?? Number.POSITIVE_INFINITY)) this.#refuse(`${path}/${least}`, `greater than ${most}`)
    return [low ?? 0, high ?? Number.POSITIVE_INFINITY]
  }

  #boolean(schema: Json, name: string, path: string): boolean {
    const value = schema[name] ?? false
    return typeof value === 'boolean' ? value : this.#refuse(`${path}/${name}`, 'expected true or false')
  }

  #list(schema: Json, name: string, path: string): readonly unknown[] {
    const list = schema[name]
    if (!Array.isArray(list) || list.length === 0) return this.#refuse(`${path}/${name}`, 'expected a list with at least one entry')
    if (list.length > schemaLimits.branches)
      return this.#refuse(`${path}/${name}`, `more than ${schemaLimits.branches} entries are not supported`)
    return list
  }

  #count(text: string, path: string): void {
    this.#literalCharacters += text.length
    if (this.#literalCharacters > schemaLimits.literalCharacters)
      this.#refuse(path, `more than ${schemaLimits.literalCharacters} characters of names and constants are not supported`)
  }

  #attempt<T>(path: string, run: () => T): T {
    try {
      return run()
    } catch (error) {
      return this.#refuse(path, (error as Error).message)
    }
  }

  #refuse(path: string, reason: string): never {
    throw new UnsupportedSchemaError(path, reason)
  }

  /** Whether the two nodes surely have no value in common. A cheap check; false may be wrong. */
  #disjoint(a: NodeId, b: NodeId): boolean {
    const [left, right] = [this.#shapes(a), this.#shapes(b)]
    this.#compare(left.length * right.length)
    return left.every((x) => right.every((y) => this.#shapesDisjoint(x, y)))
  }

  #compare(count: number): void {
    this.#comparisons += count
    if (this.#comparisons > schemaLimits.comparisons) this.#refuse('', 'the branches of oneOf are too many to tell apart; use anyOf')
  }

  /** The alternatives of a node, without `either`. */
  #shapes(id: NodeId, seen = new Set<NodeId>()): Exclude<SchemaNode, { kind: 'either' }>[] {
    if (seen.has(id)) return []
    seen.add(id)
    this.#compare(1)
    const node = this.#nodes[id]!
    return node.kind === 'either' ? node.branches.flatMap((branch) => this.#shapes(branch, seen)) : [node]
  }

  #shapesDisjoint(a: SchemaNode, b: SchemaNode): boolean {
    if (a.kind === 'never' || b.kind === 'never') return true
    if (a.kind === 'literal' && b.kind === 'literal') {
      // Two objects or arrays can be equal although their texts differ (order, spelling).
      const seen = new Set(b.texts.flatMap((text) => (/^[{[]/.test(text) ? [text, text[0]!] : [text])))
      this.#compare(a.texts.length + b.texts.length)
      return !a.texts.some((text) => seen.has(text) || (/^[{[]/.test(text) && seen.has(text[0]!)))
    }
    if (a.kind === 'literal') return a.texts.every((text) => kindOf(JSON.parse(text)) !== b.kind)
    if (b.kind === 'literal') return this.#shapesDisjoint(b, a)
    if (a.kind !== b.kind) return true
    if (a.kind !== 'object' || b.kind !== 'object') return false
    this.#compare(a.properties.length * b.properties.length)
    return (
      a.properties.some((mine) => {
        const theirs = b.properties.find(({ name }) => name === mine.name)
        if (theirs === undefined) return mine.required && b.additional === undefined
        if (!mine.required || !theirs.required) return false
        const [left, right] = [this.#shapes(mine.node), this.#shapes(theirs.node)]
        return left.every((x) => right.every((y) => x.kind === 'literal' && y.kind === 'literal' && this.#shapesDisjoint(x, y)))
      }) ||
      b.properties.some(({ name, required }) => required && a.additional === undefined && !a.properties.some((mine) => mine.name === name))
    )
  }
}

function kindOf(value: unknown): string {
  return Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value
}

function hasType(value: unknown, type: string): boolean {
  return type === 'integer' ? Number.isInteger(value) : kindOf(value) === type
}

function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}

/** Not recursive, because a hostile schema may be nested deeper than the call stack. */
function checkDepth(schema: unknown): void {
  let level: unknown[] = [schema]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > schemaLimits.depth) throw new UnsupportedSchemaError('', `nested more than ${schemaLimits.depth} levels deep`)
    const next: unknown[] = []
    for (const value of level) if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) next.push(inner)
    level = next
  }
}
