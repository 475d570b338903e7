/**
 * Ids -> events, for answers in which single tokens mark thinking and tool calls (`<think>`, `<tool_call>`), as in Qwen3.
 * Accepts any sequence of ids. Tags are recognised as ids only; a tag without an id of its own is ordinary text.
 */
import type { TextStream, Tokenizer } from '../../../tokenizer/tokenizer.ts'
import { type ChatEvent, type ChatParser, type ForcedIds, offeredTools, type Region, type RenderOptions } from '../../messages.ts'
import { PartWriter } from '../part-writer.ts'
import { TagCall } from './call.ts'

export interface TagParserStart {
  stopIds: ReadonlySet<number>
  /** The answer may begin with an opening tag of thinking. */
  mayThink: boolean
  /** Ids of the answer that the prompt already contains. */
  opening: readonly number[]
  /** False: the model knows no tags, they are dropped like all tokens that have no place in its text. Default true. */
  tags?: boolean
  /** The model calls tools by answering with JSON and nothing else, as Llama 3 does. */
  bareCalls?: boolean
}

/** The sentence with which Qwen's authors end thinking that has used up its budget. */
const BUDGET_SENTENCE = '\n\nConsidering the limited time by the user, I have to give the solution based on the thinking directly now.'

export class TagParser implements ChatParser {
  readonly force: ForcedIds
  readonly #tokenizer: Tokenizer
  readonly #options: RenderOptions
  readonly #stopIds: ReadonlySet<number>
  readonly #tag: { think: number | undefined; thinkEnd: number | undefined; call: number | undefined; callEnd: number | undefined }
  readonly #isBare: boolean
  readonly #out = new PartWriter()
  #state: 'start' | 'reasoning' | 'text' | 'call'
  #stream: TextStream
  #call: TagCall
  /** Newlines at the end of what was read: part of the text if more follows, of the format if a tag does. */
  #held = ''
  /** Newlines belong to the format until other text comes. */
  #trimsStart: boolean
  #ended = false

  constructor(
    tokenizer: Tokenizer,
    options: RenderOptions,
    { stopIds, mayThink, opening, tags = true, bareCalls = false }: TagParserStart,
  ) {
    this.#tokenizer = tokenizer
    this.#options = options
    this.#stopIds = stopIds
    const id = (name: string) => (tags ? tokenizer.specials.get(name) : undefined)
    this.#isBare = bareCalls && offeredTools(options).length > 0
    const call = id(this.#isBare ? '<|python_tag|>' : '<tool_call>')
    this.#tag = { think: id('<think>'), thinkEnd: id('</think>'), call, callEnd: id('</tool_call>') }
    this.#state = mayThink && this.#tag.think !== undefined && opening.length === 0 ? 'start' : 'text'
    this.#trimsStart = this.#state === 'start'
    this.#stream = tokenizer.stream()
    this.#call = new TagCall(this.#out, offeredTools(options))
    for (const openingId of opening) this.push(openingId)
    this.#held = ''
    this.#out.restart()
    this.force = this.#forcedIds()
  }

  get region(): Region {
    if (this.#state === 'start') return 'header'
    return this.#state === 'call' ? (this.#call.inArguments ? 'tool-call' : 'header') : this.#state
  }

  push(id: number): ChatEvent[] {
    if (this.#ended) throw new RangeError('this parser has ended; take a new one for the next answer')
    const { think, thinkEnd, call, callEnd } = this.#tag
    if (this.#stopIds.has(id)) this.#leave('stop')
    else if (id === think && this.#state !== 'reasoning' && this.#state !== 'call') this.#enter('reasoning')
    else if (id === thinkEnd && this.#state === 'reasoning') this.#enter('text')
    else if (id === call) this.#enter('call')
    else if (id === callEnd && this.#state === 'call') this.#enter('text')
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

  #enter(state: 'reasoning' | 'text' | 'call'): void {
    if (this.#state === 'reasoning' && state === 'call') this.#out.warn('unexpected-token', 'a tool call began inside the thinking')
    this.#leave('tag')
    this.#state = state
    this.#trimsStart = true
    if (state === 'call') this.#beginCall()
  }

  /** Closes what is open: because a tag follows, because the model stopped, or because the ids ended. */
  #leave(why: 'tag' | 'stop' | 'cut'): void {
    if (why === 'tag') this.#write(this.#stream.end()) // of a character that the end of the answer cuts nothing is shown
    this.#stream = this.#tokenizer.stream()
    if (this.#state === 'call') this.#call.end(why === 'tag' || (this.#isBare && why === 'stop'))
    else {
      if (this.#state === 'text' && why !== 'tag') this.#out.write(this.#held)
      this.#out.end()
      if (this.#state === 'reasoning' && why !== 'tag') this.#out.warn('unfinished-reasoning', 'the answer ended inside the thinking')
    }
    this.#held = ''
    this.#state = 'text'
  }

  #write(text: string): void {
    if (text === '') return
    if (this.#state === 'call') {
      this.#call.write(text)
      return
    }
    let all = this.#held + text
    if (this.#out.open === undefined) {
      if (this.#isBare && this.#state === 'text' && /^\s*(\{|$)/.test(all)) {
        this.#held = all
        if (all.includes('{')) this.#beginCall(all)
        return
      }
      if (this.#trimsStart) all = all.replace(/^\n+/, '')
      if (all === '') return
      if (this.#state === 'start') this.#state = 'text'
      this.#trimsStart = false
      this.#out.begin(this.#state === 'reasoning' ? { kind: 'reasoning' } : { kind: 'text', phase: 'final' })
    }
    this.#held = /\n*$/.exec(all)![0]
    this.#out.write(all.slice(0, all.length - this.#held.length))
  }

  /** @param text of the call that was already read */
  #beginCall(text = ''): void {
    this.#state = 'call'
    this.#held = ''
    this.#call = new TagCall(this.#out, offeredTools(this.#options), this.#isBare)
    this.#call.write(text)
  }

  #forcedIds(): ForcedIds {
    const ids = (text: string) => this.#tokenizer.encodeTemplate(text)
    const toText = (): number[] => {
      if (this.#state === 'start') return ids('<think>\n\n</think>\n\n')
      if (this.#state === 'reasoning') return ids('\n</think>\n\n')
      return this.#state === 'call' && !this.#isBare ? ids('\n</tool_call>\n') : []
    }
    return {
      text: toText,
      toolCall: (name) => {
        const between = this.#state === 'text' && this.#out.open !== undefined ? '\n' : ''
        const call = ids(this.#isBare ? '{"name": ' : `${between}<tool_call>\n{"name": `)
        const args = this.#isBare ? ', "parameters": ' : ', "arguments": '
        return [...toText(), ...call, ...this.#tokenizer.encode(JSON.stringify(name)), ...ids(args)]
      },
      endToolCall: () => ids(this.#isBare ? '}' : '}\n</tool_call>'),
      endReasoning: () => (this.#state === 'reasoning' ? [...this.#tokenizer.encode(BUDGET_SENTENCE), ...toText()] : []),
    }
  }
}
