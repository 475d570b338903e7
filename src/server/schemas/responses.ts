/** The body of POST /v1/responses and the input items it may carry. */
import { z } from 'zod'
import * as common from './common.ts'
import { formFields } from './forms.ts'

const itemId = z.string().max(256).nullish()
const part = z.looseObject({ type: z.string().max(64), text: z.string().nullish(), refusal: z.string().nullish() })
const parts = z.union([z.string(), z.array(part).max(1024)])

export const messageItem = z.looseObject({
  type: z.literal('message').nullish(),
  id: itemId,
  role: z.enum(['user', 'assistant', 'system', 'developer']),
  content: parts.nullable(),
  phase: z.enum(['commentary', 'final_answer']).nullish(),
})
export const functionCallItem = z.looseObject({
  type: z.literal('function_call'),
  id: itemId,
  call_id: common.callId,
  name: common.toolName,
  arguments: z.string(),
})
export const functionCallOutputItem = z.looseObject({
  type: z.literal('function_call_output'),
  id: itemId,
  call_id: common.callId,
  output: parts.nullable(),
})
export const customCallItem = z.looseObject({
  type: z.literal('custom_tool_call'),
  id: itemId,
  call_id: common.callId,
  name: common.toolName,
  input: z.string(),
})
/** A call of a tool that clients of other servers run themselves. Its fields are shown to the model as they are. */
export const foreignCallItem = z.looseObject({
  type: z.enum(['local_shell_call', 'shell_call', 'apply_patch_call']),
  id: itemId,
  call_id: common.callId,
})
/** The result of such a call. Some name the call by `id`. */
export const foreignOutputItem = z.looseObject({
  type: z.enum(['custom_tool_call_output', 'local_shell_call_output', 'shell_call_output', 'apply_patch_call_output']),
  id: itemId,
  call_id: common.callId.nullish(),
  output: z.union([z.string(), z.array(z.looseObject({})).max(1024)]).nullish(),
})
/** A call of a server of tools, with its result. */
export const mcpCallItem = z.looseObject({
  type: z.literal('mcp_call'),
  id: itemId,
  name: common.toolName,
  arguments: z.string(),
  output: z.string().nullish(),
  error: z.unknown().optional(),
})
export const reasoningItem = z.looseObject({
  type: z.literal('reasoning'),
  id: itemId,
  summary: z.array(part).max(1024).nullish(),
  content: z.array(part).max(1024).nullish(),
  encrypted_content: z.string().nullish(),
})
export const referenceItem = z.looseObject({ type: z.literal('item_reference').nullish(), id: z.string().min(1).max(256) })
export const compactionItem = z.looseObject({ type: z.literal('compaction'), id: itemId, encrypted_content: z.string() })

/** Checked again by type in responses/input.ts, which refuses items of unknown types. */
export const anyItem = z.looseObject({ type: z.string().max(64).nullish() })

export const responseTool = z.looseObject({ type: z.literal('function'), ...common.functionFields })

const responseToolChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  z.looseObject({ type: z.enum(['function', 'custom']), name: common.toolName }),
  z.looseObject({
    type: z.literal('allowed_tools'),
    ...common.allowedTools(z.looseObject({ type: z.string(), name: z.string().nullish() })),
  }),
])

const textFormat = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.looseObject({ type: z.literal('json_schema'), ...common.schemaFields }),
])

export const responseRequest = z.looseObject({
  model: common.modelName,
  input: z
    .union([z.string(), z.array(anyItem).max(4096)])
    .nullish()
    .describe('May be left out where conversation or previous_response_id is there.'),
  instructions: z.string().nullish(),
  previous_response_id: z.string().min(1).max(256).nullish(),
  conversation: z
    .union([z.string().min(1).max(256), z.looseObject({ id: z.string().min(1).max(256) })])
    .nullish()
    .describe('A conversation that is continued, and to which input and output are added.'),
  stream: z.boolean().nullish(),
  store: z.boolean().nullish(),
  background: z.boolean().nullish(),
  include: z.array(z.string().max(128)).max(32).nullish(),
  max_output_tokens: common.tokenLimit,
  max_tool_calls: common.int32(1).nullish(),
  ...common.samplingFields,
  top_logprobs: z.int().min(0).max(20).nullish(),
  text: z.looseObject({ format: textFormat.nullish() }).nullish(),
  ...formFields,
  tools: common.tools.nullish(),
  tool_choice: responseToolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  reasoning: z
    .looseObject({
      effort: common.effort.nullish(),
      summary: z.enum(['auto', 'concise', 'detailed']).nullish(),
      context: z.literal('auto').nullish().describe('Which reasoning the model sees again; its chat template decides.'),
    })
    .nullish(),
  image: z
    .looseObject({ context_compression: z.enum(['auto', 'enabled', 'disabled']).nullish() })
    .nullish()
    .describe('How images are treated. It changes nothing: images are refused.'),
  truncation: z.enum(['auto', 'disabled']).nullish(),
  metadata: common.metadata,
  user: z.string().max(512).nullish(),
  safety_identifier: z.string().max(512).nullish(),
  prompt_cache_key: z.string().max(512).nullish(),
  service_tier: z.string().max(32).nullish(),
  chat_template_kwargs: common.templateKwargs,
})

/** input_tokens takes the body of a response request in which only `input` matters. */
export const inputTokensRequest = responseRequest.partial({ model: true })

/** Of POST /v1/conversations and /v1/conversations/{id}. */
export const conversationRequest = z.looseObject({ items: z.array(anyItem).max(4096).nullish(), metadata: common.metadata })
export const conversationItemsRequest = z.looseObject({ items: z.array(anyItem).min(1).max(4096) })

export type ResponseRequest = z.infer<typeof responseRequest>
export type InputItem = z.infer<typeof anyItem>
