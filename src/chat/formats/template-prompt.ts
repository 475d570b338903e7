/**
 * A conversation as the prompt that a chat template makes of it: the template gets what transformers gives it, and gives the same text.
 * Texts of people, tools and models cannot become markers: where such a text spells a special token, a stand-in takes the place of the
 * first character while the template runs, and no token may cover that character afterwards.
 */
import { Dict, fromJson, Template, TemplateError, TemplateLimitError, type Value } from '../../jinja/template.ts'
import { readJson } from '../../json/lossless.ts'
import { fnv1a } from '../../random/hash.ts'
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'
import {
  ChatError,
  type ChatFormat,
  checkTools,
  effortOf,
  type Message,
  offeredTools,
  partsOf,
  type RenderOptions,
  textOf,
} from '../messages.ts'

/** What a checkpoint's files say about its templates. */
export interface TemplateFiles {
  chatTemplate: string
  /** The template named `tool_use`, which conversations with tools take. */
  toolTemplate?: string
  bosToken?: string
  eosToken?: string
  /** Further special tokens that templates may write, `pad_token` for instance, and their spellings. */
  otherTokens?: Readonly<Record<string, string>>
}

interface Rendered {
  text: string
  untrusted: [number, number][]
}

/** @throws ChatError when a template cannot be read */
export function templatePrompt(tokenizer: Tokenizer, files: TemplateFiles): ChatFormat['render'] {
  const template = compile(files.chatTemplate)
  const toolTemplate = files.toolTemplate === undefined ? template : compile(files.toolTemplate)
  const spelled = spellings(tokenizer)
  // Mistral's templates refuse other ids of calls.
  const needsShortIds = /length\s*!=\s*9/.test(files.chatTemplate + (files.toolTemplate ?? ''))
  return (given, options, note) => {
    const tools = offeredTools(options)
    checkTools(tools)
    const chosen = tools.length > 0 ? toolTemplate : template
    const messages = needsShortIds ? given.map(withShortIds) : given
    const render = (all: readonly Message[], asks: boolean) => adapting(all, (own) => run(chosen, spelled, own, options, files, asks), note)
    const { text, untrusted } = options.prefill === undefined ? render(messages, true) : begunAnswer(messages, options, render)
    return tokenizer.encodeTemplate(text, untrusted)
  }
}

/**
 * What a template writes up to the end of an answer that has begun, as transformers' `continue_final_message`: the answer is rendered as the
 * last message, with a seam at its end. A template that trims messages trims this one.
 */
function begunAnswer(
  messages: readonly Message[],
  { prefill = '', prefillReasoning }: RenderOptions,
  render: (messages: readonly Message[], asks: boolean) => Rendered,
): Rendered {
  const seam = unusedCharacter(JSON.stringify(messages) + prefill, 1)
  const reasoning = prefillReasoning === undefined ? [] : [{ type: 'reasoning' as const, text: prefillReasoning }]
  const begun: Message = { role: 'assistant', content: [...reasoning, { type: 'text', text: `${prefill}${seam} ` }] }
  const { text, untrusted } = render([...messages, begun], false)
  const end = text.lastIndexOf(seam)
  if (end < 0) throw new ChatError('messages', 'the chat template of this model leaves out the answer that is to be continued')
  const kept = text[end + 1] === ' ' ? text.slice(0, end) : text.slice(0, end).trimEnd()
  return { text: kept, untrusted: untrusted.filter(([start]) => start < kept.length) }
}

function compile(chatTemplate: string): Template {
  try {
    return new Template(chatTemplate)
  } catch (error) {
    throw new ChatError('chat_template', `cannot be read: ${(error as Error).message}`)
  }
}

/** Finds the first character of every special token that a text spells, in upper or lower case. */
function spellings(tokenizer: Tokenizer): RegExp | undefined {
  const all = [...tokenizer.specials.keys()].map((spelling) => spelling.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return all.length > 0 ? new RegExp(`(?=(?:${all.join('|')}))[^]`, 'giu') : undefined
}

/** Whether user messages are joined, and whether calls are split. */
const REPAIRS = [
  [false, false],
  [false, true],
  [true, false],
  [true, true],
] as const

/**
 * Renders a conversation; where the template refuses it, once more with what its authors' tools do by themselves: a system message goes
 * before the next user message, user messages in a row are one, and of several calls in one message each is followed by its result.
 * @throws ChatError with the words of the template when it refuses that too
 */
function adapting(
  messages: readonly Message[],
  render: (messages: readonly Message[]) => Rendered,
  note?: (message: string) => void,
): Rendered {
  let refusal: TemplateError | undefined
  const split = withCallsSplit(messages)
  for (const [joins, splits] of REPAIRS)
    for (const stays of ['all', 'first', 'none'] as const) {
      const moved = withSystemMoved(splits ? split : messages, stays)
      const own = joins ? withUsersJoined(moved) : moved
      if (refusal !== undefined && own === messages) continue
      try {
        const rendered = render(own)
        const changes = [
          splits && split !== messages && 'calls of one message were put one after another, each with its result',
          moved !== (splits ? split : messages) && 'system messages were put before the next user message',
          own !== moved && 'user messages in a row were joined',
        ]
        if (own !== messages)
          note?.(`the chat template of this model refuses such a conversation; ${changes.filter(Boolean).join(', and ')}`)
        return rendered
      } catch (error) {
        if (!(error instanceof TemplateError)) throw error
        refusal ??= error
        if (error instanceof TemplateLimitError) break
      }
    }
  throw new ChatError('messages', `the chat template of this model refuses this conversation: ${refusal!.message}`)
}

const isSystem = ({ role }: Message) => role === 'system' || role === 'developer'

/** The conversation with system messages before the text of the next user message, all of them or all but a first one. */
function withSystemMoved(messages: readonly Message[], stays: 'all' | 'first' | 'none'): readonly Message[] {
  if (stays === 'all' || !messages.some((message, i) => isSystem(message) && (stays === 'none' || i > 0))) return messages
  const out: Message[] = []
  let held: string[] = []
  const release = () => {
    if (held.length > 0) out.push({ role: 'user', content: held.join('\n\n') })
    held = []
  }
  for (const message of messages) {
    if (isSystem(message) && (stays === 'none' || out.length > 0)) held.push(message.content as string)
    else if (message.role === 'user') {
      out.push({ ...message, content: [...held, message.content].join('\n\n') })
      held = []
    } else {
      release()
      out.push(message)
    }
  }
  release()
  return out
}

/** The conversation with one call in a message. Results of its call follow each of them. */
function withCallsSplit(messages: readonly Message[]): readonly Message[] {
  const out: Message[] = []
  const moved = new Set<Message>()
  for (const [i, message] of messages.entries()) {
    const parts = message.role === 'assistant' ? partsOf(message) : []
    const calls = parts.filter((part) => part.type === 'tool-call')
    if (moved.has(message)) continue
    if (calls.length < 2) {
      out.push(message)
      continue
    }
    const after = messages.slice(i + 1)
    const results = after.slice(0, after.findIndex(({ role }) => role !== 'tool') >>> 0)
    calls.forEach((call, c) => {
      out.push({ role: 'assistant', content: c === 0 ? [...parts.filter(({ type }) => type !== 'tool-call'), call] : [call] })
      for (const result of results) {
        if (result.role !== 'tool' || result.toolCallId !== call.id || moved.has(result)) continue
        moved.add(result)
        out.push(result)
      }
    })
  }
  return out.length === messages.length ? messages : out
}

/** The message with ids of calls as Mistral's templates ask for: nine letters and digits, the same for the same id. */
function withShortIds(message: Message): Message {
  if (message.role === 'tool') return { ...message, toolCallId: shortId(message.toolCallId) }
  if (message.role !== 'assistant') return message
  return { ...message, content: partsOf(message).map((part) => (part.type === 'tool-call' ? { ...part, id: shortId(part.id) } : part)) }
}

function shortId(id: string): string {
  if (/^[a-zA-Z0-9]{9}$/.test(id)) return id
  const digits = (text: string) => (fnv1a(text) >>> 0).toString(36).padStart(7, '0')
  return (digits(id) + digits(`${id}+`)).slice(-9)
}

function withUsersJoined(messages: readonly Message[]): readonly Message[] {
  const out: Message[] = []
  for (const message of messages) {
    const last = out.at(-1)
    if (message.role === 'user' && last?.role === 'user')
      out[out.length - 1] = { ...last, content: `${last.content}\n\n${message.content}` }
    else out.push(message)
  }
  return out.length === messages.length ? messages : out
}

function run(
  template: Template,
  spelled: RegExp | undefined,
  messages: readonly Message[],
  options: RenderOptions,
  source: TemplateFiles,
  asks: boolean,
): Rendered {
  const tools = offeredTools(options).map(({ name, description, parameters }) => ({
    type: 'function',
    function: { name, description, parameters },
  }))
  const marking = new Marking(spelled)
  const input = { messages: messages.map(toTemplate), tools: tools.length > 0 ? tools : null }
  const { messages: own, tools: described } = marking.mark(input)
  // Templates ask whether a variable is defined, so a switch that nobody has set is left out.
  const { thinking, currentDate } = options
  const variables = new Dict(
    [
      ['messages', own],
      ['tools', described],
      ['documents', null],
      ['add_generation_prompt', asks],
      ['bos_token', source.bosToken ?? ''],
      ['eos_token', source.eosToken ?? ''],
      ...Object.entries(source.otherTokens ?? {}),
      ...Object.entries({ enable_thinking: thinking === undefined ? undefined : thinking !== false, reasoning_effort: effortOf(thinking) }),
    ].filter((entry): entry is [string, Value] => entry[1] !== undefined),
  )
  const now = currentDate === undefined ? undefined : new Date(`${currentDate}T12:00`)
  return marking.unmark(template.render(variables, { now, marks: marking.marks }))
}

/** Marks characters of input by stand-ins, and finds them again in the text that a template made of it. */
class Marking {
  readonly marks = new Map<string, string>()
  readonly #spelled: RegExp | undefined
  readonly #standIns = new Map<string, string>()

  constructor(spelled: RegExp | undefined) {
    this.#spelled = spelled
  }

  /** The fields as values of templates, with marks in their texts. */
  mark<K extends string>(input: Record<K, unknown>): Record<K, Value> {
    const standIn = (char: string): string => {
      const known = this.#standIns.get(char)
      if (known !== undefined) return known
      const free = unusedCharacter(JSON.stringify(input) + [...this.marks.keys()].join(''), char.length)
      this.#standIns.set(char, free)
      this.marks.set(free, char)
      return free
    }
    const text = (own: string) => (this.#spelled === undefined ? own : own.replace(this.#spelled, standIn))
    return Object.fromEntries(Object.entries(input).map(([key, value]) => [key, fromJson(value, text)])) as Record<K, Value>
  }

  /** The text without marks, and the ranges that had them: no token may cover them. */
  unmark(rendered: string): Rendered {
    let text = ''
    const untrusted: [number, number][] = []
    for (const char of rendered) {
      const marked = this.marks.get(char)
      if (marked !== undefined) untrusted.push([text.length, text.length + marked.length])
      text += marked ?? char
    }
    return { text, untrusted }
  }
}

/** A message under the field names that templates read; fields that are undefined count as missing. */
function toTemplate(message: Message): Record<string, unknown> {
  if (message.role === 'tool')
    return { role: 'tool', content: message.content, tool_call_id: message.toolCallId, name: message.name || undefined }
  if (message.role !== 'assistant') return { role: message.role === 'developer' ? 'system' : message.role, content: message.content }
  const parts = partsOf(message)
  const calls = parts.filter((part) => part.type === 'tool-call')
  const reasoning = textOf(parts, 'reasoning') || undefined
  return {
    thinking: reasoning,
    role: 'assistant',
    content: textOf(parts, 'text'),
    reasoning_content: reasoning,
    tool_calls:
      calls.length === 0
        ? undefined
        : calls.map(({ id, name, arguments: args }) => ({ id, type: 'function', function: { name, arguments: argumentsOf(args) } })),
  }
}

/** Templates expect an object. What is no JSON stays text; nothing at all means no arguments. */
function argumentsOf(text: string): unknown {
  if (text.trim() === '') return {}
  try {
    return readJson(text)
  } catch {
    return text
  }
}

/** A character that Unicode reserves for uses like this one and that the texts don't contain; `units` long in UTF-16. */
function unusedCharacter(texts: string, units: number): string {
  for (let i = 0; i < 32; i++) {
    const plane = 1 + (i >> 1)
    const char = String.fromCodePoint(units === 1 ? 0xfdd0 + i : plane * 0x10000 + 0xfffe + (i & 1))
    if (!texts.includes(char)) return char
  }
  throw new ChatError('messages', 'the texts contain all of the noncharacters U+FDD0 to U+FDEF; remove one of them')
}
