/** Stored responses: read, replay, list their input, cancel, delete; and the count of a request's prompt. */
import { type ChatEvent, NO_TIMINGS } from '../../chat/messages.ts'
import { customArguments } from '../custom-tools.ts'
import { readBody } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { badRequest, notFound, quote } from '../http/errors.ts'
import { prepare } from '../prepare.ts'
import { withModel } from '../run.ts'
import { inputTokensRequest } from '../schemas/responses.ts'
import { responseAsk } from './ask.ts'
import { ResponseBuilder, type ResponseEvent } from './builder.ts'
import { pageOf } from './conversations.ts'
import { inputItems } from './input.ts'
import { streamEvents } from './responses.ts'
import { isUnfinished, type StoredResponse } from './store.ts'

type Params = Record<string, string>

export async function getResponse(ctx: ServerContext, scope: Scope, request: Request, params: Params): Promise<Response> {
  const record = await find(ctx, scope, params.id!)
  const query = new URL(request.url).searchParams
  if (query.get('stream') !== 'true') return Response.json(now(ctx, scope, record))
  const after = query.get('starting_after') ?? '-1'
  if (!/^-?\d{1,9}$/.test(after)) throw badRequest('starting_after must be a sequence number.', 'starting_after')
  const job = ctx.jobs.get(scope.tenant, record.id)
  if (job) return streamEvents(ctx, scope, (signal) => job.follow(Number(after), signal))
  const events = await replay(record)
  return streamEvents(ctx, scope, () => events.filter((event) => event.sequence_number > Number(after)))
}

export async function deleteResponse(ctx: ServerContext, scope: Scope, _request: Request, params: Params): Promise<Response> {
  const { id } = await find(ctx, scope, params.id!)
  await ctx.jobs.get(scope.tenant, id)?.stop() // it stores its last state, which would bring the response back
  ctx.jobs.delete(id)
  await ctx.store.delete(scope.tenant, id)
  return Response.json({ id, object: 'response', deleted: true })
}

export async function listInputItems(ctx: ServerContext, scope: Scope, request: Request, params: Params): Promise<Response> {
  return Response.json(pageOf((await find(ctx, scope, params.id!)).input, request))
}

export async function cancelResponse(ctx: ServerContext, scope: Scope, _request: Request, params: Params): Promise<Response> {
  const record = await find(ctx, scope, params.id!)
  if (record.response.background !== true) throw badRequest('Only background responses can be cancelled.', 'id')
  await ctx.jobs.get(scope.tenant, record.id)?.stop()
  const last = await find(ctx, scope, record.id)
  if (!isUnfinished(last)) return Response.json(last.response)
  // No job stores an end: the store failed when it ended, or another process had it.
  const response = { ...last.response, status: 'cancelled' }
  await ctx.store.put({ ...last, response })
  return Response.json(response)
}

export async function inputTokens(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, inputTokensRequest)
  const whole = { ...body, model: body.model ?? '', input: body.input ?? [] }
  const asked = await responseAsk(ctx, scope, whole, await inputItems(ctx, scope, whole.input))
  return withModel(ctx, scope, body.model, async ({ model }) => {
    const [answer] = await prepare(ctx, scope, model, asked)
    return Response.json({ object: 'response.input_tokens', input_tokens: answer!.promptIds.length })
  })
}

/** The response as it is now: while its job runs, the stored one still says `queued`. */
function now(ctx: ServerContext, scope: Scope, record: StoredResponse): StoredResponse['response'] {
  const runs = ctx.jobs.get(scope.tenant, record.id)?.ended === false
  return runs && isUnfinished(record) ? { ...record.response, status: 'in_progress' } : record.response
}

async function find(ctx: ServerContext, scope: Scope, id: string): Promise<StoredResponse> {
  const record = await ctx.store.get(scope.tenant, id)
  if (record?.response.object !== 'response') throw notFound(`The response ${quote(id)} is not stored here.`, 'response_not_found', 'id')
  return record
}

/** A finished response as the events that would have built it, one delta per part. */
async function replay({ response }: StoredResponse): Promise<ResponseEvent[]> {
  const builder = new ResponseBuilder(
    { ...response, status: 'in_progress', output: [], usage: null, completed_at: null, incomplete_details: null },
    {
      ids: response.output.map(({ id }) => id),
      custom: new Set(response.output.flatMap(({ type, name }) => (type === 'custom_tool_call' ? [name as string] : []))),
    },
  )
  const events = builder.start()
  for (const item of response.output) for (const event of eventsOf(item)) events.push(...(await builder.of(event)))
  const usage = response.usage as {
    input_tokens: number
    output_tokens: number
    input_tokens_details: { cached_tokens: number }
    output_tokens_details: { reasoning_tokens: number }
  } | null
  const finish = {
    type: 'finish' as const,
    reason: response.status === 'completed' ? ('stop' as const) : ('length' as const),
    usage: {
      promptTokens: usage?.input_tokens ?? 0,
      completionTokens: usage?.output_tokens ?? 0,
      cachedTokens: usage?.input_tokens_details.cached_tokens ?? 0,
      reasoningTokens: usage?.output_tokens_details.reasoning_tokens ?? 0,
    },
    timings: NO_TIMINGS,
  }
  events.push(...(await builder.of(finish)))
  const last = builder.end(finish)
  return [...events, { ...last, type: `response.${response.status as string}`, response }]
}

function eventsOf(item: StoredResponse['response']['output'][number]): ChatEvent[] {
  const text = (item.content as { text?: string }[] | undefined)?.[0]?.text ?? ''
  if (item.type === 'reasoning')
    return [{ type: 'reasoning-start' }, { type: 'reasoning-delta', delta: text }, { type: 'reasoning-end', text }]
  if (item.type === 'function_call' || item.type === 'custom_tool_call') {
    const args = item.type === 'function_call' ? (item.arguments as string) : customArguments(item.input as string)
    const call = { id: item.call_id as string, name: item.name as string, arguments: args }
    return [
      { type: 'tool-call-start', id: call.id, name: call.name },
      { type: 'tool-call-delta', id: call.id, argumentsDelta: call.arguments },
      { type: 'tool-call-end', ...call },
    ]
  }
  const phase = item.phase === 'commentary' ? 'commentary' : 'final'
  return [
    { type: 'text-start', phase },
    { type: 'text-delta', delta: text, phase },
    { type: 'text-end', text, phase },
  ]
}
