/** The choices of one request, whole or as a stream of chunks: what /v1/chat/completions and /v1/completions have in common. */
import type { FinishEvent } from '../chat/messages.ts'
import type { Scope, ServerContext } from './http/context.ts'
import { sse, streamResponse } from './http/stream.ts'
import type { Lease } from './models/registry.ts'
import { together } from './run.ts'

/** One choice on its way. Its answer is counted by the request: runAnswer need not admit it. */
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

/** @throws 503 unless as many choices as run at once fit into slots and queue */
export async function respondWithChoices(
  ctx: ServerContext,
  scope: Scope,
  lease: Lease,
  request: Request,
  body: { stream?: boolean | null; stream_options?: { include_usage?: boolean | null } | null },
  runs: readonly ChoiceRun[],
  { whole, chunk, totals }: ChoicesShape,
): Promise<Response> {
  const width = ctx.admission.width(lease, runs.length)
  ctx.admission.check(scope.tenant, lease, width)
  /** Runs all choices. A place is kept for the next choice, so that no other request takes it in between. */
  const runAll = async <T>(signal: AbortSignal, tasks: readonly ((signal: AbortSignal) => Promise<T>)[]): Promise<T[]> => {
    const places = Array.from({ length: width }, () => ctx.admission.begin(scope.tenant, lease))
    const letGo = lease.hold() // the request may end before its work does
    let remaining = tasks.length
    const counted = tasks.map(
      (task) => (shared: AbortSignal) =>
        task(shared).finally(() => {
          if (--remaining < width) places.pop()?.()
        }),
    )
    try {
      return await together(signal, counted, width)
    } finally {
      for (const leave of places) leave()
      letGo()
    }
  }
  if (!body.stream) {
    const answer = await ctx.joins.run(ctx, scope, request, body, async (shared) => {
      const ended = await runAll(
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
    const finishes = await runAll(
      stream.signal,
      runs.map((run) => (signal) => run.stream(signal, send, onPosition)),
    )
    if (withUsage) await stream.send(sse({ ...chunk, choices: [], ...totals(finishes) }))
    await stream.send(sse('[DONE]'))
  })
}
