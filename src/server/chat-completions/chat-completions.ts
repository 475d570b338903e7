/** POST /v1/chat/completions: one or several answers, whole or streamed as chunks. */
import type { Answer } from '../../answer/answer.ts'
import { type Ask, thinkingOf } from '../../answer/ask.ts'
import type { FinishEvent } from '../../chat/messages.ts'
import { type ChoiceRun, respondWithChoices } from '../choices.ts'
import { readBody, validate } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { fingerprintOf, newChatId, unixSeconds } from '../http/names.ts'
import type { Lease } from '../models/registry.ts'
import { type Asked, prepare, samplingOf, schemaOf, stopsOf, toolsOf } from '../prepare.ts'
import { chatUsage, openaiFinish, runAnswer, timingsOf, wholeAnswer, withModel } from '../run.ts'
import { type ChatRequest, chatRequest, functionTool } from '../schemas/chat.ts'
import { ChatChunks } from './chunks.ts'
import { logprobsOf } from './logprobs.ts'
import { fromChatMessages } from './messages.ts'

export async function chatCompletions(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(request, chatRequest, ctx.limits)
  const asked = chatAsk(body, (callId) => ctx.reasoning.recall(scope.tenant, callId))
  return withModel(ctx, scope, body.model, async (lease) => {
    const answers = await prepare(ctx, scope, lease.model, asked)
    ctx.admission.check(lease.model.engine.load(), answers.length)
    const head = {
      id: newChatId('chatcmpl'),
      created: unixSeconds(),
      model: body.model,
      system_fingerprint: fingerprintOf(lease.entry),
    }
    const runs = answers.map((answer, i) => choiceRun(ctx, scope, lease, answer, i, body))
    return respondWithChoices(ctx, scope, request, body, runs, {
      whole: { ...head, object: 'chat.completion' },
      chunk: { ...head, object: 'chat.completion.chunk' },
      totals: (finishes) => ({ usage: chatUsage(finishes), timings: timingsOf(finishes[0]!) }),
    })
  })
}

function choiceRun(ctx: ServerContext, scope: Scope, lease: Lease, answer: Answer, index: number, body: ChatRequest): ChoiceRun {
  const { tokenizer } = lease.model
  const alternatives = body.top_logprobs ?? 0
  return {
    async whole(signal) {
      const logprobs: object[] = []
      const { reasoning, content, calls, finish } = await wholeAnswer(runAnswer(ctx, scope, lease, answer, signal), (token) =>
        logprobs.push(logprobsOf(tokenizer, token, alternatives)),
      )
      const message = {
        role: 'assistant',
        content: content === '' && (calls.length > 0 || answer.reasoning !== '') ? null : content,
        refusal: null,
        ...(reasoning !== '' && { reasoning, reasoning_content: reasoning }),
        ...(calls.length > 0 && { tool_calls: calls.map(({ id, ...call }) => ({ id, type: 'function', function: call })) }),
      }
      const choice = {
        index,
        message,
        logprobs: body.logprobs ? { content: logprobs, refusal: null } : null,
        finish_reason: openaiFinish(finish.reason),
      }
      return { choice, finish }
    },
    async stream(signal, send, onPosition) {
      const chunks = new ChatChunks(index)
      await send(chunks.first())
      let finish!: FinishEvent
      for await (const event of runAnswer(ctx, scope, lease, answer, signal, onPosition)) {
        if (event.type === 'finish') finish = event
        if (event.type === 'text-token') chunks.token(logprobsOf(tokenizer, event, alternatives))
        else for (const choice of chunks.of(event)) await send(choice)
      }
      return finish
    },
  }
}

/** The request in the form that all endpoints share. */
export function chatAsk(body: ChatRequest, recall: (callId: string) => string | undefined): Asked {
  const { tools, places } = toolsOf(body.tools, (tool, place) => validate(tool, functionTool, place).function, '.function')
  const effort = body.reasoning_effort ?? body.reasoning?.effort ?? body.chat_template_kwargs?.reasoning_effort
  const format = body.response_format
  return {
    messages: fromChatMessages(body, recall),
    ask: {
      thinking: thinkingOf(effort, body.chat_template_kwargs?.enable_thinking, body.thinking_token_budget),
      tools,
      toolChoice: choiceOf(body.tool_choice),
      parallelToolCalls: body.parallel_tool_calls ?? undefined,
      ...schemaOf(format?.type === 'json_schema' ? { type: format.type, ...format.json_schema } : (format ?? undefined)),
      sampling: samplingOf(body),
      maxTokens: body.max_completion_tokens ?? body.max_tokens ?? undefined,
      stop: stopsOf(body.stop),
      logprobs: body.logprobs ? (body.top_logprobs ?? 0) : undefined,
      fields: { form: 'response_format.json_schema.schema', tools: places },
    },
    answers: body.n ?? 1,
  }
}

function choiceOf(choice: ChatRequest['tool_choice']): Ask['toolChoice'] {
  if (!choice) return 'auto'
  if (typeof choice === 'string') return choice
  if (choice.type === 'function') return { name: (choice.function as { name: string }).name }
  const { mode, tools } = (choice as { allowed_tools: { mode: 'auto' | 'required'; tools: { function?: { name?: string } }[] } })
    .allowed_tools
  return { mode, allowed: tools.flatMap((tool) => (typeof tool.function?.name === 'string' ? [tool.function.name] : [])) }
}
