/**
 * From tools, tool choice and response format to what the model is told and what is enforced. Everything that is enforced is compiled
 * here, before the answer is queued: a schema that cannot be kept is a 400, never ignored.
 */
import type { Plan } from '../chat/guide.ts'
import type { ChatFormat, JsonSchema, RenderOptions, ToolDefinition } from '../chat/messages.ts'
import { anyObject, type Constraint } from '../structured/structured.ts'
import type { Tokenizer } from '../tokenizer/tokenizer.ts'
import type { CompileConstraint } from './compile.ts'
import { badRequest, overloaded, quote } from './http/errors.ts'
import type { Limits } from './http/limits.ts'

export interface OfferedTool extends ToolDefinition {
  strict: boolean
  /** Where the request defines it, for errors. */
  param: string
}

export type AskedChoice = 'auto' | 'none' | 'required' | { name: string } | { allowed: readonly string[]; mode: 'auto' | 'required' }

export type AskedFormat =
  | { type: 'text' }
  | { type: 'json_object' }
  | { type: 'json_schema'; name: string; description?: string; schema: JsonSchema; param: string }

export interface Asked {
  tools: readonly OfferedTool[]
  toolChoice: AskedChoice
  parallel: boolean
  format: AskedFormat
  thinking: boolean
  reasoningBudget: number
}

const noArguments: JsonSchema = { type: 'object', properties: {}, additionalProperties: false }

export async function planFor(
  asked: Asked,
  model: { format: ChatFormat; tokenizer: Tokenizer },
  limits: Limits,
  compile: CompileConstraint,
  signal?: AbortSignal,
): Promise<{ render: Pick<RenderOptions, 'tools' | 'toolChoice' | 'responseFormat'>; plan: Plan }> {
  const { tools, toolChoice } = chosenTools(asked, model.format)
  let patterns = 0
  const constraint = async (schema: JsonSchema, param: string): Promise<Constraint> => {
    checkSize(schema, param, limits)
    patterns += patternsIn(schema)
    if (patterns > limits.schemaPatterns)
      throw badRequest(
        `The schemas of a request may hold ${limits.schemaPatterns} patterns and formats in all.`,
        param,
        'unsupported_schema',
      )
    try {
      return await compile(schema, model.tokenizer, signal)
    } catch (error) {
      if (error instanceof Error && error.name === 'UnsupportedSchemaError')
        throw badRequest(`This schema cannot be enforced: ${error.message}`, param, 'unsupported_schema')
      if (error instanceof Error && error.name === 'SliceTimeoutError')
        throw overloaded(`The schema at ${param} could not be compiled in time. Try again later.`, 10, 'schema_timeout')
      throw error
    }
  }
  const forced = toolChoice === 'required' ? tools.map(({ name }) => name) : typeof toolChoice === 'object' ? [toolChoice.name] : undefined
  const text =
    asked.format.type === 'text' || forced
      ? undefined
      : asked.format.type === 'json_object'
        ? await constraint(anyObject, 'response_format')
        : await constraint(asked.format.schema, asked.format.param)
  const args = new Map<string, Constraint>()
  for (const tool of tools) {
    if (forced?.includes(tool.name) || tool.strict) args.set(tool.name, await constraint(tool.parameters ?? noArguments, tool.param))
  }
  const { format } = asked
  return {
    render: {
      ...(tools.length > 0 ? { tools, toolChoice } : {}),
      ...(format.type === 'text' ? {} : { responseFormat: toldFormat(format) }),
    },
    plan: {
      ...(text ? { text } : {}),
      ...(forced ? { forcedCalls: { names: forced, several: toolChoice === 'required' && asked.parallel } } : {}),
      callable: tools.map(({ name }) => name),
      arguments: args,
      thinking: asked.thinking,
      reasoningBudget: Math.min(asked.reasoningBudget, limits.reasoningTokens),
    },
  }
}

/** What the model is told of the format. */
function toldFormat(format: Exclude<AskedFormat, { type: 'text' }>): NonNullable<RenderOptions['responseFormat']> {
  if (format.type === 'json_object') return { name: 'json_object', description: 'One JSON object.', schema: anyObject }
  return { name: format.name, schema: format.schema, ...(format.description ? { description: format.description } : {}) }
}

/** The tools that may be called, and how. */
function chosenTools(
  asked: Asked,
  format: ChatFormat,
): { tools: readonly OfferedTool[]; toolChoice: 'auto' | 'required' | { name: string } } {
  const { tools, toolChoice } = asked
  const seen = new Set<string>()
  for (const tool of tools) {
    if (seen.has(tool.name)) throw badRequest(`Two tools are called ${quote(tool.name)}; names must differ.`, tool.param)
    seen.add(tool.name)
  }
  const known = (name: string) => {
    if (!seen.has(name)) throw badRequest(`tool_choice names ${quote(name)}, which is not among the tools.`, 'tool_choice')
  }
  if (toolChoice === 'none') return { tools: [], toolChoice: 'auto' }
  if (tools.length > 0 && !format.capabilities.tools)
    throw badRequest('This model has no way to call tools. Send the request without tools.', 'tools', 'tools_not_supported')
  if (toolChoice === 'auto') return { tools, toolChoice }
  if (toolChoice === 'required') {
    if (tools.length === 0) throw badRequest('tool_choice "required" needs at least one function tool.', 'tool_choice')
    return { tools, toolChoice }
  }
  if ('name' in toolChoice) {
    known(toolChoice.name)
    return { tools, toolChoice }
  }
  for (const name of toolChoice.allowed) known(name)
  return { tools: tools.filter(({ name }) => toolChoice.allowed.includes(name)), toolChoice: toolChoice.mode }
}

function checkSize(schema: JsonSchema, param: string, limits: Limits): void {
  const text = JSON.stringify(schema)
  if (text.length > limits.schemaChars)
    throw badRequest(`The schema has ${text.length} characters; at most ${limits.schemaChars} are allowed.`, param)
  const depth = depthOf(schema)
  if (depth > limits.schemaDepth)
    throw badRequest(`The schema is nested ${depth} levels deep; at most ${limits.schemaDepth} are allowed.`, param)
}

/** Levels of objects and arrays. Recursion is safe: the body reader has bounded the nesting. */
function depthOf(value: unknown): number {
  return typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0
}

function patternsIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return Object.entries(value).reduce(
    (count, [key, inner]) => count + (typeof inner === 'string' ? Number(key === 'pattern' || key === 'format') : patternsIn(inner)),
    0,
  )
}
