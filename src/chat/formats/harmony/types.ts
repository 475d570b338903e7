/**
 * Tool definitions as the TypeScript-like text that gpt-oss was trained to read.
 * It understands exactly what openai/harmony understands (anyOf, $ref and the like become `any`) and is no general schema printer.
 * Source: the rendering rules of openai/harmony 0.0.8, checked against its published texts.
 */
import { asObject, type Json } from '../../../json/json.ts'
import type { ToolDefinition } from '../../messages.ts'

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
  const heading = `## ${name}\n\n`
  if (tools.length === 0) return heading + (description ?? '')
  const functions = tools.map((tool) => {
    const args = tool.parameters === undefined || tool.parameters === null ? '()' : `(_: ${typeText(tool.parameters, '')})`
    return `${commented(tool.description)}type ${tool.name} = ${args} => any;\n\n`
  })
  return `${heading}${commented(description)}namespace ${name} {\n\n${functions.join('')}} // namespace ${name}`
}

/** Every line of a description as a comment; nothing for an empty one. */
function commented(text: string | null | undefined): string {
  if (!text) return ''
  return text
    .split('\n')
    .map((line) => `// ${line}\n`)
    .join('')
}

/** The type of a schema. `indent` is that of the line it begins on. */
function typeText(schema: unknown, indent: string): string {
  const s = asObject(schema)
  if (Array.isArray(s.oneOf)) {
    return s.oneOf
      .map((variant) => `\n${indent} | ${typeText(variant, `${indent}   `)}${trailing(description(variant), defaultText(variant, true))}`)
      .join('')
  }
  if (Array.isArray(s.type)) return s.type.map((name) => (name === 'integer' ? 'number' : String(name))).join(' | ')
  switch (s.type) {
    case 'object':
      return objectText(s, indent)
    case 'string':
      return isEnum(s) ? s.enum.map((value) => JSON.stringify(value)).join(' | ') : 'string'
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

function objectText(s: Json, indent: string): string {
  const about = description(s)
  const required = new Set(Array.isArray(s.required) ? s.required : [])
  const properties = Object.entries(asObject(s.properties)).map(([key, value]) => propertyText(key, value, required.has(key), indent))
  return `${about === undefined ? '' : `${indent}// ${about}\n`}{\n${properties.join('')}${indent}}`
}

function propertyText(key: string, schema: unknown, required: boolean, indent: string): string {
  const s = asObject(schema)
  const lines: string[] = []
  const about = description(s)
  if (typeof s.title === 'string') lines.push(`// ${s.title}`, '//')
  if (about !== undefined && !Array.isArray(s.oneOf)) lines.push(`// ${about}`)
  const examples = Array.isArray(s.examples) ? s.examples.filter((example) => typeof example === 'string') : []
  if (examples.length > 0) lines.push('// Examples:', ...examples.map((example) => `// - ${JSON.stringify(example)}`))
  const name = `${key}${required ? '' : '?'}:`
  if (!Array.isArray(s.oneOf)) {
    lines.push(`${name} ${nullable(s, typeText(s, `${indent}    `))},${trailing(undefined, defaultText(s))}`)
    return lines.map((line) => `${indent}${line}\n`).join('')
  }
  const above = about !== undefined && about !== description(s.oneOf[0])
  if (above) lines.push(`// ${about}`)
  if (s.default !== undefined) lines.push(`// ${defaultText(s)}`)
  lines.push(name)
  s.oneOf.forEach((variant: unknown, i: number) => {
    const text = nullable(asObject(variant), typeText(variant, `${indent}   `))
    lines.push(` | ${text}${trailing(above && i === 0 ? undefined : description(variant), defaultText(variant))}`)
  })
  lines.push(',')
  return lines.map((line) => `${indent}${line}\n`).join('')
}

function trailing(...comments: (string | undefined)[]): string {
  const present = comments.filter((comment) => comment !== undefined)
  return present.length === 0 ? '' : ` // ${present.join(' ')}`
}

/** `default: V`. A string is quoted, except that of an enum, which is bare unless `quoteEnums`. */
function defaultText(schema: unknown, quoteEnums = false): string | undefined {
  const s = asObject(schema)
  if (s.default === undefined) return undefined
  return `default: ${typeof s.default === 'string' && isEnum(s) && !quoteEnums ? s.default : JSON.stringify(s.default)}`
}

function nullable(s: Json, text: string): string {
  return s.nullable === true && !text.includes('null') ? `${text} | null` : text
}

function description(schema: unknown): string | undefined {
  const text = asObject(schema).description
  return typeof text === 'string' ? text : undefined
}

function isEnum(s: Json): s is Json & { enum: unknown[] } {
  return Array.isArray(s.enum) && s.enum.length > 0
}
