/**
 * The text of a block of tool calls -> events. Reads JSON objects one after another or in a list, Mistral's and Gemma's calls with a
 * bare name, Qwen3-Coder's tags and Python calls; which of them is seen by how the text begins. Arguments in JSON come out while they
 * are written. No text is lost: what is no call comes out as text.
 */
import type { ToolDefinition } from '../../messages.ts'
import type { PartWriter } from '../part-writer.ts'
import { readCoder } from '../qwen/coder-reader.ts'
import { ArgumentStream } from './argument-stream.ts'
import { CallWriter } from './call-writer.ts'
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

type Form = 'object' | 'named' | 'function' | 'gemma'

/** No beginning of a call is longer; a block that goes on without one is read when it ends. */
const LONGEST_HEAD = 1024
/** What stands between calls. */
const BETWEEN = /^[\s,;[\]]*/
/** Mistral's and Gemma's calls before the arguments. */
const NAMED = /^(?:call:)?([\p{L}_][\p{L}\p{N}_.-]*)\s*(?:(?:\[CALL_ID\]\s*[\w-]*\s*)?\[ARGS\]\s*)?(?=\{)/u
/** The same when only the arguments are missing. */
const NAMED_START = /^(?:call:([\p{L}_][\p{L}\p{N}_.-]*)|\S*\[ARGS\]\s*)$/u
/** Qwen3-Coder's function before its arguments: tags, or an object where an answer is held to a schema. */
const FUNCTION_HEAD = /^<function=([^<>\n]+)(>\s*)?$/
const FUNCTION_OBJECT = /^<function=([^<>\n]+)>\s*(?=\{)/
const FUNCTION_END = '</function>'
/** A fence around calls within their block: before an object, while it may still be one, and behind it. */
const FENCE = /^```(?:json\b)?\s*(?=[{[])/
const FENCE_START = /^`{1,3}(?:j|js|jso|json)?\s*$/
const FENCE_END = /^```\s*$/
/** What may follow the arguments in the object of a call. */
const TAIL = /^\s*(?:,\s*"(?:id|type|index|call_id)"\s*:\s*(?:"(?:[^"\\]|\\.)*"|[\w.-]+)\s*)*/s
const TAIL_START = /^,\s*(?:"\w*(?:"\s*(?::\s*(?:"[^"]*)?)?)?)?$/
const CODER_TAGS = ['<function=', '<tool_call>', '</tool_call>']

export class CallBlock {
  readonly #start: BlockStart
  /** What was written and belongs to no call yet. */
  #text = ''
  #state: 'between' | 'tail' | 'arguments' | 'coder' | 'coder function' | 'coder tail' | 'other' = 'between'
  #arguments = new ArgumentStream()
  /** The open call is an object, a name or a function's tag before arguments, or Gemma's call, whose arguments are no JSON. */
  #form: Form = 'object'
  /** Lists that are open. */
  #lists = 0
  readonly #calls: CallWriter
  /** Where text of a Coder function was last searched for its end. */
  #searched = 0
  #awaitsArguments = false
  #ended = false
  /** The model ended the block. */
  #isClosed = false
  /** The arguments that ended last were not JSON. */
  #wasRepaired = false
  /** The text that ended the block. */
  #closedBy = ''

  constructor(out: PartWriter, start: BlockStart) {
    this.#calls = new CallWriter(out, start.tools)
    this.#start = start
  }

  /** The name is known and the arguments are not complete. */
  get inArguments(): boolean {
    return this.#state === 'arguments' || this.#awaitsArguments
  }

  /** The function of which nothing but the opening tag was written, and whether the tag is closed. */
  get begun(): { name: string; isClosed: boolean } | undefined {
    const head = this.#state === 'between' || this.#state === 'coder function' ? FUNCTION_HEAD.exec(this.#text.trimStart()) : null
    return head ? { name: head[1]!, isClosed: head[2] !== undefined } : undefined
  }

  /** Whether the open call, or the one that ended last, has its arguments after a function's tag. */
  get isFunction(): boolean {
    return this.#form === 'function'
  }

  /** Whether nothing but blanks was written. */
  get isEmpty(): boolean {
    return this.#calls.count === 0 && this.#state === 'between' && this.#text.trim() === ''
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
    this.#isClosed = isClosed
    if (tools.length === 0) {
      this.#calls.notOffered()
      this.#asText(this.#text)
      return
    }
    this.#finish(isClosed)
    const rest = this.#text.replace(BETWEEN, '')
    if (rest === '' && this.#calls.count > 0) {
      if (isClosed && this.#lists !== this.#closedLists()) this.#calls.repaired('a bracket of the list of calls is missing or one too many')
    } else if (!isBare || this.#calls.count > 0) {
      this.#calls.malformed('a tool call that cannot be read is handed out as text')
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
    if (this.#state === 'coder' && this.#text.trim() !== '') this.#readCoder(true)
    if (this.#calls.count > 0 || this.#start.isBare) return
    const body = this.#text.trim()
    const python = readPythonCalls(body, this.#start.tools)
    for (const call of python ?? []) this.#calls.whole(call.name, call.arguments)
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
      case 'coder tail':
        return this.#afterObject(isWhole)
      case 'coder function': {
        const head = FUNCTION_OBJECT.exec(this.#text)
        if (head) {
          this.#begin(head[1]!.trim(), '', 'function')
          this.#text = this.#text.slice(head[0].length)
          return undefined
        }
        if (isWhole || this.#text.indexOf(FUNCTION_END, this.#searched) >= 0) this.#readCoder(isWhole)
        this.#searched = Math.max(0, this.#text.length - FUNCTION_END.length)
        return undefined
      }
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
    if (text[0] === '}' && this.#calls.count > 0) {
      this.#calls.repaired('a bracket of a tool call is one too many')
      this.#count(gap)
      this.#text = text.slice(1)
      return undefined
    }
    if (closeText !== undefined && !isWhole) {
      if (text.startsWith(closeText)) return this.#searchClose()
      if (closeText.startsWith(text)) return undefined
    }
    if (!isBare && !closeText?.startsWith('`') && text[0] === '`') {
      const fence = (this.#calls.count === 0 ? FENCE : FENCE_END).exec(text)?.[0]
      if (!isWhole && FENCE_START.test(text)) return undefined
      if (fence === undefined || (this.#calls.count > 0 && !isWhole)) return this.#noCall(gap)
      if (this.#calls.count === 0) this.#calls.repaired('a fence around a tool call does not belong there')
      this.#text = gap + text.slice(fence.length)
      return undefined
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
        this.#calls.whole(head.name, head.arguments, head.isRepaired)
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
    if (this.#calls.count > 0) return this.#noCall(gap)
    const named = NAMED.exec(text)
    if (named) {
      this.#begin(named[1]!, gap, named[0].startsWith('call:') ? 'gemma' : 'named')
      this.#text = text.slice(named[0].length)
      return undefined
    }
    const start = NAMED_START.exec(text)
    this.#awaitsArguments = start !== null && (start[1] === undefined || tools.some(({ name }) => name === start[1]))
    // The beginning of a bare name, or of Python.
    if (/^[\p{L}_]/u.test(text)) return this.#searchClose()
    return this.#noCall(gap)
  }

  /** Text where a call was expected. */
  #noCall(gap: string): string | undefined {
    const { isBare, needsClose } = this.#start
    if (needsClose || (this.#calls.count === 0 && !isBare)) {
      this.#state = 'other'
      return undefined
    }
    // Nothing marks the end of such blocks. Brackets of the list that was open are the format's.
    const isText = this.#calls.count === 0
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

  #begin(name: string, gap: string, form: Form): void {
    this.#count(gap)
    this.#calls.begin(name)
    this.#arguments = new ArgumentStream()
    this.#form = form
    this.#state = 'arguments'
  }

  #stream(): string | undefined {
    const args = this.#arguments
    this.#calls.write(args.write(this.#text))
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
    this.#calls.write(rest)
    this.#wasRepaired = isRepaired
    this.#calls.end({ isRepaired: isRepaired && this.#form !== 'gemma', isCut: !isComplete && !isClosed })
    this.#text = args.text.slice(end, until) + this.#text
    this.#state = this.#form === 'object' ? 'tail' : this.#form === 'function' ? 'coder tail' : 'between'
  }

  #tail(isWhole: boolean): string | undefined {
    const text = this.#text.slice(TAIL.exec(this.#text)![0].length)
    const brackets = /^(?:\]\s*)?\}/.exec(text)?.[0]
    if (brackets !== undefined) {
      if (brackets !== '}') this.#calls.repaired('a bracket of a tool call is one too many')
      this.#text = text.slice(brackets.length)
    } else if (!isWhole && (text === '' || /^\]\s*$/.test(text) || TAIL_START.test(text))) return undefined
    else if (text !== '' || (this.#isClosed && !this.#wasRepaired)) this.#calls.repaired('the closing bracket of a tool call is missing')
    if (brackets === undefined && text === '') this.#text = ''
    this.#state = 'between'
    return undefined
  }

  #readCoder(isWhole: boolean): void {
    const reading = readCoder(this.#text, this.#start.tools, isWhole)
    for (const call of reading.calls) this.#calls.coder(call)
    this.#text = this.#text.slice(reading.end)
    this.#searched = 0
    if (reading.isRepaired && reading.calls.some((call) => !call.isCut))
      this.#calls.repaired('a tag of a tool call is missing or incomplete')
    if (reading.text.trim() !== '') {
      this.#calls.malformed('text between the parts of a tool call is handed out as text')
      this.#asText(reading.text)
    }
    if (!reading.isOpen) this.#state = 'coder'
  }

  /** After a Coder function: another one, the end of the block, or other text. */
  #afterFunction(): string | undefined {
    const text = this.#text.trimStart()
    if (text.startsWith('</tool_call>')) {
      this.#text = ''
      return text.slice('</tool_call>'.length)
    }
    if (text.startsWith('<tool_call>')) {
      this.#text = text.slice('<tool_call>'.length)
      return undefined
    }
    if (text.startsWith('<function=')) {
      this.#text = text
      this.#state = 'coder function'
      return undefined
    }
    if (text === '' || CODER_TAGS.some((tag) => tag.startsWith(text))) return undefined
    this.#text = ''
    if (this.#start.needsClose) this.#calls.malformed('text follows a tool call within its block')
    return text
  }

  /** After a function whose arguments are an object. */
  #afterObject(isWhole: boolean): undefined {
    const text = this.#text.trimStart()
    if (!isWhole && FUNCTION_END.startsWith(text) && text !== FUNCTION_END) return
    if (text.startsWith(FUNCTION_END)) this.#text = text.slice(FUNCTION_END.length)
    else if (!isWhole) this.#calls.repaired('a tag of a tool call is missing or incomplete')
    this.#state = 'coder'
  }

  #asText(text: string): void {
    const { isBare, openText = '' } = this.#start
    const all = this.#calls.count === 0 && openText !== '' ? openText + text + this.#closedBy : text
    this.#calls.text(isBare ? all : all.trim())
  }
}
