/** The body of POST /v1/chat/completions. */
import { z } from 'zod'
import * as common from './common.ts'
import { formFields, responseFormat } from './forms.ts'

const textPart = z.looseObject({ type: z.enum(['text', 'input_text', 'output_text']), text: z.string() })
const refusalPart = z.looseObject({ type: z.literal('refusal'), refusal: z.string() })
/** Parts this server knows but no text model reads; they pass the schema so that the refusal can be 400 with a clear text. */
const mediaPart = z.looseObject({ type: z.enum(['image_url', 'input_image', 'input_audio', 'file', 'input_file']) })
const content = z.union([z.string(), z.array(z.discriminatedUnion('type', [textPart, mediaPart, refusalPart])).max(1024)])

const toolCall = z.union([
  z.looseObject({
    id: common.callId,
    type: z.literal('function').nullish(),
    function: z.looseObject({ name: common.toolName, arguments: z.string() }),
  }),
  z.looseObject({
    id: common.callId,
    type: z.literal('custom'),
    custom: z.looseObject({ name: common.toolName, input: z.string() }),
  }),
])

/** A call as it was before `tool_calls`. */
const legacyCall = z.looseObject({ name: common.toolName, arguments: z.string() })

/** Programs write null for "nothing"; a missing content is a mistake. */
const maybe = content.nullable()

const instructions = (role: 'system' | 'developer') => z.looseObject({ role: z.literal(role), content: maybe })

const chatMessage = z.discriminatedUnion('role', [
  instructions('system'),
  instructions('developer'),
  z.looseObject({ role: z.literal('user'), content: maybe, name: z.string().max(128).nullish() }),
  z.looseObject({
    role: z.literal('assistant'),
    content: content.nullish(),
    refusal: z.string().nullish(),
    reasoning: z.string().nullish(),
    reasoning_content: z.string().nullish(),
    thinking: z.string().nullish(),
    tool_calls: z.array(toolCall).max(128).nullish(),
    function_call: legacyCall.nullish(),
  }),
  z.looseObject({ role: z.literal('function'), content: content.nullish(), name: common.toolName }),
  z.looseObject({ role: z.literal('tool'), content: maybe, tool_call_id: common.callId, name: common.toolName.nullish() }),
])

export const functionTool = z.looseObject({
  type: z.literal('function'),
  function: z.looseObject(common.functionFields),
})

const namedFunction = z.looseObject({ type: z.literal('function'), function: z.looseObject({ name: common.toolName }) })

const chatToolChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  namedFunction,
  z.looseObject({ type: z.literal('custom'), custom: z.looseObject({ name: common.toolName }) }),
  z.looseObject({
    type: z.literal('allowed_tools'),
    allowed_tools: z.looseObject(common.allowedTools(z.looseObject({ type: z.string() }))),
  }),
])

export const chatRequest = z.looseObject({
  model: common.modelName,
  messages: z.array(chatMessage).min(1).max(4096),
  continue_final_message: z
    .boolean()
    .nullish()
    .describe(
      'A last message of the assistant is continued. Default true; with a schema or a forced call, or with add_generation_prompt, false.',
    ),
  add_generation_prompt: z.boolean().nullish().describe('True: the answer is a new message. False: as continue_final_message.'),
  stream: z.boolean().nullish(),
  stream_options: common.includeUsage,
  max_tokens: common.tokenLimit,
  max_completion_tokens: common.tokenLimit,
  ...common.samplingFields,
  stop: common.stopTexts,
  n: z.int().min(1).max(8).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  response_format: responseFormat.nullish(),
  ...formFields,
  tools: common.tools.nullish(),
  tool_choice: chatToolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  functions: z.array(z.looseObject(common.functionFields)).max(128).nullish().describe('Tools as OpenAI had them before `tools`.'),
  function_call: z.union([z.enum(['none', 'auto']), z.looseObject({ name: common.toolName })]).nullish(),
  reasoning_effort: common.effort.nullish(),
  reasoning: z.looseObject({ effort: common.effort.nullish() }).nullish(),
  thinking_token_budget: common.int32(0).nullish(),
  reasoning_format: z
    .enum(['auto', 'deepseek', 'deepseek-legacy', 'none'])
    .nullish()
    .describe('Where the reasoning comes (llama-server): in fields of its own, in the content between think tags too, or there alone.'),
  separate_reasoning: z.boolean().nullish().describe('false: the reasoning comes in the content (SGLang).'),
  reasoning_control: z.boolean().nullish().describe('The thinking of this answer can be ended by /v1/chat/completions/control.'),
  chat_template_kwargs: common.templateKwargs,
  user: z.string().max(512).nullish(),
  store: z.boolean().nullish(),
  metadata: common.metadata,
})

export const controlRequest = z.looseObject({
  id: z.string().min(1).max(256),
  action: z.enum(['reasoning_end']),
  model: common.modelName.nullish(),
})

export type ChatRequest = z.infer<typeof chatRequest>
export type ChatRequestMessage = z.infer<typeof chatMessage>
export type ChatContent = z.infer<typeof content>
