/**
 * Conversations: items that live on a server beside single responses. A response that names one continues it, and its items are added
 * when it has ended. Kept in the store of the responses, one record each, so that limits and keys hold for them too.
 */
import { readBody } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { badRequest, notFound, quote } from '../http/errors.ts'
import { newId, unixSeconds } from '../http/names.ts'
import { conversationItemsRequest, conversationRequest, type ResponseRequest } from '../schemas/responses.ts'
import { inputItems } from './input.ts'
import type { ResponseStore, StoredItem, StoredResponse } from './store.ts'

type Params = Record<string, string>

/** Changes of one conversation wait for each other, so that none is lost. */
export class Conversations {
  readonly #store: ResponseStore
  readonly #tails = new Map<string, Promise<unknown>>()

  constructor(store: ResponseStore) {
    this.#store = store
  }

  async create(tenant: string, input: StoredItem[], metadata: object): Promise<StoredResponse> {
    const id = newId('conv')
    const response = { id, object: 'conversation', created_at: unixSeconds(), metadata, output: [] }
    const record = { id, tenant, storedAt: Date.now(), previousId: null, input, response }
    await this.#store.put(record)
    return record
  }

  /** @throws 404 */
  async get(tenant: string, id: string): Promise<StoredResponse> {
    const record = await this.#store.get(tenant, id)
    if (record?.response.object === 'conversation') return record
    throw notFound(`The conversation ${quote(id)} is not stored here.`, 'conversation_not_found', 'conversation')
  }

  /** Replaces a conversation by what `change` makes of it. @throws 404 */
  change(tenant: string, id: string, change: (record: StoredResponse) => StoredResponse): Promise<StoredResponse> {
    return this.#inTurn(tenant, id, async () => {
      const record = { ...change(await this.get(tenant, id)), storedAt: Date.now() }
      await this.#store.put(record)
      return record
    })
  }

  /** Deletes it after the changes that came before; those that come after are refused. @throws 404 */
  delete(tenant: string, id: string): Promise<void> {
    return this.#inTurn(tenant, id, async () => {
      await this.get(tenant, id)
      await this.#store.delete(tenant, id)
    })
  }

  #inTurn<T>(tenant: string, id: string, run: () => Promise<T>): Promise<T> {
    const key = `${tenant}\n${id}`
    const result = (this.#tails.get(key) ?? Promise.resolve()).catch(() => {}).then(run)
    this.#tails.set(key, result)
    result.catch(() => {}).finally(() => this.#tails.get(key) === result && this.#tails.delete(key))
    return result
  }

  add(tenant: string, id: string, items: readonly StoredItem[]): Promise<StoredResponse> {
    return this.change(tenant, id, (record) => {
      const known = new Set(record.input.map((item) => item.id))
      return { ...record, input: [...record.input, ...items.filter((item) => !known.has(item.id))] }
    })
  }
}

/** The conversation that a response continues, if any. */
export function conversationOf({ conversation, previous_response_id: previous }: ResponseRequest): string | undefined {
  if (!conversation) return undefined
  if (previous) throw badRequest('Send either conversation or previous_response_id.', 'conversation')
  return typeof conversation === 'string' ? conversation : conversation.id
}

const shown = ({ response: { output: _, ...conversation } }: StoredResponse) => conversation

export async function createConversation(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const { items, metadata } = await readBody(ctx, scope, request, conversationRequest)
  const input = await inputItems(ctx, scope, items ?? [])
  return Response.json(shown(await ctx.conversations.create(scope.tenant, input, metadata ?? {})))
}

export async function getConversation(ctx: ServerContext, scope: Scope, _request: Request, { id }: Params): Promise<Response> {
  return Response.json(shown(await ctx.conversations.get(scope.tenant, id!)))
}

export async function updateConversation(ctx: ServerContext, scope: Scope, request: Request, { id }: Params): Promise<Response> {
  const { metadata } = await readBody(ctx, scope, request, conversationRequest)
  const change = (record: StoredResponse) => ({ ...record, response: { ...record.response, metadata: metadata ?? {} } })
  return Response.json(shown(await ctx.conversations.change(scope.tenant, id!, change)))
}

export async function deleteConversation(ctx: ServerContext, scope: Scope, _request: Request, { id }: Params): Promise<Response> {
  await ctx.conversations.delete(scope.tenant, id!)
  return Response.json({ id, object: 'conversation.deleted', deleted: true })
}

export async function listConversationItems(ctx: ServerContext, scope: Scope, request: Request, { id }: Params): Promise<Response> {
  return Response.json(pageOf((await ctx.conversations.get(scope.tenant, id!)).input, request))
}

export async function addConversationItems(ctx: ServerContext, scope: Scope, request: Request, { id }: Params): Promise<Response> {
  const { items } = await readBody(ctx, scope, request, conversationItemsRequest)
  const added = await inputItems(ctx, scope, items)
  await ctx.conversations.add(scope.tenant, id!, added)
  return Response.json({ object: 'list', data: added, first_id: added[0]?.id ?? null, last_id: added.at(-1)?.id ?? null, has_more: false })
}

export async function getConversationItem(ctx: ServerContext, scope: Scope, _request: Request, { id, item }: Params): Promise<Response> {
  const { input } = await ctx.conversations.get(scope.tenant, id!)
  return Response.json(input.find((each) => each.id === item) ?? unknownItem(item!))
}

export async function deleteConversationItem(ctx: ServerContext, scope: Scope, _request: Request, { id, item }: Params): Promise<Response> {
  const without = (record: StoredResponse) => {
    if (!record.input.some((each) => each.id === item)) unknownItem(item!)
    return { ...record, input: record.input.filter((each) => each.id !== item) }
  }
  return Response.json(shown(await ctx.conversations.change(scope.tenant, id!, without)))
}

function unknownItem(id: string): never {
  throw notFound(`The item ${quote(id)} is not in this conversation.`, 'item_not_found')
}

/** A page of items as the query asks for it: `limit`, `order` (default newest first), `after`. @throws 400 */
export function pageOf(items: readonly StoredItem[], request: Request) {
  const query = new URL(request.url).searchParams
  const limit = query.get('limit') ?? '20'
  if (!/^\d{1,3}$/.test(limit) || Number(limit) < 1 || Number(limit) > 100) throw badRequest('limit must be 1 to 100.', 'limit')
  const ordered = query.get('order') === 'asc' ? items : items.toReversed()
  const start = ordered.findIndex(({ id }) => id === query.get('after')) + 1
  const data = ordered.slice(start, start + Number(limit))
  const has_more = start + data.length < ordered.length
  return { object: 'list', data, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null, has_more }
}
