/** The bodies of the Ollama endpoints. */
import { z } from 'zod'
import * as common from './common.ts'
import { formFields } from './forms.ts'

const { repetition_penalty, logit_bias: _, ...sampling } = common.samplingFields

const options = z
  .looseObject({
    num_predict: common.int32(-2).nullish(),
    ...sampling,
    repeat_penalty: repetition_penalty,
    stop: common.stopTexts,
  })
  .nullish()

const shared = {
  model: common.modelName,
  stream: z.boolean().nullish().describe('Default true, unlike the OpenAI endpoints.'),
  think: z.union([z.boolean(), z.enum(['low', 'medium', 'high', 'max', 'none'])]).nullish(),
  format: z.union([z.literal(''), z.literal('json'), common.jsonObject]).nullish(),
  ...formFields,
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  options,
  keep_alive: z.union([z.string().max(32), z.number()]).nullish(),
}

export const ollamaChatRequest = z.looseObject({
  ...shared,
  messages: z
    .array(
      z.looseObject({
        role: z.enum(['system', 'user', 'assistant', 'tool', 'developer']),
        content: z.string().nullish(),
        thinking: z.string().nullish(),
        images: z.array(z.unknown()).max(64).nullish(),
        tool_calls: z
          .array(
            z.looseObject({
              id: common.callId.nullish(),
              function: z.looseObject({
                name: common.toolName,
                arguments: z.union([common.jsonObject, z.string()]).nullish(),
              }),
            }),
          )
          .max(128)
          .nullish(),
        tool_name: common.toolName.nullish(),
        tool_call_id: common.callId.nullish(),
      }),
    )
    .max(4096)
    .nullish(),
  tools: z
    .array(z.looseObject({ type: z.string().nullish() }))
    .max(256)
    .nullish(),
})

export const ollamaGenerateRequest = z.looseObject({
  ...shared,
  prompt: z.string().nullish(),
  system: z.string().nullish(),
  suffix: z.string().nullish().describe('The text after the gap: the answer stands between prompt and suffix.'),
  raw: z.boolean().nullish().describe('The prompt is continued as it is, without the chat format. Special tokens in it are read.'),
  parse_special: z.boolean().nullish().describe('With `raw`: false leaves spellings of special tokens text.'),
  images: z.array(z.unknown()).max(64).nullish(),
})

export const ollamaShowRequest = z.looseObject({ model: common.modelName.nullish(), name: common.modelName.nullish() })

/** Of /api/pull and /api/delete. */
export const ollamaNameRequest = z.looseObject({
  model: common.modelName.nullish(),
  name: common.modelName.nullish(),
  stream: z.boolean().nullish(),
  insecure: z.boolean().nullish(),
})

export const ollamaCopyRequest = z.looseObject({ source: common.modelName, destination: common.modelName })

export type OllamaChatRequest = z.infer<typeof ollamaChatRequest>
export type OllamaGenerateRequest = z.infer<typeof ollamaGenerateRequest>
