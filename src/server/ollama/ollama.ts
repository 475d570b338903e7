/** Ollama's /api/chat and /api/generate: lines of JSON, streamed unless told otherwise, durations in nanoseconds. */
import type { Generated } from '../../answer/answer.ts'
import { Continuation, promptOf } from '../../answer/continuation.ts'
import type { FinishEvent, Message, ToolCallPart } from '../../chat/messages.ts'
import { writeJson } from '../../json/lossless.ts'
import { logprobsOf } from '../chat-completions/logprobs.ts'
import { readBody } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { type ApiError, badRequest } from '../http/errors.ts'
import { streamResponse } from '../http/stream.ts'
import { checkLongTexts } from '../long-texts.ts'
import type { ServedModel } from '../models/model.ts'
import type { Lease } from '../models/registry.ts'
import { constraintOf, prepare } from '../prepare.ts'
import { argumentsObject, runAnswer, stopReason, wholeAnswer, withModel } from '../run.ts'
import { type OllamaGenerateRequest, ollamaChatRequest, ollamaGenerateRequest } from '../schemas/ollama.ts'
import { fillPrompt } from '../text/fill.ts'
import { isZeroDuration } from './keep-alive.ts'
import { fromOllamaMessages, ollamaAsk, ollamaForm, ollamaOptions } from './messages.ts'

/** A piece of an answer in the field names of one endpoint. */
type Shape = (piece: { content?: string; thinking?: string; tool_calls?: object[] }) => object

export async function ollamaChat(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, ollamaChatRequest)
  if ((body.messages ?? []).length === 0)
    return loadOrUnload(ctx, body.model, body.keep_alive, { message: { role: 'assistant', content: '' } })
  const messages = fromOllamaMessages(body, (callId) => ctx.reasoning.recall(scope.tenant, callId))
  const asked = ollamaAsk(body, messages)
  const shape: Shape = ({ content = '', ...rest }) => ({ message: { role: 'assistant', content, ...rest } })
  return respond(ctx, scope, body, shape, async ({ model }) => (await prepare(ctx, scope, model, asked))[0]!)
}

export async function ollamaGenerate(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, ollamaGenerateRequest)
  if (body.raw && body.system) throw badRequest('system: a raw prompt has no place for it; write it into the prompt.', 'system')
  if (body.images?.length) throw badRequest('This model reads text only; images cannot be used.', 'images', 'unsupported_content')
  if (!body.prompt) return loadOrUnload(ctx, body.model, body.keep_alive, { response: '' })
  const shape: Shape = ({ content = '', thinking }) => ({ response: content, ...(thinking !== undefined && { thinking }) })
  return respond(ctx, scope, body, shape, async ({ model }) => {
    if (body.raw || body.suffix) return rawContinuation(ctx, scope, model, body, body.prompt!)
    const messages: Message[] = [{ role: 'user', content: body.prompt! }]
    if (body.system) messages.unshift({ role: 'system', content: body.system })
    return (await prepare(ctx, scope, model, ollamaAsk(body, messages)))[0]!
  })
}

async function rawContinuation(
  ctx: ServerContext,
  scope: Scope,
  model: ServedModel,
  body: OllamaGenerateRequest,
  prompt: string,
): Promise<Continuation> {
  const options = ollamaOptions(body.options)
  const maxTokens = Math.min(options.maxTokens ?? Number.POSITIVE_INFINITY, ctx.limits.outputTokens)
  await checkLongTexts([prompt], model, 'prompt', scope.signal)
  const { ids, stops } = body.suffix
    ? fillPrompt(model, { before: prompt, after: body.suffix }, 'suffix')
    : { ids: promptOf(model, prompt, 'prompt', { special: body.parse_special ?? true }), stops: [] }
  const constraint = await constraintOf(ctx, scope, model, ollamaForm(body))
  return new Continuation(
    model,
    ids,
    {
      ...options,
      stop: [...(options.stop ?? []), ...stops],
      maxTokens,
      logprobs: body.logprobs ? (body.top_logprobs ?? 0) : undefined,
      cacheKey: scope.tenant,
    },
    'prompt',
    constraint,
  )
}

async function respond(
  ctx: ServerContext,
  scope: Scope,
  body: Pick<OllamaGenerateRequest, 'model' | 'stream' | 'logprobs' | 'top_logprobs' | 'keep_alive'>,
  shape: Shape,
  make: (lease: Lease) => Promise<Generated>,
): Promise<Response> {
  const started = performance.now()
  return withModel(ctx, scope, body.model, async (lease) => {
    const loadedMs = performance.now() - started
    if (isZeroDuration(body.keep_alive)) lease.unloadAfter()
    const head = () => ({ model: body.model, created_at: new Date().toISOString() })
    const last = (finish: FinishEvent) => ({
      done: true,
      done_reason: finish.reason === 'stop' || finish.reason === 'tool-calls' ? 'stop' : 'length',
      stop_reason: stopReason(finish.reason),
      ...durations(finish, started, loadedMs),
    })
    const source = await make(lease)
    ctx.admission.check(scope.tenant, lease)
    if (body.stream === false) {
      const { tokenizer } = lease.model
      const scores: object[] = []
      const { content, reasoning, calls, finish } = await wholeAnswer(runAnswer(ctx, scope, lease, source, scope.signal), (token) =>
        scores.push(logprobsOf(tokenizer, token, body.top_logprobs ?? 0)),
      )
      const logprobs = body.logprobs ? scores : undefined
      const piece = { content, ...(reasoning && { thinking: reasoning }), ...(calls.length > 0 && { tool_calls: calls.map(toolCall) }) }
      return new Response(line({ ...head(), ...shape(piece), logprobs, ...last(finish) }), {
        headers: { 'content-type': 'application/json' },
      })
    }
    const options = { contentType: 'application/x-ndjson' as const, error: ({ body: error }: ApiError) => line({ error: error.message }) }
    return streamResponse(ctx, scope, options, async (stream) => {
      let scores: object[] = []
      const taken = () => (scores.length > 0 ? scores : undefined)
      const send = async (piece: Parameters<Shape>[0]) => {
        await stream.send(line({ ...head(), ...shape(piece), logprobs: taken(), done: false }))
        scores = []
      }
      for await (const event of runAnswer(ctx, scope, lease, source, stream.signal)) {
        if (event.type === 'text-token') scores.push(logprobsOf(lease.model.tokenizer, event, body.top_logprobs ?? 0))
        else if (event.type === 'text-delta') await send({ content: event.delta })
        else if (event.type === 'reasoning-delta') await send({ thinking: event.delta })
        else if (event.type === 'tool-call-end') await send({ tool_calls: [toolCall(event)] })
        else if (event.type === 'finish') await stream.send(line({ ...head(), ...shape({}), logprobs: taken(), ...last(event) }))
      }
    })
  })
}

/** An empty request loads the model; with keep_alive 0 it unloads it, once running answers have ended. */
async function loadOrUnload(
  ctx: ServerContext,
  model: string,
  keepAlive: string | number | null | undefined,
  empty: object,
): Promise<Response> {
  const unload = isZeroDuration(keepAlive)
  if (unload) await ctx.registry.unload(model)
  else (await ctx.registry.acquire(model)).release()
  return Response.json({ model, created_at: new Date().toISOString(), ...empty, done: true, done_reason: unload ? 'unload' : 'load' })
}

function toolCall({ id, name, arguments: text }: Omit<ToolCallPart, 'type'>): object {
  return { id, function: { name, arguments: argumentsObject(text) } }
}

function durations({ usage, timings }: FinishEvent, started: number, loadedMs: number) {
  const nanoseconds = (ms: number) => Math.round(ms * 1e6)
  return {
    total_duration: nanoseconds(performance.now() - started),
    load_duration: nanoseconds(loadedMs),
    prompt_eval_count: usage.promptTokens,
    prompt_eval_duration: nanoseconds(timings.firstTokenMs - timings.queuedMs),
    eval_count: usage.completionTokens,
    eval_duration: nanoseconds(timings.completionMs),
  }
}

const line = (value: object): string => `${writeJson(value)}\n`
