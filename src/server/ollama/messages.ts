/** Ollama's requests in the form that all endpoints share. Calls without ids get some, and results find theirs by order and name. */
import type { AssistantPart, JsonSchema, Message } from '../../chat/messages.ts'
import { validate } from '../http/body.ts'
import { badRequest } from '../http/errors.ts'
import type { AskedFormat, OfferedTool } from '../plan.ts'
import { type Ask, samplingOf, stopsOf } from '../prepare.ts'
import { functionTool } from '../schemas/chat.ts'
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
      return { role: 'tool', content, toolCallId: call?.id ?? message.tool_call_id ?? '', ...(name ? { name } : {}) }
    }
    if (message.role !== 'assistant') return { role: message.role, content }
    const calls = (message.tool_calls ?? []).map(({ id, function: called }, c) => ({
      id: id ?? `call_${i}_${c}`,
      name: called.name,
      arguments: typeof called.arguments === 'string' ? called.arguments : JSON.stringify(called.arguments ?? {}),
    }))
    open = calls.map(({ id, name }) => ({ id, name }))
    const thinking = message.thinking || (calls[0] && recall(calls[0].id))
    const parts: AssistantPart[] = []
    if (thinking) parts.push({ type: 'reasoning', text: thinking })
    if (content) parts.push({ type: 'text', text: content, ...(calls.length > 0 ? { phase: 'commentary' as const } : {}) })
    for (const call of calls) parts.push({ type: 'tool-call', ...call })
    return { role: 'assistant', content: parts }
  })
}

export function ollamaAsk(
  body: OllamaChatRequest | OllamaGenerateRequest,
  messages: readonly Message[],
  tools: readonly OfferedTool[],
): Ask {
  const options = body.options ?? {}
  return {
    messages,
    tools,
    toolChoice: 'auto',
    parallel: true,
    format: formatOf(body.format),
    effort: typeof body.think === 'string' ? body.think : undefined,
    thinkingEnabled: typeof body.think === 'boolean' ? body.think : undefined,
    reasoningBudget: undefined,
    sampling: samplingOf({ ...options, repetition_penalty: options.repeat_penalty ?? null }),
    maxTokens: ollamaLimit(options.num_predict),
    stop: stopsOf(options.stop),
    logprobs: undefined,
    answers: 1,
  }
}

/** Ollama's -1 and -2 mean "as long as it fits". */
export function ollamaLimit(predict: number | null | undefined): number | undefined {
  return predict && predict > 0 ? predict : undefined
}

export function ollamaTools(body: OllamaChatRequest): OfferedTool[] {
  return (body.tools ?? []).flatMap((tool, i) => {
    if ((tool.type ?? 'function') !== 'function') return []
    const { function: definition } = validate({ ...tool, type: 'function' }, functionTool, `tools[${i}]`)
    const { name, description, parameters } = definition
    return [
      {
        name,
        ...(description ? { description } : {}),
        ...(parameters ? { parameters } : {}),
        strict: false,
        param: `tools[${i}].function.parameters`,
      },
    ]
  })
}

function formatOf(format: OllamaChatRequest['format']): AskedFormat {
  if (!format) return { type: 'text' }
  return format === 'json'
    ? { type: 'json_object' }
    : { type: 'json_schema', name: 'format', schema: format as JsonSchema, param: 'format' }
}
