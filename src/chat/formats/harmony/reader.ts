/**
 * Finds messages in a stream of harmony ids: header, text, end. It accepts any sequence of ids: a message whose header is missing or
 * never ends is still a message, with a warning. Only ids are markers; text that spells one is text. What a message means is decided in parser.ts.
 */
import type { TextStream, Tokenizer } from '../../../tokenizer/tokenizer.ts'
import type { WarningCode } from '../../messages.ts'
import { type Header, type HeaderSegment, readHeader } from './header.ts'
import type { HarmonyMessage, Markers } from './message.ts'

/** Who hears what the reader finds: begin, any number of texts, end, for every message. */
export interface MessageListener {
  begin(header: Header): void
  text(delta: string): void
  /** `complete` is false when the ids ended before the message did. */
  end(complete: boolean): void
  warn(code: WarningCode, message: string): void
}

/** After so many ids and a tool's name a header is taken for a message whose header was forgotten; its text need not wait any longer. */
const LONGEST_HEADER = 64

export class HarmonyReader {
  state: 'between' | 'header' | 'content' = 'between'
  readonly #tokenizer: Tokenizer
  readonly #marker: Markers
  readonly #listener: MessageListener
  readonly #longestHeader: number
  readonly #dropsCut: boolean
  #text: TextStream
  #role: HarmonyMessage['role'] | undefined
  #segments: HeaderSegment[] = []
  #headerLength = 0
  #lastChannel: string | undefined

  /**
   * @param role given: the ids begin inside the header of a message of this role
   * @param dropsCut of a character that the end of the answer cuts nothing is shown; false: U+FFFD, as openai/harmony does
   * @param longestName ids that the longest name of a tool may take in a header
   */
  constructor(
    tokenizer: Tokenizer,
    marker: Markers,
    listener: MessageListener,
    role?: HarmonyMessage['role'],
    { dropsCut = false, longestName = 0 } = {},
  ) {
    this.#dropsCut = dropsCut
    this.#tokenizer = tokenizer
    this.#marker = marker
    this.#listener = listener
    this.#longestHeader = LONGEST_HEADER + longestName
    this.#text = tokenizer.stream()
    if (role) this.#beginHeader(role)
  }

  /** Inside a header of a known role of which nothing was written yet. */
  get atHeaderStart(): boolean {
    return this.state === 'header' && this.#role !== undefined && this.#headerLength === 0
  }

  push(id: number): void {
    const { start, message, end, channel, constrain, call, return: done, endoftext } = this.#marker
    const stops = id === end || id === call || id === done || id === endoftext
    if (this.state === 'between') {
      if (id === start) this.#beginHeader()
      else if (id === end) this.#listener.warn('unexpected-token', 'a message ended that had not begun')
      else if (!stops) this.#goOn(id)
    } else if (id === start) {
      if (this.state === 'content') this.#listener.warn('unexpected-token', 'a message started before the one before it had ended')
      if (this.state === 'content' || this.#headerLength > 0) this.#endMessage(true) // a repeated marker is skipped
      this.#beginHeader()
    } else if (stops) this.#endMessage(true, id !== end)
    else if (this.state === 'content') this.#emit(this.#decode(id))
    else if (id === message) {
      this.#segments.at(-1)!.text += this.#text.end() // half a character of the header is no part of the content
      this.#text = this.#tokenizer.stream()
      this.#beginContent(readHeader(this.#segments, this.#role, true))
    } else {
      this.#headerLength++
      if (id === channel || id === constrain) this.#segments.push({ marker: id === channel ? 'channel' : 'constrain', text: '' })
      else this.#segments.at(-1)!.text += this.#decode(id)
      if (this.#headerLength > this.#longestHeader) this.#degrade()
    }
  }

  end(): void {
    if (this.state !== 'between') this.#endMessage(false)
  }

  /** Text or a header after the end of a message, without a start marker. */
  #goOn(id: number): void {
    const warning = { code: 'missing-header' as const, message: 'the model went on after the end of a message without starting a new one' }
    this.#beginHeader('assistant')
    if (id !== this.#marker.channel && id !== this.#marker.constrain && id !== this.#marker.message) {
      const channel = this.#lastChannel === 'final' ? 'final' : undefined
      this.#beginContent({ role: 'assistant', channel, rest: '', warnings: [warning] })
    } else this.#listener.warn(warning.code, warning.message)
    this.push(id)
  }

  #beginHeader(role?: HarmonyMessage['role']): void {
    this.state = 'header'
    this.#role = role
    this.#segments = [{ marker: undefined, text: '' }]
    this.#headerLength = 0
    this.#text = this.#tokenizer.stream()
  }

  #beginContent(header: Header): void {
    this.state = 'content'
    this.#lastChannel = header.channel
    this.#listener.begin(header)
  }

  /** What stands in an unfinished header is the message itself. */
  #degrade(): void {
    if (this.#headerLength === 0) return
    const header = readHeader(this.#segments, this.#role, false)
    if (header.rest === '' && header.channel === undefined && header.recipient === undefined) return
    header.warnings.push({
      code: 'missing-header',
      message: 'a message without the marker that ends its header; what stands there is taken as its text',
    })
    this.#beginContent(header)
    this.#emit(header.rest)
  }

  /** @param isLast the answer ends here */
  #endMessage(complete: boolean, isLast = !complete): void {
    const rest = isLast && this.#dropsCut ? '' : this.#text.end()
    if (this.state === 'header') {
      this.#segments.at(-1)!.text += rest
      this.#degrade()
    } else if (this.state === 'content') this.#emit(rest)
    if (this.state === 'content') this.#listener.end(complete)
    else if (!this.#isEmptyHeader(complete)) this.#listener.warn('missing-header', 'a message ended before its header did')
    this.state = 'between'
  }

  /** Nothing was written but the role: the answer ends where another message might begin. */
  #isEmptyHeader(complete: boolean): boolean {
    const [first, ...rest] = this.#segments
    return /^\s*(?:assistant)?\s*$/.test(first!.text) && (complete ? rest.length === 0 : rest.every(({ text }) => text.trim() === ''))
  }

  #emit(delta: string): void {
    if (delta !== '') this.#listener.text(delta)
  }

  #decode(id: number): string {
    if (this.#tokenizer.isSpecial(id)) {
      this.#listener.warn('unexpected-token', `dropped the special token ${id} inside a message`)
      return ''
    }
    try {
      return this.#text.push(id)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      const before = this.#text.end()
      this.#text = this.#tokenizer.stream()
      return `${before}\uFFFD`
    }
  }
}
