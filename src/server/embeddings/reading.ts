/**
 * What embedding and reranking models read, and how they are run: on the slots of the engine, as many at once as it has.
 * Source of pooling and prompts: the model cards of Qwen3-Embedding and Qwen3-Reranker (Zhang et al. 2025, arXiv:2506.05176).
 */
import { checkLength } from '../../answer/answer.ts'
import { ChatError } from '../../chat/messages.ts'
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { badRequest, quote } from '../http/errors.ts'
import type { Purpose, ServedModel } from '../models/model.ts'
import type { Lease } from '../models/registry.ts'
import { together, withModel } from '../run.ts'

const WEB_SEARCH = 'Given a web search query, retrieve relevant passages that answer the query'

/**
 * As withModel of run.ts, for models that are published for this purpose.
 * @throws 400, which no client retries, on another model, before it is loaded
 */
export function withModelFor<T>(
  ctx: ServerContext,
  scope: Scope,
  name: string | null | undefined,
  wanted: Purpose,
  use: (lease: Lease) => Promise<T>,
): Promise<T> {
  const first = ctx.registry.list().find(({ entry }) => entry.purpose === wanted)
  const { id, purpose } = ctx.registry.find(name ?? first?.entry.id ?? ctx.registry.list()[0]?.entry.id ?? '')
  if (purpose === wanted) return withModel(ctx, scope, id, use)
  const what = wanted === 'embedding' ? 'an embedding model' : 'a reranking model'
  throw badRequest(`The model ${quote(id)} is not published as ${what}.`, 'model', 'not_supported')
}

/** A query as embedding models of this kind are trained to read it; other texts are read as they are. */
export function instructed(text: string, inputType: string | null | undefined, instruction: string | null | undefined): string {
  const isQuery = inputType === 'query' || inputType === 'search_query'
  return isQuery || (instruction && !inputType) ? `Instruct: ${instruction || WEB_SEARCH}\nQuery:${text}` : text
}

/**
 * The ids of a text to embed: the last one is the end of the text, whose row is pooled.
 * @param cuts whether a text that is too long is cut in place of an error
 */
export function embeddingIds({ tokenizer, engine }: ServedModel, text: string, field: string, cuts: boolean): number[] {
  if (!cuts) checkLength(text.length, engine.context, field)
  const end = endOfText(tokenizer)
  const ids = [...(tokenizer.prefix ?? []), ...tokenizer.encode(text)]
  return [...(cuts ? ids.slice(0, engine.context - 1) : ids), ...(end === undefined ? [] : [end])]
}

function endOfText({ specials }: Tokenizer): number | undefined {
  return specials.get('<|endoftext|>') ?? specials.get('</s>') ?? specials.get('<eos>')
}

/** The question whose answer, yes or no, says whether the document meets the query. */
export function rerankIds({ tokenizer }: ServedModel, query: string, document: string, instruction: string | null | undefined): number[] {
  return [
    ...tokenizer.encodeTemplate(
      '<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. ' +
        'Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n',
    ),
    ...tokenizer.encode(`<Instruct>: ${instruction || WEB_SEARCH}\n<Query>: ${query}\n<Document>: ${document}`),
    ...tokenizer.encodeTemplate('<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n'),
  ]
}

/** Probability of `yes` where only `yes` and `no` may follow: the softmax over their two logits. */
export async function yesProbability(
  { engine }: Pick<ServedModel, 'engine'>,
  ids: readonly number[],
  yes: number,
  no: number,
  options: { signal?: AbortSignal; cacheKey?: string },
): Promise<number> {
  const scoreOf = async (id: number) => (await engine.score([...ids, id], { ...options, from: ids.length }))[0]!.logprob
  const [ofYes, ofNo] = [await scoreOf(yes), await scoreOf(no)] // the second finds the first one's positions in the cache
  return 1 / (1 + Math.exp(ofNo - ofYes))
}

/** Refuses what the context cannot hold, before any of it is computed. */
export function checkIds(ids: readonly number[], { engine, architecture }: ServedModel, field: string): void {
  if (ids.length > engine.context) {
    const message = `prompt is too long: ${ids.length} tokens. This model's maximum context length is ${engine.context} tokens (context_length_exceeded)`
    throw new ChatError(field, message, 'context_length_exceeded')
  }
  const unknown = ids.find((id) => id >= architecture.vocabSize)
  if (unknown !== undefined) throw badRequest(`${field}: token ${unknown} is not in the vocabulary of ${architecture.vocabSize}.`, field)
}

/** Runs a task for each item, at most as many at once as the engine has slots. The first failure ends all. */
export async function onSlots<T, R>(
  ctx: ServerContext,
  scope: Scope,
  lease: Lease,
  items: readonly T[],
  run: (item: T, options: { signal: AbortSignal; cacheKey: string }) => Promise<R>,
): Promise<R[]> {
  ctx.admission.check(scope.tenant, lease)
  const tasks = items.map((item) => (signal: AbortSignal) => run(item, { signal, cacheKey: scope.tenant }))
  const end = ctx.admission.begin(scope.tenant, lease)
  try {
    return await together(scope.signal, tasks, lease.model.engine.load().slots)
  } finally {
    end()
  }
}
