/** Every path of the server in one table: what hono dispatches, what /openapi.json lists, what needs no key. */
import type { z } from 'zod'
import { chatCompletions, chatInputTokens, controlChat } from '../chat-completions/chat-completions.ts'
import { embeddings, ollamaEmbed, ollamaEmbeddings } from '../embeddings/embeddings.ts'
import { rerank, score } from '../embeddings/rerank.ts'
import { countTokens, createMessage } from '../messages/messages.ts'
import { listModels, oneModel } from '../models/models.ts'
import { ollamaCopy, ollamaDelete, ollamaPull, ollamaUnsupported } from '../ollama/manage.ts'
import { ollamaPs, ollamaShow, ollamaTags, ollamaVersion } from '../ollama/models.ts'
import { ollamaChat, ollamaGenerate } from '../ollama/ollama.ts'
import { loads, modelInfo, serverInfo, serverLoad, tokenizerInfo, versionInfo } from '../operations/discovery.ts'
import { openapi } from '../operations/openapi.ts'
import { frontPage, health, live, metricsText, props, ready } from '../operations/operations.ts'
import { changeSlot, listSlots } from '../operations/slots.ts'
import { compactResponse } from '../responses/compact.ts'
import {
  addConversationItems,
  createConversation,
  deleteConversation,
  deleteConversationItem,
  getConversation,
  getConversationItem,
  listConversationItems,
  updateConversation,
} from '../responses/conversations.ts'
import { createResponse } from '../responses/responses.ts'
import { cancelResponse, deleteResponse, getResponse, inputTokens, listInputItems } from '../responses/stored.ts'
import { chatRequest, controlRequest } from '../schemas/chat.ts'
import { applyTemplateRequest, completionRequest, detokenizeRequest, tokenizeRequest } from '../schemas/completions.ts'
import { embeddingsRequest, ollamaEmbeddingsRequest, ollamaEmbedRequest, rerankRequest, scoreRequest } from '../schemas/embeddings.ts'
import { infillRequest, llamaCompletionRequest, slotRequest } from '../schemas/llama.ts'
import { countTokensRequest, messagesRequest } from '../schemas/messages.ts'
import { ollamaChatRequest, ollamaCopyRequest, ollamaGenerateRequest, ollamaNameRequest, ollamaShowRequest } from '../schemas/ollama.ts'
import { conversationItemsRequest, conversationRequest, inputTokensRequest, responseRequest } from '../schemas/responses.ts'
import { completions } from '../text/completions.ts'
import { infill, llamaCompletion } from '../text/llama.ts'
import { applyTemplate, detokenize, tokenize } from '../text/tokenize.ts'
import type { Scope, ServerContext } from './context.ts'
import type { Openness } from './security.ts'

export interface Route extends Openness {
  method: 'GET' | 'POST' | 'DELETE'
  /** As hono writes it: `:id{.+}` is a parameter that may contain slashes. */
  path: string
  summary: string
  body?: z.ZodType
  /** No answer of a model: the time limit of answers does not hold. */
  untimed?: boolean
  handle(ctx: ServerContext, scope: Scope, request: Request, params: Record<string, string>): Response | Promise<Response>
}

const discovery = (path: string, summary: string, handle: Route['handle']): Route => ({ method: 'GET', path, summary, handle })

export const routes: readonly Route[] = [
  { method: 'GET', path: '/', summary: 'What this is.', open: true, handle: frontPage },
  { method: 'GET', path: '/health', summary: 'Loaded, and not shutting down.', open: true, anyHost: true, handle: health },
  { method: 'GET', path: '/v1/health', summary: 'The same as /health.', open: true, anyHost: true, handle: health },
  { method: 'GET', path: '/livez', summary: 'The process makes progress.', open: true, anyHost: true, handle: live },
  { method: 'GET', path: '/readyz', summary: 'New work is welcome.', open: true, anyHost: true, handle: ready },
  { method: 'GET', path: '/metrics', summary: 'Prometheus text.', anyHost: true, handle: metricsText },
  { method: 'GET', path: '/slots', summary: 'The slots of the models, never prompts.', handle: listSlots },
  { method: 'POST', path: '/slots/:id', summary: 'llama-server: save, restore or erase a slot.', body: slotRequest, handle: changeSlot },
  { method: 'GET', path: '/props', summary: 'Settings of the server.', handle: props },
  { method: 'GET', path: '/version', summary: 'vLLM: version.', handle: versionInfo },
  { method: 'GET', path: '/load', summary: 'vLLM: requests that run or wait.', handle: serverLoad },
  { method: 'GET', path: '/tokenizer_info', summary: 'vLLM: special tokens of a model.', handle: tokenizerInfo },
  { method: 'GET', path: '/ping', summary: 'The same as /health.', open: true, handle: health },
  ...['/server_info', '/get_server_info'].map((path) => discovery(path, 'SGLang: settings of the server.', serverInfo)),
  ...['/model_info', '/get_model_info'].map((path) => discovery(path, 'SGLang: the first model.', modelInfo)),
  ...['/v1/loads', '/loads', '/get_load'].map((path) => discovery(path, 'SGLang: load by model.', loads)),
  { method: 'GET', path: '/openapi.json', summary: 'This document.', handle: (ctx) => openapi(ctx, routes) },
  { method: 'GET', path: '/v1/models', summary: 'The models.', handle: listModels },
  { method: 'GET', path: '/v1/models/:id{.+}', summary: 'One model.', handle: oneModel },
  { method: 'POST', path: '/v1/chat/completions', summary: 'Answer a conversation.', body: chatRequest, handle: chatCompletions },
  {
    method: 'POST',
    path: '/v1/chat/completions/input_tokens',
    summary: 'Count the prompt of a conversation.',
    body: chatRequest,
    handle: chatInputTokens,
  },
  {
    method: 'POST',
    path: '/v1/chat/completions/control',
    summary: 'llama-server: end the thinking of an answer.',
    body: controlRequest,
    handle: controlChat,
  },
  { method: 'POST', path: '/v1/responses', summary: 'Answer input items.', body: responseRequest, handle: createResponse },
  {
    method: 'POST',
    path: '/v1/responses/input_tokens',
    summary: 'Count the prompt of a response.',
    body: inputTokensRequest,
    handle: inputTokens,
  },
  {
    method: 'POST',
    path: '/v1/responses/compact',
    summary: 'A conversation in short, sealed.',
    body: responseRequest,
    handle: compactResponse,
  },
  { method: 'GET', path: '/v1/responses/:id', summary: 'A stored response, or its events.', handle: getResponse },
  { method: 'DELETE', path: '/v1/responses/:id', summary: 'Forget a stored response.', handle: deleteResponse },
  { method: 'GET', path: '/v1/responses/:id/input_items', summary: 'What a stored response answered.', handle: listInputItems },
  { method: 'POST', path: '/v1/responses/:id/cancel', summary: 'End a background response.', handle: cancelResponse },
  {
    method: 'POST',
    path: '/v1/conversations',
    summary: 'Keep items as a conversation.',
    body: conversationRequest,
    handle: createConversation,
  },
  { method: 'GET', path: '/v1/conversations/:id', summary: 'A conversation.', handle: getConversation },
  {
    method: 'POST',
    path: '/v1/conversations/:id',
    summary: 'Change its metadata.',
    body: conversationRequest,
    handle: updateConversation,
  },
  { method: 'DELETE', path: '/v1/conversations/:id', summary: 'Forget a conversation.', handle: deleteConversation },
  { method: 'GET', path: '/v1/conversations/:id/items', summary: 'Its items.', handle: listConversationItems },
  {
    method: 'POST',
    path: '/v1/conversations/:id/items',
    summary: 'Add items to it.',
    body: conversationItemsRequest,
    handle: addConversationItems,
  },
  { method: 'GET', path: '/v1/conversations/:id/items/:item', summary: 'One of its items.', handle: getConversationItem },
  { method: 'DELETE', path: '/v1/conversations/:id/items/:item', summary: 'Forget one of its items.', handle: deleteConversationItem },
  { method: 'POST', path: '/v1/messages', summary: 'Anthropic: answer a conversation.', body: messagesRequest, handle: createMessage },
  {
    method: 'POST',
    path: '/v1/messages/count_tokens',
    summary: 'Anthropic: count the prompt of a message.',
    body: countTokensRequest,
    handle: countTokens,
  },
  { method: 'POST', path: '/v1/completions', summary: 'Continue a text.', body: completionRequest, handle: completions },
  {
    method: 'POST',
    path: '/v1/embeddings',
    summary: 'Texts to vectors, by an embedding model.',
    body: embeddingsRequest,
    handle: embeddings,
  },
  ...['/v1/rerank', '/rerank', '/v2/rerank', '/v1/reranking', '/reranking'].map(
    (path): Route => ({ method: 'POST', path, summary: 'Order documents, by a reranking model.', body: rerankRequest, handle: rerank }),
  ),
  ...['/v1/score', '/score'].map(
    (path): Route => ({ method: 'POST', path, summary: 'vLLM: score pairs of texts.', body: scoreRequest, handle: score }),
  ),
  { method: 'POST', path: '/completion', summary: 'llama-server: continue a text.', body: llamaCompletionRequest, handle: llamaCompletion },
  { method: 'POST', path: '/infill', summary: 'llama-server: fill in between two texts.', body: infillRequest, handle: infill },
  { method: 'POST', path: '/tokenize', summary: 'Text to token ids.', body: tokenizeRequest, handle: tokenize },
  { method: 'POST', path: '/detokenize', summary: 'Token ids to text.', body: detokenizeRequest, handle: detokenize },
  { method: 'POST', path: '/apply-template', summary: 'The prompt of a conversation.', body: applyTemplateRequest, handle: applyTemplate },
  { method: 'GET', path: '/api/version', summary: 'Ollama: version.', handle: ollamaVersion },
  { method: 'GET', path: '/api/tags', summary: 'Ollama: the models.', handle: ollamaTags },
  { method: 'GET', path: '/api/ps', summary: 'Ollama: the loaded models.', handle: ollamaPs },
  { method: 'POST', path: '/api/show', summary: 'Ollama: one model.', body: ollamaShowRequest, handle: ollamaShow },
  { method: 'POST', path: '/api/chat', summary: 'Ollama: answer a conversation.', body: ollamaChatRequest, handle: ollamaChat },
  { method: 'POST', path: '/api/generate', summary: 'Ollama: answer a prompt.', body: ollamaGenerateRequest, handle: ollamaGenerate },
  { method: 'POST', path: '/api/pull', summary: 'Ollama: download a model.', body: ollamaNameRequest, untimed: true, handle: ollamaPull },
  { method: 'POST', path: '/api/copy', summary: 'Ollama: a further name.', body: ollamaCopyRequest, handle: ollamaCopy },
  { method: 'DELETE', path: '/api/delete', summary: 'Ollama: delete a model.', body: ollamaNameRequest, handle: ollamaDelete },
  { method: 'POST', path: '/api/create', summary: 'Not offered (400).', handle: ollamaUnsupported },
  { method: 'POST', path: '/api/push', summary: 'Not offered (400).', handle: ollamaUnsupported },
  { method: 'POST', path: '/api/embed', summary: 'Ollama: texts to vectors.', body: ollamaEmbedRequest, handle: ollamaEmbed },
  {
    method: 'POST',
    path: '/api/embeddings',
    summary: 'Ollama: a text to a vector.',
    body: ollamaEmbeddingsRequest,
    handle: ollamaEmbeddings,
  },
]

const open = new Map(routes.filter((route) => route.open || route.anyHost).map((route) => [route.path, route]))
const fixed = new Set(routes.map((route) => route.path))

const untimed = new Set(routes.filter((route) => route.untimed).map((route) => route.path))

/** Whether a request of this path may take longer than an answer. */
export const isUntimed = (path: string): boolean => untimed.has(path)

/** Who may ask at this path. */
export const opennessOf = (path: string): Openness => open.get(path) ?? {}

/**
 * The path of a request as the routes know it: without slashes at the end, with one /v1 where clients leave it out or write it twice.
 * @param prefix what a proxy in front leaves before every path; without it only the open paths are known
 */
export function routedPath(path: string, prefix = ''): string {
  const plain = path.replace(/\/{2,}/g, '/').replace(/(?<=.)\/$/, '')
  if (prefix !== '' && plain !== prefix && !plain.startsWith(`${prefix}/`)) return open.has(plain) && plain !== '/' ? plain : ''
  const inner = plain.slice(prefix.length) || '/'
  if (fixed.has(inner)) return inner
  const versioned = `/v1${inner.replace(/^(\/v1)+(?=\/)/, '')}`
  return fixed.has(versioned) || /^\/v1\/(models|responses|conversations)\/./.test(versioned) ? versioned : inner
}

/** A path as a label: its route, never a client's text. */
export function routeOf(path: string): string {
  if (fixed.has(path)) return path
  if (path.startsWith('/v1/models/')) return '/v1/models/:id'
  if (path.startsWith('/slots/')) return '/slots/:id'
  if (path.startsWith('/v1/conversations/')) return '/v1/conversations/:id'
  return path.startsWith('/v1/responses/') ? '/v1/responses/:id' : 'other'
}
