/**
 * Input items of the Responses API -> messages. Every way in which clients send reasoning back is accepted: full items, references
 * to stored items, sealed content, or nothing at all, in which case the reasoning remembered for the call is put back.
 */
import type { z } from 'zod'
import type { AssistantPart, Message } from '../../chat/messages.ts'
import { notReadable } from '../chat-completions/messages.ts'
import { customArguments } from '../custom-tools.ts'
import { validate } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { badRequest, notFound, quote } from '../http/errors.ts'
import { newId } from '../http/names.ts'
import * as schemas from '../schemas/responses.ts'
import { isUnfinished, type StoredItem, type StoredResponse } from './store.ts'

type Part = { type: string; text?: string | null; refusal?: string | null }

/** @throws 400 where there is nothing to answer: no input, and nothing that is continued */
export function checkInput({ input, conversation, previous_response_id: previous }: schemas.ResponseRequest): void {
  if (input == null && !conversation && !previous)
    throw badRequest(
      `input: expected a text or a list of items, received ${input === null ? 'null' : 'nothing'}; only with conversation or previous_response_id it may be left out.`,
      'input',
    )
}

/** The input of a request as items with ids, references resolved. @throws 400 that names an item of unknown type */
export async function inputItems(ctx: ServerContext, scope: Scope, input: schemas.ResponseRequest['input']): Promise<StoredItem[]> {
  if (typeof input === 'string')
    return [{ id: newId('msg'), type: 'message', role: 'user', content: [{ type: 'input_text', text: input }] }]
  const items: StoredItem[] = []
  for (const [i, item] of (input ?? []).entries()) {
    const param = `input[${i}]`
    const type = item.type ?? ('role' in item ? 'message' : 'item_reference')
    if (type === 'item_reference') {
      const { id } = validate(item, schemas.referenceItem, param)
      const found = await ctx.store.item(scope.tenant, id)
      if (!found) throw notFound(`The item ${quote(id)} is not stored here. Send the item itself.`, 'item_not_found', `${param}.id`)
      items.push(found)
      continue
    }
    const schema = Object.hasOwn(itemSchemas, type) ? itemSchemas[type] : undefined
    if (!schema)
      throw badRequest(
        `${param}.type: items of the type ${quote(type)} are not supported; leave the item out.`,
        `${param}.type`,
        'unsupported_item',
      )
    items.push(normal(validate(item, schema, param) as Record<string, unknown>, type))
  }
  return items
}

const itemSchemas: Record<string, z.ZodType> = {
  message: schemas.messageItem,
  function_call: schemas.functionCallItem,
  function_call_output: schemas.functionCallOutputItem,
  reasoning: schemas.reasoningItem,
  compaction: schemas.compactionItem,
  custom_tool_call: schemas.customCallItem,
  local_shell_call: schemas.foreignCallItem,
  shell_call: schemas.foreignCallItem,
  apply_patch_call: schemas.foreignCallItem,
  custom_tool_call_output: schemas.foreignOutputItem,
  local_shell_call_output: schemas.foreignOutputItem,
  shell_call_output: schemas.foreignOutputItem,
  apply_patch_call_output: schemas.foreignOutputItem,
  mcp_call: schemas.mcpCallItem,
}
const prefixes: Record<string, string> = {
  message: 'msg',
  function_call: 'fc',
  function_call_output: 'fco',
  reasoning: 'rs',
  compaction: 'cmp',
  custom_tool_call: 'ctc',
}

function normal(item: Record<string, unknown>, type: string): StoredItem {
  const id = typeof item.id === 'string' && item.id !== '' ? item.id : newId(prefixes[type] ?? 'item')
  if (type !== 'message') return { ...item, id, type }
  const content =
    typeof item.content === 'string'
      ? [{ type: item.role === 'assistant' ? 'output_text' : 'input_text', text: item.content }]
      : (item.content ?? [])
  return { ...item, id, type, content }
}

/** The stored responses that lead to `previousId`, oldest first. Throws 400 when one is missing or unfinished. */
export async function previousResponses(
  ctx: ServerContext,
  scope: Scope,
  previousId: string | null | undefined,
): Promise<StoredResponse[]> {
  const chain: StoredResponse[] = []
  for (let id = previousId ?? null; id !== null; ) {
    const record = await ctx.store.get(scope.tenant, id)
    const isResponse = record?.response.object === 'response'
    const unfinished = record !== undefined && isUnfinished(record)
    if (!record || !isResponse || unfinished || chain.length >= 4096)
      throw badRequest(
        unfinished ? `The response ${quote(id)} is not finished yet.` : `The response ${quote(id)} is not stored here.`,
        'previous_response_id',
        'previous_response_not_found',
      )
    chain.unshift(record)
    id = record.previousId
  }
  return chain
}

/** Items -> messages; neighbouring items of the assistant make one message. */
export async function messagesOf(
  ctx: ServerContext,
  scope: Scope,
  items: readonly StoredItem[],
  instructions: string | null | undefined,
): Promise<Message[]> {
  const messages: Message[] = instructions ? [{ role: 'developer', content: instructions }] : []
  let parts: AssistantPart[] = []
  const flush = () => {
    if (parts.length > 0) messages.push({ role: 'assistant', content: parts })
    parts = []
  }
  for (const item of items) {
    if (item.type === 'reasoning') {
      const text = await reasoningOf(ctx, scope, item)
      if (text) parts.push({ type: 'reasoning', text })
    } else if (item.type.endsWith('_call')) {
      const { callId, name, args } = callOf(item)
      // A call straight after another one belongs to the same thought.
      const recalled = parts.some(({ type }) => type !== 'text') ? undefined : ctx.reasoning.recall(scope.tenant, callId)
      if (recalled) parts.push({ type: 'reasoning', text: recalled })
      parts.push({ type: 'tool-call', id: callId, name, arguments: args })
      if (item.type === 'mcp_call') {
        flush()
        messages.push({
          role: 'tool',
          toolCallId: callId,
          content: (item.output as string | null) ?? `Error: ${JSON.stringify(item.error ?? null)}`,
        })
      }
    } else if (item.type === 'message' && item.role === 'assistant') {
      const text = textOf(item.content as Part[], 'input')
      if (text) parts.push({ type: 'text', text, phase: item.phase === 'commentary' ? 'commentary' : undefined })
    } else {
      flush()
      if (item.type === 'compaction') {
        const summary = await ctx.sealer.open(scope.tenant, item.encrypted_content as string)
        if (summary === undefined)
          throw badRequest('This compaction was not made here, or for another key.', 'input', 'compaction_not_readable')
        messages.push({ role: 'developer', content: `The conversation so far, in short:\n${summary}` })
      } else if (item.type.endsWith('_call_output')) {
        messages.push({ role: 'tool', toolCallId: (item.call_id ?? item.id) as string, content: outputOf(item) })
      } else if (item.type === 'message') {
        messages.push({ role: item.role as 'user' | 'system' | 'developer', content: textOf(item.content as Part[], 'input') })
      }
    }
  }
  flush()
  return messages
}

/** A call as the model would have written it. */
function callOf(item: StoredItem): { callId: string; name: string; args: string } {
  const callId = (item.call_id ?? item.id) as string
  switch (item.type) {
    case 'function_call':
    case 'mcp_call':
      return { callId, name: item.name as string, args: item.arguments as string }
    case 'custom_tool_call':
      return { callId, name: item.name as string, args: customArguments(item.input as string) }
    default: {
      const { type, id: _id, call_id: _callId, status: _status, ...rest } = item
      return { callId, name: type.slice(0, -'_call'.length), args: JSON.stringify(rest) }
    }
  }
}

/** What a call gave back, as text. */
function outputOf({ type, output }: StoredItem): string {
  if (typeof output === 'string') return output
  const parts = (output ?? []) as Part[]
  const isText = type === 'function_call_output' || type === 'custom_tool_call_output'
  return isText ? textOf(parts, 'input') : parts.map((part) => part.text ?? JSON.stringify(part)).join('\n')
}

async function reasoningOf(ctx: ServerContext, scope: Scope, item: StoredItem): Promise<string> {
  const written = (item.content as Part[] | null | undefined)?.map((part) => part.text ?? '').join('')
  if (written) return written
  if (typeof item.encrypted_content === 'string') {
    const opened = await ctx.sealer.open(scope.tenant, item.encrypted_content)
    if (opened) return opened
  }
  const stored = await ctx.store.item(scope.tenant, item.id)
  return (stored?.content as Part[] | undefined)?.map((part) => part.text ?? '').join('') ?? ''
}

function textOf(parts: readonly Part[], param: string): string {
  return parts
    .map((part) => {
      if (typeof part.text === 'string') return part.text
      if (part.type === 'refusal') return part.refusal ?? ''
      throw notReadable(part.type, param)
    })
    .join('')
}
