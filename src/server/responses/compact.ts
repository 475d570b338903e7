/**
 * POST /v1/responses/compact: the model writes a summary of the conversation; the client carries it, sealed, as a `compaction` item
 * in place of the items it stands for.
 */
import type { Ask } from '../../answer/ask.ts'
import type { Message } from '../../chat/messages.ts'
import { readBody } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { newId, unixSeconds } from '../http/names.ts'
import { prepare } from '../prepare.ts'
import { runAnswer, wholeAnswer, withModel } from '../run.ts'
import { responseRequest } from '../schemas/responses.ts'
import { responseAsk } from './ask.ts'
import { responsesUsage } from './builder.ts'
import { checkInput, inputItems } from './input.ts'

const REQUEST =
  'Summarise the conversation above so that it can be continued without it. Keep names, numbers, decisions, open questions and results of tools. Answer with the summary only.'

export async function compactResponse(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, responseRequest)
  checkInput(body)
  const asked = await responseAsk(ctx, scope, body, await inputItems(ctx, scope, body.input))
  return withModel(ctx, scope, body.model, async (lease) => {
    const messages: Message[] = [...asked.messages, { role: 'user', content: REQUEST }]
    const plain: Ask = {
      ...asked.ask,
      tools: [],
      toolChoice: 'none',
      schema: undefined,
      regex: undefined,
      choice: undefined,
      grammar: undefined,
      logprobs: undefined,
    }
    const [answer] = await prepare(ctx, scope, lease.model, { messages, ask: plain })
    const { content, finish } = await wholeAnswer(runAnswer(ctx, scope, lease, answer!, scope.signal))
    return Response.json({
      id: newId('resp'),
      object: 'response.compaction',
      created_at: unixSeconds(),
      output: [{ id: newId('cmp'), type: 'compaction', encrypted_content: await ctx.sealer.seal(scope.tenant, content) }],
      usage: responsesUsage(finish),
    })
  })
}
