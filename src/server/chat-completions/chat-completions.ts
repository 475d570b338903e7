/** POST /v1/chat/completions: one or several answers, whole or streamed as chunks. */
import type { Answer } from '../../answer/answer.ts'
import { type Ask, type AskedTool, thinkingOf } from '../../answer/ask.ts'
import type { FinishEvent, ToolCallPart } from '../../chat/messages.ts'
import { type ChoiceRun, respondWithChoices } from '../choices.ts'
import { inputOf } from '../custom-tools.ts'
import { readBody, validate } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { badRequest } from '../http/errors.ts'
import { fingerprintOf, newChatId, unixSeconds } from '../http/names.ts'
import type { Lease } from '../models/registry.ts'
import { type Asked, drawingOf, prepare, stopsOf, toolsOf } from '../prepare.ts'
import { chatUsage, openaiFinish, runAnswer, stopReason, timingsOf, wholeAnswer, withModel } from '../run.ts'
import { type ChatRequest, chatRequest, controlRequest, functionTool } from '../schemas/chat.ts'
import { limitOf } from '../schemas/common.ts'
import { formatForm, givenForm } from '../schemas/forms.ts'
import { ChatChunks, legacyFinish } from './chunks.ts'
import { inlineReasoning, placeOf } from './inline-reasoning.ts'
import { logprobsOf } from './logprobs.ts'
import { fromChatMessages } from './messages.ts'

export async function chatCompletions(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, chatRequest)
  const asked = chatAsk(body, (callId) => ctx.reasoning.recall(scope.tenant, callId))
  return withModel(ctx, scope, body.model, async (lease) => {
    const answers = await prepare(ctx, scope, lease.model, asked)
    const head = {
      id: newChatId('chatcmpl'),
      created: unixSeconds(),
      model: body.model,
      system_fingerprint: fingerprintOf(lease.entry),
    }
    if (body.reasoning_control) {
      const key = runningKey(scope, head.id)
      ctx.running.set(key, answers)
      scope.atEnd(() => ctx.running.delete(key))
    }
    const runs = answers.map((answer, i) => choiceRun(ctx, scope, lease, answer, i, body, asked.custom))
    return respondWithChoices(ctx, scope, lease, request, body, runs, {
      whole: { ...head, object: 'chat.completion' },
      chunk: { ...head, object: 'chat.completion.chunk' },
      totals: (finishes) => ({ usage: chatUsage(finishes), timings: timingsOf(finishes[0]!) }),
    })
  })
}

const runningKey = ({ tenant }: Scope, id: string) => `${tenant}\n${id}`

/** Ends the thinking of an answer that runs. An unknown or finished id changes nothing. */
export async function controlChat(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const { id } = await readBody(ctx, scope, request, controlRequest)
  const answers = ctx.running.get(runningKey(scope, id)) ?? []
  for (const answer of answers) answer.endReasoning()
  return Response.json({ success: answers.length > 0 })
}

export async function chatInputTokens(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, chatRequest)
  const asked = chatAsk(body, (callId) => ctx.reasoning.recall(scope.tenant, callId))
  return withModel(ctx, scope, body.model, async ({ model }) => {
    const [answer] = await prepare(ctx, scope, model, { ...asked, answers: 1 })
    return Response.json({ object: 'chat.completion.input_tokens', input_tokens: answer!.promptIds.length })
  })
}

function choiceRun(
  ctx: ServerContext,
  scope: Scope,
  lease: Lease,
  answer: Answer,
  index: number,
  body: ChatRequest,
  custom: ReadonlySet<string> | undefined,
): ChoiceRun {
  const { tokenizer } = lease.model
  const alternatives = body.top_logprobs ?? 0
  const legacy = isLegacy(body)
  const place = placeOf(body)
  return {
    async whole(signal) {
      const logprobs: object[] = []
      const { reasoning, content, calls, finish } = await wholeAnswer(
        inlineReasoning(runAnswer(ctx, scope, lease, answer, signal, undefined, true), place),
        (token) => logprobs.push(logprobsOf(tokenizer, token, alternatives)),
      )
      const message = {
        role: 'assistant',
        content: content === '' && (calls.length > 0 || answer.reasoning !== '') ? null : content,
        refusal: null,
        ...(reasoning !== '' && { reasoning, reasoning_content: reasoning }),
        ...(calls.length > 0 && !legacy && { tool_calls: calls.map((call) => toolCall(call, custom)) }),
        ...(calls.length > 0 && legacy && { function_call: { name: calls[0]!.name, arguments: calls[0]!.arguments } }),
      }
      const choice = {
        index,
        message,
        logprobs: body.logprobs ? { content: logprobs, refusal: null } : null,
        finish_reason: legacy ? legacyFinish(finish.reason) : openaiFinish(finish.reason),
        stop_reason: stopReason(finish.reason),
      }
      return { choice, finish }
    },
    async stream(signal, send, onPosition) {
      const chunks = new ChatChunks(index, legacy, custom)
      await send(chunks.first())
      let finish!: FinishEvent
      for await (const event of inlineReasoning(runAnswer(ctx, scope, lease, answer, signal, onPosition, true), place)) {
        if (event.type === 'finish') finish = event
        if (event.type === 'text-token') chunks.token(logprobsOf(tokenizer, event, alternatives))
        else for (const choice of chunks.of(event)) await send(choice)
      }
      return finish
    },
  }
}

function toolCall({ id, name, arguments: args }: Omit<ToolCallPart, 'type'>, custom: ReadonlySet<string> | undefined): object {
  if (custom?.has(name)) return { id, type: 'custom', custom: { name, input: inputOf(args) } }
  return { id, type: 'function', function: { name, arguments: args } }
}

/** The request in the form that all endpoints share. */
export function chatAsk(body: ChatRequest, recall: (callId: string) => string | undefined): Asked {
  const legacy = isLegacy(body)
  const { tools, places, custom } = legacy
    ? { tools: legacyTools(body), places: body.functions?.map((_, i) => `functions[${i}]`), custom: undefined }
    : toolsOf(body.tools, (tool, place) => validate(tool, functionTool, place).function, '.function')
  const effort = body.reasoning_effort ?? body.reasoning?.effort ?? body.chat_template_kwargs?.reasoning_effort
  const given = givenForm(body, formatForm(body.response_format))
  return {
    custom,
    messages: fromChatMessages(body, recall),
    ask: {
      thinking: thinkingOf(effort, body.chat_template_kwargs?.enable_thinking, body.thinking_token_budget),
      tools,
      toolChoice: legacy ? (body.function_call ?? 'auto') : choiceOf(body.tool_choice),
      parallelToolCalls: legacy ? false : (body.parallel_tool_calls ?? undefined),
      ...given?.form,
      continueFinalMessage: continuesOf(body),
      ...drawingOf(body),
      maxTokens: limitOf(body.max_completion_tokens ?? body.max_tokens),
      stop: stopsOf(body.stop),
      logprobs: body.logprobs ? (body.top_logprobs ?? 0) : undefined,
      fields: { form: given?.field, tools: places },
    },
    answers: body.n ?? 1,
  }
}

const isLegacy = (body: ChatRequest) => Boolean(body.functions || body.function_call)

/** @throws 400 when the request also has tools */
function legacyTools(body: ChatRequest): AskedTool[] {
  if (body.tools?.length || body.tool_choice)
    throw badRequest('functions: tools are there too; send either functions with function_call, or tools with tool_choice.', 'functions')
  const { functions = [], function_call: wanted } = body
  if (typeof wanted === 'object' && wanted && !functions?.some(({ name }) => name === wanted.name))
    throw badRequest(`function_call.name: ${JSON.stringify(wanted.name)} is not among the functions.`, 'function_call.name')
  return (functions ?? []).map(({ name, description, parameters, strict }) => ({
    name,
    description: description || undefined,
    parameters: parameters ?? undefined,
    strict: strict ?? false,
  }))
}

function continuesOf({ continue_final_message: wish, add_generation_prompt: begins }: ChatRequest): boolean | undefined {
  if (wish && begins) throw badRequest('Send either continue_final_message or add_generation_prompt.', 'continue_final_message')
  return wish ?? (typeof begins === 'boolean' ? !begins : undefined)
}

function choiceOf(choice: ChatRequest['tool_choice']): Ask['toolChoice'] {
  if (!choice) return 'auto'
  if (typeof choice === 'string') return choice
  if (choice.type === 'function') return { name: (choice.function as { name: string }).name }
  if (choice.type === 'custom') return { name: (choice.custom as { name: string }).name }
  const { mode, tools } = (
    choice as { allowed_tools: { mode: 'auto' | 'required'; tools: { function?: { name?: string }; custom?: { name?: string } }[] } }
  ).allowed_tools
  return { mode, allowed: tools.flatMap((tool) => (tool.function ?? tool.custom)?.name ?? []) }
}
