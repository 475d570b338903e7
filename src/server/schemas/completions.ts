/** The bodies of POST /v1/completions, /tokenize, /detokenize and /v1/embeddings. */
import { z } from 'zod'
import { chatRequest } from './chat.ts'
import * as common from './common.ts'
import { formFields, responseFormat } from './forms.ts'

const ids = z.array(common.int32(0)).max(2 ** 20)

/** How the text of a raw prompt becomes ids. */
const promptFields = {
  parse_special: z.boolean().nullish().describe('Spellings of special tokens in the text become these tokens.'),
  add_special_tokens: z.boolean().nullish().describe('Put in front what the tokenizer puts before every text (a BOS); never doubled.'),
}

export const completionRequest = z.looseObject({
  model: common.modelName,
  prompt: z
    .union([z.string(), ids.min(1), z.array(z.string()).min(1).max(64), z.array(ids.min(1)).min(1).max(64)])
    .describe('One text, one list of token ids, or up to 64 of either.'),
  ...promptFields,
  stream: z.boolean().nullish(),
  stream_options: common.includeUsage,
  max_tokens: common.int32(-1).nullish().describe('Default 16. -1: what the context leaves. 0 with echo: score the prompt.'),
  ...common.samplingFields,
  stop: common.stopTexts,
  n: z.int().min(1).max(8).nullish(),
  logprobs: z.int().min(0).max(20).nullish(),
  echo: z.boolean().nullish(),
  response_format: responseFormat.nullish(),
  ...formFields,
  user: z.string().max(512).nullish(),
})
export type CompletionRequest = z.infer<typeof completionRequest>

export const tokenizeRequest = z.looseObject({
  model: common.modelName.nullish(),
  content: z.string().nullish().describe('A text. Spellings of special tokens stay text and no BOS comes first, unless asked for.'),
  prompt: z.string().nullish().describe('A prompt of /v1/completions, read as it is there, unless asked for otherwise.'),
  ...promptFields,
  add_special: z.boolean().nullish().describe('Another name of `add_special_tokens` (llama.cpp).'),
  with_pieces: z.boolean().nullish(),
})

export const detokenizeRequest = z.looseObject({ model: common.modelName.nullish(), tokens: ids })

export const applyTemplateRequest = chatRequest.partial({ model: true })

export const embeddingsRequest = z.looseObject({ model: common.modelName, input: z.unknown() })
