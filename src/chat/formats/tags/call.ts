/**
 * One tool call, between tags or as a bare JSON answer. `{"name": …, "arguments": …}` streams its arguments as they come; Qwen3-Coder's
 * tags are read at the end. A block that is neither becomes text with a warning; a bare answer that is no call is text.
 */
import { asObject, parsed } from '../../../json/json.ts'
import type { ToolDefinition } from '../../messages.ts'
import { newCallId, type PartWriter } from '../part-writer.ts'
import { readCoderCall } from '../qwen/coder.ts'
import { pythonJson } from '../qwen/python-json.ts'

const head = /^\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"(?:arguments|parameters)"\s*:\s*/
/** No head of a call is longer; blocks that go on without one are read when they end. */
const LONGEST_HEAD = 1024

export class TagCall {
  readonly #out: PartWriter
  readonly #tools: readonly ToolDefinition[]
  readonly #isBare: boolean
  #body = ''
  #name: string | undefined
  /** The arguments are on their way out; all of them are; where we are in them. */
  #streaming = false
  #complete = false
  #depth = 0
  #inString = false
  #escaped = false

  constructor(out: PartWriter, tools: readonly ToolDefinition[], isBare = false) {
    this.#out = out
    this.#tools = tools
    this.#isBare = isBare
  }

  /** The name is known and the arguments are not complete. */
  get inArguments(): boolean {
    return this.#name !== undefined && !this.#complete
  }

  write(text: string): void {
    if (this.#streaming) {
      this.#stream(text)
      return
    }
    this.#body += text
    if (this.#tools.length === 0 || this.#body.length > LONGEST_HEAD) return
    const match = head.exec(this.#body)
    if (match === null) return
    const rest = this.#body.slice(match[0].length)
    this.#name ??= parsed(match[1]!) as string | undefined
    if (this.#name === undefined || !/^[{[]/.test(rest)) return
    this.#begin(this.#name)
    this.#streaming = true
    this.#stream(rest)
  }

  /** @param closed whether the block was ended by the model; it may have forgotten to. */
  end(closed: boolean): void {
    if (this.#streaming) {
      const text = this.#out.end()
      if (!closed && !this.#complete) this.#warnUnfinished()
      else if (parsed(text) === undefined)
        this.#out.warn('arguments-not-json', 'the arguments of a tool call are not JSON and are handed out as they are')
      return
    }
    const json = this.#tools.length > 0 ? readJsonCall(this.#body) : undefined
    const call = json ?? (this.#tools.length > 0 ? readCoderCall(this.#body, this.#tools) : undefined)
    if (call) this.#whole(call.name, call.arguments)
    else if (this.#name !== undefined && !closed) this.#whole(this.#name, this.#body.replace(head, ''))
    else this.#asText()
    const isCut = !closed && json === undefined && (this.#name !== undefined || (call !== undefined && !this.#body.includes('</function>')))
    if (isCut) this.#warnUnfinished()
  }

  #whole(name: string, args: string): void {
    this.#begin(name)
    this.#out.write(args)
    this.#out.end()
  }

  #asText(): void {
    if (this.#tools.length === 0) this.#out.warn('unknown-tool', 'the model calls a tool, and none was offered')
    else if (!this.#isBare) this.#out.warn('malformed-tool-call', 'a tool call that cannot be read is handed out as text')
    this.#out.begin(this.#tools.length === 0 ? { kind: 'reasoning' } : { kind: 'text', phase: 'final' })
    this.#out.write(this.#isBare ? this.#body : this.#body.trim())
    this.#out.end()
  }

  #begin(name: string): void {
    if (!this.#tools.some((tool) => tool.name === name))
      this.#out.warn('unknown-tool', `the model calls ${JSON.stringify(name)}, which was not offered`)
    this.#out.begin({ kind: 'tool-call', id: newCallId(), name })
  }

  #warnUnfinished(): void {
    this.#out.warn('unfinished-tool-call', 'the answer ended inside a tool call')
  }

  /** Writes the arguments up to the bracket that closes them; the rest is the block's own. */
  #stream(text: string): void {
    let at = 0
    while (at < text.length && !this.#complete) {
      const char = text[at++]!
      if (this.#escaped) this.#escaped = false
      else if (this.#inString) {
        if (char === '\\') this.#escaped = true
        else if (char === '"') this.#inString = false
      } else if (char === '"') this.#inString = true
      else if (char === '{' || char === '[') this.#depth++
      else if ((char === '}' || char === ']') && --this.#depth === 0) this.#complete = true
    }
    this.#out.write(text.slice(0, at))
  }
}

function readJsonCall(body: string): { name: string; arguments: string } | undefined {
  const { name, arguments: args, parameters } = asObject(parsed(body))
  if (typeof name !== 'string') return undefined
  const given = args ?? parameters ?? {}
  return { name, arguments: typeof given === 'string' ? given : pythonJson(given) }
}
