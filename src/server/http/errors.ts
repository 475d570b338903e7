/**
 * The errors of the HTTP surface: one class, the statuses that may leave the server, and the OpenAI body they are written in.
 * It refuses to leak: whatever is not an ApiError leaves as a plain 500 without its message.
 */
import { ChatError } from '../../chat/messages.ts'
import { BackendFailedError } from '../../engine/engine.ts'
import { SliceTimeoutError } from '../../structured/structured.ts'

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

export const badRequest = (message: string, param: string | null = null, code?: string | null): ApiError =>
  new ApiError(400, 'invalid_request_error', message, { param, code })

export const notFound = (message: string, code: string | null = null, param: string | null = null): ApiError =>
  new ApiError(404, 'invalid_request_error', message, { code, param })

export const modelNotFound = (id: string): ApiError =>
  notFound(`The model ${quote(id)} does not exist here. GET /v1/models lists the models of this server.`, 'model_not_found', 'model')

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
  if (error instanceof ChatError) {
    const field = error.field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    return badRequest(
      error.message.replace(error.field, () => field),
      field,
      error.code,
    )
  }
  if (error instanceof SliceTimeoutError)
    return overloaded('A schema could not be compiled in time. Try again later.', 10, 'schema_timeout')
  if (!(error instanceof Error)) return internalError()
  if (error.name === 'MemoryError')
    return overloaded('There is not enough memory for this answer now. Try again later or shorten it.', 10, 'out_of_memory')
  if (error.name === 'TimeoutError') return overloaded('The answer took longer than this server allows.', 1, 'request_timeout')
  return internalError()
}

const internalError = () =>
  new ApiError(500, 'server_error', 'The server had an internal error; the log names it by the x-request-id of this answer.')

/** JSON.stringify, shortened: untrusted text inside a message. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text)
}
