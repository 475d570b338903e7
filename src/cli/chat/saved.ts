/** Reads conversations that `/save` wrote. Checks every field, because people edit these files. */
import { type AssistantPart, ChatError, type Message } from '../../chat/messages.ts'
import { asObject, parsed } from '../../json/json.ts'

/** Whether a file is empty or what /save wrote, so that /save may replace it. */
export const isSaved = (text: string): boolean => text.trim() === '' || asObject(parsed(text)).version === 1

/** @throws ChatError that names the file and the field */
export function parseSaved(text: string, file: string): Message[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new ChatError(file, `expected a conversation as /save writes it, and it is not JSON: ${(error as Error).message}`)
  }
  const saved = value as { version?: unknown; messages?: unknown } | null
  if (saved?.version !== 1 || !Array.isArray(saved.messages))
    throw new ChatError(file, 'expected {"version": 1, "messages": […]}, as /save writes it')
  return saved.messages.map((message, i) => checked(message, `${file}: messages[${i}]`))
}

function checked(value: unknown, field: string): Message {
  const message = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  const { role, content, name } = message
  const named = typeof name === 'string' ? { name } : {}
  if (role === 'assistant') {
    return {
      role,
      content:
        typeof content === 'string'
          ? content
          : list(content, `${field}.content`).map((part, p) => checkedPart(part, `${field}.content[${p}]`)),
    }
  }
  const text = string(content, `${field}.content`)
  if (role === 'system' || role === 'developer') return { role, content: text }
  if (role === 'user') return { role, content: text, ...named }
  if (role === 'tool') return { role, content: text, toolCallId: string(message.toolCallId, `${field}.toolCallId`), ...named }
  throw new ChatError(`${field}.role`, `expected system, developer, user, assistant or tool, got ${JSON.stringify(role)}`)
}

function checkedPart(value: unknown, field: string): AssistantPart {
  const part = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  if (part.type === 'reasoning') return { type: part.type, text: string(part.text, `${field}.text`) }
  if (part.type === 'text')
    return { type: part.type, text: string(part.text, `${field}.text`), phase: part.phase === 'commentary' ? part.phase : undefined }
  if (part.type === 'tool-call') {
    return {
      type: part.type,
      id: string(part.id, `${field}.id`),
      name: string(part.name, `${field}.name`),
      arguments: string(part.arguments, `${field}.arguments`),
    }
  }
  throw new ChatError(`${field}.type`, `expected reasoning, text or tool-call, got ${JSON.stringify(part.type)}`)
}

function string(value: unknown, field: string): string {
  if (typeof value !== 'string') throw new ChatError(field, `expected a string, got ${JSON.stringify(value)}`)
  return value
}

function list(value: unknown, field: string): unknown[] {
  if (!Array.isArray(value)) throw new ChatError(field, `expected a string or a list of parts, got ${JSON.stringify(value)}`)
  return value
}
