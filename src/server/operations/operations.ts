/** Health, readiness, metrics and settings: what operators and routers read. Never prompts, never keys. */
import type { ServerContext } from '../http/context.ts'

/** An engine that has work and took no step for this long is stuck. */
const STUCK_MS = 120_000

export function frontPage(ctx: ServerContext): Response {
  return new Response(`Lineage ${ctx.version} is running. The OpenAI API is under /v1, a description of all paths at /openapi.json.\n`, {
    headers: { 'content-type': 'text/plain; charset=utf-8', 'content-security-policy': "default-src 'none'" },
  })
}

export function health(ctx: ServerContext): Response {
  const problem = isStuck(ctx) ? 'The engine makes no progress' : notReady(ctx)
  return problem === undefined ? Response.json({ status: 'ok' }) : unavailable(problem)
}

export function live(ctx: ServerContext): Response {
  return isStuck(ctx) ? unavailable('The engine makes no progress') : Response.json({ status: 'ok' })
}

export const ready = health

function notReady(ctx: ServerContext): string | undefined {
  if (ctx.admission.state !== 'open') return 'Shutting down'
  if (ctx.loading > 0) return 'Loading model'
  return ctx.loadFailed ? 'A model could not be loaded' : undefined
}

function isStuck(ctx: ServerContext): boolean {
  const now = Date.now()
  return ctx.registry.list().some(({ model }) => {
    if (!model) return false
    const { running, lastStepAt } = model.engine.load()
    return running > 0 && lastStepAt > 0 && now - lastStepAt > STUCK_MS
  })
}

const unavailable = (message: string) => Response.json({ error: { code: 503, message, type: 'unavailable_error' } }, { status: 503 })

export function metricsText(ctx: ServerContext): Response {
  return new Response(ctx.metrics.text(), { headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' } })
}

const OPERATIONS: Readonly<Record<string, (ctx: ServerContext) => Response>> = {
  '/livez': live,
  '/readyz': ready,
  '/health': health,
  '/metrics': metricsText,
}

/** What the port of `--metrics-port` answers. */
export function operations(ctx: ServerContext, path: string): Response {
  const handle = Object.hasOwn(OPERATIONS, path) ? OPERATIONS[path] : undefined
  if (handle) return handle(ctx)
  const message = `Here are ${Object.keys(OPERATIONS).join(', ')}.`
  return Response.json({ error: { message, type: 'invalid_request_error', param: null, code: null } }, { status: 404 })
}

export function props(ctx: ServerContext): Response {
  const { limits } = ctx
  return Response.json({
    version: ctx.version,
    models: ctx.registry.list().map(({ entry, model }) => ({
      id: entry.id,
      loaded: model !== undefined,
      context: model?.engine.context,
      slots: model?.engine.load().slots,
      chat_format: model?.format.name,
    })),
    limits: { body_bytes: limits.bodyBytes, queue_length: limits.queueLength, concurrency_per_key: limits.concurrencyPerKey },
  })
}
