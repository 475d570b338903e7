/**
 * One answer: a conversation is rendered, the engine draws ids, the format's parser turns them into events. What an answer needs
 * beyond ids (stop texts, thinking budget, forced calls, the guard against loops) acts between two ids, on the engine's callbacks.
 */
import type { Engine, GeneratedToken, GenerationResult } from '../engine/engine.ts'
import { constraint } from '../structured/structured.ts'
import type { Tokenizer } from '../tokenizer/tokenizer.ts'
import { DocumentWriter } from './document-writer.ts'
import { ForcedCall } from './forced-call.ts'
import {
  ChatError,
  type ChatEvent,
  type ChatFormat,
  type ChatOptions,
  type ChatParser,
  type FinishEvent,
  type FinishReason,
  type Message,
  offeredTools,
} from './messages.ts'
import { RepetitionGuard } from './repetition.ts'
import { StopTexts } from './stop-texts.ts'

/** What a chat needs of a loaded model. */
export interface ChatModel {
  tokenizer: Tokenizer
  format: ChatFormat
  engine: Pick<Engine, 'generate' | 'context'>
}

/** Calls that one answer may hold when the format would stop after each. */
const mostParallelCalls = 16

/**
 * The events of one answer, `finish` last. Tools are not run; see session.ts for that. Leaving the iteration ends the generation.
 * @throws ChatError on a conversation that cannot be rendered or is too long for the context, UnsupportedSchemaError on a schema
 * that cannot be enforced
 */
export async function* answer(model: ChatModel, messages: readonly Message[], options: ChatOptions = {}): AsyncGenerator<ChatEvent, void> {
  const { format, engine } = model
  const start = performance.now()
  const rendered = format.render(messages, options)
  const writer = writerFor(model, rendered, options)
  const prompt = [...rendered, ...writer.lead]
  if (prompt.length >= engine.context) {
    throw new ChatError(
      'messages',
      `the conversation has ${prompt.length} tokens and the context holds ${engine.context}, answer included; shorten it or load the model with a longer context`,
    )
  }
  const limit = Math.min(options.maxTokens ?? Number.POSITIVE_INFINITY, engine.context - prompt.length)
  yield* writer.lead.length > 0 ? writer.events.shift()! : []
  const generation = engine.generate(prompt, {
    sampling: { ...format.sampling(options), ...defined(options.sampling) },
    stopIds: writer.stopIds,
    maxTokens: options.maxTokens,
    signal: options.signal,
    cacheKey: options.cacheKey,
    logitMask: ({ ids }) => writer.mask(limit - ids.length),
    onToken: (token) => writer.take(token),
  })
  let firstTokenMs = 0
  for await (const _ of generation) {
    firstTokenMs ||= performance.now() - start
    yield* writer.events.shift() ?? []
  }
  const result = await generation.result
  yield* writer.end()
  yield finish(writer.reason(result), writer.reasoningTokens, result, firstTokenMs)
}

/** Free answers and calls, or a document. A forced call comes before the document, which the answer after it will be. */
function writerFor(model: ChatModel, prompt: readonly number[], options: ChatOptions): AnswerWriter | DocumentWriter {
  const { schema, toolChoice, prefill } = options
  if (schema === undefined || toolChoice === 'required' || typeof toolChoice === 'object')
    return new AnswerWriter(model, model.format.parser(prompt, options), options)
  if (prefill !== undefined) throw new ChatError('prefill', 'an answer under a schema cannot begin with a given text')
  return new DocumentWriter(model.format, model.tokenizer, constraint(schema, model.tokenizer), prompt, options)
}

/** From ids to events, and from events to what the engine must do next. */
class AnswerWriter {
  /** The events of each id, in order. */
  readonly events: ChatEvent[][] = []
  readonly stopIds: readonly number[]
  readonly lead: readonly number[] = []
  reasoningTokens = 0
  readonly #parser: ChatParser
  readonly #options: ChatOptions
  readonly #goesOn: ReadonlySet<number>
  readonly #guard: RepetitionGuard
  readonly #budget: number
  #stopTexts: StopTexts
  #text = ''
  /** The tools one of which must be called, until its call has begun. */
  #wanted: { names: readonly string[]; mask: Uint32Array } | undefined
  #choice: ForcedCall | undefined
  #budgetSpent = false
  #calls = 0
  #lastCallWasCut = false
  #loops = false

  constructor({ format, tokenizer }: ChatModel, parser: ChatParser, options: ChatOptions) {
    this.#parser = parser
    this.#options = options
    // Where a call ends the answer, going on means not to stop at the ids that end a call.
    const callEnds = options.parallelToolCalls && !format.capabilities.parallelToolCalls ? parser.force.endToolCall() : []
    this.#goesOn = new Set(callEnds)
    this.stopIds = format.stopIds.filter((id) => !this.#goesOn.has(id))
    this.#guard = new RepetitionGuard(options.repetitionLimit ?? 512)
    this.#budget = typeof options.thinking === 'object' ? options.thinking.budget : Number.POSITIVE_INFINITY
    this.#stopTexts = new StopTexts(options.stop ?? [])
    const { toolChoice } = options
    const names =
      typeof toolChoice === 'object' ? [toolChoice.name] : toolChoice === 'required' ? offeredTools(options).map(({ name }) => name) : []
    if (names.length > 0) this.#wanted = { names, mask: allBut(tokenizer.vocabSize, format.stopIds) }
  }

  /** The engine's logitMask: an answer that must be a call may not end before it is one. */
  mask(): Uint32Array | undefined {
    return this.#wanted && (this.#choice?.mask() ?? this.#wanted.mask)
  }

  /** The engine's onToken. */
  take({ id, forced }: GeneratedToken): 'stop' | readonly number[] | undefined {
    const inReasoning = this.#parser.region === 'reasoning'
    if (inReasoning) this.reasoningTokens++
    const events = this.#parser.push(id).flatMap((event) => this.#pass(event))
    this.events.push(events)
    if (forced) return undefined
    if (this.#stopTexts.found) return 'stop'
    if (this.#guard.push(id)) {
      this.#loops = true
      return 'stop'
    }
    if (inReasoning && this.reasoningTokens >= this.#budget && this.#parser.region === 'reasoning') return this.#endReasoning(events)
    if (this.#wanted) return this.#leadToCall(id, this.#wanted.names, events)
    if (!this.#goesOn.has(id)) return undefined
    return this.#calls < mostParallelCalls ? this.#parser.force.endReasoning() : 'stop'
  }

  end(): ChatEvent[] {
    return [...this.events.flat(), ...this.#parser.end().flatMap((event) => this.#pass(event))]
  }

  reason(result: GenerationResult): FinishReason {
    if (result.reason !== 'stop') return result.reason
    if (this.#loops) return 'repetition'
    return this.#calls > 0 && !this.#lastCallWasCut ? 'tool-calls' : 'stop'
  }

  #endReasoning(events: ChatEvent[]): readonly number[] {
    if (this.#budgetSpent) return this.#parser.force.text() // it began to think again
    this.#budgetSpent = true
    events.push({ type: 'warning', code: 'thinking-budget', message: `the thinking was ended after its budget of ${this.#budget} tokens` })
    return this.#parser.force.endReasoning()
  }

  /** As soon as the reasoning is over, the answer is led to a call. */
  #leadToCall(id: number, names: readonly string[], events: readonly ChatEvent[]): readonly number[] | undefined {
    const { region, force } = this.#parser
    if (this.#choice) this.#choice.choose(id)
    else if (region === 'reasoning' || (region === 'header' && this.reasoningTokens === 0)) return undefined
    else if (region === 'tool-call' && !events.some((event) => event.type === 'tool-call-start')) return undefined
    else if (events.some((event) => event.type === 'tool-call-start' && names.includes(event.name))) {
      this.#wanted = undefined // it calls by itself
      return undefined
    } else this.#choice = new ForcedCall(names.map((name) => force.toolCall(name)))
    const ids = this.#choice.forced()
    if (this.#choice.isDone) this.#wanted = undefined
    return ids
  }

  /** Stop texts act on the answer and on nothing else. */
  #pass(event: ChatEvent): ChatEvent[] {
    if (event.type === 'tool-call-end') this.#calls++
    else if (event.type === 'warning' && event.code === 'unfinished-tool-call') this.#lastCallWasCut = true
    if (!this.#options.stop?.length || !event.type.startsWith('text-')) return [event]
    if (event.type === 'text-start') {
      this.#text = ''
      this.#stopTexts = this.#stopTexts.found ? this.#stopTexts : new StopTexts(this.#options.stop)
      return this.#stopTexts.found ? [] : [event]
    }
    if (event.type === 'text-delta') {
      const delta = this.#stopTexts.push(event.delta)
      this.#text += delta
      return delta === '' ? [] : [{ ...event, delta }]
    }
    return event.type === 'text-end' ? this.#endText(event) : [event]
  }

  #endText(event: ChatEvent & { type: 'text-end' }): ChatEvent[] {
    const rest = this.#stopTexts.found ? '' : this.#stopTexts.rest()
    const end = { ...event, text: this.#text + rest }
    return rest === '' ? [end] : [{ type: 'text-delta', delta: rest, phase: event.phase }, end]
  }
}

function finish(reason: FinishReason, reasoningTokens: number, result: GenerationResult, firstTokenMs: number): FinishEvent {
  const { promptTokens, cachedTokens, completionTokens, prefillMs, decodeMs } = result
  const perSecond = (tokens: number, ms: number) => (tokens > 0 && ms > 0 ? (1000 * tokens) / ms : 0)
  return {
    type: 'finish',
    reason,
    usage: { promptTokens, cachedTokens, completionTokens, reasoningTokens },
    timings: {
      firstTokenMs,
      completionMs: decodeMs,
      promptTokensPerSecond: perSecond(promptTokens - cachedTokens, prefillMs),
      completionTokensPerSecond: perSecond(completionTokens - 1, decodeMs),
    },
  }
}

/** All ids but these, as the engine's bitset. */
function allBut(vocabSize: number, ids: readonly number[]): Uint32Array {
  const mask = new Uint32Array(Math.ceil(vocabSize / 32)).fill(0xffffffff)
  for (const id of ids) mask[id >> 5]! &= ~(1 << (id & 31))
  return mask
}

/** Without the fields that are there but undefined, which would hide the defaults. */
function defined<T extends object>(value: T | undefined): Partial<T> {
  return Object.fromEntries(Object.entries(value ?? {}).filter(([, item]) => item !== undefined)) as Partial<T>
}
