/** The body of POST /v1/messages, Anthropic's API, and of /v1/messages/count_tokens. */
import { z } from 'zod'
import * as common from './common.ts'
import { formFields } from './forms.ts'

/** Checked again by type in messages/input.ts, which refuses types that no text model reads. */
const block = z.looseObject({ type: z.string().max(64) })
const blocks = z.union([z.string(), z.array(block).max(4096)])

export const textBlock = z.looseObject({ type: z.literal('text'), text: z.string() })
export const thinkingBlock = z.looseObject({ type: z.literal('thinking'), thinking: z.string(), signature: z.string().nullish() })
export const redactedThinkingBlock = z.looseObject({ type: z.literal('redacted_thinking'), data: z.string() })
export const toolUseBlock = z.looseObject({
  type: z.literal('tool_use'),
  id: common.callId,
  name: common.toolName,
  input: common.jsonObject,
})
export const toolResultBlock = z.looseObject({
  type: z.literal('tool_result'),
  tool_use_id: common.callId,
  content: blocks.nullish(),
  is_error: z.boolean().nullish(),
})
export const documentBlock = z.looseObject({
  type: z.literal('document'),
  title: z.string().nullish(),
  context: z.string().nullish(),
  source: z.looseObject({ type: z.string().max(64), data: z.string().nullish(), content: blocks.nullish() }),
})
export const searchResultBlock = z.looseObject({
  type: z.literal('search_result'),
  title: z.string(),
  source: z.string(),
  content: z.array(textBlock).max(1024),
})

const tool = z.looseObject({ type: z.string().max(64).nullish(), name: common.toolName })
/** A tool that the client runs and describes. */
export const clientTool = z.looseObject({
  type: z.literal('custom').nullish(),
  name: common.toolName,
  description: z.string().nullish(),
  input_schema: common.schemaObject,
  strict: z.boolean().nullish(),
})

const parallel = { disable_parallel_tool_use: z.boolean().nullish() }
const toolChoice = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('auto'), ...parallel }),
  z.strictObject({ type: z.literal('any'), ...parallel }),
  z.strictObject({ type: z.literal('tool'), name: common.toolName, ...parallel }),
  z.strictObject({ type: z.literal('none') }),
])

const display = z.enum(['summarized', 'omitted']).nullish()
const thinking = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('enabled'), budget_tokens: common.int32(1), display }),
  z.strictObject({ type: z.literal('adaptive'), display }),
  z.strictObject({ type: z.literal('disabled') }),
])

const outputFormat = z.strictObject({ type: z.literal('json_schema'), schema: common.schemaObject }).nullish()

export const messagesRequest = z.looseObject({
  model: common.modelName,
  messages: z
    .array(z.looseObject({ role: z.enum(['user', 'assistant', 'system']), content: blocks }))
    .min(1)
    .max(100_000),
  max_tokens: common.int32(1),
  system: z.union([z.string(), z.array(textBlock).max(1024)]).nullish(),
  stream: z.boolean().nullish(),
  stop_sequences: z.array(z.string().max(1024)).max(256).nullish().describe('Texts that end the answer; never part of it.'),
  ...common.samplingFields,
  thinking: thinking.nullish().describe('Missing: as the model does by itself, and not shown.'),
  tools: z.array(tool).max(256).nullish(),
  tool_choice: toolChoice.nullish(),
  output_config: z.looseObject({ effort: common.effort.nullish(), format: outputFormat }).nullish(),
  output_format: outputFormat,
  ...formFields,
  context_management: z
    .looseObject({ edits: z.array(z.looseObject({ type: z.string().max(64) })).nullish() })
    .nullish()
    .describe('Edits of thinking only: the chat formats leave old thinking out by themselves.'),
  metadata: z.looseObject({}).nullish(),
})

export const countTokensRequest = messagesRequest.partial({ max_tokens: true })

/** What both endpoints read. */
export type MessagesRequest = z.infer<typeof countTokensRequest>
export type MessageBlock = z.infer<typeof block>
