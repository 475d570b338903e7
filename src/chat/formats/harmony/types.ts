/**
 * Tool definitions as the TypeScript-like text that gpt-oss was trained to read.
 * It understands exactly what openai/harmony understands (anyOf, $ref and the like become `any`) and is no general schema printer.
 * Source: the rendering rules of openai/harmony 0.0.8, checked against the package on random schemas. Key order and numbers are those
 * of the request's text where json/lossless.ts has read it.
 */
import { asObject, type Json } from '../../../json/json.ts'
import { entriesOf, writeAt } from '../../../json/lossless.ts'
import type { ToolDefinition } from '../../messages.ts'
import { rustNumber } from './rust-number.ts'

/** A namespace of tools. Without functions only its description is written. */
export interface ToolNamespace {
  name: string
  description?: string | null
  tools: readonly ToolDefinition[]
}

/** The "# Tools" section. */
export function toolsSection(namespaces: readonly ToolNamespace[]): string {
  const byName = [...namespaces].sort((a, b) => (a.name < b.name ? -1 : 1))
  return ['# Tools', ...byName.map(namespaceText)].join('\n\n')
}

function namespaceText({ name, description, tools }: ToolNamespace): string {
  const lines = [`## ${name}\n`, ...linesOf(description).map((line) => (tools.length > 0 ? `// ${line}` : line))]
  if (tools.length === 0) return lines.join('\n')
  lines.push(`namespace ${name} {\n`)
  for (const tool of tools) {
    const args = tool.parameters === undefined || tool.parameters === null ? '' : `_: ${typeText(tool.parameters, '')}`
    lines.push(...linesOf(tool.description).map((line) => `// ${line}`), `type ${tool.name} = (${args}) => any;\n`)
  }
  return [...lines, `} // namespace ${name}`].join('\n')
}

/** The lines of a text as Rust's `str::lines` has them: ended by LF or CRLF, none after the last end. */
export function linesOf(text: string | null | undefined): string[] {
  const lines = (text ?? '').split('\n')
  const last = lines.pop()!
  return [...lines.map((line) => line.replace(/\r$/, '')), ...(last === '' ? [] : [last])]
}

/** The type of a schema. `indent` is that of the line it begins on. */
function typeText(schema: unknown, indent: string): string {
  const s = asObject(schema)
  if (Array.isArray(s.oneOf)) {
    return s.oneOf
      .map((variant) => `\n${indent} | ${variantText(variant, indent)}${trailing(description(variant), defaultText(variant, true))}`)
      .join('')
  }
  if (Array.isArray(s.type)) {
    const names = strings(s.type).map((name) => (name === 'integer' ? 'number' : name))
    return names.length > 0 ? names.join(' | ') : 'any'
  }
  switch (s.type) {
    case 'object':
      return objectText(s, indent)
    case 'string':
      return (
        strings(s.enum)
          .map((value) => `"${value}"`)
          .join(' | ') || 'string'
      )
    case 'integer':
    case 'number':
      return 'number'
    case 'boolean':
      return 'boolean'
    case 'array':
      return s.items === undefined ? 'Array<any>' : `${typeText(s.items, indent)}[]`
    default:
      return 'any'
  }
}

/** Strings are written as they are: the library escapes nothing in them. */
const strings = (value: unknown): string[] => (Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [])

const variantText = (schema: unknown, indent: string): string => nullable(asObject(schema), typeText(schema, `${indent}   `))

function objectText(s: Json, indent: string): string {
  const about = description(s)
  const required = new Set(Array.isArray(s.required) ? s.required : [])
  const properties = entriesOf(asObject(s.properties)).map(([key, value]) => propertyText(key, value, required.has(key), indent))
  return `${about === undefined ? '' : `${indent}// ${about}\n`}{\n${properties.join('')}${indent}}`
}

function propertyText(key: string, schema: unknown, required: boolean, indent: string): string {
  const s = asObject(schema)
  const lines: string[] = []
  const about = description(s)
  if (typeof s.title === 'string') lines.push(`// ${s.title}`, '//')
  if (about !== undefined && s.oneOf === undefined) lines.push(`// ${about}`)
  if (Array.isArray(s.examples) && s.examples.length > 0)
    lines.push('// Examples:', ...strings(s.examples).map((example) => `// - "${example}"`))
  const name = `${key}${required ? '' : '?'}:`
  if (!Array.isArray(s.oneOf)) {
    const trailer = s.oneOf === undefined ? trailing(defaultText(s)) : ''
    lines.push(`${name} ${nullable(s, typeText(s, `${indent}    `))},${trailer}`)
  } else {
    const above = about !== undefined && about !== description(s.oneOf[0])
    if (above) lines.push(`// ${about}`)
    if (s.default !== undefined) lines.push(`// ${defaultText(s)}`)
    lines.push(name)
    s.oneOf.forEach((variant: unknown, i: number) => {
      // A description is written once: not again for the variant that has the property's, nor below it for the first variant.
      const own = description(variant) === about || (above && i === 0) ? undefined : description(variant)
      lines.push(` | ${variantText(variant, indent)}${trailing(own, defaultText(variant))}`)
    })
    lines.push(',')
  }
  return lines.map((line) => `${indent}${line}\n`).join('')
}

function trailing(...comments: (string | undefined)[]): string {
  const present = comments.filter((comment) => comment !== undefined)
  return present.length === 0 ? '' : ` // ${present.join(' ')}`
}

/** `default: V`. A string is quoted, except that of an enum, which is bare, or JSON with `quoteEnums`. */
function defaultText(schema: unknown, quoteEnums = false): string | undefined {
  const s = asObject(schema)
  if (s.default === undefined) return undefined
  const isEnum = Array.isArray(s.enum) && s.enum.length > 0
  if (typeof s.default !== 'string' || (isEnum && quoteEnums)) return `default: ${writeAt(s, 'default', { number: rustNumber })}`
  return `default: ${isEnum ? s.default : `"${s.default}"`}`
}

function nullable(s: Json, text: string): string {
  return s.nullable === true && !text.includes('null') ? `${text} | null` : text
}

function description(schema: unknown): string | undefined {
  const text = asObject(schema).description
  return typeof text === 'string' ? text : undefined
}
