/**
 * Every other family: the checkpoint's own chat template. It gets what transformers gives it, and gives the same text. Texts of people,
 * tools and models cannot become markers: where such a text spells a special token, a stand-in takes the place of the first character
 * while the template runs, and no token may cover that character afterwards.
 */

import { Dict, fromJson, Template, type Value } from '../../jinja/template.ts'
import { readJson } from '../../json/lossless.ts'
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
  type SamplingOptions,
  textOf,
} from '../messages.ts'
import { TagParser } from './tags/parser.ts'

export interface TemplateSource {
  chatTemplate: string
  /** The template named `tool_use`, which conversations with tools take. */
  toolTemplate?: string
  bosToken?: string
  eosToken?: string
  /** Further special tokens that templates may write, `pad_token` for instance, and their spellings. */
  otherTokens?: Readonly<Record<string, string>>
  eosTokenIds?: readonly number[]
  sampling?: SamplingOptions
}

/** Ends of turns under their published names; a model's own list is not always complete. */
const ENDS_OF_TURN = [
  '<|im_end|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<end_of_turn>',
  '<|end|>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '</s>',
  '<|return|>',
  '<|call|>',
]

export function templateFormat(tokenizer: Tokenizer, source: TemplateSource): ChatFormat {
  const template = compile(source.chatTemplate)
  const toolTemplate = source.toolTemplate === undefined ? template : compile(source.toolTemplate)
  const all = source.chatTemplate + (source.toolTemplate ?? '')
  const id = (name: string) => tokenizer.specials.get(name)
  const spelled = spellings(tokenizer)
  const stopIds = new Set(source.eosTokenIds)
  for (const name of [...ENDS_OF_TURN, source.eosToken ?? '']) if (id(name) !== undefined) stopIds.add(id(name)!)
  const canThink = id('<think>') !== undefined && id('</think>') !== undefined
  const hasSwitch = canThink && all.includes('enable_thinking')
  const hasTags = id('<tool_call>') !== undefined && id('</tool_call>') !== undefined
  // Llama 3's template asks for an answer of the form {"name": …, "parameters": …}.
  const bareCalls = !hasTags && /"name": .*"parameters": /.test(all)
  const tools = all.includes('tools') && (hasTags || bareCalls)
  return {
    name: 'template',
    stopIds: [...stopIds],
    capabilities: { reasoning: hasSwitch ? 'switch' : canThink ? 'always' : 'never', tools, parallelToolCalls: tools && !bareCalls },
    sampling: () => ({ temperature: 1, topP: 1, ...source.sampling }),
    render(messages, options) {
      if (!tools && offeredTools(options).length > 0)
        throw new ChatError('tools', "this model's chat template has no tool calls that can be read back")
      const chosen = offeredTools(options).length > 0 ? toolTemplate : template
      const { text, untrusted } = run(chosen, spelled, messages, options, source)
      if (options.prefill === undefined) return tokenizer.encodeTemplate(text, untrusted)
      return tokenizer.encodeTemplate(text + options.prefill, [...untrusted, [text.length, text.length + options.prefill.length]])
    },
    parser(prompt, options) {
      // Tags that the template itself wrote after the last marker are the beginning of the answer.
      const tags = new Set(['<think>', '</think>'].map(id))
      const marker = prompt.findLastIndex((promptId) => tokenizer.isSpecial(promptId) && !tags.has(promptId))
      const think = prompt.indexOf(id('<think>') ?? -1, marker + 1)
      const opening = think < 0 ? [] : prompt.slice(think)
      return new TagParser(tokenizer, options, { stopIds, mayThink: canThink && options.thinking !== false, opening, bareCalls })
    },
  }
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

function run(
  template: Template,
  spelled: RegExp | undefined,
  messages: readonly Message[],
  options: RenderOptions,
  source: TemplateSource,
) {
  const offered = offeredTools(options)
  checkTools(offered)
  const tools = offered.map(({ name, description, parameters }) => ({ type: 'function', function: { name, description, parameters } }))
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
      ['add_generation_prompt', true],
      ['bos_token', source.bosToken ?? ''],
      ['eos_token', source.eosToken ?? ''],
      ...Object.entries(source.otherTokens ?? {}),
      ...Object.entries({ enable_thinking: thinking === undefined ? undefined : thinking !== false, reasoning_effort: effortOf(thinking) }),
    ].filter((entry): entry is [string, Value] => entry[1] !== undefined),
  )
  const now = currentDate === undefined ? undefined : new Date(`${currentDate}T12:00`)
  try {
    return marking.unmark(template.render(variables, { now, marks: marking.marks }))
  } catch (error) {
    throw new ChatError('messages', `the chat template of this model refuses this conversation: ${(error as Error).message}`)
  }
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
  unmark(rendered: string): { text: string; untrusted: [number, number][] } {
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
