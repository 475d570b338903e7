/** Reading a request body: bounded before it is buffered, strict UTF-8, bounded nesting, checked by a zod schema. All failures are 4xx. */
import { z } from 'zod'
import { readJson as readLossless } from '../../json/lossless.ts'
import { ignoredFields } from '../schemas/fields.ts'
import type { Scope, ServerContext } from './context.ts'
import { ApiError, badRequest } from './errors.ts'
import type { Limits } from './limits.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * The parsed JSON body as the schema types it. Fields that it does not know are refused or ignored as schemas/fields.ts says.
 * @throws 400, 413 or 415
 */
export async function readBody<T extends z.ZodObject>(
  { limits }: ServerContext,
  scope: Scope,
  request: Request,
  schema: T,
): Promise<z.infer<T>> {
  const body = validate(await readJson(request, limits), schema)
  const ignored = unread(body, schema)
  if (ignored.length > 0) scope.facts.ignored_fields = ignored.slice(0, 20).map(asToken).join(', ')
  return body
}

/** What nothing reads in a body and in the objects directly inside it. */
function unread(body: object, schema: z.ZodObject, where = ''): string[] {
  const inner = Object.entries(schema.shape).flatMap(([field, type]) => {
    let kind: unknown = type
    while (kind instanceof z.ZodOptional || kind instanceof z.ZodNullable) kind = kind.unwrap()
    const value = (body as Record<string, unknown>)[field]
    return kind instanceof z.ZodObject && value ? unread(value, kind, `${where}${field}.`) : []
  })
  return [...ignoredFields(body, new Set(Object.keys(schema.shape)), where), ...inner]
}

/** Names of clients, fit for a header. */
const asToken = (field: string) => field.replace(/[^\w.-]/g, '?').slice(0, 64)

export async function readJson(request: Request, limits: Limits): Promise<unknown> {
  const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (type === undefined ? fromBrowser(request) : type !== 'application/json')
    throw new ApiError(415, 'invalid_request_error', 'Send the body as JSON with the header "Content-Type: application/json".')
  const encoding = request.headers.get('content-encoding')
  if (encoding && encoding.toLowerCase() !== 'identity')
    throw new ApiError(415, 'invalid_request_error', 'Compressed request bodies are not accepted; send the body as it is.')
  const text = await readText(request, limits.bodyBytes)
  checkDepth(text, limits.jsonDepth)
  try {
    const dangerous = text.includes('__proto__') || text.includes('\\u')
    return readLossless(text, dangerous ? withoutPrototype : undefined)
  } catch {
    throw badRequest('The body is not valid JSON.')
  }
}

/** Browsers send these headers with every POST; a page must not reach the server by leaving the content type away. */
const fromBrowser = ({ headers }: Request): boolean =>
  headers.has('origin') || headers.has('sec-fetch-site') || headers.has('sec-fetch-mode')

async function readText(request: Request, limit: number): Promise<string> {
  const tooLarge = () =>
    new ApiError(413, 'invalid_request_error', `The body is larger than ${limit} bytes, the limit of this server.`, {
      headers: { connection: 'close' },
    })
  if (Number(request.headers.get('content-length') ?? 0) > limit) throw tooLarge()
  const chunks: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
      bytes += chunk.length
      if (bytes > limit) throw tooLarge()
      chunks.push(chunk)
    }
  } catch (error) {
    throw error instanceof ApiError ? error : new ApiError(499, 'invalid_request_error', 'The client left before its body was whole.')
  }
  const whole = new Uint8Array(bytes)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  try {
    return utf8.decode(whole)
  } catch {
    throw badRequest('The body is not valid UTF-8.')
  }
}

/** Refuses deep nesting before the parser builds it; brackets inside strings do not count. */
function checkDepth(text: string, limit: number): void {
  let depth = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (inString) {
      if (code === 0x5c) i++
      else if (code === 0x22) inString = false
    } else if (code === 0x22) inString = true
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > limit) throw badRequest(`The body is nested more than ${limit} levels deep.`)
    } else if (code === 0x7d || code === 0x5d) depth--
  }
}

const withoutPrototype = (key: string, value: unknown): unknown => (key === '__proto__' ? undefined : value)

export function validate<T extends z.ZodType>(value: unknown, schema: T, prefix = ''): z.infer<T> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const { path, message } = deepest(result.error.issues)
  const param =
    prefix +
    path.map((key, i) => (typeof key === 'number' ? `[${key}]` : i === 0 && prefix === '' ? String(key) : `.${String(key)}`)).join('')
  throw badRequest(param === '' ? `${message}.` : `${param}: ${message}.`, param === '' ? null : param.slice(0, 200))
}

interface Issue {
  path: PropertyKey[]
  message: string
  errors?: Issue[][]
}

/** "expected string or array, received null", of a value that fits no alternative. */
function alternatives(branches: readonly Issue[][]): string | undefined {
  const parts = branches.map(([first]) => /^Invalid input: expected (.+), received (.+)$/.exec(first?.message ?? ''))
  if (parts.length === 0 || parts.some((part) => !part)) return undefined
  return `expected ${[...new Set(parts.map((part) => part![1]))].join(' or ')}, received ${parts[0]![2]}`
}

/** The issue that points furthest into the value: in a union, of the alternative that fits best. */
function deepest(issues: readonly unknown[]): { path: PropertyKey[]; message: string } {
  let best: { path: PropertyKey[]; message: string } | undefined
  for (const issue of issues as Issue[]) {
    let found: { path: PropertyKey[]; message: string } = issue
    if (issue.errors) {
      for (const branch of issue.errors) {
        if (branch.length === 0) continue
        const inner = deepest(branch)
        if (inner.path.length > 0) found = { path: [...issue.path, ...inner.path], message: inner.message }
      }
      if (found === issue) found = { path: issue.path, message: alternatives(issue.errors) ?? issue.message }
    }
    if (!best || found.path.length > best.path.length) best = found
  }
  return best ?? { path: [], message: 'Invalid input' }
}
