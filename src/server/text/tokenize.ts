/** /tokenize, /detokenize and /apply-template: what a model really sees. */
import { checkLength } from '../../answer/answer.ts'
import { inSlices } from '../../structured/cooperative.ts'
import { promptIds } from '../../tokenizer/prompt.ts'
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'
import { chatAsk } from '../chat-completions/chat-completions.ts'
import { spelled } from '../chat-completions/logprobs.ts'
import { readBody } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { badRequest } from '../http/errors.ts'
import { prepare } from '../prepare.ts'
import { withModel } from '../run.ts'
import { applyTemplateRequest, detokenizeRequest, tokenizeRequest } from '../schemas/completions.ts'

export async function tokenize(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, tokenizeRequest)
  const text = body.content ?? body.prompt
  if (typeof text !== 'string') throw badRequest('Send the text as "content".', 'content')
  return withModel(ctx, scope, body.model, ({ model }) => {
    checkLength(text.length, model.engine.context, 'content')
    const isPrompt = typeof body.content !== 'string'
    const bos = body.add_special_tokens ?? body.add_special ?? isPrompt
    const ids = promptIds(model.tokenizer, text, { special: body.parse_special ?? isPrompt, bos })
    const tokens = body.with_pieces ? ids.map((id) => ({ id, piece: pieceOf(model.tokenizer.bytes(id)) })) : ids
    return Response.json({ tokens, count: ids.length, max_model_len: model.engine.context })
  })
}

/** As llama.cpp writes it: a text, or a list of bytes that are no whole characters. */
function pieceOf(bytes: Uint8Array): string | number[] {
  const { text, isWhole } = spelled(bytes)
  return isWhole ? text : [...bytes]
}

export async function detokenize(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, detokenizeRequest)
  return withModel(ctx, scope, body.model, async ({ model }) => {
    const unknown = body.tokens.findIndex((id) => id >= model.tokenizer.vocabSize)
    if (unknown >= 0)
      throw badRequest(`Token ${body.tokens[unknown]} is not in the vocabulary of ${model.tokenizer.vocabSize}.`, `tokens[${unknown}]`)
    const text = await inSlices(decodeSteps(model.tokenizer, body.tokens), { signal: scope.signal })
    return Response.json({ content: text, prompt: text })
  })
}

/** As `decode`, with pauses. */
function* decodeSteps(tokenizer: Tokenizer, ids: readonly number[]): Generator<void, string, void> {
  const stream = tokenizer.stream()
  const texts: string[] = []
  for (const [i, id] of ids.entries()) {
    texts.push(stream.push(id))
    if (i % 1024 === 1023) yield
  }
  return texts.join('') + stream.end()
}

export async function applyTemplate(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, applyTemplateRequest)
  return withModel(ctx, scope, body.model, async ({ model }) => {
    const asked = chatAsk({ ...body, model: body.model ?? '' }, (callId) => ctx.reasoning.recall(scope.tenant, callId))
    const [answer] = await prepare(ctx, scope, model, { ...asked, answers: 1 })
    const ids = answer!.promptIds
    return Response.json({ prompt: model.tokenizer.decode(ids), tokens: ids })
  })
}
