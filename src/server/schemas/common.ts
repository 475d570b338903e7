/**
 * Pieces that several request schemas share. Numbers are finite and in range before anything else sees them; unknown fields pass unread.
 * The same zod schemas become /openapi.json.
 */
import { z } from 'zod'
import { isObject, type Json } from '../../json/json.ts'

export const modelName = z.string().min(1).max(256).describe('Id of a model, as listed by /v1/models.')

const MOST_INT32 = 2 ** 31 - 1
const MOST_TOOLS = 256

/** An integer from `least` to the largest that fits into 32 bits. */
export const int32 = (least: number) => z.int().min(least).max(MOST_INT32)

/** A limit in tokens. */
export const tokenLimit = int32(-1).nullish().describe('null, -1 and 0: what the context leaves.')

export const limitOf = (limit: number | null | undefined): number | undefined => (limit && limit > 0 ? limit : undefined)

/** What the engine takes, less the 7 by which the last of 8 answers to one prompt counts on from the seed of the first. */
const MOST_SEED = Number.MAX_SAFE_INTEGER - 7

const seed = z
  .number()
  .refine((value) => Number.isInteger(value) && Math.abs(value) <= MOST_SEED, {
    error: ({ input }) => `Expected an integer from ${-MOST_SEED} to ${MOST_SEED}, received ${input}`,
  })
  .meta({ type: 'integer', minimum: -MOST_SEED, maximum: MOST_SEED })

/** The seed of the engine, which takes none below 0: a negative seed stands for a large one, always the same. */
export const engineSeed = (given: number): number => (given < 0 ? MOST_SEED + 1 + given : given)

/** The fields of llama-server and Ollama, for which a seed of -1 is none. */
export const withoutSeed = <T extends { seed?: number | null }>(fields: T): T =>
  fields.seed === -1 ? { ...fields, seed: undefined } : fields

export const effort = z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'])

export const samplingFields = {
  temperature: z.number().min(0).max(10).nullish(),
  top_p: z.number().min(0).max(1).nullish().describe('0: the likeliest token.'),
  top_k: int32(-1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  repetition_penalty: z.number().min(1e-6).max(10).nullish(),
  seed: seed.nullish(),
  /** Token id (as a string key) -> bias added to its logit. */
  logit_bias: z.record(z.string().regex(/^\d{1,7}$/), z.number().min(-100).max(100)).nullish(),
  min_tokens: int32(0).nullish().describe('No token that ends the answer is drawn before so many tokens.'),
  ignore_eos: z.boolean().nullish().describe('Only a limit, a stop text or a complete form ends the answer.'),
}
export type SamplingFields = z.infer<z.ZodObject<typeof samplingFields>>

export const stopTexts = z
  .union([z.string().max(1024), z.array(z.string().max(1024)).max(256)])
  .nullish()
  .describe('Up to 256 texts that end the answer; never part of it.')

export const toolName = z
  .string()
  .min(1)
  .max(128)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  .regex(/^[^\u0000-\u001f\u007f]+$/, 'must not contain control characters')

/** The fields of a tool whose input is a text. */
export const customTool = z.looseObject({
  name: toolName,
  description: z.string().nullish(),
  format: z
    .discriminatedUnion('type', [
      z.strictObject({ type: z.literal('text') }),
      z.strictObject({ type: z.literal('grammar'), syntax: z.enum(['lark', 'regex']), definition: z.string() }),
    ])
    .nullish(),
})
export type CustomTool = z.infer<typeof customTool>

/** The tools of a request. Those of other types than `function` and `custom` are ignored. */
export const tools = z.array(z.looseObject({ type: z.string() })).max(MOST_TOOLS)

/** The fields of a choice among some of the tools. */
export const allowedTools = <T extends z.ZodType>(tool: T) => ({
  mode: z.enum(['auto', 'required']),
  tools: z.array(tool).min(1).max(MOST_TOOLS),
})

export const callId = z.string().min(1).max(256)

/** An object, not copied: a copy would forget the order of its keys and the spelling of its numbers. */
export const jsonObject = z.unknown().refine(isObject, 'expected an object').meta({ type: 'object' }) as unknown as z.ZodType<Json>

export const schemaObject = z.union([jsonObject, z.boolean()])

/** The fields of a function that the model may call. */
export const functionFields = {
  name: toolName,
  description: z.string().nullish(),
  parameters: schemaObject.nullish(),
  strict: z.boolean().nullish(),
}

/** The fields of a schema that the answer must follow. */
export const schemaFields = {
  name: z.string().min(1).max(64),
  description: z.string().nullish(),
  schema: schemaObject,
  strict: z.boolean().nullish(),
}

export const metadata = z.record(z.string().max(64), z.string().max(512)).nullish()

export const includeUsage = z.looseObject({ include_usage: z.boolean().nullish() }).nullish()

/** Only these reach a chat format, whatever else a request carries: templates are never steered by arbitrary names. */
export const templateKwargs = z.strictObject({ enable_thinking: z.boolean().nullish(), reasoning_effort: effort.nullish() }).nullish()
