/** An error as a response, and a request as a log line. What was not meant for clients goes to the log only. */
import type { LogLine, Scope, ServerContext } from './context.ts'
import { type ErrorBody, toApiError } from './errors.ts'

/** @param path says whose API was called, and so the form of the error */
export function errorResponse(ctx: ServerContext, scope: Scope, thrown: unknown, path: string): Response {
  // The signal also aborts when the time is up or the server stops. Then the client still waits for an answer.
  if (scope.client.aborted && scope.signal.aborted && thrown === scope.signal.reason) {
    scope.facts.aborted = true
    return new Response(null, { status: 499 }) // only the log shows this
  }
  const error = toApiError(thrown)
  if (error.status === 500) logError(ctx, { request: scope.id }, thrown)
  else ctx.metrics.rejected.add({ reason: error.body.code ?? error.body.type })
  scope.facts.error = error.body.code ?? error.body.type
  const { status, body, headers } = error
  return Response.json(inFormOf(path, status, body, scope.id), { status, headers })
}

function inFormOf(path: string, status: number, error: ErrorBody, requestId: string): object {
  if (path.startsWith('/api/')) return { error: error.message } // Ollama
  return path.startsWith('/v1/messages') ? anthropicError(status, error, requestId) : { error }
}

/** Anthropic's names of errors by status. */
const ANTHROPIC_TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  500: 'api_error',
  503: 'overloaded_error',
}

export function anthropicError(status: number, { message }: ErrorBody, requestId: string) {
  return { type: 'error', error: { type: ANTHROPIC_TYPES[status] ?? 'invalid_request_error', message }, request_id: requestId }
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
