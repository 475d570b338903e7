/** Ollama's /api/chat and /api/generate: lines of JSON, streamed unless told otherwise, durations in nanoseconds. */
import type { FinishEvent } from '../../chat/messages.ts'
import type { AnswerSource } from '../answer-events.ts'
import { Continuation, promptOf } from '../continuation.ts'
import { readBody } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { badRequest } from '../http/errors.ts'
import { streamResponse } from '../http/stream.ts'
import type { Lease } from '../models/registry.ts'
import { prepare, samplingOf, stopsOf } from '../prepare.ts'
import { runAnswer } from '../run.ts'
import { type OllamaGenerateRequest, ollamaChatRequest, ollamaGenerateRequest } from '../schemas/ollama.ts'
import { fromOllamaMessages, ollamaAsk, ollamaLimit, ollamaTools } from './messages.ts'

/** A piece of an answer in the field names of one endpoint. */
type Shape = (piece: { content?: string; thinking?: string; tool_calls?: object[] }) => object

export async function ollamaChat(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(request, ollamaChatRequest, ctx.limits)
  if ((body.messages ?? []).length === 0)
    return loadOrUnload(ctx, body.model, body.keep_alive, { message: { role: 'assistant', content: '' } })
  const messages = fromOllamaMessages(body, (callId) => ctx.reasoning.recall(scope.tenant, callId))
  const tools = ollamaTools(body)
  const shape: Shape = ({ content = '', ...rest }) => ({ message: { role: 'assistant', content, ...rest } })
  return respond(ctx, scope, body, shape, async (lease) => {
    const { answers, hideReasoning } = await prepare(ctx, scope, lease.model, ollamaAsk(body, messages, tools))
    return { source: answers[0]!, hideReasoning: hideReasoning || body.think === false }
  })
}

export async function ollamaGenerate(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(request, ollamaGenerateRequest, ctx.limits)
  if (body.template) throw badRequest('Templates are never taken from requests.', 'template')
  if (body.suffix) throw badRequest('This server continues texts; it cannot fill in before a suffix.', 'suffix')
  if (body.images?.length) throw badRequest('This model reads text only; images cannot be used.', 'images', 'unsupported_content')
  if (!body.prompt) return loadOrUnload(ctx, body.model, body.keep_alive, { response: '' })
  const shape: Shape = ({ content = '', thinking }) => ({ response: content, ...(thinking === undefined ? {} : { thinking }) })
  return respond(ctx, scope, body, shape, async (lease) => {
    if (body.raw) return { source: rawContinuation(ctx, scope, lease, body, body.prompt!), hideReasoning: false }
    const messages = [
      ...(body.system ? [{ role: 'system' as const, content: body.system }] : []),
      { role: 'user' as const, content: body.prompt! },
    ]
    const { answers, hideReasoning } = await prepare(ctx, scope, lease.model, ollamaAsk(body, messages, []))
    return { source: answers[0]!, hideReasoning: hideReasoning || body.think === false }
  })
}

function rawContinuation(ctx: ServerContext, scope: Scope, lease: Lease, body: OllamaGenerateRequest, prompt: string): Continuation {
  const options = body.options ?? {}
  return new Continuation(lease.model, {
    promptIds: promptOf(lease.model, prompt, 'prompt'),
    sampling: samplingOf({ ...options, repetition_penalty: options.repeat_penalty ?? null }),
    maxTokens: Math.min(ollamaLimit(options.num_predict) ?? Number.POSITIVE_INFINITY, ctx.limits.outputTokens),
    stop: stopsOf(options.stop),
    cacheKey: scope.tenant,
  })
}

async function respond(
  ctx: ServerContext,
  scope: Scope,
  body: { model: string; stream?: boolean | null },
  shape: Shape,
  make: (lease: Lease) => Promise<{ source: AnswerSource; hideReasoning: boolean }>,
): Promise<Response> {
  const started = performance.now()
  const lease = await ctx.registry.acquire(body.model)
  const loadedMs = performance.now() - started
  scope.facts.model = lease.entry.id
  let streaming = false
  const head = () => ({ model: body.model, created_at: new Date().toISOString() })
  const last = (finish: FinishEvent) => ({
    done: true,
    done_reason: finish.reason === 'stop' || finish.reason === 'tool-calls' ? 'stop' : 'length',
    ...durations(finish, started, loadedMs),
  })
  try {
    const { source, hideReasoning } = await make(lease)
    ctx.admission.check(lease.entry, lease.model.engine.load().slots)
    if (body.stream === false) {
      const piece = { content: '', thinking: '', tool_calls: [] as object[] }
      let finish!: FinishEvent
      for await (const event of runAnswer(ctx, scope, lease, source, scope.signal)) {
        if (event.type === 'text-end') piece.content += event.text
        else if (event.type === 'reasoning-end' && !hideReasoning) piece.thinking += event.text
        else if (event.type === 'tool-call-end') piece.tool_calls.push(call(event.id, event.name, event.arguments))
        else if (event.type === 'finish') finish = event
      }
      const { content, thinking, tool_calls } = piece
      return Response.json({
        ...head(),
        ...shape({ content, ...(thinking ? { thinking } : {}), ...(tool_calls.length > 0 ? { tool_calls } : {}) }),
        ...last(finish),
      })
    }
    streaming = true
    return streamResponse(
      ctx,
      scope,
      { contentType: 'application/x-ndjson', error: ({ body: error }) => line({ error: error.message }) },
      async (stream) => {
        try {
          const send = (piece: Parameters<Shape>[0]) => stream.send(line({ ...head(), ...shape(piece), done: false }))
          for await (const event of runAnswer(ctx, scope, lease, source, stream.signal)) {
            if (event.type === 'text-delta') await send({ content: event.delta })
            else if (event.type === 'reasoning-delta' && !hideReasoning) await send({ thinking: event.delta })
            else if (event.type === 'tool-call-end') await send({ tool_calls: [call(event.id, event.name, event.arguments)] })
            else if (event.type === 'finish') await stream.send(line({ ...head(), ...shape({}), ...last(event) }))
          }
        } finally {
          lease.release()
        }
      },
    )
  } finally {
    if (!streaming) lease.release()
  }
}

/** An empty request loads the model; with keep_alive 0 it unloads it. */
async function loadOrUnload(
  ctx: ServerContext,
  model: string,
  keepAlive: string | number | null | undefined,
  empty: object,
): Promise<Response> {
  const unload = keepAlive === 0 || keepAlive === '0' || keepAlive === '0s'
  if (unload) await ctx.registry.unload(model)
  else (await ctx.registry.acquire(model)).release()
  return Response.json({ model, created_at: new Date().toISOString(), ...empty, done: true, done_reason: unload ? 'unload' : 'load' })
}

/** Ollama's arguments are an object; what is not one stays readable. */
function call(id: string, name: string, text: string): object {
  let args: unknown
  try {
    args = JSON.parse(text)
  } catch {
    args = undefined
  }
  return { id, function: { name, arguments: typeof args === 'object' && args !== null ? args : { input: text } } }
}

function durations({ usage, timings }: FinishEvent, started: number, loadedMs: number) {
  const nanoseconds = (ms: number) => Math.round(ms * 1e6)
  return {
    total_duration: nanoseconds(performance.now() - started),
    load_duration: nanoseconds(loadedMs),
    prompt_eval_count: usage.promptTokens,
    prompt_eval_duration: nanoseconds(timings.firstTokenMs),
    eval_count: usage.completionTokens,
    eval_duration: nanoseconds(timings.completionMs),
  }
}

const line = (value: object): string => `${JSON.stringify(value)}\n`
