/** POST /v1/embeddings, /api/embed and /api/embeddings: the last row of a text after the final norm, scaled to length 1. */
import { readBody } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { badRequest } from '../http/errors.ts'
import type { Lease } from '../models/registry.ts'
import { isZeroDuration } from '../ollama/keep-alive.ts'
import { embeddingsRequest, ollamaEmbeddingsRequest, ollamaEmbedRequest } from '../schemas/embeddings.ts'
import { checkIds, embeddingIds, instructed, onSlots, withModelFor } from './reading.ts'

export async function embeddings(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, embeddingsRequest)
  const { input } = body
  const single = typeof input === 'string' || typeof input[0] === 'number'
  const given = single ? [input as string | number[]] : (input as (string | number[])[])
  return withModelFor(ctx, scope, body.model, 'embedding', async (lease) => {
    const all = given.map((one, i) => {
      const field = single ? 'input' : `input[${i}]`
      if (typeof one !== 'string') return { ids: one, field }
      return { ids: embeddingIds(lease.model, instructed(one, body.input_type, body.instruction), field, false), field }
    })
    const vectors = await embed(ctx, scope, lease, all, body.dimensions)
    const data = vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: body.encoding_format === 'base64' ? base64(vector) : [...vector],
    }))
    const tokens = all.reduce((sum, { ids }) => sum + ids.length, 0)
    return Response.json({ object: 'list', data, model: body.model, usage: { prompt_tokens: tokens, total_tokens: tokens } })
  })
}

export async function ollamaEmbed(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const started = performance.now()
  const body = await readBody(ctx, scope, request, ollamaEmbedRequest)
  const texts = typeof body.input === 'string' ? [body.input] : body.input
  return withModelFor(ctx, scope, body.model, 'embedding', async (lease) => {
    const loaded = performance.now()
    if (isZeroDuration(body.keep_alive)) lease.unloadAfter()
    const all = texts.map((text, i) => {
      const field = `input[${i}]`
      return { ids: embeddingIds(lease.model, instructed(text, body.input_type, body.instruction), field, body.truncate ?? true), field }
    })
    const vectors = await embed(ctx, scope, lease, all, body.dimensions)
    return Response.json({
      model: body.model,
      embeddings: vectors.map((vector) => [...vector]),
      total_duration: Math.round((performance.now() - started) * 1e6),
      load_duration: Math.round((loaded - started) * 1e6),
      prompt_eval_count: all.reduce((sum, { ids }) => sum + ids.length, 0),
    })
  })
}

/** The older form of /api/embed: one text. */
export async function ollamaEmbeddings(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, ollamaEmbeddingsRequest)
  return withModelFor(ctx, scope, body.model, 'embedding', async (lease) => {
    if (isZeroDuration(body.keep_alive)) lease.unloadAfter()
    const ids = embeddingIds(lease.model, body.prompt ?? '', 'prompt', true)
    const [vector] = await embed(ctx, scope, lease, [{ ids, field: 'prompt' }], undefined)
    return Response.json({ embedding: [...vector!] })
  })
}

async function embed(
  ctx: ServerContext,
  scope: Scope,
  lease: Lease,
  all: readonly { ids: readonly number[]; field: string }[],
  dimensions: number | null | undefined,
): Promise<Float32Array[]> {
  const { model } = lease
  for (const { ids, field } of all) checkIds(ids, model, field)
  const vectors = await onSlots(ctx, scope, lease, all, ({ ids }, options) => model.engine.embed!(ids, options))
  const width = vectors[0]?.length ?? 0
  if (dimensions && dimensions > width) throw badRequest(`dimensions: this model has ${width}; expected at most so many.`, 'dimensions')
  return vectors.map((vector) => unit(dimensions ? vector.subarray(0, dimensions) : vector))
}

/** Scaled to length 1. */
function unit(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0))
  return vector.map((value) => value / (length || 1))
}

/** Little-endian 32-bit floats, as openai's clients read them. */
function base64(vector: Float32Array): string {
  const bytes = new DataView(new ArrayBuffer(vector.length * 4))
  vector.forEach((value, i) => {
    bytes.setFloat32(i * 4, value, true)
  })
  let binary = ''
  for (let i = 0; i < bytes.byteLength; i++) binary += String.fromCharCode(bytes.getUint8(i))
  return btoa(binary)
}
