/**
 * One answer of a model: renders the prompt, runs the engine, parses its ids into events, keeps plan, stop texts and budget.
 * Every endpoint and the AI SDK provider are views of these events; nothing here knows HTTP.
 */
import { startedCall } from '../chat/document-writer.ts'
import { Guide, type Plan } from '../chat/guide.ts'
import type { ChatParser, FinishReason, Message, RenderOptions, Sampling } from '../chat/messages.ts'
import { RepetitionGuard } from '../chat/repetition.ts'
import type { GeneratedToken, GenerationResult } from '../engine/engine.ts'
import { type AnswerEvent, type AnswerSource, finishEvent } from './answer-events.ts'
import { EventFilter } from './event-filter.ts'
import { contextExceeded } from './http/errors.ts'
import type { ServedModel } from './models/model.ts'

/** So many ids in a loop end an answer. */
const REPEATED_IDS = 256

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
    const endedPart = events.some(({ type }) => type === 'reasoning-end' || type === 'text-end')
    this.#guide.drew(token.id, before, endedPart, startedCall(events))
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
    // Never call an unfinished document complete, nor one that nobody saw.
    const isShown = !this.#guide.isBound || this.#filter.calls > 0 || this.#filter.hasText
    // A stop text inside of a document cuts it.
    const isCut = this.#guide.isBound && this.#filter.stopped
    if (!this.#guide.isSatisfied || !isShown || isCut) return 'length'
    return this.#filter.calls > 0 ? 'tool-calls' : 'stop'
  }
}
