/**
 * Harmony the other way: what a model generates -> events for its reader. Stop 10 of the walk.
 * The reader finds messages in the ids; this file says what each means: analysis is reasoning, final is text, commentary is text ahead
 * of tool calls, and a message with a recipient is a tool call. Nothing the model writes can make it throw or lose text.
 */
import { parsed } from '../../../json/json.ts'
import type { Tokenizer } from '../../../tokenizer/tokenizer.ts'
import {
  type ChatEvent,
  type ChatParser,
  type ForcedIds,
  offeredTools,
  type Region,
  type RenderOptions,
  type WarningCode,
} from '../../messages.ts'
import { newCallId, PartWriter } from '../part-writer.ts'
import type { ToolNames } from '../tool-names.ts'
import type { Header } from './header.ts'
import type { Markers } from './message.ts'
import { HarmonyReader } from './reader.ts'

/** A call of which it is not yet clear where its arguments begin, nor on the channel analysis whether it is one. */
interface PendingCall {
  name: string
  text: string
  onAnalysis: boolean
}

export class HarmonyParser implements ChatParser {
  readonly force: ForcedIds
  readonly #reader: HarmonyReader
  readonly #out = new PartWriter()
  readonly #names: ToolNames
  readonly #builtins: readonly string[]
  readonly #toolsOffered: boolean
  #pending: PendingCall | undefined
  /** The arguments of the open call are code, not JSON. */
  #isCode = false
  /** The open message belongs to someone else's turn, which the model invents. */
  #isInvented = false
  #finals = 0
  #ended = false

  /** @param opening ids of the assistant's message that the prompt already contains, after its role. */
  constructor(tokenizer: Tokenizer, marker: Markers, names: ToolNames, options: RenderOptions, opening: readonly number[]) {
    this.#names = names
    this.#builtins = options.builtinTools ?? []
    this.#toolsOffered = this.#builtins.length > 0 || offeredTools(options).length > 0
    const listener = {
      begin: (header: Header) => this.#begin(header),
      text: (delta: string) => this.#write(delta),
      end: (complete: boolean) => this.#end(complete),
      warn: (code: WarningCode, message: string) => this.#out.warn(code, message),
    }
    this.#reader = new HarmonyReader(tokenizer, marker, listener, 'assistant', { dropsCut: true, longestName: names.longest })
    for (const id of opening) this.#reader.push(id)
    this.#out.restart()
    this.#finals = 0
    this.force = this.#forcedIds(tokenizer, marker)
  }

  get region(): Region {
    if (this.#reader.state !== 'content') return 'header'
    if (this.#isInvented) return 'reasoning'
    const part = this.#out.open
    if (part === undefined || part.kind === 'tool-call') return 'tool-call'
    if (part.kind === 'reasoning') return 'reasoning'
    return part.phase === 'final' ? 'text' : 'commentary'
  }

  get isOver(): boolean {
    return this.#reader.state === 'content' && this.#isInvented
  }

  push(id: number): ChatEvent[] {
    if (this.#ended) throw new RangeError('this parser has ended; take a new one for the next answer')
    this.#reader.push(id)
    return this.#out.take()
  }

  end(): ChatEvent[] {
    this.#reader.end()
    this.#ended = true
    return this.#out.take()
  }

  #begin(header: Header): void {
    for (const { code, message } of header.warnings) this.#out.warn(code, message)
    this.#isInvented = header.role !== 'assistant'
    if (this.#isInvented)
      this.#out.warn('unknown-role', `the model began a turn of the role ${header.role}; the answer ends there, text after it is reasoning`)
    else if (header.recipient !== undefined) this.#beginCall(header.recipient, header.channel === 'analysis')
    else if (header.channel === 'analysis') this.#out.begin({ kind: 'reasoning' })
    else if (header.channel === 'commentary') this.#out.begin({ kind: 'text', phase: 'commentary' })
    else {
      if (header.channel === 'final' && ++this.#finals > 1 && !header.warnings.some(({ code }) => code === 'missing-header'))
        this.#out.warn('repeated-channel', 'another final message in one answer; both are kept')
      this.#out.begin({ kind: 'text', phase: 'final' })
    }
  }

  #beginCall(recipient: string, onAnalysis: boolean): void {
    const identifier = recipient.replace(/^functions\./, '')
    const builtin = this.#builtins.includes(identifier.split('.')[0]!)
    let name = builtin ? identifier : this.#names.toName(identifier)
    if (name === undefined) {
      name = this.#names.toLikelyName(recipient)
      if (name !== undefined) this.#out.warn('malformed-header', `recipient ${JSON.stringify(recipient)} read as ${JSON.stringify(name)}`)
      else this.#out.warn('unknown-tool', `the model calls ${JSON.stringify(recipient)}, which was not offered`)
    }
    this.#isCode = builtin && identifier === 'python'
    if (this.#toolsOffered) this.#pending = { name: name ?? identifier, text: '', onAnalysis: onAnalysis && !builtin }
    else this.#out.begin({ kind: 'reasoning' }) // no tool was offered that could run it
  }

  #write(delta: string): void {
    const call = this.#pending
    if (call === undefined) {
      if (this.#isInvented && this.#out.open === undefined) this.#out.begin({ kind: 'reasoning' })
      this.#out.write(delta)
      return
    }
    call.text += delta
    if (this.#isCode || (call.onAnalysis ? /^\s*\{/ : /^\s*[{[]/).test(call.text)) this.#openCall(call.name, call.text)
  }

  #end(complete: boolean): void {
    if (this.#pending) this.#placeArguments(this.#pending, complete)
    const isCall = this.#out.open?.kind === 'tool-call'
    const text = this.#out.end()
    if (isCall && !complete) this.#out.warn('unfinished-tool-call', 'the answer ended inside the arguments of a tool call')
    else if (isCall && !this.#isCode && text !== '' && parsed(text) === undefined)
      this.#out.warn('arguments-not-json', 'the arguments of a tool call are not JSON and are handed out as they are')
  }

  #openCall(name: string, text: string): void {
    this.#pending = undefined
    this.#out.begin({ kind: 'tool-call', id: newCallId(), name })
    this.#out.write(text)
  }

  /**
   * Some reasoning may stand in front of the JSON. Where no JSON follows, all of it is handed out as arguments, or as reasoning on the
   * channel of reasoning. No text at all means a call without arguments.
   */
  #placeArguments({ name, text, onAnalysis }: PendingCall, complete: boolean): void {
    if (text.trim() === '' && complete && !this.#isCode && !onAnalysis) {
      this.#openCall(name, `${text}{}`)
      return
    }
    let start = text.indexOf('{')
    for (let tries = 0; start > 0 && tries < 32 && parsed(text.slice(start)) === undefined; tries++) start = text.indexOf('{', start + 1)
    if (start > 0 && parsed(text.slice(start)) !== undefined) {
      this.#out.warn('reasoning-in-arguments', 'the model wrote reasoning in front of the arguments of a tool call')
      this.#out.begin({ kind: 'reasoning' })
      this.#out.write(text.slice(0, start))
    } else if (onAnalysis) {
      this.#pending = undefined
      this.#out.warn(
        'malformed-tool-call',
        `a message to ${JSON.stringify(name)} on the channel analysis is no call; its text is reasoning`,
      )
      this.#out.begin({ kind: 'reasoning' })
      this.#out.write(text)
      return
    } else start = 0
    this.#openCall(name, text.slice(start))
  }

  #forcedIds(tokenizer: Tokenizer, marker: Markers): ForcedIds {
    const reader = this.#reader
    const ids = (text: string) => tokenizer.encode(text)
    const toHeader = () => {
      if (reader.atHeaderStart) return []
      const close = reader.state === 'header' ? [marker.message, marker.end] : reader.state === 'content' ? [marker.end] : []
      return [...close, marker.start, ...ids('assistant')]
    }
    const text = () => [...toHeader(), marker.channel, ...ids('final'), marker.message]
    const toolCall = (name: string) => {
      const channel = [marker.channel, ...ids('commentary'), ...ids(' '), marker.constrain, ...ids('json')]
      return [...toHeader(), ...ids(` to=functions.${this.#names.toIdentifier(name)}`), ...channel, marker.message]
    }
    return {
      text: () => (this.region === 'text' ? [] : text()),
      toolCall,
      endToolCall: () => [marker.call],
      endReasoning: () => (this.region === 'reasoning' || reader.state === 'between' ? toHeader() : []),
    }
  }
}
