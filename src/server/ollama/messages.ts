/** Ollama's requests in the form that all endpoints share. Calls without ids get some, and results find theirs by order and name. */
import { ANY_OBJECT, type Ask, thinkingOf } from '../../answer/ask.ts'
import type { AssistantPart, JsonSchema, Message } from '../../chat/messages.ts'
import { writeJson } from '../../json/lossless.ts'
import { validate } from '../http/body.ts'
import { badRequest } from '../http/errors.ts'
import { type Asked, drawingOf, stopsOf, toolsOf } from '../prepare.ts'
import { functionTool } from '../schemas/chat.ts'
import { limitOf, withoutSeed } from '../schemas/common.ts'
import { type GivenForm, givenForm } from '../schemas/forms.ts'
import type { OllamaChatRequest, OllamaGenerateRequest } from '../schemas/ollama.ts'

export function fromOllamaMessages(body: OllamaChatRequest, recall: (callId: string) => string | undefined): Message[] {
  let open: { id: string; name: string }[] = []
  return (body.messages ?? []).map((message, i): Message => {
    if (message.images?.length)
      throw badRequest('This model reads text only; images cannot be used.', `messages[${i}].images`, 'unsupported_content')
    const content = message.content ?? ''
    if (message.role === 'tool') {
      const at = open.findIndex(({ id, name }) =>
        message.tool_call_id ? id === message.tool_call_id : !message.tool_name || name === message.tool_name,
      )
      const call = at >= 0 ? open.splice(at, 1)[0]! : undefined
      const name = call?.name ?? message.tool_name
      return { role: 'tool', content, toolCallId: call?.id ?? message.tool_call_id ?? '', name: name || undefined }
    }
    if (message.role !== 'assistant') return { role: message.role, content }
    const calls = (message.tool_calls ?? []).map(({ id, function: called }, c) => ({
      id: id ?? `call_${i}_${c}`,
      name: called.name,
      arguments: typeof called.arguments === 'string' ? called.arguments : writeJson(called.arguments ?? {}),
    }))
    open = calls.map(({ id, name }) => ({ id, name }))
    const thinking = message.thinking || (calls[0] && recall(calls[0].id))
    const parts: AssistantPart[] = []
    if (thinking) parts.push({ type: 'reasoning', text: thinking })
    if (content) parts.push({ type: 'text', text: content, phase: calls.length > 0 ? 'commentary' : undefined })
    for (const call of calls) parts.push({ type: 'tool-call', ...call })
    return { role: 'assistant', content: parts }
  })
}

export function ollamaAsk(body: OllamaChatRequest | OllamaGenerateRequest, messages: readonly Message[]): Asked {
  const { think } = body
  const given = ollamaForm(body)
  const [effort, enabled] = typeof think === 'string' ? [think, undefined] : [undefined, think]
  const { tools, places } = toolsOf(
    'tools' in body ? (body as OllamaChatRequest).tools : [],
    (tool, place) => validate({ ...tool, type: 'function' }, functionTool, place).function,
    '.function',
  )
  return {
    messages,
    ask: {
      thinking: thinkingOf(effort, enabled),
      tools: tools.map((tool) => ({ ...tool, strict: false })),
      ...given?.form,
      ...ollamaOptions(body.options),
      logprobs: body.logprobs ? (body.top_logprobs ?? 0) : undefined,
      fields: { form: given?.field, tools: places },
    },
  }
}

/** The options that an answer and a raw continuation share. */
export function ollamaOptions(options: OllamaChatRequest['options']): Pick<Ask, 'sampling' | 'minTokens' | 'maxTokens' | 'stop'> {
  return {
    ...drawingOf(withoutSeed({ ...options, repetition_penalty: options?.repeat_penalty })),
    maxTokens: limitOf(options?.num_predict), // also -2 means "as long as it fits"
    stop: stopsOf(options?.stop),
  }
}

/** What the answer must follow: Ollama's `format`, or a field of another server. */
export function ollamaForm(body: OllamaChatRequest | OllamaGenerateRequest): GivenForm | undefined {
  const { format } = body
  const form = format === 'json' ? ANY_OBJECT : { schema: format as JsonSchema }
  return givenForm(body, format ? { field: 'format', form } : undefined)
}
