/** POST /v1/responses: input items in, output items out, whole, streamed or in the background. */
import type { Answer } from '../../answer/answer.ts'
import type { FinishEvent } from '../../chat/messages.ts'
import { logprobsOf } from '../chat-completions/logprobs.ts'
import { readBody } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { logError } from '../http/error-response.ts'
import { type ApiError, badRequest, toApiError } from '../http/errors.ts'
import { linked } from '../http/signals.ts'
import { sse, streamResponse } from '../http/stream.ts'
import type { Lease } from '../models/registry.ts'
import { runAnswer, withModel } from '../run.ts'
import { type ResponseRequest, responseRequest } from '../schemas/responses.ts'
import { prepareTruncated, responseAsk, wantsLogprobs } from './ask.ts'
import { ResponseBuilder, type ResponseEvent } from './builder.ts'
import { conversationOf } from './conversations.ts'
import { checkInput, inputItems } from './input.ts'
import { ResponseJob } from './jobs.ts'
import { responseObject } from './object.ts'
import type { StoredItem } from './store.ts'

export async function createResponse(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, responseRequest)
  checkInput(body)
  if (body.background && body.store === false)
    throw badRequest('A background response must be stored; leave out "store": false.', 'background')
  const items = await inputItems(ctx, scope, body.input)
  const asked = await responseAsk(ctx, scope, body, items)
  return withModel(ctx, scope, body.model, async (lease) => {
    const answer = await prepareTruncated(ctx, scope, lease, asked, body.truncation === 'auto')
    ctx.admission.check(scope.tenant, lease)
    const work = new ResponseWork(ctx, scope, lease, body, items, answer, asked.custom)
    if (body.background) return work.inBackground()
    if (body.stream) return work.streamed()
    return Response.json(await ctx.joins.run(ctx, scope, request, body, (signal, gone) => work.whole(signal, gone)))
  })
}

class ResponseWork {
  readonly #ctx: ServerContext
  readonly #scope: Scope
  readonly #lease: Lease
  readonly #body: ResponseRequest
  readonly #items: StoredItem[]
  readonly #answer: Answer
  readonly #builder: ResponseBuilder

  constructor(
    ctx: ServerContext,
    scope: Scope,
    lease: Lease,
    body: ResponseRequest,
    items: StoredItem[],
    answer: Answer,
    custom: ReadonlySet<string> | undefined,
  ) {
    this.#ctx = ctx
    this.#scope = scope
    this.#lease = lease
    this.#body = body
    this.#items = items
    this.#answer = answer
    const { tokenizer } = lease.model
    const seals = body.include?.includes('reasoning.encrypted_content')
    this.#builder = new ResponseBuilder(responseObject(body, lease.model), {
      custom,
      seal: seals ? (text) => ctx.sealer.seal(scope.tenant, text) : undefined,
      logprobs: wantsLogprobs(body) ? (token) => logprobsOf(tokenizer, token, body.top_logprobs ?? 0) : undefined,
    })
  }

  async whole(signal: AbortSignal, gone: AbortSignal): Promise<object> {
    this.#builder.start()
    await this.#run(signal, gone, async () => {})
    return this.#builder.response
  }

  streamed(): Response {
    const options = {
      contentType: 'text/event-stream' as const,
      error: (error: ApiError) => [...this.#builder.fail(error.body).map(eventText), sse('[DONE]')].join(''),
    }
    return streamResponse(this.#ctx, this.#scope, options, async (stream) => {
      const send = async (events: readonly ResponseEvent[]) => {
        for (const event of events) await stream.send(eventText(event))
      }
      await send(this.#builder.start())
      await this.#run(stream.signal, this.#scope.client, send, (ahead) => stream.comment(`queued ${ahead + 1}`))
      await stream.send(sse('[DONE]'))
    })
  }

  async inBackground(): Promise<Response> {
    const { response } = this.#builder
    const job = new ResponseJob(this.#scope.tenant)
    const first = structuredClone(response)
    await this.#store()
    this.#ctx.jobs.add(response.id, job)
    job.add(this.#builder.start(true))
    const work = linked([job.controller.signal, this.#ctx.stopping])
    const done = this.#run(work.signal, job.controller.signal, async (events) => job.add(events))
      .catch(async (error: unknown) => {
        job.add(job.controller.signal.aborted ? [this.#builder.cancel()] : this.#builder.fail(toApiError(error).body))
        await this.#store()
      })
      .catch((error: unknown) => logError(this.#ctx, { request: this.#scope.id }, error))
      .finally(() => {
        job.end()
        work.release()
        this.#ctx.background.delete(done)
      })
    this.#ctx.background.add(done)
    return this.#body.stream ? streamEvents(this.#ctx, this.#scope, (signal) => job.follow(-1, signal)) : Response.json(first)
  }

  /** @param gone aborts on disconnect or cancel; no response can be written any more */
  async #run(
    signal: AbortSignal,
    gone: AbortSignal,
    send: (events: readonly ResponseEvent[]) => Promise<void>,
    onPosition?: (ahead: number) => void,
  ): Promise<void> {
    let finish: FinishEvent | undefined
    for await (const event of runAnswer(this.#ctx, this.#scope, this.#lease, this.#answer, signal, onPosition)) {
      if (event.type === 'finish') finish = event
      const events = await this.#builder.of(event)
      if (events.length > 0) await send(events)
    }
    if (finish!.reason === 'abort') gone.throwIfAborted() // the time limit and a stopping server give an incomplete response instead
    const last = this.#builder.end(finish!)
    await this.#store() // before the client is told, so that a response that was announced survives a crash
    await send([last])
  }

  async #store(): Promise<void> {
    const { response } = this.#builder
    const conversation = conversationOf(this.#body)
    const hasEnded = response.status !== 'queued' && response.status !== 'in_progress'
    if (conversation && hasEnded) {
      const items = [...this.#items, ...structuredClone(response.output)]
      await this.#ctx.conversations.add(this.#scope.tenant, conversation, items).catch((error: unknown) => {
        if (toApiError(error).status !== 404) throw error // the conversation was deleted meanwhile; the response stays
      })
    }
    if (this.#body.store === false) return
    await this.#ctx.store.put({
      id: response.id,
      tenant: this.#scope.tenant,
      storedAt: Date.now(),
      previousId: this.#body.previous_response_id ?? null,
      input: this.#items,
      response: structuredClone(response),
    })
  }
}

/** The events of a background or stored response as a stream of its own, which a client may leave and read again. */
export function streamEvents(
  ctx: ServerContext,
  scope: Scope,
  events: (signal: AbortSignal) => AsyncIterable<ResponseEvent> | Iterable<ResponseEvent>,
): Response {
  // An error has both known shapes here, too.
  const error = ({ body: { code, message, param }, body }: ApiError) => sse({ type: 'error', code, message, param, error: body }, 'error')
  return streamResponse(ctx, scope, { contentType: 'text/event-stream', error }, async (stream) => {
    for await (const event of events(stream.signal)) await stream.send(eventText(event))
    await stream.send(sse('[DONE]'))
  })
}

const eventText = (event: ResponseEvent): string => sse(event, event.type)
