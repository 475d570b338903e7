/**
 * Every other family: prompts by the checkpoint's own chat template (template-prompt.ts), answers by the reader of tags. What a model
 * can do is read from the text of its template and from its special tokens.
 */
import { LAST_IDS } from '../../tokenizer/prompt.ts'
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'
import { ChatError, type ChatFormat, checkTools, offeredTools, type SamplingOptions } from '../messages.ts'
import { withGenericTools } from './generic-tools.ts'
import { TagParser } from './tags/parser.ts'
import { callSyntaxOf, GENERIC } from './tags/syntax.ts'
import { type TemplateFiles, templatePrompt } from './template-prompt.ts'

export interface TemplateSource extends TemplateFiles {
  eosTokenIds?: readonly number[]
  sampling?: SamplingOptions
  /** Describe tools in the system message where the template knows none. */
  genericTools?: boolean
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
  const prompt = templatePrompt(tokenizer, source)
  const all = source.chatTemplate + (source.toolTemplate ?? '')
  const id = (name: string) => tokenizer.specials.get(name)
  const stopIds = new Set(source.eosTokenIds)
  for (const name of [...ENDS_OF_TURN, source.eosToken ?? '']) if (id(name) !== undefined) stopIds.add(id(name)!)
  const canThink = id('<think>') !== undefined && id('</think>') !== undefined && all.includes('think')
  const hasSwitch = canThink && all.includes('enable_thinking')
  const own = callSyntaxOf(all, id('<tool_call>') !== undefined && id('</tool_call>') !== undefined)
  const isGeneric = own === undefined && source.genericTools === true
  const calls = isGeneric ? GENERIC : own
  const capabilities: ChatFormat['capabilities'] = {
    reasoning: hasSwitch ? 'switch' : canThink ? 'always' : 'never',
    tools: calls !== undefined,
    parallelToolCalls: calls?.isParallel === true,
  }
  return {
    name: 'template',
    stopIds: [...stopIds],
    capabilities: isGeneric ? { ...capabilities, bindsCalls: true } : capabilities,
    sampling: () => ({ temperature: 1, topP: 1, ...source.sampling }),
    render(messages, options, note) {
      if (calls === undefined && offeredTools(options).length > 0)
        throw new ChatError('tools', "this model's chat template has no tool calls that can be read back")
      if (!isGeneric) return prompt(messages, options, note)
      const tools = offeredTools(options)
      checkTools(tools)
      return prompt(withGenericTools(messages, tools), { ...options, tools: undefined }, note)
    },
    parser(prompt, options) {
      // Tags that the template itself wrote after the last marker are the beginning of the answer.
      const tags = new Set(['<think>', '</think>'].map(id))
      const marker = prompt.findLastIndex((promptId) => tokenizer.isSpecial(promptId) && !tags.has(promptId))
      const think = prompt.indexOf(id('<think>') ?? -1, marker + 1)
      // Where the answer has begun, its text goes on: a blank before the next word is part of it.
      const begun = options.prefill !== undefined
      const opening = begun ? prompt.slice(marker + 1).slice(-LAST_IDS) : think < 0 ? [] : prompt.slice(think)
      return new TagParser(tokenizer, options, { stopIds, mayThink: canThink && options.thinking !== false && !begun, opening, calls })
    },
  }
}
