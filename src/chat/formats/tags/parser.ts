/**
 * Ids -> events, for answers in which tags mark thinking and tool calls (`<think>`, `<tool_call>`), as in Qwen3. Accepts any sequence
 * of ids. A tag that has a token is recognised as that token only. A marker of calls without one is recognised as text at the start
 * of a line, when tools were offered; text is held back only while it may be the beginning of such a marker.
 */
import type { TextStream, Tokenizer } from '../../../tokenizer/tokenizer.ts'
import { type ChatEvent, type ChatParser, type ForcedIds, offeredTools, type Region, type RenderOptions } from '../../messages.ts'
import { PartWriter } from '../part-writer.ts'
import { CallBlock } from './call-block.ts'
import { type CallSyntax, HERMES } from './syntax.ts'

export interface TagParserStart {
  stopIds: ReadonlySet<number>
  /** The answer may begin with an opening tag of thinking. */
  mayThink: boolean
  /** Ids of the answer that the prompt already contains. */
  opening: readonly number[]
  /** False: the model knows no tags, they are dropped like all tokens that have no place in its text. Default true. */
  tags?: boolean
  /** How the model writes calls. Default: as Qwen3 does. */
  calls?: CallSyntax
}

/** Tags that are text within the text of a call, where a model writes them there. */
const PLAIN_TAGS = ['<think>', '</think>', '<tool_call>', '</tool_call>', '<tool_response>', '</tool_response>']

/** The sentence with which Qwen's authors end thinking that has used up its budget. */
const BUDGET_SENTENCE = '\n\nConsidering the limited time by the user, I have to give the solution based on the thinking directly now.'

export class TagParser implements ChatParser {
  readonly force: ForcedIds
  readonly #tokenizer: Tokenizer
  readonly #options: RenderOptions
  readonly #stopIds: ReadonlySet<number>
  readonly #tag: { think: number | undefined; thinkEnd: number | undefined; call: number | undefined; callEnd: number | undefined }
  /** Tokens that may be text of a call, and their spellings. */
  readonly #plainTags = new Map<number, string>()
  /** Tokens that are always text of a call. */
  readonly #inner = new Set<number>()
  readonly #calls: CallSyntax
  readonly #isBare: boolean
  /** The answer began with something else than a call without a marker, or other text followed it. */
  #bareIsOver = false
  /** Markers of calls that are text. */
  readonly #markers: readonly string[]
  readonly #out = new PartWriter()
  #state: 'start' | 'reasoning' | 'text' | 'call'
  #stream: TextStream
  #call: CallBlock
  /** The end of what was read: newlines, part of the text if more follows and of the format if a tag does; the beginning of a marker. */
  #held = ''
  /** What was written ends inside a line. */
  #isInLine = false
  /** Newlines belong to the format until other text comes. */
  #trimsStart: boolean
  #hasReasoned = false
  readonly #mayThink: boolean
  #ended = false

  constructor(tokenizer: Tokenizer, options: RenderOptions, { stopIds, mayThink, opening, tags = true, calls = HERMES }: TagParserStart) {
    this.#tokenizer = tokenizer
    this.#options = options
    this.#stopIds = stopIds
    this.#calls = calls
    this.#mayThink = mayThink
    const tools = offeredTools(options)
    const id = (name: string | undefined) => (tags && name !== undefined ? tokenizer.specials.get(name) : undefined)
    this.#isBare = calls.isBare === true && tools.length > 0
    this.#tag = { think: id('<think>'), thinkEnd: id('</think>'), call: id(calls.open), callEnd: id(calls.close) }
    for (const tag of PLAIN_TAGS) if (id(tag) !== undefined) this.#plainTags.set(id(tag)!, tag)
    for (const tag of calls.inner ?? []) if (id(tag) !== undefined) this.#inner.add(id(tag)!)
    const functions = calls.startsAtFunction ? tools.flatMap(({ name }) => [`<function=${name}>`, `<function=${name}\n`]) : []
    const isText = tags && tools.length > 0 && this.#tag.call === undefined && !this.#isBare
    this.#markers = isText ? [calls.open, ...functions] : functions
    this.#state = mayThink && this.#tag.think !== undefined && opening.length === 0 ? 'start' : 'text'
    this.#trimsStart = this.#state === 'start'
    this.#stream = tokenizer.stream()
    this.#call = new CallBlock(this.#out, { tools })
    for (const openingId of opening) this.push(openingId)
    this.#held = ''
    this.#out.restart()
    this.force = this.#forcedIds()
  }

  get region(): Region {
    if (this.#state === 'start') return 'header'
    return this.#state === 'call' ? (this.#call.inArguments ? 'tool-call' : 'header') : this.#state
  }

  get begunCall(): string | undefined {
    const begun = this.#begun()
    if (begun === undefined) return undefined
    const others = offeredTools(this.#options).filter(({ name }) => name !== begun.name && name.startsWith(begun.name))
    return begun.isClosed || others.length === 0 ? begun.name : undefined
  }

  /** The function tag with which the text so far ends. */
  #begun(): { name: string; isClosed: boolean } | undefined {
    if (this.#state === 'call') return this.#call.begun
    const marker = this.#markers.find((each) => each.startsWith('<function=') && each.slice(0, -1) === this.#held.trimStart())
    return marker === undefined ? undefined : { name: marker.slice('<function='.length, -1), isClosed: false }
  }

  push(id: number): ChatEvent[] {
    if (this.#ended) throw new RangeError('this parser has ended; take a new one for the next answer')
    const { think, thinkEnd, call, callEnd } = this.#tag
    const inCall = this.#state === 'call'
    if (this.#stopIds.has(id)) this.#leave('stop')
    else if (inCall && this.#takesTag(id)) this.#write(this.#tokenizer.decode([id]))
    else if (id === think && this.#state !== 'reasoning' && !inCall) this.#enter('reasoning')
    else if (id === thinkEnd && this.#state === 'reasoning') this.#enter('text')
    else if (id === thinkEnd && !inCall && this.#mayThink && !this.#hasReasoned && this.#out.open?.kind === 'text') {
      this.#out.warn('unexpected-token', 'the thinking that ends here had no beginning; it was handed out as text')
      this.#enter('text')
    } else if (id === call) this.#enter('call')
    else if (id === callEnd && inCall) this.#enter('text')
    else if (this.#tokenizer.isSpecial(id))
      this.#out.warn('unexpected-token', `dropped ${this.#tokenizer.decode([id])}, which has no place here`)
    else this.#write(this.#stream.push(id))
    return this.#out.take()
  }

  end(): ChatEvent[] {
    this.#leave('cut')
    this.#ended = true
    return this.#out.take()
  }

  /** Whether a tag within a call is text of it: of a string, of a value of Qwen3-Coder's, or of Mistral's and Gemma's heads. */
  #takesTag(id: number): boolean {
    const tag = this.#plainTags.get(id)
    if (tag === undefined && !this.#inner.has(id)) return false
    this.#flush()
    if (this.#state !== 'call') return false
    if (tag === undefined) return true
    if (!this.#call.keepsTags) return false
    return !(id === this.#tag.callEnd && this.#call.closes(tag))
  }

  #enter(state: 'reasoning' | 'text' | 'call'): void {
    if (this.#state === 'reasoning' && state === 'call') this.#out.warn('unexpected-token', 'a tool call began inside the thinking')
    if (state === 'reasoning') this.#hasReasoned = true
    this.#leave('tag')
    this.#state = state
    this.#trimsStart = true
    if (state === 'call') this.#beginCall()
  }

  /** Closes what is open: because a tag follows, because the model stopped, or because the ids ended. */
  #leave(why: 'tag' | 'stop' | 'cut'): void {
    if (why === 'tag') this.#write(this.#stream.end()) // of a character that the end of the answer cuts nothing is shown
    this.#stream = this.#tokenizer.stream()
    // Calls that end by themselves are ended by the end of the answer.
    if (this.#state === 'call') this.#call.end(why === 'tag' || (why === 'stop' && (this.#isBare || this.#calls.close === undefined)))
    else {
      const rest = this.#state === 'text' && why !== 'tag' ? this.#held : this.#held.replace(/\n+$/, '')
      if (rest !== '' && this.#out.open === undefined) this.#out.begin({ kind: 'text', phase: 'final' })
      this.#out.write(rest)
      this.#out.end()
      if (this.#state === 'reasoning' && why !== 'tag') this.#out.warn('unfinished-reasoning', 'the answer ended inside the thinking')
    }
    this.#held = ''
    this.#isInLine = false
    this.#state = 'text'
  }

  /** Ends the text of the tokens so far; a character may have been cut. */
  #flush(): void {
    const rest = this.#stream.end()
    this.#stream = this.#tokenizer.stream()
    this.#write(rest)
  }

  #write(text: string): void {
    if (text === '') return
    if (this.#state === 'call') {
      this.#writeCall(text)
      return
    }
    let all = this.#held + text
    this.#held = ''
    if (this.#out.open === undefined) {
      if (this.#isBare && !this.#bareIsOver && this.#state === 'text' && /^\s*(?:[{[]|$)/.test(all)) {
        if (/[{[]/.test(all)) this.#beginCall(all)
        else this.#held = all
        return
      }
      if (this.#trimsStart) all = all.replace(/^\n+/, '')
    }
    const marker = this.#state === 'reasoning' ? undefined : this.#markerIn(all)
    if (marker) {
      this.#writeText(all.slice(0, marker.at).replace(/\n+$/, ''))
      if (marker.isWhole) {
        this.#out.end()
        const after = all.slice(marker.at + marker.text.length)
        if (marker.text === this.#calls.open) this.#beginCall(after, marker.text)
        else this.#beginCall(marker.text + after)
      } else this.#held = all.slice(all.slice(0, marker.at).replace(/\n+$/, '').length)
      return
    }
    const end = all.length - /\n*$/.exec(all)![0].length
    if (end === 0 && this.#out.open === undefined && this.#trimsStart) return
    this.#writeText(all.slice(0, end))
    this.#held = all.slice(end)
  }

  #writeText(text: string): void {
    if (text === '') return
    if (this.#out.open === undefined) {
      if (this.#state === 'start') this.#state = 'text'
      this.#trimsStart = false
      this.#out.begin(this.#state === 'reasoning' ? { kind: 'reasoning' } : { kind: 'text', phase: 'final' })
    }
    this.#out.write(text)
    this.#isInLine = true
  }

  /** A marker of calls at the start of a line, or its beginning at the end of the text. */
  #markerIn(all: string): { at: number; text: string; isWhole: boolean } | undefined {
    if (this.#markers.length === 0) return undefined
    for (let at = this.#isInLine ? all.indexOf('\n') + 1 || all.length : 0; at < all.length; at = all.indexOf('\n', at) + 1 || all.length) {
      const text = this.#markers.find((marker) => all.startsWith(marker, at))
      if (text !== undefined) return { at, text, isWhole: true }
      const rest = all.slice(at)
      if (this.#markers.some((marker) => marker.startsWith(rest))) return { at, text: rest, isWhole: false }
    }
    return undefined
  }

  #writeCall(text: string): void {
    const rest = this.#call.write(text)
    if (rest === undefined) return
    this.#call.end(true)
    this.#bareIsOver = true
    this.#state = 'text'
    this.#trimsStart = true
    this.#isInLine = false
    this.#write(rest)
  }

  /**
   * @param text of the call that was already read
   * @param openText the marker, if it was text
   */
  #beginCall(text = '', openText?: string): void {
    const { close } = this.#calls
    const isUnmarked = openText === undefined && text !== ''
    this.#state = 'call'
    this.#held = ''
    this.#call = new CallBlock(this.#out, {
      tools: offeredTools(this.#options),
      closeText: this.#tag.callEnd === undefined ? close : undefined,
      openText,
      isBare: this.#isBare && isUnmarked,
      needsClose: close !== undefined && !isUnmarked,
    })
    if (text !== '') this.#writeCall(text)
  }

  #forcedIds(): ForcedIds {
    const ids = (text: string) => this.#tokenizer.encodeTemplate(text)
    const { force, open, close } = this.#calls
    const toText = (): number[] => {
      if (this.#state === 'start') return ids('<think>\n\n</think>\n\n')
      if (this.#state === 'reasoning') return ids('\n</think>\n\n')
      return this.#state === 'call' && close !== undefined ? ids(`\n${close}\n`) : []
    }
    return {
      text: toText,
      toolCall: (name) => {
        const begun = this.#begun()
        if (begun?.name === name) return begun.isClosed ? [] : ids('>\n')
        const isOpen = this.#state === 'call' && this.#call.isEmpty && force.before.startsWith(open)
        const between = this.#state === 'text' && this.#out.open !== undefined && !this.#isBare ? '\n' : ''
        const before = isOpen ? force.before.slice(open.length) : between + force.before
        const written = this.#tokenizer.encode(force.isPlainName ? name : JSON.stringify(name))
        return [...(isOpen ? [] : toText()), ...ids(before), ...written, ...ids(force.between)]
      },
      endToolCall: () => ids(this.#call.isFunction ? '\n</function>\n</tool_call>' : force.after),
      endReasoning: () => (this.#state === 'reasoning' ? [...this.#tokenizer.encode(BUDGET_SENTENCE), ...toText()] : []),
    }
  }
}
