/** Ollama's /api/version, /api/tags, /api/show and /api/ps: what its clients probe before they talk. */
import { readBody } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { badRequest } from '../http/errors.ts'
import { fingerprintOf, hash } from '../http/names.ts'
import type { ModelEntry, ServedModel } from '../models/model.ts'
import { withModel } from '../run.ts'
import { ollamaShowRequest } from '../schemas/ollama.ts'

/** The version of Ollama whose API this is: clients refuse older ones. */
const OLLAMA_API = '0.13.5'

export const ollamaVersion = (ctx: ServerContext): Response => Response.json({ version: OLLAMA_API, lineage_version: ctx.version })

export function ollamaTags(ctx: ServerContext): Response {
  return Response.json({
    models: ctx.registry
      .list()
      .flatMap(({ entry, model }) => [entry.id, ...(entry.listedAliases ?? [])].map((id) => tag({ ...entry, id }, model))),
  })
}

export function ollamaPs(ctx: ServerContext): Response {
  const models = ctx.registry.list().flatMap(({ entry, model }) => {
    if (!model) return []
    // Models stay until another needs the memory.
    return [{ ...tag(entry, model), expires_at: '9999-12-31T23:59:59Z', size_vram: 0, context_length: model.engine.context }]
  })
  return Response.json({ models })
}

export async function ollamaShow(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, ollamaShowRequest)
  const name = body.model ?? body.name
  if (!name) throw badRequest('Send the name of a model.', 'model')
  return withModel(ctx, scope, name, ({ entry, model }) => {
    const { capabilities } = model.format
    const { architecture } = model
    return Response.json({
      parameters: '',
      template: '',
      modified_at: modified(entry),
      details: details(entry, model),
      model_info: {
        'general.architecture': architecture.modelType,
        'general.parameter_count': entry.parameters ?? 0,
        [`${architecture.modelType}.context_length`]: architecture.maxPositionEmbeddings,
        [`${architecture.modelType}.vocab_size`]: architecture.vocabSize,
      },
      capabilities: [
        entry.purpose === 'embedding' ? 'embedding' : 'completion',
        ...(capabilities.tools ? ['tools'] : []),
        ...(capabilities.reasoning === 'never' ? [] : ['thinking']),
      ],
    })
  })
}

function tag(entry: ModelEntry, model: ServedModel | undefined) {
  return {
    name: entry.id,
    model: entry.id,
    modified_at: modified(entry),
    size: entry.bytes ?? 0,
    digest: `${fingerprintOf(entry).slice(3)}${hash(entry.id).repeat(7)}`.slice(0, 64),
    details: details(entry, model),
  }
}

const modified = (entry: ModelEntry) => new Date((entry.created ?? 0) * 1000).toISOString()

function details(entry: ModelEntry, model: ServedModel | undefined) {
  const family = model?.architecture.modelType ?? ''
  return {
    parent_model: '',
    format: 'safetensors',
    family,
    families: family ? [family] : [],
    parameter_size: entry.parameters ? short(entry.parameters) : '',
    quantization_level: model?.architecture.expertDtype.toUpperCase() ?? '',
  }
}

function short(count: number): string {
  return count >= 1e9 ? `${(count / 1e9).toFixed(1)}B` : count >= 1e6 ? `${(count / 1e6).toFixed(1)}M` : `${Math.round(count / 1e3)}K`
}
