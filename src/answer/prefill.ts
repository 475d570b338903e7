/**
 * A conversation that ends with a message of the assistant asks for the rest of that message: its text becomes the beginning of the
 * answer, as other local servers do it. One place for library, command line, HTTP and AI SDK.
 */
import { type AssistantMessage, ChatError, type Message, partsOf, textOf } from '../chat/messages.ts'
import { type Ask, formOf } from './ask.ts'

/** The messages before the last one and an Ask that begins with its text; unchanged where nothing is continued. @throws ChatError */
export function continued<A extends Ask>(messages: readonly Message[], ask: A): { messages: readonly Message[]; ask: A } {
  const begun = begunAnswer(messages, ask)
  if (!begun) return { messages, ask }
  const parts = partsOf(begun)
  // Of an empty message nothing is to be continued: the answer begins anew in its place.
  const [prefill, prefillReasoning] = [textOf(parts, 'text') || undefined, textOf(parts, 'reasoning') || undefined]
  return { messages: messages.slice(0, -1), ask: { ...ask, prefill, prefillReasoning } }
}

/** The last message, if the answer goes on with it. @throws ChatError when it must and cannot */
export function begunAnswer(messages: readonly Message[], ask: Ask): AssistantMessage | undefined {
  const { continueFinalMessage: wish, prefill, toolChoice = 'auto' } = ask
  if (wish === false || prefill !== undefined) return undefined
  const last = messages.at(-1)
  if (last?.role === 'assistant') {
    const parts = partsOf(last)
    const isText = parts.every((part) => part.type === 'reasoning' || (part.type === 'text' && part.phase !== 'commentary'))
    const isBegun = isText && (parts.length === 0 || textOf(parts, 'text') !== '')
    // A document and a forced call begin at their beginning.
    const isFree = !formOf(ask) && (toolChoice === 'auto' || toolChoice === 'none')
    if (isBegun && (isFree || wish)) return last
  }
  if (wish)
    throw new ChatError(`messages[${messages.length - 1}]`, 'only a last message of the assistant that ends in text can be continued')
  return undefined
}

/** What was said before and what continued it, as one message. */
export function joined(begun: AssistantMessage, rest: AssistantMessage): AssistantMessage {
  const parts = [...partsOf(begun)]
  const [first, ...others] = partsOf(rest)
  const last = parts.at(-1)
  if (first?.type !== 'text' || last?.type !== 'text') return { role: 'assistant', content: [...parts, ...partsOf(rest)] }
  return { role: 'assistant', content: [...parts.slice(0, -1), { ...last, text: last.text + first.text }, ...others] }
}
