/** Reasoning inside of the content, for clients that read it there: `reasoning_format: "none"` of llama-server, `separate_reasoning: false` of SGLang. */
import type { ChatEvent } from '../../chat/messages.ts'
import type { ChatRequest } from '../schemas/chat.ts'

const OPEN = '<think>\n'
const CLOSE = '\n</think>\n\n'

/** Where a request wants the reasoning: in fields of its own, in the content, or in both. */
export function placeOf({ reasoning_format: format, separate_reasoning: separate }: ChatRequest): 'fields' | 'content' | 'both' {
  if (format === 'deepseek-legacy') return 'both'
  return format === 'none' || (separate === false && (format ?? 'auto') === 'auto') ? 'content' : 'fields'
}

/** The events of an answer with the reasoning as text between the tags of DeepSeek and Qwen, whatever the model's own markup. */
export async function* inlineReasoning(events: AsyncIterable<ChatEvent>, place: ReturnType<typeof placeOf>): AsyncGenerator<ChatEvent> {
  let isOpen = false
  for await (const event of events) {
    const isReasoning = event.type === 'reasoning-delta' || event.type === 'reasoning-end'
    if (isReasoning && place !== 'fields') {
      const delta = `${isOpen ? '' : OPEN}${event.type === 'reasoning-delta' ? event.delta : CLOSE}`
      isOpen = event.type === 'reasoning-delta'
      yield { type: 'text-delta', delta, phase: 'final' }
      if (event.type === 'reasoning-end') yield { type: 'text-end', text: OPEN + event.text + CLOSE, phase: 'final' }
    }
    if (!isReasoning || place !== 'content') yield event
  }
}
