/** The choices of one request, whole or as a stream of chunks: what /v1/chat/completions and /v1/completions have in common. */
import type { FinishEvent } from '../chat/messages.ts'
import type { Scope, ServerContext } from './http/context.ts'
import { sse, streamResponse } from './http/stream.ts'
import { together } from './run.ts'

/** One choice on its way. */
export interface ChoiceRun {
  whole(signal: AbortSignal): Promise<{ choice: object; finish: FinishEvent }>
  stream(signal: AbortSignal, send: (choice: object) => Promise<void>, onPosition: (ahead: number) => void): Promise<FinishEvent>
}

export interface ChoicesShape {
  /** The fields around the choices of a whole answer and of a chunk. */
  whole: object
  chunk: object
  /** The fields about tokens and times. */
  totals(finishes: readonly FinishEvent[]): object
}

export async function respondWithChoices(
  ctx: ServerContext,
  scope: Scope,
  request: Request,
  body: { stream?: boolean | null; stream_options?: { include_usage?: boolean | null } | null },
  runs: readonly ChoiceRun[],
  { whole, chunk, totals }: ChoicesShape,
): Promise<Response> {
  if (!body.stream) {
    const answer = await ctx.joins.run(ctx, scope, request, body, async (shared) => {
      const ended = await together(
        shared,
        runs.map((run) => (signal) => run.whole(signal)),
      )
      return { ...whole, choices: ended.map(({ choice }) => choice), ...totals(ended.map(({ finish }) => finish)) }
    })
    return Response.json(answer)
  }
  return streamResponse(ctx, scope, { contentType: 'text/event-stream', error: ({ body: error }) => sse({ error }) }, async (stream) => {
    const withUsage = body.stream_options?.include_usage
    const usage = withUsage ? null : undefined // as OpenAI writes it in chunks before the last
    const send = (choice: object) => stream.send(sse({ ...chunk, choices: [choice], usage }))
    const onPosition = (ahead: number) => stream.comment(`queued ${ahead + 1}`)
    const finishes = await together(
      stream.signal,
      runs.map((run) => (signal) => run.stream(signal, send, onPosition)),
    )
    if (withUsage) await stream.send(sse({ ...chunk, choices: [], ...totals(finishes) }))
    await stream.send(sse('[DONE]'))
  })
}
