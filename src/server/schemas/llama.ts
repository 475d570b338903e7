/** The bodies of llama-server's own endpoints. */
import { z } from 'zod'
import * as common from './common.ts'
import { formFields } from './forms.ts'

const { repetition_penalty, ...sampling } = common.samplingFields
const shared = {
  model: common.modelName.nullish(),
  n_predict: common.tokenLimit,
  max_tokens: common.tokenLimit,
  ...sampling,
  repeat_penalty: repetition_penalty,
  stop: common.stopTexts,
  stream: z.boolean().nullish(),
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
