/**
 * The text of a block of tool calls -> events. Reads JSON objects one after another or in a list, Mistral's and Gemma's calls with a
 * bare name, Qwen3-Coder's tags and Python calls; which of them is seen by how the text begins. Arguments in JSON come out while they
 * are written. No text is lost: what is no call comes out as text.
 */
import { parsed } from '../../../json/json.ts'
import type { ToolDefinition } from '../../messages.ts'
import { newCallId, type PartWriter } from '../part-writer.ts'
import { type CoderCall, readCoder } from '../qwen/coder-reader.ts'
import { ArgumentStream } from './argument-stream.ts'
import { readHead } from './json-head.ts'
import { readPythonCalls } from './python-calls.ts'

export interface BlockStart {
  tools: readonly ToolDefinition[]
  /** Text that ends the block, where no token does. */
  closeText?: string
  /** The marker, where it was written as text: it is text again if no call follows. Undefined after a token. */
  openText?: string
  /** No marker began the block. Then only an offered name with arguments is a call. */
  isBare?: boolean
  /** Whether a marker is expected at the end. */
  needsClose?: boolean
}

/** No beginning of a call is longer; a block that goes on without one is read when it ends. */
const LONGEST_HEAD = 1024
/** What stands between calls. */
const BETWEEN = /^[\s,;[\]]*/
/** Mistral's and Gemma's calls before the arguments. */
const NAMED = /^(?:call:)?([^\s[\]{}()<>"':,]+)\s*(?:\[CALL_ID\]\s*[\w-]*\s*)?(?:\[ARGS\]\s*)?(?=\{)/
/** The same when only the arguments are missing. */
const NAMED_START = /^(?:call:([^\s[\]{}()<>"':,]+)|\S*\[ARGS\]\s*)$/
/** What may follow the arguments in the object of a call. */
const TAIL = /^\s*(?:,\s*"(?:id|type|index|call_id)"\s*:\s*(?:"(?:[^"\\]|\\.)*"|[\w.-]+)\s*)*/s
const TAIL_START = /^,\s*(?:"\w*(?:"\s*(?::\s*(?:"[^"]*)?)?)?)?$/
const CODER_TAGS = ['<function=', '<tool_call>', '</tool_call>']

export class CallBlock {
  readonly #out: PartWriter
  readonly #start: BlockStart
  /** What was written and belongs to no call yet. */
  #text = ''
  #state: 'between' | 'tail' | 'arguments' | 'coder' | 'coder function' | 'other' = 'between'
  #arguments = new ArgumentStream()
  /** The open call is an object, a bare name before arguments, or Gemma's call, whose arguments are no JSON. */
  #form: 'object' | 'named' | 'gemma' = 'object'
  /** Lists that are open. */
  #lists = 0
  #calls = 0
  /** Where text of a Coder function was last searched for its end. */
  #searched = 0
  #awaitsArguments = false
  #ended = false
  /** The text that ended the block. */
  #closedBy = ''

  constructor(out: PartWriter, start: BlockStart) {
    this.#out = out
    this.#start = start
  }

  /** The name is known and the arguments are not complete. */
  get inArguments(): boolean {
    return this.#state === 'arguments' || this.#awaitsArguments
  }

  /** Whether nothing but blanks was written. */
  get isEmpty(): boolean {
    return this.#calls === 0 && this.#state === 'between' && this.#text.trim() === ''
  }

  /** Whether a tag that the model writes now is text: within a string, or a value of Qwen3-Coder's. */
  get keepsTags(): boolean {
    return this.#state === 'coder function' || (this.#state === 'arguments' && this.#arguments.inString)
  }

  /** @returns undefined while the block goes on, else the text after it, perhaps none */
  write(text: string): string | undefined {
    this.#text += text
    if (this.#start.tools.length === 0) return this.#searchClose()
    for (;;) {
      const state = this.#state
      const before = this.#text.length
      const rest = this.#step(false)
      if (rest !== undefined) return rest
      if (this.#state === state && this.#text.length === before) return undefined
    }
  }

  /** A closing tag that came as a token although `keepsTags`. @returns whether it ends the block */
  closes(tag: string): boolean {
    if (this.#state !== 'coder function') return false
    this.#text += tag
    this.#readCoder(false)
    if (this.#state !== 'coder function') return true
    this.#text = this.#text.slice(0, -tag.length)
    return false
  }

  /**
   * Closes what is open. Text that is no call comes out here.
   * @param isClosed whether the model ended the block; otherwise the answer was cut
   */
  end(isClosed: boolean): void {
    const { tools, isBare } = this.#start
    if (this.#ended) return
    this.#ended = true
    if (tools.length === 0) {
      this.#out.warn('unknown-tool', 'the model calls a tool, and none was offered')
      this.#asText(this.#text)
      return
    }
    this.#finish(isClosed)
    const rest = this.#text.replace(BETWEEN, '')
    if (rest === '' && this.#calls > 0) {
      if (isClosed && this.#lists !== this.#closedLists()) this.#repaired('a bracket of the list of calls is missing or one too many')
    } else if (!isBare || this.#calls > 0) {
      this.#out.warn('malformed-tool-call', 'a tool call that cannot be read is handed out as text')
      this.#asText(this.#text)
    } else this.#asText(this.#text)
  }

  /** Brackets of the list of calls that the end of the text closes. */
  #closedLists(): number {
    return [...this.#text].reduce((count, char) => count + (char === ']' ? 1 : char === '[' ? -1 : 0), 0)
  }

  /** Reads as far as possible what a block holds that goes no further. */
  #finish(isClosed: boolean): void {
    if (this.#state === 'coder' || this.#state === 'coder function') this.#readCoder(true)
    for (let before = ''; before !== this.#state + this.#text.length; ) {
      before = this.#state + this.#text.length
      if (this.#state === 'arguments') this.#endArguments(isClosed)
      else if (this.#state !== 'coder') this.#text = this.#step(true) ?? this.#text
    }
    if (this.#calls > 0 || this.#start.isBare) return
    const body = this.#text.trim()
    const python = readPythonCalls(body, this.#start.tools)
    for (const call of python ?? []) this.#whole(call.name, call.arguments)
    if (python) this.#text = ''
  }

  /** One step in the present state. @returns the text after the block when the block is over */
  #step(isWhole: boolean): string | undefined {
    switch (this.#state) {
      case 'between':
        return this.#between(isWhole)
      case 'arguments':
        return this.#stream()
      case 'tail':
        return this.#tail(isWhole)
      case 'coder function':
        if (isWhole || this.#text.indexOf('</function>', this.#searched) >= 0) this.#readCoder(isWhole)
        this.#searched = Math.max(0, this.#text.length - '</function>'.length)
        return undefined
      case 'coder':
        return this.#afterFunction()
      default:
        return this.#searchClose()
    }
  }

  /** Text that ends the block, where no token does. */
  #searchClose(): string | undefined {
    const { closeText } = this.#start
    const at = closeText === undefined || this.#ended ? -1 : this.#text.indexOf(closeText)
    if (at < 0) return undefined
    const rest = this.#text.slice(at + closeText!.length)
    this.#text = this.#text.slice(0, at)
    this.#closedBy = closeText!
    this.end(true)
    return rest
  }

  #between(isWhole: boolean): string | undefined {
    const { tools, isBare, closeText } = this.#start
    this.#awaitsArguments = false
    const gap = BETWEEN.exec(this.#text)![0]
    const text = this.#text.slice(gap.length)
    if (text === '') return undefined
    if (closeText !== undefined && !isWhole) {
      if (text.startsWith(closeText)) return this.#searchClose()
      if (closeText.startsWith(text)) return undefined
    }
    if (text[0] === '{') {
      const isName = (name: string, isComplete: boolean) =>
        isBare ? tools.some((tool) => (isComplete ? tool.name === name : tool.name.startsWith(name))) : true
      const isLong = text.length > LONGEST_HEAD
      const head = isLong && !isWhole && !isBare ? undefined : readHead(text, isName, isBare === true, isWhole || isLong)
      if (head?.kind === 'arguments') {
        this.#begin(head.name, gap, 'object')
        this.#text = text.slice(head.at)
        return undefined
      }
      if (head?.kind === 'call') {
        this.#count(gap)
        this.#text = text.slice(head.end)
        this.#whole(head.name, head.arguments, head.isRepaired)
        return undefined
      }
      this.#awaitsArguments = head?.kind === 'open' && head.awaitsArguments === true
      return head?.kind === 'none' ? this.#noCall(gap) : this.#searchClose()
    }
    if (isBare) return this.#noCall(gap)
    if (text[0] === '<') {
      if (CODER_TAGS.some((tag) => tag.startsWith(text) && tag !== text)) return undefined
      if (text.startsWith('<function=')) {
        this.#state = 'coder function'
        this.#text = text
        return undefined
      }
    }
    const named = NAMED.exec(text)
    if (named) {
      this.#begin(named[1]!, gap, named[0].startsWith('call:') ? 'gemma' : 'named')
      this.#text = text.slice(named[0].length)
      return undefined
    }
    const start = NAMED_START.exec(text)
    this.#awaitsArguments = start !== null && (start[1] === undefined || tools.some(({ name }) => name === start[1]))
    // The beginning of a bare name, or of Python.
    if (/^[\p{L}_]/u.test(text) && this.#calls === 0) return this.#searchClose()
    return this.#noCall(gap)
  }

  /** Text where a call was expected. */
  #noCall(gap: string): string | undefined {
    const { isBare, needsClose } = this.#start
    if (needsClose || (this.#calls === 0 && !isBare)) {
      this.#state = 'other'
      return undefined
    }
    // Nothing marks the end of such blocks. Brackets of the list that was open are the format's.
    const isText = this.#calls === 0
    const rest = (isText ? gap : gap.replace(/\]/g, () => (this.#lists-- > 0 ? '' : ']'))) + this.#text.slice(gap.length)
    this.#text = ''
    return isText ? rest : rest.trimStart()
  }

  #count(gap: string): void {
    for (const char of gap) {
      if (char === '[') this.#lists++
      else if (char === ']') this.#lists--
    }
  }

  #begin(name: string, gap: string, form: 'object' | 'named' | 'gemma'): void {
    this.#count(gap)
    this.#open(name)
    this.#arguments = new ArgumentStream()
    this.#form = form
    this.#state = 'arguments'
  }

  #open(name: string): void {
    this.#calls++
    if (!this.#start.tools.some((tool) => tool.name === name))
      this.#out.warn('unknown-tool', `the model calls ${JSON.stringify(name)}, which was not offered`)
    this.#out.begin({ kind: 'tool-call', id: newCallId(), name })
  }

  #whole(name: string, args: string, isRepaired = false): void {
    this.#open(name)
    this.#out.write(args)
    this.#out.end()
    if (isRepaired) this.#repaired('the arguments of a tool call were not JSON, and there was one way to read them')
    else if (parsed(args) === undefined) this.#warnNotJson()
  }

  #stream(): string | undefined {
    const args = this.#arguments
    this.#out.write(args.write(this.#text))
    this.#text = ''
    const { closeText } = this.#start
    if (args.end === undefined) {
      if (!args.isHeld || closeText === undefined || !args.text.includes(closeText)) return undefined
      // What is kept back is read as soon as the block ends.
      const at = args.text.indexOf(closeText)
      const rest = args.text.slice(at + closeText.length)
      this.#endArguments(true, at)
      this.end(true)
      return rest
    }
    this.#endArguments(true)
    return undefined
  }

  /** @param until the arguments are within so many characters of what was written */
  #endArguments(isClosed: boolean, until?: number): void {
    const args = this.#arguments
    const { rest, end, isRepaired, isComplete } = args.finish(isClosed, until)
    this.#out.write(rest)
    const written = this.#out.end()
    this.#text = args.text.slice(end, until) + this.#text
    this.#state = this.#form === 'object' ? 'tail' : 'between'
    if (!isComplete && !isClosed) this.#out.warn('unfinished-tool-call', 'the answer ended inside a tool call')
    else if (parsed(written) === undefined) this.#warnNotJson()
    else if (isRepaired && this.#form !== 'gemma')
      this.#repaired('the arguments of a tool call were not JSON, and there was one way to read them')
  }

  #tail(isWhole: boolean): string | undefined {
    const text = this.#text.slice(TAIL.exec(this.#text)![0].length)
    const brackets = /^(?:\]\s*)?\}/.exec(text)?.[0]
    if (brackets !== undefined) {
      if (brackets !== '}') this.#repaired('a bracket of a tool call is one too many')
      this.#text = text.slice(brackets.length)
    } else if (!isWhole && (text === '' || /^\]\s*$/.test(text) || TAIL_START.test(text))) return undefined
    else if (text === '' && isWhole) this.#text = ''
    else if (text !== '') this.#repaired('the closing bracket of a tool call is missing')
    this.#state = 'between'
    return undefined
  }

  #readCoder(isWhole: boolean): void {
    const reading = readCoder(this.#text, this.#start.tools, isWhole)
    for (const call of reading.calls) this.#coderCall(call)
    this.#text = this.#text.slice(reading.end)
    this.#searched = 0
    if (reading.isRepaired && reading.calls.some((call) => !call.isCut)) this.#repaired('a tag of a tool call is missing or incomplete')
    if (reading.text.trim() !== '') {
      this.#out.warn('malformed-tool-call', 'text between the parts of a tool call is handed out as text')
      this.#asText(reading.text)
    }
    if (!reading.isOpen) this.#state = 'coder'
  }

  #coderCall({ name, arguments: args, problems, isCut }: CoderCall): void {
    this.#open(name)
    this.#out.write(args)
    this.#out.end()
    for (const problem of problems) this.#out.warn('malformed-tool-call', `${problem}; its value is handed out as text`)
    if (isCut) this.#out.warn('unfinished-tool-call', 'the answer ended inside a tool call')
  }

  /** After a Coder function: another one, the end of the block, or other text. */
  #afterFunction(): string | undefined {
    const text = this.#text.trimStart()
    if (text.startsWith('</tool_call>')) return text.slice('</tool_call>'.length)
    if (text.startsWith('<function=') || text.startsWith('<tool_call>')) {
      this.#state = 'coder function'
      return undefined
    }
    if (text === '' || CODER_TAGS.some((tag) => tag.startsWith(text))) return undefined
    this.#text = ''
    if (this.#start.needsClose) this.#out.warn('malformed-tool-call', 'text follows a tool call within its block')
    return text
  }

  #asText(text: string): void {
    const { tools, isBare, openText = '' } = this.#start
    const all = this.#calls === 0 && openText !== '' ? openText + text + this.#closedBy : text
    if (all.trim() === '') return
    this.#out.begin(tools.length === 0 ? { kind: 'reasoning' } : { kind: 'text', phase: 'final' })
    this.#out.write(isBare ? all : all.trim())
    this.#out.end()
  }

  #repaired(message: string): void {
    this.#out.warn('repaired-tool-call', message)
  }

  #warnNotJson(): void {
    this.#out.warn('arguments-not-json', 'the arguments of a tool call are not JSON and are handed out as they are')
  }
}
