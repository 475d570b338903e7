/**
 * One answer: the conversation is rendered, and a driver turns the engine's ids into events, id by id. It keeps the rules, the stop
 * texts, the budget and the guard against loops. Library, command line, HTTP and AI SDK all run answers through this file.
 */
import {
  ChatError,
  type ChatEvent,
  type ChatFormat,
  type ChatParser,
  type FinishEvent,
  type FinishReason,
  type Message,
  type Region,
  type TextToken,
} from '../chat/messages.ts'
import type { Driver, Engine, GeneratedToken, GenerateOptions, Generation, GenerationResult, Taken } from '../engine/engine.ts'
import type { Tokenizer } from '../tokenizer/tokenizer.ts'
import type { Ask } from './ask.ts'
import { checkMessages } from './check.ts'
import { AnswerEvents } from './events.ts'
import { Guide } from './guide.ts'
import { withLeastTokens } from './least-tokens.ts'
import { type Plan, planFor } from './plan.ts'
import { continued } from './prefill.ts'
import { RepetitionGuard } from './repetition.ts'

/** What an answer needs of a loaded model. */
export interface ChatModel {
  tokenizer: Tokenizer
  format: ChatFormat
  engine: Pick<Engine, 'generate' | 'context'>
}

/** What is said when the ids have ended. */
export interface AnswerEnd {
  events: readonly ChatEvent[]
  reason: FinishReason
  reasoningTokens: number
  /** The stop text that ended the answer. */
  stopText?: string
}

/** Something that the engine can generate and that ends with a `finish` event: an answer, or a text continued without a format. */
export abstract class Generated implements Driver<ChatEvent> {
  abstract readonly promptIds: readonly number[]
  protected readonly model: ChatModel
  readonly #ask: Ask

  constructor(model: ChatModel, ask: Ask) {
    this.model = model
    this.#ask = ask
  }

  /**
   * Generates. The last event is `finish`. Leaving the iteration or aborting the signal stops within one token.
   * @param onQueue see GenerateOptions
   */
  async *events(signal = this.#ask.signal, onQueue?: GenerateOptions['onQueue']): AsyncGenerator<ChatEvent, void> {
    const first = this.begin()
    if (first.length > 0) yield* first // with nothing to say the generation is queued at once
    const generation = this.start(signal, onQueue)
    yield* generation
    yield* this.finish(await generation.result)
  }

  /** The generation itself; its iteration gives the events between `begin` and `finish`. */
  start(signal = this.#ask.signal, onQueue?: GenerateOptions['onQueue']): Generation<ChatEvent> {
    const { minTokens = 0, maxTokens, sampling, logprobs, cacheKey } = this.#ask
    return this.model.engine.generate(this.promptIds, {
      maxTokens,
      sampling: { ...this.defaults(), ...defined(sampling) },
      stopIds: [], // the driver stops
      logprobs,
      cacheKey,
      signal,
      onQueue,
      driver: minTokens > 0 ? withLeastTokens(this, this.model, minTokens) : this,
    })
  }

  /** What is left to say when the ids have ended. */
  finish(result: GenerationResult): ChatEvent[] {
    const end = this.end(result)
    return [...end.events, finishEvent(result, end)]
  }

  /** All reasoning so far, whether or not it is shown. */
  get reasoning(): string {
    return ''
  }
  abstract take(token: GeneratedToken): Taken<ChatEvent>
  mask(_tokensLeft: number): Uint32Array | undefined {
    return undefined
  }
  /** The published sampling of the model. */
  protected abstract defaults(): GenerateOptions['sampling']
  /** The events before the first id. */
  protected abstract begin(): readonly ChatEvent[]
  protected abstract end(result: GenerationResult): AnswerEnd
}

export class Answer extends Generated {
  readonly promptIds: readonly number[]
  readonly #plan: Plan
  readonly #parser: ChatParser
  readonly #guide: Guide
  readonly #events: AnswerEvents
  readonly #guard: RepetitionGuard
  readonly #least: number
  #taken = 0
  #reasoningTokens = 0
  /** Scores of ids in the place of a header, which may be left out: they may turn out to be the beginning of the text. */
  #opening: TextToken[] = []
  #hasMarkup = false
  #warned = false
  #loops = false

  /**
   * Renders at once, so that a request that cannot be answered fails before anything is queued.
   * @throws ChatError on a conversation that cannot be rendered or is too long for the context
   */
  constructor(model: ChatModel, messages: readonly Message[], ask: Ask, plan: Plan) {
    super(model, ask)
    const { format, tokenizer, engine } = model
    checkMessages(messages)
    const notes: string[] = []
    const rendered = renderPrompt(model, messages, plan, (message) => notes.push(message))
    const probe = () => format.parser(rendered, plan.render)
    this.#plan = plan
    this.#least = ask.minTokens ?? 0
    this.#parser = probe()
    this.#guide = new Guide(format, tokenizer, this.#parser, probe, plan.rules)
    this.#events = new AnswerEvents(this.#guide, ask.stop ?? [], plan.hidesReasoning)
    this.#events.add(notes.map((message) => ({ type: 'warning', code: 'adapted-conversation', message })))
    this.#guard = new RepetitionGuard(ask.minTokens ? 0 : ask.repetitionLimit)
    this.promptIds = [...rendered, ...this.#follow()]
    checkFits(this.promptIds.length, engine.context, 'messages')
  }

  override get reasoning(): string {
    return this.#events.reasoning
  }

  /** Ends the thinking that runs, if any; the answer begins. */
  endReasoning(): void {
    this.#guide.endReasoning()
  }

  override mask(tokensLeft: number): Uint32Array | undefined {
    return this.#guide.mask(tokensLeft)
  }

  take({ id, forced, logprob, top = [] }: GeneratedToken): Taken<ChatEvent> {
    if (forced) return {} // #follow has read it already
    const before = this.#parser.region
    if (before === 'reasoning') this.#reasoningTokens++
    const events = this.#parser.push(id)
    this.#guide.drew(id, before, events)
    if (logprob !== undefined) this.#score({ type: 'text-token', id, bytes: this.model.tokenizer.bytes(id), logprob, top }, before)
    this.#events.add(events)
    const ids = this.#follow()
    this.#loops = this.#guard.push(id)
    const mayEnd = ++this.#taken >= this.#least || this.#guide.isBound
    const stops = this.#events.stopped || (this.#guide.isOver && mayEnd) || this.#loops
    return { events: this.#events.take(), next: stops ? 'stop' : ids }
  }

  protected defaults() {
    return this.model.format.sampling(this.#plan.render)
  }

  protected begin() {
    return this.#events.take()
  }

  protected end(result: GenerationResult): AnswerEnd {
    if (this.#parser.region === 'header' && !this.#hasMarkup) for (const token of this.#opening) this.#events.token(token)
    this.#events.add(this.#parser.end())
    this.#events.end()
    if (this.#loops) this.#events.add([{ type: 'warning', code: 'repetition', message: LOOPS }])
    const { stopText } = this.#events
    return { events: this.#events.take(), reason: this.#reason(result), reasoningTokens: this.#reasoningTokens, stopText }
  }

  /** Keeps the score of an id that belongs to the answer's text: ids of the text, and the id that ends the answer. */
  #score(token: TextToken, before: Region): void {
    const stops = this.model.format.stopIds.includes(token.id)
    if (before === 'header' && !stops && this.model.tokenizer.isSpecial(token.id)) {
      this.#hasMarkup = true
      this.#opening = []
    } else if (before === 'header' && this.#parser.region === 'header' && !stops) this.#opening.push(token)
    else if (before === 'text' || before === 'header') {
      if (!stops && this.#parser.region !== 'text') return
      if (this.#guide.showsText) for (const each of [...this.#opening, token]) this.#events.token(each)
      this.#opening = []
    }
  }

  /** Pushes what the guide forces until it forces nothing more. */
  #follow(): number[] {
    const all: number[] = []
    for (let ids = this.#guide.forced(); ids.length > 0; ids = this.#guide.forced()) {
      if (this.#guide.budgetSpent && !this.#warned) {
        this.#warned = true
        const message = `the thinking was ended after ${this.#reasoningTokens} tokens`
        this.#events.add([{ type: 'warning', code: 'thinking-budget', message }])
      }
      for (const id of ids) {
        all.push(id)
        this.#events.add(this.#parser.push(id))
      }
    }
    return all
  }

  #reason(result: GenerationResult): FinishReason {
    const { calls, hasText, stopped, lastCallIsCut } = this.#events
    const { isBound, isSatisfied } = this.#guide
    if (result.reason !== 'stop') return result.reason
    if (this.#loops) return 'repetition'
    // An unfinished document is never called complete, nor one that did not come out, nor one that a stop text cut.
    const mayBeEmpty = this.#plan.rules.text?.matcher().isComplete() === true
    if (!isSatisfied || (isBound && (stopped || (calls === 0 && !hasText && !mayBeEmpty)))) return 'length'
    return calls > 0 && !lastCallIsCut ? 'tool-calls' : 'stop'
  }
}

/**
 * The events of one answer, `finish` last. Tools are not run; chat/session.ts does that. Leaving the iteration ends the generation.
 * @throws ChatError on a conversation that cannot be rendered or is too long, or on a schema that cannot be enforced
 */
export async function* answer(model: ChatModel, messages: readonly Message[], ask: Ask = {}): AsyncGenerator<ChatEvent, void> {
  checkMessages(messages)
  const asked = continued(messages, ask)
  yield* new Answer(model, asked.messages, asked.ask, await planFor(asked.ask, model)).events()
}

const LOOPS = 'the answer repeated the same few tokens without end and was cut; `repetitionLimit` says after how many'

/** No text of a person has this many characters per token. A bound before the tokenizer spends time on it. */
const CHARACTERS_PER_TOKEN = 24

/** @throws ChatError when the context cannot hold a text of so many characters, or a prompt of so many ids and one more */
export function checkLength(characters: number, context: number, field: string): void {
  if (characters > context * CHARACTERS_PER_TOKEN) tooLong(`at least ${Math.ceil(characters / CHARACTERS_PER_TOKEN)}`, context, field)
}

export function checkFits(ids: number, context: number, field: string): void {
  if (ids >= context) tooLong(String(ids), context, field)
}

/** Programs recognise a prompt that is too long by phrases of this text, not by the code beside it: they stand in it as others write them. */
function tooLong(tokens: string, context: number, field: string): never {
  const message = `prompt is too long: ${tokens} tokens. This model's maximum context length is ${context} tokens, answer included (context_length_exceeded); shorten the prompt or load the model with a longer context`
  throw new ChatError(field, message, 'context_length_exceeded')
}

function renderPrompt(
  { format, engine: { context } }: ChatModel,
  messages: readonly Message[],
  { render }: Plan,
  note: (message: string) => void,
): number[] {
  const characters = messages.reduce((sum, message) => sum + charactersOf(message), 0)
  checkLength(characters, context, 'messages')
  const prompt = format.render(messages, render, note)
  checkFits(prompt.length, context, 'messages')
  return prompt
}

function charactersOf({ content }: Message): number {
  if (typeof content === 'string') return content.length
  return content.reduce((sum, part) => sum + (part.type === 'tool-call' ? part.arguments : part.text).length, 0)
}

function finishEvent(result: GenerationResult, { reason, reasoningTokens, stopText }: AnswerEnd): FinishEvent {
  const { promptTokens, cachedTokens, completionTokens, queuedMs, prefillMs, decodeMs } = result
  const perSecond = (tokens: number, ms: number) => (tokens > 0 && ms > 0 ? (1000 * tokens) / ms : 0)
  return {
    type: 'finish',
    reason,
    stopText,
    usage: { promptTokens, cachedTokens, completionTokens, reasoningTokens },
    timings: {
      queuedMs,
      firstTokenMs: queuedMs + prefillMs,
      completionMs: decodeMs,
      promptTokensPerSecond: perSecond(promptTokens - cachedTokens, prefillMs),
      completionTokensPerSecond: perSecond(completionTokens - 1, decodeMs),
    },
  }
}

/** Without the fields that are there but undefined, which would hide the defaults. */
function defined<T extends object>(value: T | undefined): Partial<T> {
  return Object.fromEntries(Object.entries(value ?? {}).filter(([, item]) => item !== undefined)) as Partial<T>
}
