/** The bodies of llama-server's own endpoints. */
import { z } from 'zod'
import * as common from './common.ts'
import { formFields } from './forms.ts'

const { repetition_penalty, ...sampling } = common.samplingFields
const shared = {
  model: common.modelName.nullish(),
  n_predict: common.int32(-1).nullish().describe('null and -1: what the context leaves. 0: the prompt is read and nothing is generated.'),
  max_tokens: common.int32(-1).nullish().describe('As `n_predict`.'),
  ...sampling,
  repeat_penalty: repetition_penalty,
  stop: common.stopTexts,
  stream: z.boolean().nullish(),
  response_fields: z
    .array(z.string().max(256))
    .max(256)
    .nullish()
    .describe('The fields of the whole answer; `timings/prompt_n` is a field of `timings` under that name.'),
  samplers: z.unknown().optional().describe('Not used: the order of the cuts is fixed.'),
  n_indent: z.int().min(0).nullish().describe('Not used: lines may be indented less.'),
  t_max_prompt_ms: z.number().nullish().describe('Not used.'),
  t_max_predict_ms: z.number().nullish().describe('Not used: n_predict is the limit.'),
  ...formFields,
}

export const llamaCompletionRequest = z.looseObject({
  ...shared,
  prompt: z.union([
    z.string(),
    z
      .array(common.int32(0))
      .min(1)
      .max(2 ** 20),
  ]),
})

export const infillRequest = z.looseObject({
  ...shared,
  input_prefix: z.string(),
  input_suffix: z.string(),
  prompt: z.string().nullish().describe('Beginning of the answer.'),
  input_extra: z
    .array(z.looseObject({ filename: z.string().nullish(), text: z.string() }))
    .max(1024)
    .nullish()
    .describe('Other files of the project.'),
})

export const slotRequest = z.looseObject({
  model: common.modelName.nullish(),
  filename: z.string().describe('A name without a path.'),
})

export type LlamaRequest = z.infer<typeof llamaCompletionRequest> | z.infer<typeof infillRequest>
