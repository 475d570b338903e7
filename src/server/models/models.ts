/** GET /v1/models and /v1/models/{id}. The list also has the `models` key that Codex reads. */
import type { Scope, ServerContext } from '../http/context.ts'
import type { ModelEntry, ServedModel } from './model.ts'

export function listModels(ctx: ServerContext): Response {
  const data = ctx.registry
    .list()
    .flatMap(({ entry, model }) => [entry.id, ...(entry.listedAliases ?? [])].map((id) => modelObject(id, entry, model)))
  return Response.json({
    object: 'list',
    data,
    has_more: false,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    models: data.map(({ id }) => ({ slug: id, name: id, model: id })),
  })
}

export function oneModel(ctx: ServerContext, _scope: Scope, _request: Request, params: Record<string, string>): Response {
  const entry = ctx.registry.find(params.id!)
  return Response.json(modelObject(params.id!, entry, ctx.registry.list().find((other) => other.entry === entry)?.model))
}

function modelObject(id: string, entry: ModelEntry, model: ServedModel | undefined) {
  return {
    id,
    object: 'model',
    created: entry.created ?? 0,
    owned_by: 'lineage',
    parent: entry.parent ?? (id === entry.id ? undefined : entry.id),
    max_model_len: model?.engine.context, // vLLM
    type: 'model', // Anthropic, with the next two
    display_name: id,
    created_at: new Date((entry.created ?? 0) * 1000).toISOString(),
    meta: {
      n_vocab: model?.architecture.vocabSize,
      n_ctx_train: model?.architecture.maxPositionEmbeddings,
      n_ctx: model?.engine.context,
      n_params: entry.parameters || undefined,
      size: entry.bytes || undefined,
    },
  }
}
