/** Reading a request body: bounded before it is buffered, strict UTF-8, bounded nesting, checked by a zod schema. All failures are 4xx. */
import { z } from 'zod'
import { readJsonSteps } from '../../json/lossless.ts'
import { finish, inSlices } from '../../structured/cooperative.ts'
import { ignoredFields } from '../schemas/fields.ts'
import { tooLarge } from './bodies.ts'
import type { Scope, ServerContext } from './context.ts'
import { ApiError, badRequest } from './errors.ts'
import type { Limits } from './limits.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })
/** Texts up to this length are read at once, longer ones in slices between other work. */
const SHORT_CHARS = 64 * 1024

/**
 * The parsed JSON body as the schema types it. Fields that it does not know are refused or ignored as schemas/fields.ts says.
 * From here on the request counts among those of its key.
 * @throws 400, 408, 413, 415, 429 or 503
 */
export async function readBody<T extends z.ZodObject>(ctx: ServerContext, scope: Scope, request: Request, schema: T): Promise<z.infer<T>> {
  const body = validate(await readJson(ctx, scope, request), schema)
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

async function readJson({ limits, bodies, admission }: ServerContext, scope: Scope, request: Request): Promise<unknown> {
  checkType(request)
  admission.checkOpen()
  if (Number(request.headers.get('content-length') ?? 0) > limits.bodyBytes) throw tooLarge(limits.bodyBytes)
  const bytes = request.body ? await bodies.read(request.body, scope.tenant, scope.client, scope.atEnd) : new Uint8Array(0)
  scope.atEnd(admission.enter(scope.tenant))
  const text = decoded(bytes)
  const steps = parseSteps(text, limits)
  return text.length <= SHORT_CHARS ? finish(steps) : inSlices(steps, { signal: scope.signal })
}

function checkType(request: Request): void {
  const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (type === undefined ? fromBrowser(request) : type !== 'application/json')
    throw new ApiError(415, 'invalid_request_error', 'Send the body as JSON with the header "Content-Type: application/json".')
  const encoding = request.headers.get('content-encoding')
  if (encoding && encoding.toLowerCase() !== 'identity')
    throw new ApiError(415, 'invalid_request_error', 'Compressed request bodies are not accepted; send the body as it is.')
}

/** Browsers send these headers with every POST; a page must not reach the server by leaving the content type away. */
const fromBrowser = ({ headers }: Request): boolean =>
  headers.has('origin') || headers.has('sec-fetch-site') || headers.has('sec-fetch-mode')

function decoded(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw badRequest('The body is not valid UTF-8.')
  }
}

function* parseSteps(text: string, limits: Limits): Generator<void, unknown, void> {
  checkShape(text, limits)
  yield
  try {
    return yield* readJsonSteps(text, true)
  } catch {
    throw badRequest('The body is not valid JSON.')
  }
}

/** Refuses deep nesting and millions of values before the parser builds them; what stands in strings does not count. */
function checkShape(text: string, { jsonDepth, jsonValues }: Limits): void {
  let depth = 0
  let values = 1
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x22) i = endOfString(text, i)
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > jsonDepth) throw badRequest(`The body is nested more than ${jsonDepth} levels deep.`)
      values++
    } else if (code === 0x7d || code === 0x5d) depth--
    else if (code === 0x2c) values++
    if (values > jsonValues) throw badRequest(`The body has more than ${jsonValues} values.`)
  }
}

/** The index of the closing quote of the string that opens at `start`, or of the last character. */
function endOfString(text: string, start: number): number {
  for (let end = start; ; ) {
    end = text.indexOf('"', end + 1)
    if (end < 0) return text.length
    let slashes = 0
    while (text[end - 1 - slashes] === '\\') slashes++
    if (slashes % 2 === 0) return end
  }
}

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

/** What a message of zod says is expected. */
const wish = (message: string): string => message.replace(/^Invalid (input|option): (expected )?/, '')

/** The issue that points furthest into the value: in a union, of the alternative that fits best. */
function deepest(issues: readonly unknown[]): { path: PropertyKey[]; message: string } {
  let best: { path: PropertyKey[]; message: string } | undefined
  for (const issue of issues as Issue[]) {
    let found: { path: PropertyKey[]; message: string } = issue
    if (issue.errors) {
      for (const branch of issue.errors) {
        if (branch.length === 0) continue
        const inner = deepest(branch)
        const path = [...issue.path, ...inner.path]
        // Alternatives that fail at the same place are named together.
        if (inner.path.length > 0 && path.join() === found.path.join())
          found = { path, message: `${found.message}, or ${wish(inner.message)}` }
        else if (path.length >= found.path.length && inner.path.length > 0) found = { path, message: inner.message }
      }
      if (found === issue) found = { path: issue.path, message: alternatives(issue.errors) ?? issue.message }
    }
    if (!best || found.path.length > best.path.length) best = found
  }
  return best ?? { path: [], message: 'Invalid input' }
}
