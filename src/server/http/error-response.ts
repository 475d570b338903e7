/** An error as a response, and a request as a log line. What was not meant for clients goes to the log only. */
import type { LogLine, Scope, ServerContext } from './context.ts'
import { toApiError } from './errors.ts'

/** @param ollama whether the path speaks Ollama's form, `{"error":"text"}` */
export function errorResponse(ctx: ServerContext, scope: Scope, thrown: unknown, ollama: boolean): Response {
  const gone = scope.signal.aborted && thrown === scope.signal.reason
  const error = gone && ctx.stopping.aborted ? toApiError(ctx.stopping.reason) : toApiError(thrown)
  if (gone && !ctx.stopping.aborted) {
    scope.facts.aborted = true
    return new Response(null, { status: 499 }) // the client has left; only the log shows this
  }
  if (error.status === 500) logError(ctx, { request: scope.id }, thrown)
  else ctx.metrics.rejected.add({ reason: error.body.code ?? error.body.type })
  scope.facts.error = error.body.code ?? error.body.type
  return Response.json({ error: ollama ? error.body.message : error.body }, { status: error.status, headers: error.headers })
}

/** @param about the request or model that failed */
export function logError(ctx: ServerContext, about: Record<string, string>, error: unknown): void {
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
  ctx.log({ time: new Date().toISOString(), level: 'error', ...about, error: detail })
}

export function logLine(scope: Scope, method: string, path: string, status: number, ms: number): LogLine {
  return {
    time: new Date().toISOString(),
    level: status >= 500 ? 'error' : 'info',
    request: scope.id,
    method: method.slice(0, 16),
    path: path.slice(0, 120),
    status,
    ms: Math.round(ms),
    ...scope.facts,
  }
}
