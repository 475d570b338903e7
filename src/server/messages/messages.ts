/** POST /v1/messages and /v1/messages/count_tokens: Anthropic's API over the same answers. */
import { writeJson } from '../../json/lossless.ts'
import { readBody } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { anthropicError } from '../http/error-response.ts'
import type { ApiError } from '../http/errors.ts'
import { hash } from '../http/names.ts'
import { sse, streamResponse } from '../http/stream.ts'
import { prepare } from '../prepare.ts'
import { runAnswer, withModel } from '../run.ts'
import { countTokensRequest, type MessagesRequest, messagesRequest } from '../schemas/messages.ts'
import { type BuilderOptions, MessageBuilder, type MessageEvent } from './builder.ts'
import { messagesAsk } from './input.ts'

export async function createMessage(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, messagesRequest)
  const asked = await messagesAsk(ctx, scope, body)
  return withModel(ctx, scope, body.model, async (lease) => {
    const [answer] = await prepare(ctx, scope, lease.model, asked)
    ctx.admission.check(scope.tenant, lease)
    const thinking = shownThinking(body)
    const builder = new MessageBuilder({
      model: body.model,
      promptTokens: answer!.promptIds.length,
      sign: async (text) => (thinking === 'omitted' ? ctx.sealer.seal(scope.tenant, text) : hash(text)),
      thinking,
    })
    if (!body.stream) {
      const message = await ctx.joins.run(ctx, scope, request, body, async (signal) => {
        for await (const event of runAnswer(ctx, scope, lease, answer!, signal)) await builder.of(event)
        return builder.message
      })
      return new Response(writeJson(message), { headers: { 'content-type': 'application/json' } }) // keeps the spelling of numbers
    }
    const options = {
      contentType: 'text/event-stream' as const,
      error: ({ status, body: error }: ApiError) => text(anthropicError(status, error, scope.id)),
    }
    return streamResponse(ctx, scope, options, async (stream) => {
      await stream.send(text(builder.start()))
      const onPosition = (ahead: number) => stream.comment(`queued ${ahead + 1}`)
      for await (const event of runAnswer(ctx, scope, lease, answer!, stream.signal, onPosition))
        for (const each of await builder.of(event)) await stream.send(text(each))
    })
  })
}

export async function countTokens(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, countTokensRequest)
  const asked = await messagesAsk(ctx, scope, body)
  return withModel(ctx, scope, body.model, async ({ model }) => {
    const [answer] = await prepare(ctx, scope, model, asked)
    return Response.json({ input_tokens: answer!.promptIds.length })
  })
}

/** Programs that did not ask for thinking expect the text in the first block. */
function shownThinking({ thinking }: MessagesRequest): BuilderOptions['thinking'] {
  if (!thinking || thinking.type === 'disabled') return 'hidden'
  return thinking.display === 'omitted' ? 'omitted' : 'shown'
}

const text = (event: MessageEvent): string => sse(event, event.type)
