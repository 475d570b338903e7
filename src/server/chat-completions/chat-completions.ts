/** POST /v1/chat/completions: one or several answers, whole or streamed as chunks. */
import type { FinishEvent } from '../../chat/messages.ts'
import type { Answer } from '../answer.ts'
import { readBody, validate } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { fingerprintOf } from '../http/fingerprint.ts'
import { newChatId, unixSeconds } from '../http/ids.ts'
import { sse, streamResponse } from '../http/stream.ts'
import type { Lease } from '../models/registry.ts'
import type { AskedChoice, AskedFormat, OfferedTool } from '../plan.ts'
import { type Ask, prepare, samplingOf, stopsOf } from '../prepare.ts'
import { chatUsage, openaiFinish, runAnswer, timingsOf, together } from '../run.ts'
import { type ChatRequest, chatRequest, functionTool } from '../schemas/chat.ts'
import { ChatChunks } from './chunks.ts'
import { type LogprobEntry, logprobsOf } from './logprobs.ts'
import { fromChatMessages } from './messages.ts'

export async function chatCompletions(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(request, chatRequest, ctx.limits)
  const ask = chatAsk(body, (callId) => ctx.reasoning.recall(scope.tenant, callId))
  const lease = await ctx.registry.acquire(body.model)
  scope.facts.model = lease.entry.id
  let streaming = false
  try {
    const { answers, hideReasoning } = await prepare(ctx, scope, lease.model, ask)
    ctx.admission.check(lease.entry, lease.model.engine.load().slots, answers.length)
    const head = {
      id: newChatId('chatcmpl'),
      created: unixSeconds(),
      model: body.model,
      system_fingerprint: fingerprintOf(lease.entry),
    }
    if (!body.stream) {
      const whole = await ctx.joins.run(ctx, scope, request, body, async (shared) => {
        const choices = await together(
          shared,
          answers.map((answer, i) => (signal) => wholeChoice(ctx, scope, lease, answer, i, body, hideReasoning, signal)),
        )
        const finishes = choices.map(({ finish }) => finish)
        return {
          ...head,
          object: 'chat.completion',
          choices: choices.map(({ choice }) => choice),
          usage: chatUsage(finishes),
          timings: timingsOf(finishes[0]!),
        }
      })
      return Response.json(whole)
    }
    streaming = true
    return streamResponse(ctx, scope, { contentType: 'text/event-stream', error: ({ body: error }) => sse({ error }) }, async (stream) => {
      try {
        const finishes = await together(
          stream.signal,
          answers.map((answer, index) => async (signal) => {
            const chunks = new ChatChunks(index, hideReasoning)
            const send = (choice: object) => stream.send(sse({ ...head, object: 'chat.completion.chunk', choices: [choice] }))
            await send(chunks.first())
            let finish!: FinishEvent
            for await (const event of runAnswer(ctx, scope, lease, answer, signal, (ahead) => stream.comment(`queued ${ahead + 1}`))) {
              if (event.type === 'finish') finish = event
              if (event.type === 'text-token') chunks.token(logprobsOf(lease.model.tokenizer, event, body.top_logprobs ?? 0))
              else for (const choice of chunks.of(event)) await send(choice)
            }
            return finish
          }),
        )
        if (body.stream_options?.include_usage)
          await stream.send(
            sse({ ...head, object: 'chat.completion.chunk', choices: [], usage: chatUsage(finishes), timings: timingsOf(finishes[0]!) }),
          )
        await stream.send(sse('[DONE]'))
      } finally {
        lease.release()
      }
    })
  } finally {
    if (!streaming) lease.release()
  }
}

async function wholeChoice(
  ctx: ServerContext,
  scope: Scope,
  lease: Lease,
  answer: Answer,
  index: number,
  body: ChatRequest,
  hideReasoning: boolean,
  signal: AbortSignal,
) {
  let reasoning = ''
  let content = ''
  let finish!: FinishEvent
  const calls: object[] = []
  const logprobs: (LogprobEntry & { top_logprobs: LogprobEntry[] })[] = []
  for await (const event of runAnswer(ctx, scope, lease, answer, signal)) {
    if (event.type === 'reasoning-end') reasoning += event.text
    else if (event.type === 'text-end') content += event.text
    else if (event.type === 'text-token') logprobs.push(logprobsOf(lease.model.tokenizer, event, body.top_logprobs ?? 0))
    else if (event.type === 'tool-call-end')
      calls.push({ id: event.id, type: 'function', function: { name: event.name, arguments: event.arguments } })
    else if (event.type === 'finish') finish = event
  }
  const thought = reasoning === '' || hideReasoning ? {} : { reasoning, reasoning_content: reasoning }
  const message = {
    role: 'assistant',
    content: content === '' && (calls.length > 0 || reasoning !== '') ? null : content,
    refusal: null,
    ...thought,
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  }
  const choice = {
    index,
    message,
    logprobs: body.logprobs ? { content: logprobs, refusal: null } : null,
    finish_reason: openaiFinish(finish.reason),
  }
  return { choice, finish }
}

/** The request in the form that all endpoints share. */
export function chatAsk(body: ChatRequest, recall: (callId: string) => string | undefined): Ask {
  return {
    messages: fromChatMessages(body, recall),
    tools: toolsOf(body),
    toolChoice: choiceOf(body.tool_choice),
    parallel: body.parallel_tool_calls ?? true,
    format: formatOf(body.response_format),
    effort: body.reasoning_effort ?? body.reasoning?.effort ?? body.chat_template_kwargs?.reasoning_effort ?? undefined,
    thinkingEnabled: body.chat_template_kwargs?.enable_thinking ?? undefined,
    reasoningBudget: body.thinking_token_budget ?? undefined,
    sampling: samplingOf(body),
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? undefined,
    stop: stopsOf(body.stop),
    logprobs: body.logprobs ? (body.top_logprobs ?? 0) : undefined,
    answers: body.n ?? 1,
  }
}

function toolsOf(body: ChatRequest): OfferedTool[] {
  return (body.tools ?? []).flatMap((tool, i) => {
    if (tool.type !== 'function') return [] // other kinds of tools are not ours to run
    const { function: definition } = validate(tool, functionTool, `tools[${i}]`)
    return [
      {
        name: definition.name,
        ...(definition.description ? { description: definition.description } : {}),
        ...(definition.parameters ? { parameters: definition.parameters } : {}),
        strict: definition.strict ?? false,
        param: `tools[${i}].function.parameters`,
      },
    ]
  })
}

function choiceOf(choice: ChatRequest['tool_choice']): AskedChoice {
  if (!choice) return 'auto'
  if (typeof choice === 'string') return choice
  if (choice.type === 'function') return { name: (choice.function as { name: string }).name }
  const { mode, tools } = (choice as { allowed_tools: { mode: 'auto' | 'required'; tools: { function?: { name?: string } }[] } })
    .allowed_tools
  return { mode, allowed: tools.flatMap((tool) => (typeof tool.function?.name === 'string' ? [tool.function.name] : [])) }
}

function formatOf(format: ChatRequest['response_format']): AskedFormat {
  if (format?.type !== 'json_schema') return format ?? { type: 'text' }
  const { name, description, schema } = format.json_schema
  return { type: 'json_schema', name, schema, param: 'response_format.json_schema.schema', ...(description ? { description } : {}) }
}
