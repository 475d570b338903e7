/**
 * Facts that routers and load balancers ask before they send work, under the paths of vLLM and SGLang. Only what is true of this
 * server is said; the rest of those answers is left out.
 */
import type { EngineLoad } from '../../engine/engine.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { modelNotFound } from '../http/errors.ts'
import type { ServedModel } from '../models/model.ts'
import { withModel } from '../run.ts'

export const versionInfo = (ctx: ServerContext): Response => Response.json({ version: ctx.version, server: 'lineage' })

/** SGLang's /server_info, of the first model. */
export function serverInfo(ctx: ServerContext): Response {
  const { entry, model } = firstModel(ctx)
  const load = model?.engine.load()
  return Response.json({
    version: ctx.version,
    status: ctx.loading > 0 ? 'starting' : 'ready',
    model_path: entry.id,
    tokenizer_path: entry.id,
    served_model_name: entry.id,
    context_length: model?.engine.context,
    max_running_requests: load?.slots,
    max_queued_requests: ctx.limits.queueLength,
    max_total_num_tokens: load?.cachePositions,
    dp_size: 1,
    tp_size: 1,
  })
}

/** SGLang's /model_info, of the first model. */
export function modelInfo(ctx: ServerContext): Response {
  const { entry, model } = firstModel(ctx)
  return Response.json({
    model_path: entry.id,
    tokenizer_path: entry.id,
    served_model_name: entry.id,
    is_generation: true,
    model_type: model?.architecture.modelType,
    max_model_len: model?.engine.context,
  })
}

/** SGLang's /v1/loads: one entry for each loaded model. */
export function loads(ctx: ServerContext): Response {
  const rows = loadedModels(ctx).map(({ id, load }, i) => ({
    dp_rank: i,
    model: id,
    num_reqs: load.running + load.waiting,
    num_running_reqs: load.running,
    num_waiting_reqs: load.waiting,
    num_used_tokens: load.cachedPositions,
    max_total_num_tokens: load.cachePositions,
    token_usage: load.cachedPositions / Math.max(1, load.cachePositions),
  }))
  return Response.json({ loads: rows, dp_rank_count: rows.length })
}

/** vLLM's /load. */
export function serverLoad(ctx: ServerContext): Response {
  return Response.json({ server_load: loadedModels(ctx).reduce((sum, { load }) => sum + load.running + load.waiting, 0) })
}

/** vLLM's /tokenizer_info, as lm-evaluation-harness reads it. `?model=` chooses another model than the first. */
export function tokenizerInfo(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  return withModel(ctx, scope, new URL(request.url).searchParams.get('model'), ({ model }) => {
    const { tokenizer, format } = model
    const spelling = (id: number | undefined) => (id === undefined ? null : tokenizer.decode([id]))
    return Response.json({
      tokenizer_class: 'lineage',
      bos_token: spelling(tokenizer.prefix?.[0]),
      eos_token: spelling(eosOf(model)),
      pad_token: null,
      additional_special_tokens: [...tokenizer.specials.keys()],
      vocab_size: tokenizer.vocabSize,
      model_max_length: model.engine.context,
      chat_format: format.name,
    })
  })
}

/** The id that ends a document; chat formats have further ids that end an answer. */
function eosOf({ tokenizer, format }: ServedModel): number | undefined {
  return format.stopIds.find((id) => /end.?of.?text|eos|<\/s>/i.test(tokenizer.decode([id]))) ?? format.stopIds[0]
}

function firstModel({ registry }: ServerContext) {
  const first = registry.list()[0]
  if (!first) throw modelNotFound('')
  return first
}

const loadedModels = ({ registry }: ServerContext): { id: string; load: EngineLoad }[] =>
  registry.list().flatMap(({ entry, model }) => (model ? [{ id: entry.id, load: model.engine.load() }] : []))
