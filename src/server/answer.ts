/**
 * One answer of a model: renders the prompt, runs the engine, parses its ids into events, keeps plan, stop texts and budget.
 * Every endpoint and the AI SDK provider are views of these events; nothing here knows HTTP.
 */
import type { ChatEvent, ChatParser, FinishEvent, FinishReason, Message, RenderOptions, Sampling, TextPhase } from '../chat/messages.ts'
import { RepetitionGuard } from '../chat/repetition.ts'
import { StopTexts } from '../chat/stop-texts.ts'
import type { GeneratedToken, GenerationResult, TokenLogprob } from '../engine/engine.ts'
import { contextExceeded } from './errors.ts'
import { Guide, type Plan } from './guide.ts'
import type { ServedModel } from './model.ts'

export interface AnswerRequest {
  messages: readonly Message[]
  render: RenderOptions
  /** Over the format's published defaults. */
  sampling: Sampling & { logitBias?: ReadonlyMap<number, number> }
  /** Generated tokens, reasoning included; missing: what the context leaves. */
  maxTokens?: number
  stop: readonly string[]
  /** Number of alternatives per id of the final text; missing: no log-probabilities. */
  logprobs?: number
  plan: Plan
  /** Prefixes are shared within one key only. */
  cacheKey?: string
}

/** A drawn id of the final text, told before the text it belongs to. */
export interface TextToken {
  type: 'text-token'
  id: number
  bytes: Uint8Array
  logprob: number
  top: readonly TokenLogprob[]
}

const utf8 = new TextEncoder()
/** So many ids in a loop end an answer. */
const REPEATED_IDS = 256

export type AnswerEvent = ChatEvent | TextToken

/** Renders the conversation and refuses what the context cannot hold. Throws ChatError or ApiError (400). */
export function renderPrompt(model: ServedModel, messages: readonly Message[], render: RenderOptions): number[] {
  const { context } = model.engine
  // No text of a person needs this many characters per token; a bound before the tokenizer spends time on it.
  const characters = messages.reduce((sum, message) => sum + charactersOf(message), 0)
  if (characters > context * 24) throw contextExceeded(Math.ceil(characters / 24), context, 'messages')
  const prompt = model.format.render(messages, render)
  if (prompt.length >= context) throw contextExceeded(prompt.length, context, 'messages')
  return prompt
}

const charactersOf = (message: Message): number =>
  typeof message.content === 'string'
    ? message.content.length
    : message.content.reduce((sum, part) => sum + (part.type === 'tool-call' ? part.arguments.length : part.text.length), 0)

/** What can be run in a slot. */
export interface AnswerSource {
  /** The last event is `finish`; leaving the iteration or aborting the signal stops within one token. */
  events(signal: AbortSignal): AsyncGenerator<AnswerEvent>
}

export class Answer implements AnswerSource {
  readonly promptIds: number[]
  readonly #model: ServedModel
  readonly #request: AnswerRequest
  readonly #parser: ChatParser
  readonly #guide: Guide
  readonly #filter: EventFilter
  readonly #guard = new RepetitionGuard(REPEATED_IDS)
  #loops = false

  /** Renders at once, so that a request that cannot be answered fails before anything is queued. */
  constructor(model: ServedModel, request: AnswerRequest) {
    const rendered = renderPrompt(model, request.messages, request.render)
    const probe = () => model.format.parser(rendered, request.render)
    this.#model = model
    this.#request = request
    this.#parser = probe()
    this.#guide = new Guide(model.format, model.tokenizer, this.#parser, probe, request.plan)
    this.#filter = new EventFilter(this.#guide, request.stop)
    this.promptIds = [...rendered, ...this.#follow()]
    if (this.promptIds.length >= model.engine.context) throw contextExceeded(this.promptIds.length, model.engine.context, 'messages')
  }

  /** Generates. The last event is `finish`; leaving the iteration or aborting the signal stops within one token. */
  async *events(signal: AbortSignal): AsyncGenerator<AnswerEvent> {
    const { format, engine } = this.#model
    const { render, sampling, maxTokens, logprobs, cacheKey } = this.#request
    const asked = performance.now()
    let firstTokenMs = 0
    let reasoningTokens = 0
    const limit = Math.min(maxTokens ?? Number.POSITIVE_INFINITY, engine.context - this.promptIds.length)
    const generation = engine.generate(this.promptIds, {
      maxTokens: limit,
      sampling: { ...format.sampling(render), ...sampling },
      stopIds: [],
      signal,
      ...(logprobs === undefined ? {} : { logprobs }),
      ...(cacheKey === undefined ? {} : { cacheKey }),
      logitMask: ({ ids }) => this.#guide.mask(limit - ids.length),
      onToken: (token) => {
        if (token.forced) return undefined
        firstTokenMs ||= performance.now() - asked
        if (this.#parser.region === 'reasoning') reasoningTokens++
        return this.#drew(token)
      },
    })
    generation.result.catch(() => {})
    for await (const _ of generation) yield* this.#filter.take()
    const result = await generation.result
    this.#filter.add(this.#parser.end())
    this.#filter.end()
    yield* this.#filter.take()
    yield finishEvent(result, this.#reason(result), firstTokenMs, reasoningTokens)
  }

  #drew(token: GeneratedToken): 'stop' | readonly number[] | undefined {
    const before = this.#parser.region
    const events = this.#parser.push(token.id)
    const started = events.find((event) => event.type === 'tool-call-start')
    this.#guide.drew(token.id, before, started?.name)
    if (before === 'text' && token.logprob !== undefined && !this.#isMarkup(token.id) && this.#guide.showsText)
      this.#filter.token({
        type: 'text-token',
        id: token.id,
        bytes: this.#model.tokenizer.bytes(token.id),
        logprob: token.logprob,
        top: token.top ?? [],
      })
    this.#filter.add(events)
    const forced = this.#follow()
    this.#loops = this.#guard.push(token.id)
    if (this.#filter.stopped || this.#guide.isOver || this.#loops) return 'stop'
    if (!this.#guide.isBound && this.#model.format.stopIds.includes(token.id)) return 'stop'
    return forced.length > 0 ? forced : undefined
  }

  /** Pushes what the guide forces until it forces nothing more. */
  #follow(): number[] {
    const all: number[] = []
    for (let ids = this.#guide.forced(); ids.length > 0; ids = this.#guide.forced()) {
      for (const id of ids) {
        all.push(id)
        this.#filter.add(this.#parser.push(id))
      }
    }
    return all
  }

  #isMarkup(id: number): boolean {
    return this.#model.format.stopIds.includes(id) || this.#model.tokenizer.isSpecial(id)
  }

  #reason(result: GenerationResult): FinishReason {
    if (result.reason !== 'stop') return result.reason
    if (this.#loops) return 'repetition'
    if (!this.#guide.isSatisfied) return 'length' // never call an unfinished document complete
    return this.#filter.calls > 0 ? 'tool-calls' : 'stop'
  }
}

/** The last event of an answer from what the engine counted. */
export function finishEvent(result: GenerationResult, reason: FinishReason, firstTokenMs: number, reasoningTokens: number): FinishEvent {
  const { promptTokens, cachedTokens, completionTokens, prefillMs, decodeMs } = result
  return {
    type: 'finish',
    reason,
    usage: { promptTokens, cachedTokens, completionTokens, reasoningTokens },
    timings: {
      firstTokenMs,
      completionMs: decodeMs,
      promptTokensPerSecond: prefillMs > 0 ? ((promptTokens - cachedTokens) / prefillMs) * 1000 : 0,
      completionTokensPerSecond: decodeMs > 0 ? (Math.max(0, completionTokens - 1) / decodeMs) * 1000 : 0,
    },
  }
}

/**
 * The parser's events as a client may see them: text ends before a stop text, text and calls that the plan did not ask for become
 * reasoning or vanish, parts without text are left out.
 */
class EventFilter {
  calls = 0
  readonly #guide: Guide
  readonly #stops: StopTexts
  #out: AnswerEvent[] = []
  #tokens: TextToken[] = []
  #tokenBytes = 0
  #textBytes = 0
  /** The open text part: shown as text, as reasoning, or not decided because nothing was written. */
  #text: { phase: TextPhase; as: 'text' | 'reasoning' | undefined; written: string } | undefined
  readonly #calls = new Set<string>()

  constructor(guide: Guide, stops: readonly string[]) {
    this.#guide = guide
    this.#stops = new StopTexts(stops)
  }

  get stopped(): boolean {
    return this.#stops.found
  }

  take(): AnswerEvent[] {
    const out = this.#out
    this.#out = []
    return out
  }

  token(token: TextToken): void {
    this.#tokens.push(token)
  }

  add(events: readonly ChatEvent[]): void {
    for (const event of events) this.#one(event)
  }

  /** The answer is over: what was held back comes out. */
  end(): void {
    if (this.#text) this.#endText()
  }

  #one(event: ChatEvent): void {
    switch (event.type) {
      case 'text-start':
        this.#text = { phase: event.phase, as: undefined, written: '' }
        return
      case 'text-delta':
        this.#write(event.phase === 'final' && this.#guide.showsText ? this.#stops.push(event.delta) : event.delta)
        return
      case 'text-end':
        this.#endText()
        return
      case 'tool-call-start':
        if (this.stopped || !this.#guide.showsCall) return
        this.#calls.add(event.id)
        this.calls++
        break
      case 'tool-call-delta':
      case 'tool-call-end':
        if (!this.#calls.has(event.id)) return
        break
      case 'reasoning-start':
      case 'reasoning-delta':
      case 'reasoning-end':
        if (this.stopped) return
    }
    this.#out.push(event)
  }

  #write(delta: string): void {
    const part = this.#text
    if (!part || delta === '') return
    if (part.as === undefined) {
      part.as = this.#guide.showsText ? 'text' : 'reasoning'
      this.#out.push(part.as === 'text' ? { type: 'text-start', phase: part.phase } : { type: 'reasoning-start' })
    }
    part.written += delta
    if (part.as === 'text') {
      this.#showTokens(delta)
      this.#out.push({ type: 'text-delta', delta, phase: part.phase })
    } else this.#out.push({ type: 'reasoning-delta', delta })
  }

  /** The tokens that begin within the text shown so far. */
  #showTokens(delta: string): void {
    this.#textBytes += utf8.encode(delta).length
    while (this.#tokens.length > 0 && this.#tokenBytes < this.#textBytes) {
      const token = this.#tokens.shift()!
      this.#tokenBytes += token.bytes.length
      this.#out.push(token)
    }
  }

  #endText(): void {
    if (this.#text?.phase === 'final' && this.#text.as !== 'reasoning') this.#write(this.#stops.rest())
    const part = this.#text
    this.#text = undefined
    if (part?.as === 'text') this.#out.push({ type: 'text-end', text: part.written, phase: part.phase })
    else if (part?.as === 'reasoning') this.#out.push({ type: 'reasoning-end', text: part.written })
  }
}
