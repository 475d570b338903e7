/** What schemas that hold together say of strings, numbers and types, and which constants fit. */
import { entriesOf } from '../json/lossless.ts'
import type { Steps } from './cooperative.ts'
import type { Limits } from './number.ts'
import type { StringRules } from './pattern.ts'
import type { LiteralNode, NumberNode, StringNode } from './schema.ts'
import { booleanOf, bounds, keywordsOf, kindOf, type Plain, refuse } from './schema-fields.ts'
import { formatLengths, formatPatterns, UNSUPPORTED_FORMATS } from './string-formats.ts'

/** The types that all schemas allow; undefined where none of them has `type`. */
export function typesOf(plains: readonly Plain[]): string[] | undefined {
  let types: string[] | undefined
  for (const plain of plains) {
    const { schema, path } = plain
    const isNullable = booleanOf(plain, 'nullable')
    if (schema.type === undefined) continue
    const declared: unknown[] = Array.isArray(schema.type) ? schema.type : [schema.type]
    if (declared.length === 0) refuse(`${path}/type`, 'expected at least one type')
    for (const type of declared)
      if (typeof type !== 'string' || !Object.hasOwn(keywordsOf, type))
        refuse(`${path}/type`, `expected a JSON type, got ${JSON.stringify(type)}`)
    const own = new Set([...(declared as string[]), ...(isNullable ? ['null'] : [])])
    if (own.has('number')) own.delete('integer')
    const fits = (type: string, among: { has(type: string): boolean }) => among.has(type) || (type === 'integer' && among.has('number'))
    const before = types === undefined ? undefined : new Set(types)
    types =
      before === undefined
        ? [...own]
        : [...new Set([...before].filter((type) => fits(type, own)).concat([...own].filter((type) => fits(type, before))))]
  }
  return types
}

/** The types to which the keywords apply; undefined where there are none. */
export function spokenTypes(plains: readonly Plain[]): string[] | undefined {
  const spoken = ['object', 'array', 'string', 'number'].filter((type) =>
    plains.some(({ schema }) => keywordsOf[type]!.some((name) => schema[name] !== undefined)),
  )
  return spoken.length > 0 ? spoken : undefined
}

/** What `pattern` and `format` of all schemas require. */
export function stringRules(plains: readonly Plain[]): StringRules {
  const [least, longest] = bounds(plains, 'minLength', 'maxLength')
  let most = longest
  const sources = new Set<string>()
  for (const { schema, path } of plains) {
    const { pattern, format } = schema
    if (pattern !== undefined && typeof pattern !== 'string') refuse(`${path}/pattern`, 'expected a string')
    if (pattern !== undefined) sources.add(pattern as string)
    if (format === undefined) continue
    if (typeof format !== 'string') return refuse(`${path}/format`, `expected a string, got ${JSON.stringify(format)}`)
    // A format that JSON schema does not define asserts nothing. One that a pattern describes is left to the pattern.
    if (Object.hasOwn(formatPatterns, format)) {
      sources.add(formatPatterns[format]!)
      most = Math.min(most, formatLengths[format] ?? most)
    } else if (UNSUPPORTED_FORMATS.includes(format) && pattern === undefined) refuse(`${path}/format`, `${format} is not supported`)
  }
  return { patterns: [...sources].map((source) => ({ source, negated: false })), least, most }
}

/** The limits of all schemas, as the text has them where it is known. */
export function limitsOf(plains: readonly Plain[]): Limits {
  const limits: { -readonly [name in keyof Limits]: Limits[name] } = {}
  for (const { schema, path } of plains)
    for (const [name, value, spelling] of entriesOf(schema)) {
      if (!keywordsOf.number!.includes(name) || value === undefined) continue
      let keyword = name as keyof Limits
      // Draft 4 and OpenAPI 3.0 make a limit exclusive by a flag beside it.
      const flag = schema[name === 'minimum' ? 'exclusiveMinimum' : name === 'maximum' ? 'exclusiveMaximum' : '']
      if (flag === true) keyword = name === 'minimum' ? 'exclusiveMinimum' : 'exclusiveMaximum'
      const inclusive = name === 'exclusiveMinimum' ? schema.minimum : name === 'exclusiveMaximum' ? schema.maximum : undefined
      if (value === false || (value === true && inclusive !== undefined)) continue
      if ((typeof value !== 'number' || !Number.isFinite(value)) && typeof value !== 'bigint')
        return refuse(`${path}/${name}`, `expected a number, got ${JSON.stringify(value)}`)
      if (name === 'multipleOf' && value <= 0) return refuse(`${path}/multipleOf`, `expected a number above 0, got ${value}`)
      const text = spelling === String(value) ? undefined : spelling
      limits[keyword] = [...(limits[keyword] ?? []), { value, text }]
    }
  return limits
}

export function* filtered(node: LiteralNode, sibling: StringNode | NumberNode): Steps<void> {
  const type = sibling.kind
  const kept: string[] = []
  for (const text of node.texts) {
    yield
    const value: unknown = JSON.parse(text)
    if (kindOf(value) !== type || fits(value as string | number, text, sibling)) kept.push(text)
  }
  node.texts = kept
}

function fits(value: string | number, text: string, node: StringNode | NumberNode): boolean {
  if (node.kind === 'string') {
    const length = [...(value as string)].length
    const { rules, pattern } = node
    if (length < rules.least || length > rules.most || pattern === 'none') return false
    return pattern === undefined || pattern.matches(value as string)
  }
  const { automaton } = node
  let state: string | undefined = automaton.start
  for (const character of text) state = state === undefined ? undefined : automaton.next(state, character)
  return state !== undefined && automaton.canEnd(state)
}

export function hasType(value: unknown, type: string): boolean {
  return type === 'integer' ? Number.isInteger(value) : kindOf(value) === type
}

/** The keyword that an error about a pattern names. */
export function pathOfPattern(plains: readonly Plain[], path: string): string {
  const plain = plains.find(({ schema }) => schema.pattern !== undefined) ?? plains.find(({ schema }) => schema.format !== undefined)
  return plain === undefined ? path : `${plain.path}/${plain.schema.pattern === undefined ? 'format' : 'pattern'}`
}
