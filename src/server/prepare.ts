/**
 * Requests of all endpoints -> what answer/ask.ts can express, within the limits of this server. Every refusal (400) happens here,
 * before the queue.
 */
import { Answer } from '../answer/answer.ts'
import { type Ask, type AskedTool, formOf } from '../answer/ask.ts'
import type { CompileConstraint } from '../answer/constraints.ts'
import { enforceable, planFor } from '../answer/plan.ts'
import { continued } from '../answer/prefill.ts'
import type { JsonSchema, Message, SamplingOptions, Thinking } from '../chat/messages.ts'
import { type Constraint, UnsupportedSchemaError, UnsupportedTextError } from '../structured/structured.ts'
import { customTool } from './custom-tools.ts'
import { validate } from './http/body.ts'
import type { Scope, ServerContext } from './http/context.ts'
import type { Limits } from './http/limits.ts'
import { checkLongTexts } from './long-texts.ts'
import type { ServedModel } from './models/model.ts'
import { customTool as customToolSchema, engineSeed, type SamplingFields } from './schemas/common.ts'
import type { GivenForm } from './schemas/forms.ts'

/** A request: the conversation, what is asked of the answer, and how many answers. */
export interface Asked {
  messages: readonly Message[]
  ask: Ask
  /** Names of the custom tools, whose calls carry a text. */
  custom?: ReadonlySet<string>
  /** Default 1. The seed of each is one higher than that of the one before. */
  answers?: number
}

/** Throws ChatError (400), SliceTimeoutError (503) or the signal's reason. */
export async function prepare(
  { limits, compile, currentDate, thinking }: ServerContext,
  { tenant, signal }: Scope,
  model: ServedModel,
  { answers = 1, ...asked }: Asked,
): Promise<Answer[]> {
  const { messages, ask } = continued(asked.messages, asked.ask)
  const bounded: Ask = {
    ...ask,
    thinking: boundedThinking(ask.thinking ?? thinking, limits.reasoningTokens),
    maxTokens: Math.min(ask.maxTokens ?? Number.POSITIVE_INFINITY, limits.outputTokens),
    currentDate,
    cacheKey: tenant,
  }
  await checkLongTexts(messages.flatMap(textsOf), model, 'messages', signal)
  const plan = await planFor(bounded, model, boundedCompile(compile, limits), signal)
  const all: Answer[] = []
  for (let i = 0; i < answers; i++) {
    if (i > 0) await new Promise((resolve) => setTimeout(resolve)) // each renders the prompt
    const seed = ask.sampling?.seed
    const sampling = { ...ask.sampling, seed: seed === undefined ? undefined : seed + i }
    all.push(new Answer(model, messages, { ...bounded, sampling }, plan))
  }
  return all
}

function textsOf({ content }: Message): string[] {
  if (typeof content === 'string') return [content]
  return content.map((part) => (part.type === 'tool-call' ? part.arguments : part.text))
}

/** What a continued text must follow. Throws ChatError (400), SliceTimeoutError (503) or the signal's reason. */
export async function constraintOf(
  { limits, compile }: ServerContext,
  { signal }: Scope,
  { tokenizer }: ServedModel,
  given: GivenForm | undefined,
): Promise<Constraint | undefined> {
  const form = given && formOf(given.form)
  const bounded = boundedCompile(compile, limits)
  return form && enforceable(form, given.field, (each) => bounded(each, tokenizer, signal))
}

function boundedThinking(thinking: Thinking | undefined, most: number): Thinking | undefined {
  if (thinking === false || most === Number.POSITIVE_INFINITY) return thinking
  if (typeof thinking === 'object') return { ...thinking, budget: Math.min(thinking.budget, most) }
  return { effort: typeof thinking === 'string' ? thinking : undefined, budget: most }
}

/** Refuses schemas above the limits of one request. Throws UnsupportedSchemaError. */
function boundedCompile(compile: CompileConstraint, limits: Limits): CompileConstraint {
  const patterns = new Set<string>()
  return (form, tokenizer, signal) => {
    const { length } = JSON.stringify(form)
    if (!('schema' in form)) {
      if (length > limits.schemaChars)
        throw new UnsupportedTextError(`it has ${length} characters; at most ${limits.schemaChars} are allowed`)
      return compile(form, tokenizer, signal)
    }
    const { schema } = form
    const refuse = (what: string, most: number) => {
      throw new UnsupportedSchemaError('', `it has ${what}; at most ${most} are allowed`)
    }
    if (length > limits.schemaChars) refuse(`${length} characters`, limits.schemaChars)
    const depth = depthOf(schema)
    if (depth > limits.schemaDepth) refuse(`${depth} levels`, limits.schemaDepth)
    collectPatterns(schema, patterns)
    if (patterns.size > limits.schemaPatterns)
      refuse(`with the other schemas ${patterns.size} different patterns and formats`, limits.schemaPatterns)
    return compile(form, tokenizer, signal)
  }
}

/** Levels of objects and arrays. Recursion is safe: the body reader has bounded the nesting. */
function depthOf(value: unknown): number {
  return typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0
}

/** Adds the patterns and formats of a schema; equal ones are compiled once. */
function collectPatterns(value: unknown, into: Set<string>): void {
  if (typeof value !== 'object' || value === null) return
  for (const [key, inner] of Object.entries(value)) {
    if (typeof inner !== 'string') collectPatterns(inner, into)
    else if (key === 'pattern' || key === 'format') into.add(`${key} ${inner}`)
  }
}

interface FunctionDefinition {
  name: string
  description?: string | null
  parameters?: JsonSchema | null
  strict?: boolean | null
}

/**
 * The function tools and custom tools of a request, with their places in it for errors. Tools of other types are left out.
 * @param read checks a tool; `place` is where it stands, such as `tools[2]`
 * @param inside where in a tool its definition stands, such as `.function`
 */
export function toolsOf<T extends { type?: string | null }>(
  given: readonly T[] | null | undefined,
  read: (tool: T, place: string) => FunctionDefinition,
  inside = '',
): { tools: AskedTool[]; places: string[]; custom: Set<string> } {
  const custom = new Set<string>()
  const tools: AskedTool[] = []
  const places: string[] = []
  for (const [i, tool] of (given ?? []).entries()) {
    if (tool.type === 'custom') {
      const place = `tools[${i}]${inside && '.custom'}`
      tools.push(customTool(validate(inside ? (tool as { custom?: unknown }).custom : tool, customToolSchema, place)))
      custom.add(tools.at(-1)!.name)
      places.push(place)
    }
    if ((tool.type ?? 'function') !== 'function') continue
    const { name, description, parameters, strict } = read(tool, `tools[${i}]`)
    tools.push({ name, description: description || undefined, parameters: parameters ?? undefined, strict: strict ?? false })
    places.push(`tools[${i}]${inside}`)
  }
  return { tools, places, custom }
}

/** How tokens are drawn: the same fields on all endpoints. */
export function drawingOf(body: SamplingFields, answer = 0): Pick<Ask, 'sampling' | 'minTokens'> {
  const minTokens = body.ignore_eos ? Number.POSITIVE_INFINITY : (body.min_tokens ?? undefined)
  return { sampling: samplingOf(body, answer), minTokens }
}

/** A share so small that the likeliest token alone has it: a `top_p` of 0. */
const LIKELIEST_ONLY = 1e-9

/**
 * The sampling fields of a request; null and missing keep the format's defaults.
 * @param answer number of the answer among several; the seed of each is one higher than that of the one before
 */
function samplingOf(body: SamplingFields, answer: number): SamplingOptions {
  const bias = Object.entries(body.logit_bias ?? {}).map(([id, value]): [number, number] => [Number(id), value])
  return {
    temperature: body.temperature ?? undefined,
    topP: body.top_p === 0 ? LIKELIEST_ONLY : (body.top_p ?? undefined),
    topK: typeof body.top_k === 'number' ? Math.max(0, body.top_k) : undefined,
    minP: body.min_p ?? undefined,
    frequencyPenalty: body.frequency_penalty ?? undefined,
    presencePenalty: body.presence_penalty ?? undefined,
    repetitionPenalty: body.repetition_penalty ?? undefined,
    seed: typeof body.seed === 'number' ? engineSeed(body.seed) + answer : undefined,
    logitBias: bias.length > 0 ? new Map(bias) : undefined,
  }
}

/** The stop texts of a request; an empty one stops nothing. */
export function stopsOf(stop: string | string[] | null | undefined): string[] {
  return [stop ?? []].flat().filter((text) => text !== '')
}
