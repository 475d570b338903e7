/**
 * A request of Anthropic's API in the form that all endpoints share. Blocks that no text model reads, and tools that a server would
 * have to run, are refused by name.
 */
import type { z } from 'zod'
import { type Ask, thinkingOf } from '../../answer/ask.ts'
import type { AssistantPart, Message } from '../../chat/messages.ts'
import { writeJson } from '../../json/lossless.ts'
import { notReadable } from '../chat-completions/messages.ts'
import { validate } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { badRequest } from '../http/errors.ts'
import { type Asked, drawingOf, stopsOf } from '../prepare.ts'
import { type GivenForm, givenForm } from '../schemas/forms.ts'
import * as schemas from '../schemas/messages.ts'

type Blocks = string | readonly schemas.MessageBlock[]

/** Claude Code begins its instructions with such a line; its content differs each time and would defeat the reuse of prefixes. */
const BILLING_LINE = /^x-anthropic-billing-header:/

export async function messagesAsk(ctx: ServerContext, scope: Scope, body: schemas.MessagesRequest): Promise<Asked> {
  refuseEdits(body)
  const { tools, places } = toolsOf(body)
  const given = givenForm(body, formOf(body, 'output_config.format'), formOf(body, 'output_format'))
  const choice = body.tool_choice
  return {
    messages: await messagesOf(ctx, scope, body),
    ask: {
      thinking: thinkingFor(body),
      tools,
      toolChoice: choiceOf(choice),
      parallelToolCalls: choice && 'disable_parallel_tool_use' in choice && choice.disable_parallel_tool_use ? false : undefined,
      ...given?.form,
      ...drawingOf(body),
      maxTokens: body.max_tokens,
      stop: stopsOf(body.stop_sequences),
      fields: { form: given?.field, tools: places },
    },
  }
}

function thinkingFor({ thinking, output_config: output }: schemas.MessagesRequest): Ask['thinking'] {
  if (thinking?.type === 'disabled') return false
  const budget = thinking?.type === 'enabled' ? thinking.budget_tokens : undefined
  return thinkingOf(output?.effort, thinking ? true : undefined, budget)
}

function formOf(body: schemas.MessagesRequest, field: 'output_config.format' | 'output_format') {
  const format = field === 'output_format' ? body.output_format : body.output_config?.format
  return format ? ({ field: `${field}.schema`, form: { schema: format.schema } } satisfies GivenForm) : undefined
}

function choiceOf(choice: schemas.MessagesRequest['tool_choice']): Ask['toolChoice'] {
  if (!choice) return 'auto'
  if (choice.type === 'tool') return { name: choice.name }
  return choice.type === 'any' ? 'required' : choice.type
}

function toolsOf({ tools }: schemas.MessagesRequest) {
  const read = (tools ?? []).map((tool, i) => {
    const place = `tools[${i}]`
    if (tool.type && tool.type !== 'custom')
      throw badRequest(
        `${place}.type: this server has no tool ${JSON.stringify(tool.type)}; describe it by an input_schema.`,
        `${place}.type`,
      )
    const { name, description, input_schema: parameters, strict } = validate(tool, schemas.clientTool, place)
    return { name, description: description || undefined, parameters, strict: strict ?? false }
  })
  return { tools: read, places: read.map((_, i) => `tools[${i}]`) }
}

/** Leaving old thinking out is what the chat formats do; other edits would have to be done here. */
function refuseEdits({ context_management: wanted }: schemas.MessagesRequest): void {
  for (const [i, { type }] of (wanted?.edits ?? []).entries()) {
    const field = `context_management.edits[${i}]`
    if (!type.startsWith('clear_thinking'))
      throw badRequest(`${field}: this edit is not supported; shorten the messages.`, field, 'unsupported_field')
  }
}

async function messagesOf(ctx: ServerContext, scope: Scope, body: schemas.MessagesRequest): Promise<Message[]> {
  const messages: Message[] = []
  const system = typeof body.system === 'string' ? [body.system] : (body.system ?? []).map(({ text }) => text)
  const instructions = system.filter((text) => !BILLING_LINE.test(text)).join('\n\n')
  if (instructions) messages.push({ role: 'system', content: instructions })
  for (const [i, { role, content }] of body.messages.entries()) {
    const place = `messages[${i}].content`
    if (role === 'assistant') messages.push({ role, content: await assistantParts(ctx, scope, content, place) })
    else if (role === 'system') messages.push({ role, content: textOf(content, place) })
    else messages.push(...userMessages(content, place))
  }
  return messages
}

/** Results of tools are messages of their own; the text around them is one of the user. */
function userMessages(content: Blocks, place: string): Message[] {
  if (typeof content === 'string') return [{ role: 'user', content }]
  const messages: Message[] = []
  let texts: schemas.MessageBlock[] = []
  const flush = () => {
    if (texts.length > 0) messages.push({ role: 'user', content: textOf(texts, place) })
    texts = []
  }
  for (const [b, block] of content.entries()) {
    if (block.type !== 'tool_result') {
      texts.push(block)
      continue
    }
    flush()
    const { tool_use_id: toolCallId, content: result, is_error: isError } = validate(block, schemas.toolResultBlock, `${place}[${b}]`)
    const text = textOf(result ?? '', `${place}[${b}].content`)
    messages.push({ role: 'tool', toolCallId, content: isError && !/error/i.test(text.slice(0, 40)) ? `Error: ${text}` : text })
  }
  flush()
  return messages.length > 0 ? messages : [{ role: 'user', content: '' }]
}

async function assistantParts(ctx: ServerContext, scope: Scope, content: Blocks, place: string): Promise<AssistantPart[]> {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }]
  const hasCalls = content.some(({ type }) => type === 'tool_use')
  const parts: AssistantPart[] = []
  for (const [b, block] of content.entries()) {
    const where = `${place}[${b}]`
    if (block.type === 'thinking' || block.type === 'redacted_thinking') {
      const text = await thinkingText(ctx, scope, block, where)
      if (text) parts.push({ type: 'reasoning', text })
    } else if (block.type === 'tool_use') {
      const { id, name, input } = validate(block, schemas.toolUseBlock, where)
      const recalled = parts.some(({ type }) => type !== 'text') ? undefined : ctx.reasoning.recall(scope.tenant, id)
      if (recalled) parts.unshift({ type: 'reasoning', text: recalled }) // the model thought before its preamble
      parts.push({ type: 'tool-call', id, name, arguments: writeJson(input) })
    } else {
      const text = textOf([block], place, b)
      if (text) parts.push({ type: 'text', text, phase: hasCalls ? 'commentary' : undefined })
    }
  }
  return parts
}

/** Thinking whose text was omitted stands in its signature. */
async function thinkingText(ctx: ServerContext, scope: Scope, block: schemas.MessageBlock, where: string): Promise<string> {
  if (block.type === 'redacted_thinking')
    return (await ctx.sealer.open(scope.tenant, validate(block, schemas.redactedThinkingBlock, where).data)) ?? ''
  const { thinking, signature } = validate(block, schemas.thinkingBlock, where)
  return thinking || ((await ctx.sealer.open(scope.tenant, signature ?? '')) ?? '')
}

/** The text of blocks that are read. @throws 400 on others */
function textOf(content: Blocks, place: string, first = 0): string {
  if (typeof content === 'string') return content
  const read = <T extends z.ZodType>(schema: T, i: number) => validate(content[i], schema, `${place}[${first + i}]`)
  return content
    .map((block, i) => {
      if (block.type === 'text') return read(schemas.textBlock, i).text
      if (block.type === 'document') return documentText(read(schemas.documentBlock, i), `${place}[${first + i}]`)
      if (block.type === 'search_result') {
        const { title, source, content: found } = read(schemas.searchResultBlock, i)
        return `${title}\n${source}\n${found.map(({ text }) => text).join('\n')}`
      }
      throw notReadable(block.type, `${place}[${first + i}]`)
    })
    .filter((text) => !BILLING_LINE.test(text))
    .join('\n\n')
}

function documentText({ title, context, source }: z.infer<typeof schemas.documentBlock>, place: string): string {
  if (source.type !== 'text' && source.type !== 'content') throw notReadable(`document of ${source.type}`, place)
  const text = source.type === 'text' ? (source.data ?? '') : textOf(source.content ?? '', `${place}.source.content`)
  return [title, context, text].filter(Boolean).join('\n')
}
