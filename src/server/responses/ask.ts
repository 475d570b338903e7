/** A request of the Responses API in the form that all endpoints share, with what it continues. */
import type { Message } from '../../chat/messages.ts'
import { validate } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { ApiError } from '../http/errors.ts'
import type { Lease } from '../models/registry.ts'
import type { AskedChoice, AskedFormat, OfferedTool } from '../plan.ts'
import { type Ask, type Prepared, prepare, samplingOf } from '../prepare.ts'
import { type ResponseRequest, responseTool } from '../schemas/responses.ts'
import { messagesOf, previousResponses } from './input.ts'
import type { StoredItem } from './store.ts'

export async function responseAsk(ctx: ServerContext, scope: Scope, body: ResponseRequest, items: readonly StoredItem[]): Promise<Ask> {
  const earlier = (await previousResponses(ctx, scope, body.previous_response_id)).flatMap(({ input, response }) => [
    ...input,
    ...response.output,
  ])
  return {
    messages: await messagesOf(ctx, scope, [...earlier, ...items], body.instructions),
    tools: toolsOf(body),
    toolChoice: choiceOf(body.tool_choice),
    parallel: body.parallel_tool_calls ?? true,
    format: formatOf(body),
    effort: body.reasoning?.effort ?? body.chat_template_kwargs?.reasoning_effort ?? undefined,
    thinkingEnabled: body.chat_template_kwargs?.enable_thinking ?? undefined,
    reasoningBudget: undefined,
    sampling: samplingOf(body),
    maxTokens: body.max_output_tokens ?? undefined,
    stop: [],
    logprobs: wantsLogprobs(body) ? (body.top_logprobs ?? 0) : undefined,
    answers: 1,
  }
}

/** With truncation "auto" the oldest turns are left out until the rest fits. */
export async function prepareTruncated(ctx: ServerContext, scope: Scope, lease: Lease, ask: Ask, truncate: boolean): Promise<Prepared> {
  for (let messages = ask.messages; ; ) {
    try {
      return await prepare(ctx, scope, lease.model, { ...ask, messages })
    } catch (error) {
      const shorter =
        truncate && error instanceof ApiError && error.body.code === 'context_length_exceeded' ? withoutOldestTurn(messages) : undefined
      if (!shorter) throw error
      messages = shorter
    }
  }
}

function withoutOldestTurn(messages: readonly Message[]): Message[] | undefined {
  const isInstruction = ({ role }: Message) => role === 'system' || role === 'developer'
  const body = messages.findIndex((message) => !isInstruction(message))
  const next = messages.findIndex((message, i) => i > body && message.role === 'user')
  return body < 0 || next < 0 ? undefined : [...messages.slice(0, body), ...messages.slice(next)]
}

export const wantsLogprobs = (body: ResponseRequest) =>
  (body.top_logprobs ?? 0) > 0 || body.include?.includes('message.output_text.logprobs') === true

function toolsOf(body: ResponseRequest): OfferedTool[] {
  return (body.tools ?? []).flatMap((tool, i) => {
    if (tool.type !== 'function') return []
    const { name, description, parameters, strict } = validate(tool, responseTool, `tools[${i}]`)
    return [
      {
        name,
        ...(description ? { description } : {}),
        ...(parameters ? { parameters } : {}),
        strict: strict ?? false,
        param: `tools[${i}].parameters`,
      },
    ]
  })
}

function choiceOf(choice: ResponseRequest['tool_choice']): AskedChoice {
  if (!choice) return 'auto'
  if (typeof choice === 'string') return choice
  if (choice.type === 'function') return { name: choice.name as string }
  const { mode, tools } = choice as { mode: 'auto' | 'required'; tools: { name?: string | null }[] }
  return { mode, allowed: tools.flatMap(({ name }) => (name ? [name] : [])) }
}

function formatOf(body: ResponseRequest): AskedFormat {
  const format = body.text?.format
  if (format?.type !== 'json_schema') return format ?? { type: 'text' }
  const { name, description, schema } = format
  return { type: 'json_schema', name, schema, param: 'text.format.schema', ...(description ? { description } : {}) }
}
