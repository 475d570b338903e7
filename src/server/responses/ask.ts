/** A request of the Responses API in the form that all endpoints share, with what it continues. */
import type { Answer } from '../../answer/answer.ts'
import { ANY_OBJECT, type Ask, thinkingOf } from '../../answer/ask.ts'
import { ChatError, type Message } from '../../chat/messages.ts'
import { validate } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import type { Lease } from '../models/registry.ts'
import { type Asked, drawingOf, prepare, toolsOf } from '../prepare.ts'
import { limitOf } from '../schemas/common.ts'
import { type GivenForm, givenForm, namedForm } from '../schemas/forms.ts'
import { type ResponseRequest, responseTool } from '../schemas/responses.ts'
import { conversationOf } from './conversations.ts'
import { messagesOf, previousResponses } from './input.ts'
import type { StoredItem } from './store.ts'

export async function responseAsk(ctx: ServerContext, scope: Scope, body: ResponseRequest, items: readonly StoredItem[]): Promise<Asked> {
  const conversation = conversationOf(body)
  const before = conversation
    ? [await ctx.conversations.get(scope.tenant, conversation)]
    : await previousResponses(ctx, scope, body.previous_response_id)
  const earlier = before.flatMap(({ input, response }) => [...input, ...response.output])
  const { tools, places, custom } = toolsOf(body.tools, (tool, place) => validate(tool, responseTool, place))
  const kwargs = body.chat_template_kwargs
  const given = givenForm(body, textForm(body.text?.format))
  return {
    custom,
    messages: await messagesOf(ctx, scope, [...earlier, ...items], body.instructions),
    ask: {
      thinking: thinkingOf(body.reasoning?.effort ?? kwargs?.reasoning_effort, kwargs?.enable_thinking),
      tools,
      toolChoice: choiceOf(body.tool_choice),
      parallelToolCalls: body.parallel_tool_calls ?? undefined,
      ...given?.form,
      continueFinalMessage: false, // messages of this API are whole
      ...drawingOf(body),
      maxTokens: limitOf(body.max_output_tokens),
      logprobs: wantsLogprobs(body) ? (body.top_logprobs ?? 0) : undefined,
      fields: { form: given?.field, tools: places },
    },
  }
}

function textForm(format: NonNullable<ResponseRequest['text']>['format']): GivenForm | undefined {
  if (!format || format.type === 'text') return undefined
  return { field: 'text.format.schema', form: format.type === 'json_object' ? ANY_OBJECT : namedForm(format) }
}

/** With truncation "auto" the oldest turns are left out until the rest fits. */
export async function prepareTruncated(ctx: ServerContext, scope: Scope, lease: Lease, asked: Asked, truncate: boolean): Promise<Answer> {
  for (let { messages } = asked; ; ) {
    try {
      const [answer] = await prepare(ctx, scope, lease.model, { ...asked, messages })
      return answer!
    } catch (error) {
      const isTooLong = error instanceof ChatError && error.code === 'context_length_exceeded'
      const shorter = truncate && isTooLong ? withoutOldestTurn(messages) : undefined
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

function choiceOf(choice: ResponseRequest['tool_choice']): Ask['toolChoice'] {
  if (!choice) return 'auto'
  if (typeof choice === 'string') return choice
  if (choice.type === 'function' || choice.type === 'custom') return { name: choice.name as string }
  const { mode, tools } = choice as { mode: 'auto' | 'required'; tools: { name?: string | null }[] }
  return { mode, allowed: tools.flatMap(({ name }) => (name ? [name] : [])) }
}
