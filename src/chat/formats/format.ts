/**
 * Which chat format a checkpoint speaks, decided by what its files contain (special tokens, chat template), never by its name.
 */
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'
import { ChatError, type ChatFormat, type Effort, type SamplingOptions } from '../messages.ts'
import { harmonyFormat } from './harmony/harmony.ts'
import { plainFormat } from './plain.ts'
import { type QwenKind, qwenFormat } from './qwen/qwen.ts'
import { templateFormat } from './template.ts'

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
}

export type FormatName = ChatFormat['name']

/**
 * The format of a checkpoint.
 * @param name overrules the choice, for instance to use a chat model as a base model
 * @throws ChatError when the files lack what the named format needs
 */
export function formatFor(source: FormatSource, name: FormatName = detect(source)): ChatFormat {
  const { tokenizer, chatTemplate } = source
  if (name === 'harmony') return harmonyFormat(tokenizer, { sampling: source.sampling, effort: templateEffort(chatTemplate) })
  if (name === 'qwen')
    return qwenFormat(tokenizer, { ...qwenKind(chatTemplate), eosTokenIds: source.eosTokenIds, sampling: source.sampling })
  if (name === 'plain') return plainFormat(tokenizer, source)
  if (chatTemplate === undefined)
    throw new ChatError('chatTemplate', 'the checkpoint has no chat template; look for tokenizer_config.json or chat_template.jinja')
  return templateFormat(tokenizer, { ...source, chatTemplate })
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
