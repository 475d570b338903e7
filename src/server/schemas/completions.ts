/** The bodies of POST /v1/completions, /tokenize, /detokenize and /apply-template. */
import { z } from 'zod'
import { chatRequest } from './chat.ts'
import * as common from './common.ts'
import { formFields, responseFormat } from './forms.ts'

const MOST_IDS = 2 ** 20

/** Token ids. A schema for each of a million items would take a tenth of a second and more. */
const ids = z
  .custom<number[]>((value) => Array.isArray(value) && value.length <= MOST_IDS, `Expected a list of at most ${MOST_IDS} token ids`)
  .check(({ value, issues }) => {
    const wrong = Array.isArray(value) ? value.findIndex((id) => !Number.isInteger(id) || id < 0 || id > 0x7fffffff) : -1
    if (wrong >= 0) issues.push({ code: 'custom', input: value[wrong], path: [wrong], message: 'Expected a token id' })
  })
  .meta({ type: 'array', items: { type: 'integer', minimum: 0 }, maxItems: MOST_IDS })
const someIds = ids.refine((value) => value.length > 0, 'Expected at least one token id')

/** How the text of a raw prompt becomes ids. */
const promptFields = {
  parse_special: z.boolean().nullish().describe('Spellings of special tokens in the text become these tokens.'),
  add_special_tokens: z.boolean().nullish().describe('Put in front what the tokenizer puts before every text (a BOS); never doubled.'),
}

export const completionRequest = z.looseObject({
  model: common.modelName,
  prompt: z
    .union([z.string(), someIds, z.array(z.string()).min(1).max(64), z.array(someIds).min(1).max(64)])
    .describe('One text, one list of token ids, or up to 64 of either.'),
  suffix: z.string().nullish().describe('The text after the gap: with one text as prompt, the answer stands between the two.'),
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
