/**
 * A streamed response body: each event is one write, silence is broken by comments, a reader that stops reading stops the work,
 * and so does one that leaves. Used for server-sent events and for Ollama's lines of JSON.
 */
import type { Scope, ServerContext } from './context.ts'
import { logError } from './error-response.ts'
import { type ApiError, toApiError } from './errors.ts'

export interface Stream {
  /** Resolves when the client has room for more. Rejects when it is gone or reads too slowly. */
  send(text: string): Promise<void>
  /** A comment now, if the stream has any; does not wait. */
  comment(text: string): void
  /** Aborts when the client has left, the time is up, or the server stops. */
  signal: AbortSignal
}

export interface StreamOptions {
  contentType: 'text/event-stream' | 'application/x-ndjson'
  /** What an error in the middle looks like. */
  error(error: ApiError): string
}

const utf8 = new TextEncoder()
/** Bytes that may wait for the client before the generation pauses. */
const WAITING_BYTES = 64 * 1024
/** Events closer together than this share a write: a small model would spend more time on system calls than on tokens. */
const TOGETHER_MS = 4

export function streamResponse(
  ctx: ServerContext,
  scope: Scope,
  options: StreamOptions,
  produce: (stream: Stream) => Promise<void>,
): Response {
  /** Why the stream has no reader any more. */
  let left: Error | undefined
  const { signal } = scope
  const events = options.contentType === 'text/event-stream'
  let controller!: ReadableStreamDefaultController<Uint8Array>
  let open = true
  let lastWrite = Number.NEGATIVE_INFINITY
  let pending = ''
  let flushing: ReturnType<typeof setTimeout> | undefined
  let waiting: { room: Promise<void>; wake(): void } | undefined
  scope.streaming = true

  const leave = (why: string) => {
    left = new Error(why)
    scope.abort(left)
  }
  const flush = () => {
    clearTimeout(flushing)
    flushing = undefined
    if (!open || pending === '') return
    lastWrite = performance.now()
    controller.enqueue(utf8.encode(pending))
    pending = ''
  }
  const write = (text: string) => {
    pending += text
    if (performance.now() - lastWrite >= TOGETHER_MS) flush()
    else flushing ??= setTimeout(flush, TOGETHER_MS)
  }
  const stop = () => {
    open = false
    clearInterval(pings)
    clearTimeout(flushing)
    waiting?.wake()
  }
  const close = () => {
    if (!open) return
    flush()
    stop()
    controller.close()
  }
  const pings = setInterval(
    () => {
      if (events && performance.now() - lastWrite >= ctx.limits.pingMs) write(': ping\n\n')
    },
    Math.max(10, ctx.limits.pingMs / 4),
  )
  /** Waits until the client has read enough; all that write to one stream wait together. */
  const room = (): Promise<void> | undefined => {
    if (!open || (controller.desiredSize ?? 1) - pending.length > 0) return undefined
    if (waiting) return waiting.room
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(() => {
      ctx.metrics.slowReaders.add({})
      waiting = undefined
      leave('the client did not read its stream')
      reject(left)
    }, ctx.limits.slowReaderMs)
    const wake = () => {
      clearTimeout(timer)
      waiting = undefined
      resolve()
    }
    waiting = { room: promise, wake }
    return promise
  }

  const body = new ReadableStream<Uint8Array>(
    {
      start(started) {
        controller = started
      },
      pull() {
        waiting?.wake()
      },
      cancel() {
        stop()
        leave('the client left')
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: WAITING_BYTES }),
  )

  const stream: Stream = {
    signal,
    async send(text) {
      if (left) throw left
      scope.client.throwIfAborted()
      write(text)
      await room()
    },
    comment(text) {
      if (events) write(`: ${text}\n\n`)
    },
  }
  const finished = produce(stream)
    .catch((error: unknown) => {
      if (left || scope.client.aborted) return
      const apiError = toApiError(error)
      if (apiError.status === 500) logError(ctx, { request: scope.id }, error)
      scope.facts.error = apiError.body.code ?? apiError.body.type
      write(options.error(apiError))
    })
    .finally(() => {
      try {
        close()
      } catch {
        // The client left between the last write and here.
      }
      scope.done()
    })
  ctx.background.add(finished)
  finished.finally(() => ctx.background.delete(finished))

  return new Response(body, {
    headers: {
      'content-type': events ? 'text/event-stream; charset=utf-8' : 'application/x-ndjson',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    },
  })
}

/** One server-sent event, `event:` line included when it has a name. */
export function sse(data: unknown, event?: string): string {
  return `${event === undefined ? '' : `event: ${event}\n`}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
}
