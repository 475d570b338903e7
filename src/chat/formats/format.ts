/**
 * Which chat format a checkpoint speaks, decided by what its files contain (special tokens, chat template), never by its name.
 */
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'
import { ChatError, type ChatFormat, type Effort, type SamplingOptions } from '../messages.ts'
import { harmonyFormat } from './harmony/harmony.ts'
import { plainFormat } from './plain.ts'
import { agree, FIRST, idsOf, probes } from './probe.ts'
import { type QwenKind, qwenFormat } from './qwen/qwen.ts'
import { templateFormat } from './template.ts'
import { templatePrompt } from './template-prompt.ts'

/** What formatFor looks at: all of it comes from the checkpoint's own files. */
export interface FormatSource {
  tokenizer: Tokenizer
  /** Text of the published Jinja template, if there is one. */
  chatTemplate?: string
  /** Text of the template named `tool_use`, if there is one. */
  toolTemplate?: string
  /** `bos_token` and `eos_token` of tokenizer_config.json, spelled out; Jinja templates use them. */
  bosToken?: string
  eosToken?: string
  /** Further special tokens of tokenizer_config.json, by their names there. */
  otherTokens?: Readonly<Record<string, string>>
  /** `eos_token_id` of generation_config.json or config.json. */
  eosTokenIds?: readonly number[]
  /** Sampling fields of generation_config.json. */
  sampling?: SamplingOptions
  /** The caller's wish: a generic prompt of tools where the chat template knows none. */
  genericTools?: boolean
}

export type FormatName = ChatFormat['name']

/**
 * The format of a checkpoint. The built-in writer of a family is taken only where it gives what the checkpoint's own template gives;
 * otherwise the template writes the prompts and the family's reader reads the answers.
 * @param name overrules the choice, for instance to use a chat model as a base model
 * @throws ChatError when the files lack what the named format needs
 */
export function formatFor(source: FormatSource, name?: FormatName): ChatFormat {
  const { tokenizer, chatTemplate } = source
  const chosen = name ?? detect(source)
  if (chosen === 'plain') return plainFormat(tokenizer, source)
  if (chosen === 'harmony') {
    const native = harmonyFormat(tokenizer, { sampling: source.sampling, effort: templateEffort(chatTemplate) })
    return name === undefined && chatTemplate !== undefined ? publishedHarmony(native, { ...source, chatTemplate }) : native
  }
  if (chosen === 'qwen') {
    const native = qwenFormat(tokenizer, { ...qwenKind(chatTemplate), eosTokenIds: source.eosTokenIds, sampling: source.sampling })
    return name === undefined && chatTemplate !== undefined ? publishedQwen(native, { ...source, chatTemplate }) : native
  }
  if (chatTemplate === undefined)
    throw new ChatError('chatTemplate', 'the checkpoint has no chat template; look for tokenizer_config.json or chat_template.jinja')
  return templateFormat(tokenizer, { ...source, chatTemplate })
}

type WithTemplate = FormatSource & { chatTemplate: string }

function publishedQwen(native: ChatFormat, source: WithTemplate): ChatFormat {
  const own = templateFormat(source.tokenizer, source)
  return !isChatTemplate(own, source.tokenizer) || agree(native, own, probes([undefined, false, true], true)) ? native : own
}

/**
 * gpt-oss' own template departs from the official renderer in the texts of tools and in the empty lines after instructions, so probes
 * leave these out. It writes the date of today.
 */
function publishedHarmony(native: ChatFormat, source: WithTemplate): ChatFormat {
  const { tokenizer } = source
  const own = templatePrompt(tokenizer, source)
  // The least effort is the nearest to no thinking.
  const render: ChatFormat['render'] = (messages, options, note) => {
    const ids = own(messages, { ...options, thinking: options.thinking === false ? 'low' : options.thinking, prefill: undefined }, note)
    if (options.prefill === undefined) return ids
    const before = native.render([], { ...options, prefill: undefined }).length
    return [...ids, ...native.render([], options).slice(before)]
  }
  const template = { ...native, render }
  if (!isChatTemplate(template, tokenizer)) return native
  const currentDate = source.chatTemplate.includes('strftime_now') ? '2025-01-02' : undefined
  const all = probes([undefined, 'low', 'high'], false).map(({ messages, options }) => ({ messages, options: { ...options, currentDate } }))
  const text = (ids: readonly number[]) => tokenizer.decode(ids).replaceAll('\n\n<|end|>', '<|end|>')
  return agree(native, template, all, (one, other) => text(one) === text(other)) ? native : template
}

/** Whether a template writes down what it is asked. */
function isChatTemplate(format: ChatFormat, tokenizer: Tokenizer): boolean {
  const ids = idsOf(format, FIRST.messages, FIRST.options)
  return ids !== undefined && tokenizer.decode(ids).includes(FIRST.messages[0]!.content as string)
}

function detect({ tokenizer, chatTemplate }: FormatSource): FormatName {
  const has = (...names: string[]) => names.every((name) => tokenizer.specials.has(name))
  if (has('<|start|>', '<|message|>', '<|channel|>', '<|end|>', '<|return|>')) return 'harmony'
  if (has('<|im_start|>', '<|im_end|>', '<tool_call>', '</tool_call>')) {
    if (chatTemplate === undefined ? has('<think>', '</think>') : /last_query_index|<function=/.test(chatTemplate)) return 'qwen'
  }
  return chatTemplate === undefined ? 'plain' : 'template'
}

/** The effort that a harmony template takes when none is given: gpt-oss's says `set reasoning_effort = "medium"`. */
function templateEffort(chatTemplate = ''): Effort | undefined {
  return /\bset\s+reasoning_effort\s*=\s*["'](low|medium|high)["']/.exec(chatTemplate)?.[1] as Effort | undefined
}

function qwenKind(chatTemplate = 'enable_thinking'): QwenKind {
  if (chatTemplate.includes('<function=')) return { thinking: 'never', tools: 'xml' }
  if (chatTemplate.includes('enable_thinking')) return { thinking: 'switch', tools: 'json' }
  // The generation prompt of a model that always thinks ends in the opening tag.
  return {
    thinking: /assistant\\n<think>\\n'/.test(chatTemplate.slice(chatTemplate.indexOf('add_generation_prompt'))) ? 'always' : 'never',
    tools: 'json',
  }
}
