/**
 * Reads calls in Qwen3-Coder's syntax: `<function=NAME>`, `<parameter=KEY>`, the value on lines of its own, `</parameter>`, `</function>`.
 * Values are free text that may spell all of these tags. So a parameter begins only where the tool declares one of this name that
 * has no value yet, and it ends at a closing tag after which the call goes on or ends. What fits nowhere comes back as text.
 */
import { asObject, isObject, type Json } from '../../../json/json.ts'
import type { ToolDefinition } from '../../messages.ts'
import { readJson } from '../tags/lenient-json.ts'
import { objectText } from '../tags/python-calls.ts'

export interface CoderCall {
  name: string
  arguments: string
  /** What the tool declares otherwise, one sentence for each parameter. */
  problems: string[]
  /** The answer ended inside it. */
  isCut: boolean
}

export interface CoderReading {
  calls: CoderCall[]
  /** Text that belongs to no call. */
  text: string
  /** A tag was left out or a bracket was lost, and there was one reading. */
  isRepaired: boolean
  /** Index after the last call; a function that is still open begins there. */
  end: number
  isOpen: boolean
}

/** An opening tag may have lost its `>`; then its line ends it. */
const FUNCTION = /<function=([^<>\n]*)(>|\n|$)/y
const PARAMETER = /<parameter=([^<>\n]*)(>|\n|$)/y
const BLOCK_TAG = /<\/?tool_call>/y
const NEXT_FUNCTION = /<function=[^<>\n]*[>\n]/g
const NEXT_TAG = /<parameter=|<\/function>|<\/tool_call>|<function=/g
const TAG = /<parameter=([^<>\n]*)[>\n]|<\/parameter>/g
const CLOSE = '</parameter>'
/** What may follow the end of a value: the next parameter with its key, or an end of the call. */
const AFTER_VALUE = /\s*(?:<parameter=([^<>\n]*)|<\/function>|<\/?tool_call>|<function=)/y
/** Where a call ends whose tags do not come in pairs. */
const NEXT_CALL = /<\/parameter>\s*(?:<\/function>\s*)?<\/tool_call>\s*<tool_call>\s*<function=/
const END_WITHOUT_CLOSE = /<\/function>\s*(?:<\/tool_call>\s*)?(?:(?:<tool_call>\s*)?<function=|$)|<\/tool_call>\s*(?:<tool_call>|$)/

export function readCoder(text: string, tools: readonly ToolDefinition[], isWhole: boolean): CoderReading {
  return new CoderReader(text, tools, isWhole).read()
}

class CoderReader {
  readonly #text: string
  readonly #tools: readonly ToolDefinition[]
  readonly #isWhole: boolean
  readonly #reading: CoderReading = { calls: [], text: '', isRepaired: false, end: 0, isOpen: false }
  #at = 0

  constructor(text: string, tools: readonly ToolDefinition[], isWhole: boolean) {
    this.#text = text
    this.#tools = tools
    this.#isWhole = isWhole
  }

  read(): CoderReading {
    const reading = this.#reading
    while (!reading.isOpen) {
      this.#take(/\s*/y)
      if (this.#at >= this.#text.length) break
      if (this.#take(BLOCK_TAG)) {
        if (this.#isWhole) reading.end = this.#at
        continue
      }
      const head = this.#take(FUNCTION)
      if (head && (head[2] !== '' || this.#isWhole)) this.#function(head)
      else if (head || !this.#isWhole) reading.isOpen = head !== undefined || this.#text.startsWith('<function=', this.#at)
      else this.#junk(NEXT_FUNCTION)
      if (head === undefined && !this.#isWhole) break
      if (!reading.isOpen) reading.end = this.#at
    }
    return reading
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text) ?? undefined
    this.#at += found?.[0].length ?? 0
    return found
  }

  /** Text that has no place, up to a tag. */
  #junk(next: RegExp): void {
    next.lastIndex = this.#at + 1
    const end = next.exec(this.#text)?.index ?? this.#text.length
    this.#reading.text += this.#text.slice(this.#at, end)
    this.#at = end
  }

  #function([, written = '', close]: RegExpExecArray): void {
    const reading = this.#reading
    const name = nameOf(written)
    const parameters = asObject(this.#tools.find((tool) => tool.name === name)?.parameters)
    const properties = asObject(parameters.properties)
    const values = new Map<string, string>()
    const before = { text: reading.text, isRepaired: reading.isRepaired }
    if (close !== '>') reading.isRepaired = true
    const finish = (isCut: boolean) => {
      const problems: string[] = []
      const json = [...values].map(([key, value]): [string, string] => {
        const schema = Object.hasOwn(properties, key) ? properties[key] : undefined
        const converted = valueJson(value, kindsOf(schema, parameters))
        if (converted === undefined) problems.push(`the parameter ${JSON.stringify(key)} is not of the type that its tool declares`)
        return [key, converted ?? JSON.stringify(value)]
      })
      reading.calls.push({ name, arguments: objectText(json), problems, isCut })
    }
    for (;;) {
      this.#take(/\s*/y)
      if (this.#take(/<\/function>/y)) {
        finish(false)
        return
      }
      const head = this.#take(PARAMETER)
      if (head && (head[2] !== '' || this.#isWhole)) {
        if (head[2] !== '>') reading.isRepaired = true
        const key = nameOf(head[1]!)
        const isGiven = (other: string) => other === key || values.has(other)
        const value = this.#value(isGiven, (other) => Object.hasOwn(properties, other) && !isGiven(other))
        if (value === undefined) break
        values.set(key, value)
        continue
      }
      const rest = this.#text.slice(this.#at, this.#at + 64)
      if (head || rest === '' || (!this.#isWhole && /^<[^>\n]*$/.test(rest))) break
      if (/^(?:<\/?tool_call>|<function=)/.test(rest)) {
        reading.isRepaired = true
        finish(false)
        return
      }
      this.#junk(NEXT_TAG)
    }
    if (this.#isWhole) finish(true)
    else Object.assign(reading, before, { isOpen: true }) // it is read again when more of it is there
  }

  /**
   * The text of a parameter up to its end, without one line break at each end. Pairs of tags inside it are text.
   * @param isGiven whether a parameter of this name was written before
   * @param isNext whether a parameter of this name is declared and still missing
   * @returns undefined if its end has not come
   */
  #value(isGiven: (key: string) => boolean, isNext: (key: string) => boolean): string | undefined {
    const start = this.#at
    const valueTo = (end: number, next: number) => {
      this.#at = next
      return this.#text.slice(start, end).replace(/^\n/, '').replace(/\n$/, '')
    }
    let depth = 0
    let lastClose: number | undefined
    TAG.lastIndex = start
    for (let tag = TAG.exec(this.#text); tag !== null; tag = TAG.exec(this.#text)) {
      const key = tag[1] === undefined ? undefined : nameOf(tag[1])
      if (key !== undefined) {
        if (!/(?:^|\n)[ \t]*$/.test(this.#text.slice(Math.max(start, tag.index - 64), tag.index))) continue
        if (!isNext(key)) depth++
        else if (lastClose === undefined) {
          this.#reading.isRepaired = true
          return valueTo(tag.index, tag.index)
        } else {
          this.#reading.text += this.#text.slice(lastClose + CLOSE.length, tag.index).trim()
          return valueTo(lastClose, tag.index)
        }
      } else {
        lastClose = tag.index
        if (depth > 0) {
          depth--
          continue
        }
        AFTER_VALUE.lastIndex = TAG.lastIndex
        const after = AFTER_VALUE.exec(this.#text)
        const isEnd = after
          ? after[1] === undefined || !isGiven(nameOf(after[1]))
          : this.#isWhole && this.#text.slice(TAG.lastIndex).trim() === ''
        if (isEnd) return valueTo(tag.index, TAG.lastIndex)
      }
    }
    if (!this.#isWhole) return undefined
    // Tags that do not come in pairs: the last closing tag before the next call counts, or else what ends the block.
    const rest = this.#text.slice(start)
    const closed = NEXT_CALL.exec(rest)?.index ?? (lastClose === undefined ? undefined : lastClose - start)
    if (closed !== undefined) return valueTo(start + closed, start + closed + CLOSE.length)
    this.#reading.isRepaired = true
    const end = start + (END_WITHOUT_CLOSE.exec(rest)?.index ?? rest.length)
    return valueTo(end, end)
  }
}

/** The JSON types that a schema allows, where it says them; empty when it allows any. */
function kindsOf(schema: unknown, root: Json, depth = 0): Set<string> {
  const { type, enum: members, const: only, nullable, $ref: reference, ...others } = asObject(schema)
  const kinds = new Set([type].flat().filter((kind) => typeof kind === 'string'))
  if (kinds.size === 0) for (const member of Array.isArray(members) ? members : only === undefined ? [] : [only]) kinds.add(kindOf(member))
  const inner = ['anyOf', 'oneOf', 'allOf'].flatMap((word): unknown[] => [others[word] ?? []].flat())
  if (typeof reference === 'string' && reference.startsWith('#/')) {
    const path = reference
      .slice(2)
      .split('/')
      .map((step) => decodeStep(step))
    inner.push(path.reduce<unknown>((at, step) => (isObject(at) && Object.hasOwn(at, step) ? at[step] : undefined), root))
  }
  if (depth < 8) for (const each of inner) for (const kind of kindsOf(each, root, depth + 1)) kinds.add(kind)
  if (nullable === true && kinds.size > 0) kinds.add('null')
  return kinds
}

/** A name in a tag; some models quote it. */
const nameOf = (written: string): string => written.trim().replace(/^(["'])(.*)\1$/, '$2')

const decodeStep = (step: string): string => step.replaceAll('~1', '/').replaceAll('~0', '~')

const kindOf = (value: unknown): string => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value)

/** The text of a parameter as JSON of one of these types; numbers keep their spelling. Undefined when it is of none of them. */
function valueJson(text: string, kinds: ReadonlySet<string>): string | undefined {
  const word = text.trim()
  const isText = kinds.size === 0 || kinds.has('string')
  if (word === 'null' && !(kinds.has('string') && !kinds.has('null'))) return 'null'
  if (word === 'None' && kinds.has('null')) return 'null'
  if (kinds.has('boolean') && /^(?:true|false)$/i.test(word)) return word.toLowerCase()
  const reading = kinds.size === 0 ? undefined : readJson(word)
  if (reading?.end === word.length && !(isText && reading.isRepaired)) {
    const kind = reading.json[0] === '{' ? 'object' : reading.json[0] === '[' ? 'array' : /^[-\d]/.test(reading.json) ? 'number' : 'string'
    if (kind !== 'string' && (kinds.has(kind) || (kind === 'number' && kinds.has('integer')))) return reading.json
  }
  return isText ? JSON.stringify(text) : undefined
}
