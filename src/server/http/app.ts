/**
 * The server as a function: fetch(Request) -> Response, for Node, tests and service workers alike. Puts the parts together, checks
 * every request before its route, writes every error in OpenAI's form and one log line per request. Knows no sockets and no files.
 */
import { Hono } from 'hono'
import { type CompileConstraint, cachedCompile, constraints } from '../../answer/constraints.ts'
import { ReasoningMemory } from '../../answer/reasoning-memory.ts'
import type { Thinking } from '../../chat/messages.ts'
import { prepareVocabulary } from '../../structured/structured.ts'
import { Admission } from '../models/admission.ts'
import { Joins } from '../models/joins.ts'
import type { ModelManager } from '../models/manage.ts'
import type { ModelEntry } from '../models/model.ts'
import { ModelRegistry } from '../models/registry.ts'
import { operations } from '../operations/operations.ts'
import { ServerMetrics } from '../operations/server-metrics.ts'
import type { SlotFiles } from '../operations/slots.ts'
import { Conversations } from '../responses/conversations.ts'
import { ResponseJobs } from '../responses/jobs.ts'
import { Sealer } from '../responses/sealer.ts'
import { MemoryStore, type ResponseStore } from '../responses/store.ts'
import { Bodies } from './bodies.ts'
import type { LogLine, Scope, ServerContext } from './context.ts'
import { errorResponse, logError, logLine } from './error-response.ts'
import { ApiError } from './errors.ts'
import { defaultLimits, type Limits } from './limits.ts'
import { newId } from './names.ts'
import { isUntimed, opennessOf, routedPath, routeOf, routes } from './routes.ts'
import { corsHeaders, guard, preflightHeaders } from './security.ts'
import { linked } from './signals.ts'

export interface AppOptions {
  models: readonly ModelEntry[]
  /** Memory for loaded models, in bytes; the one that was idle longest is unloaded for the next. Default: no limit. */
  memoryBytes?: number
  /** Any of these opens the server; none: no key is asked for. */
  apiKeys?: readonly string[]
  /** Host names to accept beside the loopback ones; `*`: all. */
  hosts?: readonly string[]
  /** Origins to accept beside our own and loopback; `*`: all. */
  origins?: readonly string[]
  limits?: Partial<Limits>
  /** A path before all paths, such as `/llm`, where a proxy in front does not take it away. */
  prefix?: string
  /** Where responses are stored. Default: in memory. */
  store?: ResponseStore
  /** Seals `encrypted_content`; the same on all replicas. Default: random, good for this process. */
  secret?: string
  /** How much models think where a request says nothing of it. Default: as they do by themselves. */
  thinking?: Thinking
  /** Lets requests download, copy and delete models. Default: they cannot. */
  manager?: ModelManager
  /** Where requests may save conversations (/slots). Default: they cannot. */
  slotFiles?: SlotFiles
  /** Compiles schemas. Default: src/structured, with the cache of this process. */
  compile?: CompileConstraint
  /** Models to load at once; /readyz waits for them. */
  preload?: readonly string[]
  /** YYYY-MM-DD to tell the models; default: no date, so that prompts stay the same every day. */
  currentDate?: string
  log?: (line: LogLine) => void
  version?: string
}

export interface App {
  /** Never rejects. */
  fetch(request: Request): Promise<Response>
  /** Probes and metrics without Host rule and key, for a port of their own. */
  operations(request: Request): Response
  /** The models of `preload` are loaded. Rejects with the first failure; the others stay usable. */
  readonly ready: Promise<void>
  /** From now on /readyz fails, so that no more work is sent; what comes is still answered. */
  leave(): void
  /** From now on new work gets 503, too; running answers go on. */
  drain(): void
  /** Answers and background work still running. */
  readonly active: number
  /** Drains, waits up to `graceMs` for running answers, ends the rest with an error, unloads the models. */
  close(graceMs?: number): Promise<void>
}

export function createApp(options: AppOptions): App {
  const limits: Limits = { ...defaultLimits, ...options.limits }
  const registry = new ModelRegistry(options.models.map(prepared), options.memoryBytes)
  const admission = new Admission(limits)
  const store = options.store ?? new MemoryStore(limits)
  const stopping = new AbortController()
  const ctx: ServerContext = {
    registry,
    admission,
    limits,
    bodies: new Bodies(limits),
    store,
    metrics: new ServerMetrics(registry, () => store.size),
    reasoning: new ReasoningMemory(),
    conversations: new Conversations(store),
    running: new Map(),
    thinking: options.thinking,
    jobs: new ResponseJobs(),
    manager: options.manager && preparing(options.manager),
    slotFiles: options.slotFiles,
    joins: new Joins(),
    sealer: new Sealer(options.secret),
    compile: options.compile ? cachedCompile(options.compile) : constraints,
    version: options.version ?? '0.2.0',
    startedAt: Date.now(),
    loading: 0,
    loadFailed: false,
    background: new Set(),
    stopping: stopping.signal,
    currentDate: options.currentDate,
    log: options.log ?? (() => {}),
  }
  registry.onFailure = (id, error) => logError(ctx, { model: id }, error)
  const ready = Promise.all((options.preload ?? []).map((id) => preload(ctx, id))).then(() => {})
  ready.catch(() => {}) // callers that await `ready` get the error; /readyz reports it to the others
  const check = guard({ hosts: options.hosts ?? [], origins: options.origins ?? [], apiKeys: options.apiKeys ?? [] })
  const origins = options.origins ?? []
  let active = 0

  const pathOf = (request: Request) => routedPath(new URL(request.url).pathname, options.prefix)
  const hono = new Hono<{ Bindings: { scope: Scope } }>({ getPath: pathOf })
  for (const route of routes) {
    hono.on(route.method, route.path, (c) => route.handle(ctx, c.env.scope, c.req.raw, c.req.param() as Record<string, string>))
  }
  for (const path of new Set(routes.map((route) => route.path))) {
    const allow = routes.filter((route) => route.path === path).map((route) => route.method)
    hono.all(path, () => {
      throw new ApiError(405, 'invalid_request_error', `Use ${allow.join(' or ')} here.`, {
        headers: { allow: [...allow, 'OPTIONS'].join(', ') },
      })
    })
  }
  hono.notFound(() => {
    throw new ApiError(404, 'invalid_request_error', 'There is nothing at this path. GET /openapi.json lists what there is.')
  })
  hono.onError((error) => {
    throw error
  })

  async function handle(request: Request): Promise<Response> {
    const started = performance.now()
    const url = new URL(request.url)
    const path = pathOf(request)
    const openness = opennessOf(path)
    const trace = traceOf(request)
    const endings: (() => void)[] = []
    const work = linked([request.signal, stopping.signal], isUntimed(path) ? undefined : limits.requestMs)
    const scope: Scope = {
      id: requestId(request),
      tenant: 'anonymous',
      signal: work.signal,
      abort: work.abort,
      client: request.signal,
      facts: { trace: trace?.id },
      streaming: false,
      atEnd: (action) => endings.push(action),
      done: () => {
        for (const end of endings) end()
        work.release()
        active--
        if (!openness.open) ctx.log(logLine(scope, request.method, url.pathname, status || 200, performance.now() - started)) // probes would fill the log
      },
    }
    let status = 0
    active++
    let response: Response
    try {
      scope.tenant = await check(request, openness)
      if (request.method === 'OPTIONS') response = new Response(null, { status: 204, headers: preflightHeaders(request) })
      else {
        response = await hono.fetch(request, { scope })
      }
    } catch (error) {
      response = errorResponse(ctx, scope, error, path)
    }
    status = response.status
    const headers = new Headers(response.headers)
    headers.set('x-request-id', scope.id)
    headers.set('request-id', scope.id) // Anthropic's name
    if (trace) headers.set('traceparent', trace.header)
    headers.set('x-content-type-options', 'nosniff')
    if (scope.facts.ignored_fields) headers.set('x-ignored-fields', String(scope.facts.ignored_fields))
    if (!scope.streaming) headers.set('openai-processing-ms', String(Math.round(performance.now() - started)))
    for (const [name, value] of Object.entries(corsHeaders(request, origins))) headers.set(name, value)
    if (!scope.streaming) scope.done()
    ctx.metrics.requests.add({ route: routeOf(path), status: String(status) })
    return new Response(response.body, { status, headers })
  }

  return {
    fetch: handle,
    operations: (request) => operations(ctx, new URL(request.url).pathname),
    ready,
    leave() {
      if (admission.state === 'open') admission.state = 'leaving'
    },
    drain() {
      admission.state = 'draining'
    },
    get active() {
      return active + ctx.background.size
    },
    async close(graceMs = limits.drainMs) {
      admission.state = 'draining'
      const until = performance.now() + graceMs
      const busy = () => active > 0 || ctx.background.size > 0
      while (busy() && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20))
      stopping.abort(new ApiError(503, 'unavailable_error', 'The server is shutting down.', { code: 'shutting_down' }))
      const last = performance.now() + 5_000
      while (busy() && performance.now() < last) await new Promise((resolve) => setTimeout(resolve, 10))
      await registry.close()
    },
  }
}

/** A client's or proxy's name for the request, if it is one; else ours. */
function requestId(request: Request): string {
  const given = request.headers.get('x-request-id') ?? ''
  return /^[\w.:/+=-]{1,128}$/.test(given) ? given : newId('req')
}

/** W3C Trace Context: the header goes back as it came, its trace id into the log. */
function traceOf(request: Request): { header: string; id: string } | undefined {
  const header = request.headers.get('traceparent') ?? ''
  const id = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/.exec(header)?.[1]
  return id === undefined ? undefined : { header, id }
}

async function preload(ctx: ServerContext, id: string): Promise<void> {
  const loaded = ctx.registry.acquire(id).then((lease) => lease.release())
  const settled = loaded.catch(() => {})
  ctx.loading++
  ctx.background.add(settled)
  try {
    await loaded
  } catch (error) {
    ctx.loadFailed = true
    throw (error as Error).cause ?? error
  } finally {
    ctx.loading--
    ctx.background.delete(settled)
  }
}

/** Models that come later are prepared like the first ones. */
const preparing = (manager: ModelManager): ModelManager => ({
  pull: async (...args) => (await manager.pull(...args)).map(prepared),
  remove: (name) => manager.remove(name),
})

/** Makes the vocabulary's trie while the model loads, so that the first structured answer does not wait for it. */
function prepared(entry: ModelEntry): ModelEntry {
  return {
    ...entry,
    async load() {
      const model = await entry.load()
      await prepareVocabulary(model.tokenizer)
      return model
    },
  }
}
