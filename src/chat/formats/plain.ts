/** Base models: no roles, no markers. The prompt is the text so far, the answer is how the model continues it. */
import { LAST_IDS, promptIds } from '../../tokenizer/prompt.ts'
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'
import { ChatError, type ChatFormat, partsOf, type SamplingOptions, textOf } from '../messages.ts'
import { TagParser } from './tags/parser.ts'

export interface PlainSource {
  eosTokenIds?: readonly number[]
  sampling?: SamplingOptions
}

export function plainFormat(tokenizer: Tokenizer, { eosTokenIds, sampling }: PlainSource): ChatFormat {
  const separator = tokenizer.specials.get('<|endoftext|>')
  const stopIds = new Set(eosTokenIds ?? (separator === undefined ? [] : [separator]))
  return {
    name: 'plain',
    stopIds: [...stopIds],
    capabilities: { reasoning: 'never', tools: false, parallelToolCalls: false },
    sampling: () => ({ temperature: 1, topP: 1, ...sampling }),
    render(messages, options) {
      if (options.tools?.length && options.toolChoice !== 'none')
        throw new ChatError('tools', 'this is a base model without a chat format; it can only continue text')
      const turns = messages.map((message) => (message.role === 'assistant' ? textOf(partsOf(message), 'text') : message.content))
      if (options.prefill !== undefined) turns.push(options.prefill)
      const text = turns.join('\n')
      const ids = promptIds(tokenizer, text, { special: false })
      // A model must be given something to continue; published models begin a document after this token.
      return ids.length === 0 && separator !== undefined ? [separator] : ids
    },
    // Every tag is text here, so only the stop ids matter. The text of the prompt goes on.
    parser: (prompt, options) =>
      new TagParser(tokenizer, options, { stopIds, mayThink: false, opening: prompt.slice(-LAST_IDS), tags: false }),
  }
}
