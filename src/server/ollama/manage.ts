/**
 * Ollama's /api/pull, /api/copy and /api/delete. They change what the server has, so they work only where it was started with
 * --manage-models; a name in any other request never starts a download.
 */
import { writeJson } from '../../json/lossless.ts'
import { readBody } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { ApiError, badRequest, notFound } from '../http/errors.ts'
import { streamResponse } from '../http/stream.ts'
import type { ModelManager } from '../models/manage.ts'
import { ollamaCopyRequest, ollamaNameRequest } from '../schemas/ollama.ts'

/** Bytes between two lines of progress. */
const STEP_BYTES = 4 * 2 ** 20

export async function ollamaPull(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, ollamaNameRequest)
  const manager = managerOf(ctx)
  const name = nameOf(body)
  const pull = async (onBytes: (completed: number, total: number) => void, signal: AbortSignal) => {
    if (ctx.registry.has(name)) return
    try {
      for (const entry of await manager.pull(name, onBytes, signal)) ctx.registry.add(entry)
    } catch (error) {
      signal.throwIfAborted()
      throw badRequest(`The model could not be pulled: ${(error as Error).message}`, 'model', 'pull_failed')
    }
  }
  if (body.stream === false) {
    await pull(() => {}, scope.signal)
    return Response.json({ status: 'success' })
  }
  const line = (value: object) => `${writeJson(value)}\n`
  const options = { contentType: 'application/x-ndjson' as const, error: ({ body: error }: ApiError) => line({ error: error.message }) }
  return streamResponse(ctx, scope, options, async (stream) => {
    await stream.send(line({ status: 'pulling manifest' }))
    let told = Number.NEGATIVE_INFINITY
    await pull((completed, total) => {
      if (completed - told < STEP_BYTES && completed < total) return
      told = completed
      void stream.send(line({ status: `pulling ${name}`, digest: name, total, completed })).catch(() => {})
    }, stream.signal)
    await stream.send(line({ status: 'success' }))
  })
}

export async function ollamaCopy(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const { source, destination } = await readBody(ctx, scope, request, ollamaCopyRequest)
  managerOf(ctx)
  ctx.registry.addAlias(destination, source)
  return new Response(null, { status: 200 })
}

export async function ollamaDelete(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const name = givenName(await readBody(ctx, scope, request, ollamaNameRequest))
  const manager = managerOf(ctx)
  if (ctx.registry.removeAlias(name)) return new Response(null, { status: 200 })
  const entry = ctx.registry.find(name)
  if (!(await ctx.registry.forget(entry.id)))
    throw new ApiError(409, 'invalid_request_error', 'The model is in use. Try again when its answers have ended.', {
      code: 'model_in_use',
    })
  try {
    await manager.remove(entry.id)
  } catch (error) {
    ctx.registry.add(entry)
    throw badRequest(`The model could not be deleted: ${(error as Error).message}`, 'model', 'delete_failed')
  }
  return new Response(null, { status: 200 })
}

/** /api/create and /api/push: this server makes no models from requests. */
export function ollamaUnsupported(): never {
  throw badRequest(
    'This server neither makes nor publishes models. `lineage merge` and `lineage quantize` make them.',
    null,
    'not_supported',
  )
}

function managerOf({ manager }: ServerContext): ModelManager {
  if (manager) return manager
  throw new ApiError(403, 'permission_error', 'Models are not managed by requests here. Start the server with --manage-models.', {
    code: 'models_not_managed',
  })
}

interface Named {
  model?: string | null
  name?: string | null
}

function givenName({ model, name }: Named): string {
  const given = model ?? name
  if (!given) throw badRequest('Send the name of a model.', 'model')
  return given
}

/** The name of a model to download, which the manager may see. */
function nameOf(body: Named): string {
  const given = givenName(body)
  if (!/^[\w.-]+(\/[\w.-]+)?(:latest)?$/.test(given)) throw notFound('This is no name of a model.', 'model_not_found', 'model')
  return given.replace(/:latest$/, '')
}
