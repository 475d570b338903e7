/** GET /v1/models and /v1/models/{id}. The list also has the `models` key that Codex reads. */
import type { Scope, ServerContext } from '../http/context.ts'
import type { ModelEntry, ServedModel } from './model.ts'

export function listModels(ctx: ServerContext): Response {
  const data = ctx.registry.list().map(({ entry, model }) => modelObject(entry, model))
  return Response.json({ object: 'list', data, models: data.map(({ id }) => ({ slug: id, name: id, model: id })) })
}

export function oneModel(ctx: ServerContext, _scope: Scope, _request: Request, params: Record<string, string>): Response {
  const entry = ctx.registry.find(params.id!)
  return Response.json(modelObject(entry, ctx.registry.list().find((other) => other.entry === entry)?.model))
}

function modelObject(entry: ModelEntry, model: ServedModel | undefined) {
  return {
    id: entry.id,
    object: 'model',
    created: entry.created ?? 0,
    owned_by: 'lineage',
    parent: entry.parent,
    meta: {
      n_vocab: model?.architecture.vocabSize,
      n_ctx_train: model?.architecture.maxPositionEmbeddings,
      n_ctx: model?.engine.context,
      n_params: entry.parameters || undefined,
      size: entry.bytes || undefined,
    },
  }
}
