/**
 * The parser's events as a client may see them: text ends before a stop text, text and calls that the plan did not ask for become
 * reasoning or vanish, parts without text are left out.
 */
import type { Guide } from '../chat/guide.ts'
import type { ChatEvent, TextPhase } from '../chat/messages.ts'
import { StopTexts } from '../chat/stop-texts.ts'
import type { AnswerEvent, TextToken } from './answer-events.ts'

const utf8 = new TextEncoder()

export class EventFilter {
  calls = 0
  /** Whether text of the answer came out. */
  hasText = false
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
      this.hasText = true
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
