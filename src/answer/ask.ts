/**
 * What can be asked of one answer, as one type. The library, the command line, the HTTP APIs and the AI SDK all express a request
 * in it, so the same request gives the same answer everywhere. plan.ts decides what the prompt says and what is enforced.
 */
import {
  ChatError,
  type Effort,
  type JsonSchema,
  type RenderOptions,
  type Thinking,
  type ToolChoice,
  type ToolDefinition,
} from '../chat/messages.ts'
import type { SamplingOptions } from '../engine/engine.ts'
import { anyObject, type Form } from '../structured/structured.ts'

export interface Ask extends Omit<RenderOptions, 'tools' | 'toolChoice' | 'responseFormat'> {
  tools?: readonly AskedTool[]
  /**
   * Which tools may or must be called. `required` and a name are enforced while decoding, and the arguments of such a call follow
   * the schema of the tool. `allowed` offers some of the tools only. Default `auto`.
   */
  toolChoice?: ToolChoice | { allowed: readonly string[]; mode: 'auto' | 'required' }
  /**
   * `true`: go on after a call for further calls, also where the format would stop after one (harmony).
   * `false`: the answer ends after its first call. Default: as the format does by itself.
   */
  parallelToolCalls?: boolean
  /**
   * The final answer is a JSON document under this schema. It is enforced, and harmony's prompt tells the model of it; for other formats
   * say in the question what is wanted. Reasoning and calls before the document stay free. A document that did not get finished, or
   * that a `stop` text cut, ends with reason `length`.
   * Excludes `prefill`. docs/structured-output.md lists what is supported.
   */
  schema?: JsonSchema
  /**
   * Whether an object with `properties` may have others, where its schema does not say `additionalProperties`. JSON Schema allows
   * them; small models then invent names instead of writing the declared ones. For `schema` and for arguments of tools. Default `closed`.
   */
  undeclared?: 'closed' | 'open'
  /** How the schema is introduced to the model, where its format has a place for that. Default `response`, without a description. */
  schemaName?: string
  schemaDescription?: string
  /**
   * The final answer is a text that this expression matches as a whole. Like the next two, it is enforced as a schema is,
   * but the model is not told of it: say in the question what is wanted. At most one of `schema` and these three.
   */
  regex?: string
  /** The final answer is one of these texts. */
  choice?: readonly string[]
  /** The final answer follows the rule `root` of this grammar in GBNF or EBNF, or the rule `start` of one in Lark's notation. */
  grammar?: string
  /**
   * A last message of the assistant is the beginning of the answer: the model continues its text, and the events hold what follows. Default:
   * yes, unless a form or a call is asked for. `true`: an error where that is impossible. `false`: a new message begins.
   */
  continueFinalMessage?: boolean
  /** How each id is drawn. Missing fields take the format's published defaults. */
  sampling?: SamplingOptions
  /** Most generated tokens, reasoning included. Default: what the context leaves. */
  maxTokens?: number
  /**
   * Ids that end an answer are not drawn before so many generated ids, and loops are not cut; Infinity: only a limit, a stop text
   * or a complete form ends it. For measurements of load.
   */
  minTokens?: number
  /** Texts that end the final answer where they appear in it; they are not part of the events. */
  stop?: readonly string[]
  /** Report each drawn id of the final text, the one that ends it included, with its log-probability and so many alternatives: `text-token` events. */
  logprobs?: number
  /** Ends the answer (reason `repetition`) when so many ids repeat the same few. Default REPEATED_IDS (256); 0: never. */
  repetitionLimit?: number
  /** Cached prompts are shared only between answers with the same key. Default ''. */
  cacheKey?: string
  /** Ends the answer within one token, with reason `abort`. */
  signal?: AbortSignal
  /** Names that errors use for these fields, where the caller's request has other ones. Default `schema`, `regex`, … and `tools[i]`. */
  fields?: { form?: string; tools?: readonly string[] }
}

export interface AskedTool extends ToolDefinition {
  /** The arguments follow the schema also in calls that the model makes by itself. */
  strict?: boolean
  /** What the arguments follow in place of `parameters`, which only tell the model. */
  form?: Form
}

/** What the final answer must follow. @throws ChatError when that is said twice */
export function formOf({ schema, undeclared, regex, choice, grammar }: Ask): Form | undefined {
  const all: readonly (Form | undefined)[] = [
    schema === undefined ? undefined : { schema, undeclared },
    regex === undefined ? undefined : { regex },
    choice && { choice },
    grammar === undefined ? undefined : { grammar },
  ]
  const [form, other] = all.filter((each) => each !== undefined)
  if (form && other) {
    const [name, otherName] = [Object.keys(form)[0]!, Object.keys(other)[0]!]
    throw new ChatError(otherName, `an answer follows one form, and "${name}" is another one; send one of them`)
  }
  return form
}

/** The wish for any JSON object, without a schema. */
export const ANY_OBJECT = { schema: anyObject, schemaName: 'json_object', schemaDescription: 'One JSON object.' }

/** The levels of effort that requests of the HTTP APIs and of the AI SDK name. */
export type ApiEffort = 'none' | 'minimal' | Effort | 'xhigh' | 'max'

const LEVELS = { minimal: 'low', low: 'low', medium: 'medium', high: 'high', xhigh: 'high', max: 'high' } as const

/** The three fields in which requests say how much to think, as one value; a switch counts more than the level `none`. */
export function thinkingOf(effort: ApiEffort | null | undefined, enabled?: boolean | null, budget?: number | null): Thinking | undefined {
  if (enabled === false || (effort === 'none' && enabled !== true)) return false
  const level = effort && effort !== 'none' ? LEVELS[effort] : undefined
  return typeof budget === 'number' ? { effort: level, budget } : (level ?? enabled ?? undefined)
}
