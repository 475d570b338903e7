/**
 * Every other family: the checkpoint's own chat template, run by a Jinja interpreter. Texts of people, tools and models cannot become
 * markers: a special token spelled inside such a text is split by a private character before rendering, and joined again, as plain
 * text, after it.
 */
import { Template } from '@huggingface/jinja'
import { parsed } from '../../json/json.ts'
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
  bosToken?: string
  eosToken?: string
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
  const id = (name: string) => tokenizer.specials.get(name)
  const spellings = [...tokenizer.specials.keys()].map((spelling) => spelling.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  const breakable = spellings.length > 0 ? new RegExp(`(?=(?:${spellings.join('|')}))[^]`, 'gu') : undefined
  const stopIds = new Set(source.eosTokenIds)
  for (const name of [...ENDS_OF_TURN, source.eosToken ?? '']) if (id(name) !== undefined) stopIds.add(id(name)!)
  const canThink = id('<think>') !== undefined && id('</think>') !== undefined
  const hasSwitch = canThink && source.chatTemplate.includes('enable_thinking')
  const hasTags = id('<tool_call>') !== undefined && id('</tool_call>') !== undefined
  // Llama 3's template asks for an answer of the form {"name": …, "parameters": …}.
  const bareCalls = !hasTags && /"name": .*"parameters": /.test(source.chatTemplate)
  const tools = source.chatTemplate.includes('tools') && (hasTags || bareCalls)
  return {
    name: 'template',
    stopIds: [...stopIds],
    capabilities: { reasoning: hasSwitch ? 'switch' : canThink ? 'always' : 'never', tools, parallelToolCalls: tools && !bareCalls },
    sampling: () => ({ temperature: 1, topP: 1, ...source.sampling }),
    render(messages, options) {
      if (!tools && offeredTools(options).length > 0)
        throw new ChatError('tools', "this model's chat template has no tool calls that can be read back")
      const { text, untrusted } = run(template, breakable, messages, options, source)
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

function run(
  template: Template,
  breakable: RegExp | undefined,
  messages: readonly Message[],
  options: RenderOptions,
  source: TemplateSource,
) {
  checkTools(offeredTools(options))
  const tools = offeredTools(options).map((tool) => ({
    type: 'function',
    function: { name: tool.name, description: tool.description, parameters: tool.parameters },
  }))
  // As JSON, because templates ask whether a field is defined.
  const input = JSON.stringify({ messages: messages.map(toTemplate), tools: tools.length > 0 ? tools : undefined })
  const seam = unusedCharacter(input)
  const variables = {
    ...(mapStrings(JSON.parse(input), (text) => (breakable === undefined ? text : text.replace(breakable, `$&${seam}`))) as object),
    add_generation_prompt: true,
    bos_token: source.bosToken ?? '',
    eos_token: source.eosToken ?? '',
    // Templates ask whether a variable is defined, so absent ones are left out.
    ...(options.thinking !== undefined && { enable_thinking: options.thinking !== false }),
    ...(effortOf(options.thinking) !== undefined && { reasoning_effort: effortOf(options.thinking) }),
  }
  let rendered: string
  try {
    rendered = template.render(variables)
  } catch (error) {
    throw new ChatError('messages', `the chat template of this model refuses this conversation: ${(error as Error).message}`)
  }
  let text = ''
  const untrusted: [number, number][] = []
  for (const piece of rendered.split(seam)) {
    // No token may span the place where a spelling was broken.
    if (text !== '') untrusted.push([text.length - 1, text.length])
    text += piece
  }
  return { text, untrusted }
}

function toTemplate(message: Message): Record<string, unknown> {
  if (message.role === 'tool')
    return { role: 'tool', content: message.content, tool_call_id: message.toolCallId, name: message.name || undefined }
  if (message.role !== 'assistant') return { role: message.role === 'developer' ? 'system' : message.role, content: message.content }
  const parts = partsOf(message)
  const calls = parts.filter((part) => part.type === 'tool-call')
  return {
    role: 'assistant',
    content: textOf(parts, 'text'),
    reasoning_content: textOf(parts, 'reasoning') || undefined,
    tool_calls:
      calls.length === 0
        ? undefined
        : calls.map(({ id, name, arguments: text }) => {
            const args = parsed(text) // templates expect an object; what is no JSON stays text
            return { id, type: 'function', function: { name, arguments: args === undefined ? text : args } }
          }),
  }
}

function mapStrings(value: unknown, map: (text: string) => string): unknown {
  if (typeof value === 'string') return map(value)
  if (Array.isArray(value)) return value.map((item) => mapStrings(item, map))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [map(key), mapStrings(item, map)]))
}

/** One of the characters that Unicode reserves for uses like this one, and that the texts don't contain. */
function unusedCharacter(texts: string): string {
  for (let code = 0xfdd0; code <= 0xfdef; code++) if (!texts.includes(String.fromCharCode(code))) return String.fromCharCode(code)
  throw new ChatError('messages', 'the texts contain all of the noncharacters U+FDD0 to U+FDEF; remove one of them')
}
