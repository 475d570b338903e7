/**
 * The errors of the HTTP surface: one class, the statuses that may leave the server, and the OpenAI body they are written in.
 * It refuses to leak: whatever is not an ApiError leaves as a plain 500 without its message.
 */
import { ChatError } from '../../chat/messages.ts'
import { BackendFailedError } from '../../engine/engine.ts'

export interface ErrorBody {
  message: string
  type: string
  param: string | null
  code: string | null
}

export interface ErrorDetails {
  /** The offending field as the client wrote it: `messages[2].content`. */
  param?: string | null
  code?: string | null
  headers?: Record<string, string>
}

/** An error that the client is told about, with its HTTP status. */
export class ApiError extends Error {
  readonly status: number
  readonly body: ErrorBody
  readonly headers: Record<string, string>
  constructor(status: number, type: string, message: string, details: ErrorDetails = {}) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.body = { message, type, param: details.param ?? null, code: details.code ?? null }
    this.headers = details.headers ?? {}
  }
}

export const badRequest = (message: string, param: string | null = null, code: string | null = null): ApiError =>
  new ApiError(400, 'invalid_request_error', message, { param, code })

export const notFound = (message: string, code: string | null = null, param: string | null = null): ApiError =>
  new ApiError(404, 'invalid_request_error', message, { code, param })

export const modelNotFound = (id: string): ApiError =>
  notFound(`The model ${quote(id)} does not exist here. GET /v1/models lists the models of this server.`, 'model_not_found', 'model')

export const contextExceeded = (tokens: number, context: number, param: string): ApiError =>
  badRequest(
    `The prompt has ${tokens} tokens; this model's context is ${context} tokens and at least one is needed for the answer. Shorten the input.`,
    param,
    'context_length_exceeded',
  )

export const notSupported = (message: string, param: string | null = null): ApiError =>
  new ApiError(501, 'not_supported_error', message, { param, code: 'not_supported' })

/** 503 with the time after which a retry has a chance. */
export const overloaded = (message: string, retryAfterSeconds: number, code = 'overloaded'): ApiError =>
  new ApiError(503, 'unavailable_error', message, { code, headers: retryAfter(retryAfterSeconds) })

export const rateLimited = (message: string, retryAfterSeconds: number): ApiError =>
  new ApiError(429, 'rate_limit_error', message, { code: 'rate_limit_exceeded', headers: retryAfter(retryAfterSeconds) })

const retryAfter = (seconds: number): Record<string, string> => ({ 'retry-after': String(Math.max(1, Math.ceil(seconds))) })

/** Any thrown value as an ApiError; only errors made for clients keep their text. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof BackendFailedError)
    return overloaded('The model has stopped working. The next request loads it again.', 1, 'model_failed')
  if (error instanceof ChatError) return badRequest(error.message, error.field)
  if (error instanceof Error && error.name === 'UnsupportedSchemaError') return badRequest(error.message, null, 'unsupported_schema')
  return new ApiError(500, 'server_error', 'The server had an internal error; the log names it by the x-request-id of this answer.')
}

/** JSON.stringify, shortened: untrusted text inside a message. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text)
}
