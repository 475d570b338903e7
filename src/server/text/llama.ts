/** llama-server's own endpoints for texts: POST /completion, and /infill, which editors ask for the text at the cursor. */
import { Continuation, PromptReading, promptOf } from '../../answer/continuation.ts'
import type { FinishEvent } from '../../chat/messages.ts'
import { readBody } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { type ApiError, badRequest } from '../http/errors.ts'
import { sse, streamResponse } from '../http/stream.ts'
import { checkLongTexts } from '../long-texts.ts'
import type { ServedModel } from '../models/model.ts'
import { constraintOf, drawingOf, stopsOf } from '../prepare.ts'
import { runAnswer, timingsOf, wholeAnswer, withModel } from '../run.ts'
import { limitOf, withoutSeed } from '../schemas/common.ts'
import { givenForm } from '../schemas/forms.ts'
import { infillRequest, type LlamaRequest, llamaCompletionRequest } from '../schemas/llama.ts'
import { fillPrompt } from './fill.ts'

export async function llamaCompletion(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, llamaCompletionRequest)
  return respond(ctx, scope, body, (model) => {
    if (typeof body.prompt === 'string') return { ids: promptOf(model, body.prompt, 'prompt'), stops: [] }
    const unknown = body.prompt.find((id) => id >= model.architecture.vocabSize)
    if (unknown !== undefined)
      throw badRequest(`prompt: token ${unknown} is not in the vocabulary of ${model.architecture.vocabSize}.`, 'prompt')
    return { ids: body.prompt, stops: [] }
  })
}

export async function infill(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, infillRequest)
  const files = (body.input_extra ?? []).map(({ filename, text }) => ({ name: filename ?? 'file', text }))
  const gap = { before: body.input_prefix, after: body.input_suffix, begun: body.prompt ?? '', files }
  return respond(ctx, scope, body, (model) => fillPrompt(model, gap, 'input_suffix'))
}

async function respond(
  ctx: ServerContext,
  scope: Scope,
  body: LlamaRequest,
  prompt: (model: ServedModel) => { ids: readonly number[]; stops: readonly string[] },
): Promise<Response> {
  return withModel(ctx, scope, body.model, async (lease) => {
    if (typeof body.prompt === 'string') await checkLongTexts([body.prompt], lease.model, 'prompt', scope.signal)
    const { ids, stops } = prompt(lease.model)
    const limit = body.n_predict ?? body.max_tokens
    const ask = {
      ...drawingOf(withoutSeed({ ...body, repetition_penalty: body.repeat_penalty })),
      maxTokens: Math.min(limitOf(limit) ?? Number.MAX_SAFE_INTEGER, ctx.limits.outputTokens),
      stop: [...stopsOf(body.stop), ...stops],
      cacheKey: scope.tenant,
    }
    const constraint = await constraintOf(ctx, scope, lease.model, givenForm(body))
    const source = limit === 0 ? new PromptReading(lease.model, ids, ask) : new Continuation(lease.model, ids, ask, 'prompt', constraint)
    ctx.admission.check(scope.tenant, lease)
    const last = (finish: FinishEvent) => ({
      stop: true,
      model: body.model ?? lease.entry.id,
      tokens_predicted: finish.usage.completionTokens,
      tokens_evaluated: finish.usage.promptTokens,
      tokens_cached: finish.usage.cachedTokens,
      truncated: false,
      stop_type: finish.reason !== 'stop' ? 'limit' : finish.stopText === undefined ? 'eos' : 'word',
      stopping_word: finish.stopText ?? '',
      timings: timingsOf(finish),
    })
    if (!body.stream) {
      const { content, finish } = await wholeAnswer(runAnswer(ctx, scope, lease, source, scope.signal))
      return Response.json(chosen(body.response_fields, { content, ...last(finish) }))
    }
    const options = { contentType: 'text/event-stream' as const, error: ({ body: error }: ApiError) => sse({ error }) }
    return streamResponse(ctx, scope, options, async (stream) => {
      for await (const event of runAnswer(ctx, scope, lease, source, stream.signal)) {
        if (event.type === 'text-delta') await stream.send(sse({ content: event.delta, stop: false }))
        else if (event.type === 'finish') await stream.send(sse(chosen(body.response_fields, { content: '', ...last(event) })))
      }
    })
  })
}

/** The fields that a request names, as llama-server gives them: `timings/prompt_n` under this name; unknown ones are left out. */
function chosen(names: readonly string[] | null | undefined, answer: object): object {
  if (!names?.length) return answer
  const found = names.map((name): [string, unknown] => [name, name.split('/').reduce(fieldOf, answer)])
  return Object.fromEntries(found.filter(([, value]) => value !== undefined))
}

const fieldOf = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined
