/**
 * The vocabulary of conversations: messages and tools go in, typed events come out, and a ChatFormat converts between them and
 * token ids. Types and small pure helpers only: no format, no engine. What can be asked of an answer is in answer/ask.ts.
 */
import type { SamplingOptions, TokenLogprob } from '../engine/engine.ts'

export type { SamplingOptions }

// ---------------------------------------------------------------- messages

export type Message = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage

/** Instructions. Harmony renders `system` and `developer` alike, as its developer message; the options make its system message. */
export interface SystemMessage {
  role: 'system'
  content: string
}

/** Instructions, under the name newer APIs use. */
export interface DeveloperMessage {
  role: 'developer'
  content: string
}

export interface UserMessage {
  role: 'user'
  content: string
  /** Who speaks, where several people do; formats without named users ignore it. */
  name?: string
}

/** A turn of the model. A string stands for one text part. */
export interface AssistantMessage {
  role: 'assistant'
  content: string | AssistantPart[]
}

/** The result of one tool call, as text. */
export interface ToolMessage {
  role: 'tool'
  content: string
  /** `id` of the tool call that this answers. */
  toolCallId: string
  /** Name of the tool; found through `toolCallId` when missing. */
  name?: string
}

export type AssistantPart = ReasoningPart | TextPart | ToolCallPart

/** Thinking. Formats drop it from finished turns as their published rules say. */
export interface ReasoningPart {
  type: 'reasoning'
  text: string
}

export interface TextPart {
  type: 'text'
  text: string
  /** `commentary` is text meant for the user ahead of tool calls (harmony's preamble); `final` (the default) is the answer. */
  phase?: TextPhase
}

export type TextPhase = 'commentary' | 'final'

export interface ToolCallPart {
  type: 'tool-call'
  id: string
  name: string
  /** The arguments as the model wrote them: JSON text if all went well, any text otherwise. Parse as JSON only, never evaluate. */
  arguments: string
}

// ---------------------------------------------------------------- tools

export type JsonSchema = { [key: string]: unknown } | boolean

/** The description of a function that the model may call. */
export interface ToolDefinition {
  /** Any non-empty string; formats that need identifiers map the name there and back. */
  name: string
  description?: string
  /** JSON schema of the arguments object; missing: no arguments. */
  parameters?: JsonSchema
}

/** A tool that the session runs itself. */
export interface Tool extends ToolDefinition {
  /** Receives the parsed arguments. A thrown error becomes a result that the model reads. Strings stay as they are, other values become JSON. */
  execute(args: unknown, context: { toolCallId: string; signal: AbortSignal | undefined }): unknown | Promise<unknown>
}

export type ToolChoice = 'auto' | 'none' | 'required' | { name: string }

/** Harmony's trained tools, defined in its system message. Offer only what will be executed. */
export type BuiltinTool = 'browser' | 'python'

// ---------------------------------------------------------------- options

export type Effort = 'low' | 'medium' | 'high'

/**
 * How much the model may think before it answers, as one value.
 * - `false`: not at all where the format has a switch (Qwen3); elsewhere as little as it can, and what it thinks is not shown
 * - `true`: yes, as much as the format does by itself
 * - a level: reasoning effort, where the format has levels (harmony); elsewhere the same as `true`
 * - `{ budget }`: at most so many tokens; then the thinking is cut and the answer begins
 */
export type Thinking = boolean | Effort | { effort?: Effort; budget: number }

/** The level that is asked for, if any. */
export function effortOf(thinking: Thinking | undefined): Effort | undefined {
  return typeof thinking === 'object' ? thinking.effort : typeof thinking === 'string' ? thinking : undefined
}

/** What shapes the prompt. */
export interface RenderOptions {
  /** Default: what the format does by itself; the level is what the model's chat template says, else medium. */
  thinking?: Thinking
  tools?: readonly ToolDefinition[]
  /** `none` renders no tools at all. `required` and a name are enforced while decoding, through `ChatParser.force`. Default auto. */
  toolChoice?: ToolChoice
  builtinTools?: readonly BuiltinTool[]
  /** A schema that the model is told about (harmony's "# Response Formats"). Enforcing it is the answer's task. */
  responseFormat?: { name: string; description?: string; schema: JsonSchema }
  /** First line of harmony's system message; the authors advise to leave it alone. */
  identity?: string
  /** YYYY-MM; null leaves the line out. Default: the model's published one. */
  knowledgeCutoff?: string | null
  /** YYYY-MM-DD. Default: no date, because a date changes every prompt at midnight and defeats prefix reuse. */
  currentDate?: string
  /** Begin the answer with this text: the prompt ends inside the final answer. Events contain only what follows it. */
  prefill?: string
  /** The thinking before `prefill`; formats without a place for it leave it out. */
  prefillReasoning?: string
}

// ---------------------------------------------------------------- events

/**
 * What happens while a model answers, in order. Parts never interleave: every `*-start` is followed by its deltas and
 * its `*-end` before the next part starts; deltas are never empty; ends carry the whole part; `finish` is last.
 * `text-token` comes only with `logprobs`: a drawn id of the final text, before the first text to which it contributes; ids whose text
 * does not come out (a stop text, half a character, the id that ends the answer) follow before the text's end.
 */
export type ChatEvent =
  | { type: 'reasoning-start' }
  | { type: 'reasoning-delta'; delta: string }
  | { type: 'reasoning-end'; text: string }
  | { type: 'text-start'; phase: TextPhase }
  | { type: 'text-delta'; delta: string; phase: TextPhase }
  | { type: 'text-end'; text: string; phase: TextPhase }
  | TextToken
  | { type: 'tool-call-start'; id: string; name: string }
  | { type: 'tool-call-delta'; id: string; argumentsDelta: string }
  | { type: 'tool-call-end'; id: string; name: string; arguments: string }
  | { type: 'tool-result'; id: string; name: string; content: string; isError: boolean }
  | { type: 'warning'; code: WarningCode; message: string }
  | FinishEvent

/** `logprob`: natural logarithm of the id's probability; `top`: the likeliest ids, best first. */
export interface TextToken {
  type: 'text-token'
  id: number
  bytes: Uint8Array
  logprob: number
  top: readonly TokenLogprob[]
}

export interface FinishEvent {
  type: 'finish'
  reason: FinishReason
  /** The stop text that ended the answer, if one did. */
  stopText?: string
  usage: Usage
  timings: Timings
}

/**
 * stop: the model ended its answer, or a stop text appeared · length: `maxTokens` reached, or a document under a schema was cut ·
 * tool-calls: it waits for tool results · abort: the signal · repetition: the same few ids without end · context: the context is full.
 */
export type FinishReason = 'stop' | 'length' | 'tool-calls' | 'abort' | 'repetition' | 'context'

export interface Usage {
  /** Ids of the prompt, reused ones included. */
  promptTokens: number
  /** Of these, how many were found in the KV cache. */
  cachedTokens: number
  /** Generated ids, stop ids and reasoning included. */
  completionTokens: number
  /** Of these, how many belong to the reasoning. */
  reasoningTokens: number
}

/** Wall clock. Rates are 0 when nothing was measured. */
export interface Timings {
  /** Waiting for a slot of the engine. */
  queuedMs: number
  /** From the call to the first generated id, waiting included. */
  firstTokenMs: number
  /** From the first generated id to the last. */
  completionMs: number
  /** New (not cached) prompt tokens per second. */
  promptTokensPerSecond: number
  completionTokensPerSecond: number
}

/** Of an answer of which nothing was generated. */
export const NO_USAGE: Usage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0, reasoningTokens: 0 }
export const NO_TIMINGS: Timings = {
  queuedMs: 0,
  firstTokenMs: 0,
  completionMs: 0,
  promptTokensPerSecond: 0,
  completionTokensPerSecond: 0,
}

/** Why a model's output was not what its format promises. The text is kept in every case. */
export type WarningCode =
  | 'malformed-header'
  | 'missing-header'
  | 'missing-channel'
  | 'repeated-channel'
  | 'unknown-channel'
  | 'unknown-role'
  | 'unknown-tool'
  | 'unexpected-token'
  | 'malformed-tool-call'
  | 'arguments-not-json'
  | 'repaired-tool-call'
  | 'reasoning-in-arguments'
  | 'unfinished-reasoning'
  | 'unfinished-tool-call'
  | 'thinking-budget'
  | 'repetition'
  | 'adapted-conversation'
  | 'tool-rounds'

// ---------------------------------------------------------------- formats

/**
 * Where the next id will land. Grammars may constrain `text` (the final answer) and `tool-call` (the arguments), and nothing else:
 * `header` is the format's own structure, `commentary` is text ahead of tool calls, `reasoning` is free.
 */
export type Region = 'header' | 'reasoning' | 'commentary' | 'text' | 'tool-call'

/** Ids of one answer -> events. Accepts any sequence of ids and never throws because of what the model wrote. */
export interface ChatParser {
  readonly region: Region
  /** Whether the model has begun someone else's turn: what it invents there is no part of its answer. */
  readonly isOver?: boolean
  /** The tool of a call of which only the name is written, where `force.toolCall` can lead from the name to arguments in JSON. */
  readonly begunCall?: string
  /** The events this id causes, possibly none. Stop ids may be pushed like all others. */
  push(id: number): ChatEvent[]
  /** Closes whatever is open (never emits `finish`). `push` afterwards is a RangeError. */
  end(): ChatEvent[]
  /** Ways to decide the turn the answer takes, from the parser's present state. */
  readonly force: ForcedIds
}

/** Ids to append to what was generated so far and to push through the parser too; [] when it is already there. */
export interface ForcedIds {
  /** Leads to the region `text`, the start of the final answer. */
  text(): number[]
  /** Leads to the region `tool-call`, at the first byte of the arguments of a call of this tool. */
  toolCall(name: string): number[]
  /** Ends a call whose arguments are complete. */
  endToolCall(): number[]
  /** Ends the reasoning, or goes on after a finished call, to where the model may begin an answer or a call. */
  endReasoning(): number[]
}

export interface ChatFormat {
  readonly name: 'harmony' | 'qwen' | 'plain' | 'template'
  /** Ids that end generation. */
  readonly stopIds: readonly number[]
  readonly capabilities: {
    /** `levels`: effort · `switch`: thinking on or off · `always` · `never` */
    reasoning: 'levels' | 'switch' | 'always' | 'never'
    /** The effort when none is asked for, where there are levels. */
    defaultEffort?: Effort
    tools: boolean
    /** Several calls in one answer without being asked to go on. */
    parallelToolCalls: boolean
    /** Arguments follow the schema of their tool in every call: the model was not trained to write calls. */
    bindsCalls?: boolean
  }
  /** The published sampling defaults for this way of asking. */
  sampling(options: RenderOptions): SamplingOptions
  /**
   * Conversation -> prompt ids, ending where the model's answer begins. Throws ChatError on messages that cannot be rendered.
   * @param note hears of what was changed so that the model's template accepts the conversation
   */
  render(messages: readonly Message[], options: RenderOptions, note?: (message: string) => void): number[]
  /** A parser in the state in which this prompt leaves the model. */
  parser(prompt: readonly number[], options: RenderOptions): ChatParser
}

// ---------------------------------------------------------------- errors and helpers

/** A conversation or option that cannot be used, and which one: `messages[3].toolCallId`. */
export class ChatError extends Error {
  override name = 'ChatError'
  readonly field: string
  /** For programs, where they need to tell one error from another. */
  readonly code: ChatErrorCode | undefined
  constructor(field: string, message: string, code?: ChatErrorCode, cause?: unknown) {
    super(`${field}: ${message}`, { cause })
    this.field = field
    this.code = code
  }
}

export type ChatErrorCode = 'context_length_exceeded' | 'tools_not_supported' | 'unsupported_schema' | 'unsupported_form'

/** The parts of an assistant message; a string is one text part, an empty string none. */
export function partsOf(message: AssistantMessage): AssistantPart[] {
  if (typeof message.content !== 'string') return message.content
  return message.content === '' ? [] : [{ type: 'text', text: message.content }]
}

/** The joined text of the parts of one type. */
export function textOf(parts: readonly AssistantPart[], type: 'text' | 'reasoning'): string {
  return parts.map((part) => (part.type === type ? part.text : '')).join('')
}

/** The arguments of a call for a model to read: no text at all means no arguments. */
export function argumentsOf({ arguments: text }: ToolCallPart): string {
  return text.trim() === '' ? '{}' : text
}

/** The tools that may be rendered: none when the choice is `none`. */
export function offeredTools(options: RenderOptions): readonly ToolDefinition[] {
  return options.toolChoice === 'none' ? [] : (options.tools ?? [])
}

/** Schemas come from clients; printing them is recursive. */
const DEEPEST_SCHEMA = 64

/** @throws ChatError on tools that cannot be written down: without a name, of the same name, or with schemas nested without end */
export function checkTools(tools: readonly ToolDefinition[]): void {
  tools.forEach(({ name, parameters }, i) => {
    if (typeof name !== 'string' || name === '') throw new ChatError(`tools[${i}].name`, 'a tool needs a name')
    if (tools.findIndex((other) => other.name === name) < i)
      throw new ChatError(`tools[${i}].name`, `there is another tool called ${JSON.stringify(name)}`)
    let level: unknown[] = [parameters]
    for (let depth = 0; level.length > 0; depth++) {
      if (depth > DEEPEST_SCHEMA) throw new ChatError(`tools[${i}].parameters`, `the schema is nested deeper than ${DEEPEST_SCHEMA} levels`)
      level = level.flatMap((value) => (typeof value === 'object' && value !== null ? Object.values(value) : []))
    }
  })
}

/** Name of the tool that a result belongs to. Throws ChatError when neither the message nor an earlier call names it. */
export function toolNameOf(messages: readonly Message[], index: number): string {
  const message = messages[index] as ToolMessage
  if (message.name) return message.name
  for (let i = index - 1; i >= 0; i--) {
    const earlier = messages[i]!
    if (earlier.role !== 'assistant') continue
    for (const part of partsOf(earlier)) if (part.type === 'tool-call' && part.id === message.toolCallId) return part.name
  }
  throw new ChatError(
    `messages[${index}].toolCallId`,
    `no earlier tool call has the id ${JSON.stringify(message.toolCallId)}; set it to the id of the call this result answers`,
  )
}
