/**
 * The parser's events as a caller may see them. Text ends before a stop text. Text that the rules did not ask for becomes reasoning,
 * calls that they did not ask for are left out. Parts without text are left out, and reasoning where the caller wants none.
 */
import type { ChatEvent, TextPhase, TextToken } from '../chat/messages.ts'
import type { Guide } from './guide.ts'
import { StopTexts } from './stop-texts.ts'

const utf8 = new TextEncoder()
const NEWLINE = 0x0a

export class AnswerEvents {
  calls = 0
  /** The last call was cut before its arguments were complete. */
  lastCallIsCut = false
  /** Text of the answer came out. */
  hasText = false
  /** All reasoning so far, shown or not. */
  reasoning = ''
  readonly #guide: Guide
  readonly #stops: StopTexts
  readonly #hidesReasoning: boolean
  #out: ChatEvent[] = []
  /** Of the open part, not shown yet. */
  #tokens: TextToken[] = []
  /** Where in the text of the part the first of them begins. Below 0: it begins with newlines that the parser left out. */
  #tokenStart = 0
  /** Of the text of the part that is shown. */
  #textBytes = 0
  /** The open text part: shown as text, as reasoning, or not decided because nothing was written. */
  #text: { phase: TextPhase; as: 'text' | 'reasoning' | undefined; written: string; isRead: boolean } | undefined
  readonly #calls = new Set<string>()
  /** The final text that came out before the open part. */
  #before = ''

  constructor(guide: Guide, stops: readonly string[], hidesReasoning: boolean) {
    this.#guide = guide
    this.#stops = new StopTexts(stops)
    this.#hidesReasoning = hidesReasoning
  }

  get stopped(): boolean {
    return this.#stops.found !== undefined
  }

  /** The stop text that ended the answer. */
  get stopText(): string | undefined {
    return this.#stops.found
  }

  /** The events since the last call. */
  take(): ChatEvent[] {
    return this.#out.splice(0)
  }

  /** A drawn id of the final text; it comes out with the first text to which it contributes, or with the end of the text. */
  token(token: TextToken): void {
    this.#tokens.push(token)
  }

  add(events: readonly ChatEvent[]): void {
    for (const event of events) this.#one(event)
  }

  /** The answer is over: what was held back comes out. */
  end(): void {
    if (this.#text) this.#endText()
    if (this.calls === 0) this.#out.push(...this.#lastTokens()) // of an answer without text
  }

  #one(event: ChatEvent): void {
    switch (event.type) {
      case 'text-start':
        this.#text = { phase: event.phase, as: undefined, written: '', isRead: false }
        return
      case 'text-delta':
        this.#leaveOutNewlines(event.delta)
        this.#write(event.phase === 'final' && this.#guide.showsText ? this.#stops.push(event.delta) : event.delta)
        return
      case 'text-end':
        this.#endText()
        return
      case 'tool-call-start':
        if (this.stopped || !this.#guide.showsCall) return
        this.#calls.add(event.id)
        this.calls++
        this.lastCallIsCut = false
        this.#tokens = [] // what was scored as text is the beginning of this call
        break
      case 'tool-call-delta':
      case 'tool-call-end':
        if (!this.#calls.has(event.id)) return
        break
      case 'reasoning-start':
      case 'reasoning-delta':
      case 'reasoning-end':
        this.#reason(event)
        return
      case 'warning':
        if (event.code === 'unfinished-tool-call') this.lastCallIsCut = true
    }
    this.#out.push(event)
  }

  #reason(event: ChatEvent): void {
    if (this.stopped) return
    if (event.type === 'reasoning-delta') this.reasoning += event.delta
    if (!this.#hidesReasoning) this.#out.push(event)
  }

  #write(delta: string): void {
    const part = this.#text
    if (!part || delta === '') return
    if (part.as === undefined) {
      part.as = this.#guide.showsText ? 'text' : 'reasoning'
      if (part.as === 'text') {
        this.#out.push({ type: 'text-start', phase: part.phase })
        if (part.phase === 'final' && /\S$/.test(this.#before) && /^\S/.test(delta)) this.#separate(part)
      } else this.#reason({ type: 'reasoning-start' })
    }
    part.written += delta
    if (part.as === 'text') {
      this.hasText = true
      this.#showTokens(delta)
      this.#out.push({ type: 'text-delta', delta, phase: part.phase })
    } else this.#reason({ type: 'reasoning-delta', delta })
  }

  /** Most callers join the texts of an answer: an empty line keeps one final text from running into the next. */
  #separate(part: { phase: TextPhase; written: string }): void {
    const delta = '\n\n'
    part.written += delta
    this.#out.push({ type: 'text-delta', delta, phase: part.phase })
  }

  /** Newlines before a text belong to the format where the parser leaves them out. So do the tokens that are nothing else. */
  #leaveOutNewlines(firstDelta: string): void {
    const part = this.#text
    if (!part || part.isRead || firstDelta === '') return
    part.isRead = true
    const drawn = newlinesBefore(this.#tokens.flatMap(({ bytes }) => [...bytes]))
    let more = Math.max(0, drawn - newlinesBefore(utf8.encode(firstDelta)))
    while (this.#tokens.length > 0 && this.#tokens[0]!.bytes.length <= more) more -= this.#tokens.shift()!.bytes.length
    this.#tokenStart = -more
  }

  /** The tokens that begin within the text shown so far. */
  #showTokens(delta: string): void {
    this.#textBytes += utf8.encode(delta).length
    while (this.#tokens.length > 0 && this.#tokenStart < this.#textBytes) {
      const token = this.#tokens.shift()!
      this.#tokenStart += token.bytes.length
      this.#out.push(token)
    }
  }

  /** The tokens whose text does not come out, such as a stop token; without newlines that the parser left out. */
  #lastTokens(): TextToken[] {
    const last = this.#tokens.splice(0)
    return this.stopped ? last : last.filter(({ bytes }) => newlinesBefore(bytes) < bytes.length)
  }

  #endText(): void {
    if (this.#text?.phase === 'final' && this.#text.as !== 'reasoning') this.#write(this.#stops.rest())
    const part = this.#text
    this.#text = undefined
    this.#tokenStart = 0
    this.#textBytes = 0
    if (part?.as === 'text' && part.phase === 'final') this.#before = part.written
    if (part?.as === 'text') this.#out.push(...this.#lastTokens(), { type: 'text-end', text: part.written, phase: part.phase })
    else if (part?.as === 'reasoning') this.#reason({ type: 'reasoning-end', text: part.written })
  }
}

function newlinesBefore(bytes: ArrayLike<number>): number {
  let count = 0
  while (bytes[count] === NEWLINE) count++
  return count
}
