/** POST /v1/rerank (Cohere, Jina), the same with `texts` (text-embeddings-inference), and /v1/score (vLLM). */
import { readBody } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { badRequest } from '../http/errors.ts'
import { newId, unixSeconds } from '../http/names.ts'
import type { Lease } from '../models/registry.ts'
import { type RerankDocument, rerankRequest, scoreRequest } from '../schemas/embeddings.ts'
import { checkIds, onSlots, rerankIds, withModelFor, yesProbability } from './reading.ts'

interface Pair {
  query: string
  document: string
  field: string
}

export async function rerank(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, rerankRequest)
  const documents: readonly RerankDocument[] | undefined = body.documents ?? body.texts ?? undefined
  if (!documents) throw badRequest('Send the documents as "documents".', 'documents')
  const textOf = (document: RerankDocument) => (typeof document === 'string' ? document : document.text)
  const name = body.documents ? 'documents' : 'texts'
  const pairs = documents.map((document, i) => ({ query: body.query, document: textOf(document), field: `${name}[${i}]` }))
  return withModelFor(ctx, scope, body.model, 'reranking', async (lease) => {
    const { scores, tokens } = await scoresOf(ctx, scope, lease, pairs, body.instruction)
    const order = scores.map((score, index) => ({ index, score })).sort((a, b) => b.score - a.score || a.index - b.index)
    if (!body.documents)
      return Response.json(
        order.map(({ index, score }) => ({ index, score, text: body.return_text ? textOf(documents[index]!) : undefined })),
      )
    const results = order.slice(0, body.top_n ?? undefined).map(({ index, score }) => ({
      index,
      relevance_score: score,
      document: body.return_documents ? { text: textOf(documents[index]!) } : undefined,
    }))
    return Response.json({
      id: newId('rerank'),
      object: 'list',
      model: body.model ?? lease.entry.id,
      results,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
      meta: { billed_units: { search_units: 1 }, tokens: { input_tokens: tokens } }, // Cohere
    })
  })
}

export async function score(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, scoreRequest)
  const [first, second] = [body.text_1 ?? body.queries, body.text_2 ?? body.documents]
  if (!first || !second) throw badRequest('Send "text_1" and "text_2".', first ? 'text_2' : 'text_1')
  const queries = [first].flat()
  const documents = [second].flat()
  if (queries.length !== 1 && queries.length !== documents.length)
    throw badRequest(`text_1: expected one text or ${documents.length}, as many as in text_2; got ${queries.length}.`, 'text_1')
  const pairs = documents.map((document, i) => ({ query: queries[i] ?? queries[0]!, document, field: `text_2[${i}]` }))
  return withModelFor(ctx, scope, body.model, 'reranking', async (lease) => {
    const { scores, tokens } = await scoresOf(ctx, scope, lease, pairs, body.instruction)
    return Response.json({
      id: newId('score'),
      object: 'list',
      created: unixSeconds(),
      model: body.model ?? lease.entry.id,
      data: scores.map((value, index) => ({ index, object: 'score', score: value })),
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    })
  })
}

async function scoresOf(ctx: ServerContext, scope: Scope, lease: Lease, pairs: readonly Pair[], instruction: string | null | undefined) {
  const { model } = lease
  const [yes, no] = ['yes', 'no'].map((word) => model.tokenizer.encode(word)[0]!)
  const all = pairs.map(({ query, document, field }) => {
    const ids = rerankIds(model, query, document, instruction)
    checkIds(ids, model, field)
    return ids
  })
  const scores = await onSlots(ctx, scope, lease, all, (ids, options) => yesProbability(model, ids, yes!, no!, options))
  return { scores, tokens: all.reduce((sum, ids) => sum + ids.length, 0) }
}
