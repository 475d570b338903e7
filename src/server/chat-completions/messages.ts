/**
 * OpenAI chat messages -> our `Message[]`: joins text parts, accepts `reasoning`, `reasoning_content` and `thinking`, and
 * calls as they were before `tool_calls`, which have no ids.
 */
import type { AssistantPart, Message } from '../../chat/messages.ts'
import { customArguments } from '../custom-tools.ts'
import { badRequest, quote } from '../http/errors.ts'
import type { ChatContent, ChatRequest, ChatRequestMessage } from '../schemas/chat.ts'

/** The id of a call of `functions`, of which an answer has one. */
const LEGACY_CALL = 'call_function'

/** @param recall reasoning that led to a tool call, where the client did not send it */
export function fromChatMessages(request: ChatRequest, recall: (callId: string) => string | undefined): Message[] {
  return request.messages.map((message, i) => fromChatMessage(message, `messages[${i}]`, recall))
}

function fromChatMessage(message: ChatRequestMessage, param: string, recall: (callId: string) => string | undefined): Message {
  switch (message.role) {
    case 'system':
    case 'developer':
      return { role: message.role, content: textOf(message.content, `${param}.content`) }
    case 'user':
      return { role: 'user', content: textOf(message.content, `${param}.content`), name: message.name || undefined }
    case 'tool':
      return {
        role: 'tool',
        content: textOf(message.content, `${param}.content`),
        toolCallId: message.tool_call_id,
        name: message.name || undefined,
      }
    case 'function':
      return { role: 'tool', content: textOf(message.content, `${param}.content`), toolCallId: LEGACY_CALL, name: message.name }
    case 'assistant': {
      const { function_call: legacy } = message
      const calls = [...(message.tool_calls ?? []).map(calledBy), ...(legacy ? [{ id: LEGACY_CALL, called: legacy }] : [])]
      const text = textOf(message.content, `${param}.content`) || (message.refusal ?? '')
      const reasoning = message.reasoning || message.reasoning_content || message.thinking || (calls[0] && recall(calls[0].id))
      const parts: AssistantPart[] = []
      if (reasoning) parts.push({ type: 'reasoning', text: reasoning })
      if (text) parts.push({ type: 'text', text, phase: calls.length > 0 ? 'commentary' : undefined })
      for (const { id, called } of calls) parts.push({ type: 'tool-call', id, name: called.name, arguments: called.arguments })
      return { role: 'assistant', content: parts }
    }
  }
}

type GivenCall = NonNullable<Extract<ChatRequestMessage, { role: 'assistant' }>['tool_calls']>[number]

function calledBy(call: GivenCall): { id: string; called: { name: string; arguments: string } } {
  if (call.type !== 'custom') return { id: call.id, called: call.function as { name: string; arguments: string } }
  const { name, input } = call.custom as { name: string; input: string }
  return { id: call.id, called: { name, arguments: customArguments(input) } }
}

function textOf(content: ChatContent | null | undefined, param: string): string {
  if (typeof content === 'string') return content
  if (!content) return ''
  return content
    .map((part, i) => {
      if (part.type === 'refusal') return (part as { refusal: string }).refusal
      if ('text' in part && typeof part.text === 'string') return part.text
      throw notReadable(part.type, `${param}[${i}]`)
    })
    .join('')
}

export function notReadable(type: string, param: string) {
  return badRequest(`${param}: this model reads text only; a part of type ${quote(type)} cannot be used.`, param, 'unsupported_content')
}
