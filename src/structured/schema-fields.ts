/** The keywords of a JSON schema: which are enforced, which assert nothing, and how their values are checked. */
import { isObject, type Json } from '../json/json.ts'
import { UnsupportedSchemaError } from './unsupported.ts'

/** A schema, or a part of one, and where it stands. Equal keys mean the same assertions. */
export interface Located {
  readonly schema: unknown
  readonly path: string
  readonly key: string
}

/** A located schema whose keywords all assert something about the value itself. */
export interface Plain extends Located {
  readonly schema: Json
}

/** Limits on the size of a schema. */
export const schemaLimits = {
  depth: 100,
  references: 400,
  nodes: 10_000,
  literalCharacters: 500_000,
  branches: 20_000,
  /** Of one value, with all constants of a list counted as one. The machine follows no more; see MOST_STACKS. */
  alternatives: 256,
  count: 65_536,
  comparisons: 20_000_000,
} as const

const ANNOTATIONS = new Set(
  (
    'title description default examples example deprecated readOnly writeOnly $comment $schema $id id $anchor $vocabulary $defs definitions ' +
    'contentMediaType contentEncoding contentSchema discriminator xml externalDocs propertyOrdering markdownDescription ' +
    'enumDescriptions markdownEnumDescriptions enumNames deprecationMessage errorMessage defaultSnippets strict'
  ).split(' '),
)

/** The keywords that speak of a type. */
export const keywordsOf: Readonly<Record<string, readonly string[]>> = {
  object: [
    'properties',
    'required',
    'additionalProperties',
    'patternProperties',
    'propertyNames',
    'unevaluatedProperties',
    'minProperties',
    'maxProperties',
  ],
  array: ['items', 'prefixItems', 'additionalItems', 'unevaluatedItems', 'minItems', 'maxItems', 'uniqueItems'],
  string: ['minLength', 'maxLength', 'pattern', 'format'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  integer: [],
  boolean: [],
  null: [],
}
const APPLICATORS = ['$ref', 'allOf', 'anyOf', 'oneOf', 'not']
const supported = new Set(['type', 'enum', 'const', 'nullable', ...APPLICATORS, ...Object.values(keywordsOf).flat()])

/** The keywords of a schema that assert something. @throws UnsupportedSchemaError at one that is not supported */
export function assertions(schema: Json, path: string): { own: string[]; applicators: string[] } {
  const names = Object.keys(schema).filter((name) => schema[name] !== undefined && !ANNOTATIONS.has(name) && !name.startsWith('x-'))
  for (const name of names) if (!supported.has(name)) refuse(`${path}/${escapePointer(name)}`, 'this keyword is not supported')
  return { own: names.filter((name) => !APPLICATORS.includes(name)), applicators: names.filter((name) => APPLICATORS.includes(name)) }
}

export function refuse(path: string, reason: string): never {
  throw new UnsupportedSchemaError(path, reason)
}

/** Runs something whose error is about the keyword at a path. */
export function attempt<T>(path: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    return refuse(path, (error as Error).message)
  }
}

/**
 * Lower and upper bounds of all schemas together. Where several schemas contradict each other, the lower one is larger.
 * @throws UnsupportedSchemaError when a single schema contradicts itself
 */
export function bounds(plains: readonly Plain[], least: string, most: string): [number, number] {
  let [low, high] = [0, Number.POSITIVE_INFINITY]
  for (const { schema, path } of plains) {
    for (const name of [least, most]) {
      const value = schema[name]
      if (value === undefined) continue
      if (typeof value !== 'number' || !Number.isInteger(value) || value < 0)
        return refuse(`${path}/${name}`, `expected an integer of at least 0, got ${JSON.stringify(value)}`)
      if (name === least && value > schemaLimits.count) return refuse(`${path}/${name}`, `more than ${schemaLimits.count} is not supported`)
      if (name === least) low = Math.max(low, value)
      else high = Math.min(high, value)
    }
    if (low > high && plains.length === 1) refuse(`${path}/${least}`, contradiction([low, high]))
  }
  return [low, high]
}

export function contradiction([least, most]: readonly [number, number]): string {
  return `no value has at least ${least} and at most ${most}`
}

export function booleanOf({ schema, path }: Plain, name: string): boolean {
  const value = schema[name] ?? false
  return typeof value === 'boolean' ? value : refuse(`${path}/${name}`, 'expected true or false')
}

export function listOf({ schema, path }: { schema: Json; path: string }, name: string): readonly unknown[] {
  const list = schema[name]
  if (!Array.isArray(list) || list.length === 0) return refuse(`${path}/${name}`, 'expected a list with at least one entry')
  if (list.length > schemaLimits.branches) return refuse(`${path}/${name}`, `more than ${schemaLimits.branches} entries are not supported`)
  return list
}

export function objectOf({ schema, path }: Plain, name: string): Json {
  const value = schema[name] ?? {}
  return schema[name] !== null && isObject(value) ? value : refuse(`${path}/${name}`, 'expected an object')
}

/** A schema inside another. */
export function inner(schema: unknown, path: string): Located {
  return { schema, path, key: path }
}

export function kindOf(value: unknown): string {
  return Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value
}

export function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}

/** Not recursive, because a hostile schema may be nested deeper than the call stack. */
export function checkDepth(schema: unknown): void {
  let level: unknown[] = [schema]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > schemaLimits.depth) refuse('', `nested more than ${schemaLimits.depth} levels deep`)
    const next: unknown[] = []
    for (const value of level) if (typeof value === 'object' && value !== null) for (const within of Object.values(value)) next.push(within)
    level = next
  }
}
