/**
 * An answer whose final text is held to a JSON schema: from ids to events under a guide. Reasoning stays free, tools may be called
 * first, and a document that did not get finished is never called complete. Takes the place of answer.ts's writer of free answers.
 */
import type { GeneratedToken, GenerationResult } from '../engine/engine.ts'
import type { Constraint } from '../structured/structured.ts'
import type { Tokenizer } from '../tokenizer/tokenizer.ts'
import { Guide } from './guide.ts'
import {
  type ChatEvent,
  type ChatFormat,
  type ChatOptions,
  type ChatParser,
  type FinishReason,
  offeredTools,
  type TextPhase,
} from './messages.ts'
import { RepetitionGuard } from './repetition.ts'
import { StopTexts } from './stop-texts.ts'

export class DocumentWriter {
  /** The events of each id, in order. */
  readonly events: ChatEvent[][] = []
  /** The guide knows when the answer is over; until then an end is only the end of a message. */
  readonly stopIds: readonly number[] = []
  /** Ids that follow the prompt before anything is drawn. */
  readonly lead: readonly number[]
  reasoningTokens = 0
  readonly #parser: ChatParser
  readonly #guide: Guide
  readonly #guard: RepetitionGuard
  /** One of them inside of the document cuts it, and it is never called complete then. */
  readonly #stops: StopTexts
  readonly #budget: number
  #part: { shown: boolean; text: string } | undefined
  readonly #shownCalls = new Set<string>()
  readonly #mayCall: boolean
  #loops = false
  #warned = false

  constructor(format: ChatFormat, tokenizer: Tokenizer, text: Constraint, prompt: readonly number[], options: ChatOptions) {
    const probe = () => format.parser(prompt, options)
    this.#parser = probe()
    this.#budget = typeof options.thinking === 'object' ? options.thinking.budget : Number.POSITIVE_INFINITY
    const callable = offeredTools(options).map(({ name }) => name)
    this.#mayCall = callable.length > 0
    this.#guide = new Guide(format, tokenizer, this.#parser, probe, {
      text,
      callable,
      arguments: new Map(),
      thinking: options.thinking !== false,
      reasoningBudget: this.#budget,
    })
    this.#guard = new RepetitionGuard(options.repetitionLimit ?? 512)
    this.#stops = new StopTexts(options.stop ?? [])
    this.lead = this.#follow()
    if (this.lead.length > 0) this.events.splice(0, this.lead.length, this.events.flat())
  }

  /** The engine's logitMask. */
  mask(tokensLeft: number): Uint32Array | undefined {
    return this.#guide.mask(tokensLeft)
  }

  /** The engine's onToken. */
  take({ id, forced }: GeneratedToken): 'stop' | readonly number[] | undefined {
    if (forced) return undefined // #follow has read it already
    const { region } = this.#parser
    if (region === 'reasoning') this.reasoningTokens++
    const events = this.#parser.push(id)
    const endedPart = events.some(({ type }) => type === 'reasoning-end' || type === 'text-end')
    this.#guide.drew(id, region, endedPart, startedCall(events))
    this.events.push(events.flatMap((event) => this.#pass(event)))
    const ids = this.#follow()
    this.#loops = this.#guard.push(id)
    return this.#loops || this.#stops.found || this.#guide.isOver ? 'stop' : ids
  }

  end(): ChatEvent[] {
    return [...this.events.splice(0).flat(), ...this.#parser.end().flatMap((event) => this.#pass(event))]
  }

  reason(result: GenerationResult): FinishReason {
    if (result.reason !== 'stop') return result.reason
    if (this.#loops) return 'repetition'
    if (!this.#guide.isSatisfied || this.#stops.found) return 'length'
    return this.#shownCalls.size > 0 ? 'tool-calls' : 'stop'
  }

  /** Reads what the guide forces until it forces nothing more. */
  #follow(): number[] {
    const all: number[] = []
    for (let ids = this.#guide.forced(); ids.length > 0; ids = this.#guide.forced()) {
      const warning = this.#budgetWarning()
      for (const id of ids) {
        all.push(id)
        const events = this.#parser.push(id).flatMap((event) => this.#pass(event))
        this.events.push([...warning.splice(0), ...events])
      }
    }
    return all
  }

  #budgetWarning(): ChatEvent[] {
    if (this.#warned || !this.#guide.budgetSpent) return []
    this.#warned = true
    return [{ type: 'warning', code: 'thinking-budget', message: `the thinking was ended after its budget of ${this.#budget} tokens` }]
  }

  /** Only the document is the answer: text and calls that nobody asked for are left out. */
  #pass(event: ChatEvent): ChatEvent[] {
    switch (event.type) {
      case 'text-start':
        this.#part = { shown: false, text: '' }
        return []
      case 'text-delta': {
        const isFinal = event.phase === 'final'
        if (!this.#part!.shown && isFinal && !this.#guide.showsText) return []
        return this.#show(event.phase, isFinal ? this.#stops.push(event.delta) : event.delta)
      }
      case 'text-end': {
        const rest = event.phase === 'final' ? this.#show(event.phase, this.#stops.rest()) : []
        const { shown, text } = this.#part!
        return shown ? [...rest, { ...event, text }] : []
      }
      case 'tool-call-start':
        if (this.#guide.showsCall && this.#mayCall) this.#shownCalls.add(event.id)
        return this.#shownCalls.has(event.id) ? [event] : []
      case 'tool-call-delta':
      case 'tool-call-end':
        return this.#shownCalls.has(event.id) ? [event] : []
    }
    return [event]
  }

  #show(phase: TextPhase, delta: string): ChatEvent[] {
    if (delta === '') return []
    const part = this.#part!
    const start: ChatEvent[] = part.shown ? [] : [{ type: 'text-start', phase }]
    part.shown = true
    part.text += delta
    return [...start, { type: 'text-delta', delta, phase }]
  }
}

/** The call that these events begin, with what they tell of its arguments. */
export function startedCall(events: readonly ChatEvent[]): { tool: string; written: string } | undefined {
  const start = events.findLastIndex((event) => event.type === 'tool-call-start')
  if (start < 0) return undefined
  const written = events.slice(start).map((event) => (event.type === 'tool-call-delta' ? event.argumentsDelta : ''))
  return { tool: (events[start] as { name: string }).name, written: written.join('') }
}
