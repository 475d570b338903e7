/** Objects: which names may be written, and which schemas hold for the value of each. */
import { entriesOf } from '../json/lossless.ts'
import type { StringRules } from './pattern.ts'
import type { Property, SchemaNode, Undeclared } from './schema.ts'
import { bounds, contradiction, escapePointer, inner, type Located, objectOf, type Plain, refuse } from './schema-fields.ts'
import type { SchemaReader } from './schema-reader.ts'

/** One schema of an object, with its keywords at hand. */
interface Part {
  readonly properties: ReadonlyMap<string, Located>
  readonly patterns: readonly { readonly source: string; readonly located: Located }[]
  /** The schema of other names; undefined: any value. */
  readonly others: Located | undefined
  /** The schema of names of which no schema beside this one says anything; undefined: any value. */
  readonly unevaluated: Located | undefined
  /** Whether it says anything about names that it does not declare. */
  readonly isSilent: boolean
}

const ANY_LENGTH = { least: 0, most: Number.POSITIVE_INFINITY }
/** With more patterns, a name that matches several of them is not written. */
const MOST_COMBINED_PATTERNS = 3

/** The node of schemas that hold together for an object. */
export function objectNode(reader: SchemaReader, plains: readonly Plain[], path: string): SchemaNode {
  const [least, most] = bounds(plains, 'minProperties', 'maxProperties')
  if (least > most) return reader.conflict(plains, path, contradiction([least, most]))
  const parts = plains.map(partOf)
  const required = new Set<string>()
  for (const plain of plains) for (const name of requiredOf(plain)) required.add(name)
  const names = namesOf(reader, plains, path)
  const declared = new Set(parts.flatMap(({ properties }) => [...properties.keys()]))
  const isOpen = names.only === undefined && !restOf(parts).some(({ schema }) => schema === false)
  const isClosed = !isOpen || (isClosedByDefault(reader, parts, plains) && least <= new Set([...declared, ...required]).size)
  for (const name of names.only ?? []) declared.add(name)
  for (const name of required) declared.add(name)

  const properties: Property[] = []
  for (const name of declared) {
    const schemas = schemasOf(reader, parts, name)
    const isAllowed = names.rules === undefined || reader.isAllowed(name, names.rules, `${path}/propertyNames`)
    const isPossible = isAllowed && (names.only === undefined || names.only.has(name)) && !schemas.some(({ schema }) => schema === false)
    if (!isPossible) {
      if (!required.has(name)) continue
      const plain = plains.find((each) => requiredOf(each).includes(name))!
      return reader.conflict(plains, `${plain.path}/required`, `${JSON.stringify(name)} is required but neither declared nor allowed`)
    }
    reader.count(name, path)
    properties.push({ name, node: reader.readAll(schemas, schemas[0]?.path ?? path), required: required.has(name) })
  }
  const hasPatterns = parts.some(({ patterns }) => patterns.length > 0)
  const undeclared =
    names.only !== undefined || (isClosed && !hasPatterns) ? [] : groups(reader, parts, properties, names.rules, isClosed, path)
  const isCounted = least > 1 + properties.length
  if (isCounted && undeclared.some((group) => group.names !== undefined))
    return refuse(`${path}/minProperties`, 'more than one name that only a pattern describes is not supported')
  return { kind: 'object', properties, undeclared, least, most, isOpen: isOpen || hasPatterns }
}

function partOf(plain: Plain): Part {
  const { schema, path } = plain
  const properties = new Map<string, Located>()
  for (const [name, value] of entriesOf(objectOf(plain, 'properties')))
    properties.set(name, inner(value, `${path}/properties/${escapePointer(name)}`))
  const patterns = Object.entries(objectOf(plain, 'patternProperties')).map(([source, value]) => ({
    source,
    located: inner(value, `${path}/patternProperties/${escapePointer(source)}`),
  }))
  const at = (keyword: string) => (schema[keyword] === undefined ? undefined : inner(schema[keyword], `${path}/${keyword}`))
  const [others, unevaluated] = [at('additionalProperties'), at('unevaluatedProperties')]
  const isSilent = others === undefined && unevaluated === undefined && patterns.length === 0 && schema.propertyNames === undefined
  return { properties, patterns, others, unevaluated, isSilent }
}

function requiredOf({ schema, path }: Plain): string[] {
  const required = schema.required ?? []
  // Draft 3 marks a property itself as required.
  if (typeof required === 'boolean' || !Array.isArray(required) || required.some((name) => typeof name !== 'string'))
    return refuse(`${path}/required`, 'expected a list of names')
  return required as string[]
}

function isClosedByDefault({ options }: SchemaReader, parts: readonly Part[], plains: readonly Plain[]): boolean {
  return (
    options.undeclared !== 'open' && parts.every(({ isSilent }) => isSilent) && plains.some(({ schema }) => schema.properties !== undefined)
  )
}

/** What all names must be: one of a list, or a text under rules. */
function namesOf(
  reader: SchemaReader,
  plains: readonly Plain[],
  path: string,
): { only: Set<string> | undefined; rules: StringRules | undefined } {
  const schemas = plains.flatMap((plain) =>
    plain.schema.propertyNames === undefined ? [] : [inner(plain.schema.propertyNames, `${plain.path}/propertyNames`)],
  )
  if (schemas.length === 0) return { only: undefined, rules: undefined }
  const at = schemas[0]!.path
  const located = [...schemas, { schema: { type: 'string' }, path: at, key: `${at} string` }]
  const found = reader.strings(located, path)
  if (found === undefined) return refuse(at, 'only names from a list, or under pattern, format and lengths, are supported')
  if ('texts' in found) return { only: new Set(found.texts), rules: undefined }
  const { patterns, least, most } = found.rules
  return { only: undefined, rules: patterns.length === 0 && least === 0 && most === Number.POSITIVE_INFINITY ? undefined : found.rules }
}

/** What schemas say of the value of a name. */
function schemasOf(reader: SchemaReader, parts: readonly Part[], name: string): readonly Located[] {
  const found = parts.flatMap(({ properties, patterns, others }) => {
    const declared = properties.get(name)
    const matching = patterns.filter(({ source, located }) =>
      reader.isAllowed(name, { patterns: [{ source, negated: false }], ...ANY_LENGTH }, located.path),
    )
    const own = [...(declared === undefined ? [] : [declared]), ...matching.map(({ located }) => located)]
    return own.length > 0 || others === undefined ? own : [others]
  })
  return found.length > 0 ? found : restOf(parts)
}

/** What schemas say of the values of names that none of them mentions. */
function restOf(parts: readonly Part[]): readonly Located[] {
  const others = parts.flatMap((part) => part.others ?? [])
  return others.length > 0 ? others : parts.flatMap((part) => part.unevaluated ?? [])
}

/** The undeclared names, in groups for whose values the same schemas hold. */
function groups(
  reader: SchemaReader,
  parts: readonly Part[],
  properties: readonly Property[],
  rules: StringRules | undefined,
  isClosed: boolean,
  path: string,
): Undeclared[] {
  const sources = [...new Set(parts.flatMap(({ patterns }) => patterns.map(({ source }) => source)))]
  const sets =
    sources.length <= MOST_COMBINED_PATTERNS
      ? Array.from({ length: 2 ** sources.length }, (_, bits) => sources.filter((_source, i) => (bits >> i) & 1)).reverse()
      : [...sources.map((source) => [source]), []]
  const found: Undeclared[] = []
  for (const matching of sets) {
    if (matching.length === 0 && isClosed) continue
    const own = parts.flatMap(({ patterns, others }) => {
      const found = patterns.filter(({ source }) => matching.includes(source)).map(({ located }) => located)
      return found.length > 0 || others === undefined ? found : [others]
    })
    const schemas = own.length > 0 ? own : restOf(parts)
    if (schemas.some(({ schema }) => schema === false)) continue
    const node = reader.readAll(schemas, schemas[0]?.path ?? path)
    if (sources.length === 0 && rules === undefined) {
      found.push({ names: undefined, node })
      continue
    }
    const patterns = [...(rules?.patterns ?? []), ...sources.map((source) => ({ source, negated: !matching.includes(source) }))]
    const names: Undeclared['names'] = { automaton: undefined }
    const except = properties.map(({ name }) => name)
    const at = schemas[0]?.path ?? path
    const all = { patterns, except, least: rules?.least ?? 0, most: rules?.most ?? Number.POSITIVE_INFINITY }
    reader.automaton(all, at, (automaton) => (names.automaton = automaton), true)
    found.push({ names, node })
  }
  return found
}
