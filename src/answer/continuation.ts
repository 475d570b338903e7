/**
 * A text continued without any chat format: `model.generate`, `lineage generate`, the completions endpoint, Ollama's raw mode. The same
 * events as an answer, text only.
 */
import type { ChatEvent, TextToken } from '../chat/messages.ts'
import type { GeneratedToken, GenerationResult, Taken } from '../engine/engine.ts'
import type { Constraint, Matcher } from '../structured/structured.ts'
import { type PromptOptions, promptIds, streamAfter } from '../tokenizer/prompt.ts'
import type { TextStream } from '../tokenizer/tokenizer.ts'
import { type AnswerEnd, type ChatModel, checkFits, checkLength, Generated } from './answer.ts'
import type { Ask } from './ask.ts'
import { constraintNow } from './plan.ts'
import { StopTexts } from './stop-texts.ts'
import { isOver, maskWithStops, type TokenMask } from './token-mask.ts'

/** What of an Ask makes sense without a format. */
export type ContinuationAsk = Pick<
  Ask,
  'sampling' | 'maxTokens' | 'minTokens' | 'stop' | 'logprobs' | 'cacheKey' | 'signal' | 'schema' | 'regex' | 'choice' | 'grammar'
>

/**
 * The ids of a text to continue (tokenizer/prompt.ts). Never empty: without BOS an empty text is the beginning of a document.
 * @param field name of the text in the request, for errors
 * @throws ChatError when the text is too long for the context
 */
export function promptOf({ engine, tokenizer, format }: ChatModel, text: string, field: string, options?: PromptOptions): number[] {
  checkLength(text.length, engine.context, field)
  const ids = promptIds(tokenizer, text, options)
  return ids.length > 0 ? ids : [tokenizer.specials.get('<|endoftext|>') ?? format.stopIds[0] ?? 0]
}

/** A prompt that is read into the cache, and nothing after it. The engine draws one id, which is left out. */
export class PromptReading extends Generated {
  readonly promptIds: readonly number[]

  /** See Continuation. */
  constructor(model: ChatModel, promptIds: readonly number[], ask: Pick<Ask, 'cacheKey'>, field = 'prompt') {
    super(model, { cacheKey: ask.cacheKey, maxTokens: 1 })
    checkFits(promptIds.length, model.engine.context, field)
    this.promptIds = promptIds
  }

  take(): Taken<ChatEvent> {
    return { next: 'stop' }
  }

  override finish(result: GenerationResult): ChatEvent[] {
    return super.finish({ ...result, ids: [], completionTokens: 0, decodeMs: 0 })
  }

  protected defaults() {
    return {}
  }

  protected begin(): ChatEvent[] {
    return []
  }

  protected end({ reason }: GenerationResult): AnswerEnd {
    return { events: [], reason: reason === 'stop' ? 'length' : reason, reasoningTokens: 0 }
  }
}

export class Continuation extends Generated {
  readonly promptIds: readonly number[]
  readonly #stops: StopTexts
  readonly #stream: TextStream
  readonly #matcher: Matcher | undefined
  #text = ''
  #started = false
  #held: TextToken[] = []

  /**
   * @param field name of the prompt in the request, for errors
   * @param constraint what the text must follow; default: the form of `ask`, compiled at once
   * @throws ChatError on a prompt that is too long, or a form that cannot be enforced
   */
  constructor(model: ChatModel, promptIds: readonly number[], ask: ContinuationAsk, field = 'prompt', constraint?: Constraint) {
    super(model, ask)
    const { tokenizer, engine } = model
    checkFits(promptIds.length, engine.context, field)
    this.promptIds = promptIds
    this.#matcher = (constraint ?? constraintNow(ask, tokenizer))?.matcher()
    this.#stops = new StopTexts(ask.stop ?? [])
    this.#stream = streamAfter(tokenizer, promptIds)
  }

  override mask(tokensLeft: number): TokenMask | undefined {
    return this.#matcher && maskWithStops(this.#matcher, this.model.format.stopIds, tokensLeft)
  }

  take({ id, logprob, top = [] }: GeneratedToken): Taken<ChatEvent> {
    const { format, tokenizer } = this.model
    if (logprob !== undefined) this.#held.push({ type: 'text-token', id, bytes: tokenizer.bytes(id), logprob, top })
    if (format.stopIds.includes(id)) return { next: 'stop' }
    if (this.#matcher?.accept(id) === false) throw new RangeError(`token ${id} was drawn although the mask forbade it`)
    const events = this.#write(this.#stops.push(this.#stream.push(id)))
    const isOverNow = this.#stops.found !== undefined || (this.#matcher && isOver(this.#matcher))
    return { events, next: isOverNow ? 'stop' : [] }
  }

  protected defaults() {
    return this.model.format.sampling({})
  }

  protected begin(): ChatEvent[] {
    return []
  }

  protected end(result: GenerationResult): AnswerEnd {
    // What a stop text cut, or what is not finished, does not follow its form.
    const isCut = this.#matcher !== undefined && (this.#stops.found !== undefined || !this.#matcher.isComplete())
    const reason = isCut && result.reason === 'stop' ? 'length' : result.reason
    const rest = [...this.#write(this.#stops.rest()), ...this.#start(), ...this.#held.splice(0)]
    const events: ChatEvent[] = [...rest, { type: 'text-end', text: this.#text, phase: 'final' }]
    return { events, reason, reasoningTokens: 0, stopText: this.#stops.found }
  }

  #write(delta: string): ChatEvent[] {
    if (delta === '') return []
    this.#text += delta
    return [...this.#start(), ...this.#held.splice(0), { type: 'text-delta', delta, phase: 'final' }]
  }

  #start(): ChatEvent[] {
    const started = this.#started
    this.#started = true
    return started ? [] : [{ type: 'text-start', phase: 'final' }]
  }
}
