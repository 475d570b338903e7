/**
 * The fields by which requests say what the answer must follow, in the spellings of OpenAI, vLLM, SGLang and llama-server.
 * All endpoints that answer read the same ones. A request uses one of them.
 */
import { z } from 'zod'
import { ANY_OBJECT, type Ask } from '../../answer/ask.ts'
import type { JsonSchema } from '../../chat/messages.ts'
import { readJson } from '../../json/lossless.ts'
import { badRequest } from '../http/errors.ts'
import * as common from './common.ts'

/** A schema, also as its JSON text. */
const schema = z.union([common.schemaObject, z.string()])
const choice = z.array(z.string()).min(1)

const flag = z.boolean().nullish()

export const formFields = {
  structured_outputs: z
    .strictObject({
      json: schema.nullish(),
      regex: z.string().nullish(),
      choice: choice.nullish(),
      grammar: z.string().nullish(),
      json_object: flag,
      disable_fallback: flag,
      disable_any_whitespace: flag,
      disable_additional_properties: flag.describe('false: names that the schema says nothing about may be written.'),
    })
    .nullish()
    .describe('What the answer must follow (vLLM): one of json, regex, choice, grammar, json_object.'),
  guided_json: schema.nullish().describe('A JSON schema (vLLM before 0.12).'),
  guided_regex: z.string().nullish(),
  guided_choice: choice.nullish(),
  guided_grammar: z.string().nullish(),
  guided_json_object: flag,
  grammar: z.string().nullish().describe('A grammar in GBNF (llama-server).'),
  json_schema: schema.nullish().describe('A JSON schema (llama-server, SGLang).'),
  regex: z.string().nullish().describe('A regular expression (SGLang).'),
  ebnf: z.string().nullish().describe('A grammar in EBNF (SGLang).'),
}
type FormFields = z.infer<z.ZodObject<typeof formFields>>

/** `response_format` of chat and text completions. */
export const responseFormat = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object'), schema: schema.nullish().describe('llama-server and others.') }),
  z.strictObject({
    type: z.literal('json_schema'),
    json_schema: z.looseObject({ ...common.schemaFields, name: common.schemaFields.name.nullish() }).nullish(),
    schema: schema.nullish().describe('llama-server: the schema without a name.'),
  }),
  z.strictObject({ type: z.literal('grammar'), grammar: z.string() }),
  z.strictObject({ type: z.literal('regex'), regex: z.string().nullish(), pattern: z.string().nullish() }),
])
type ResponseFormat = z.infer<typeof responseFormat>

/** What an answer must follow, as part of an Ask; `field` says where the request has it. */
export interface GivenForm {
  form: Pick<Ask, 'schema' | 'schemaName' | 'schemaDescription' | 'undeclared' | 'regex' | 'choice' | 'grammar'>
  field: string
}

/**
 * The one form that a request names.
 * @param others forms that the endpoint has fields of its own for
 * @throws 400 when there are two
 */
export function givenForm(body: FormFields, ...others: (GivenForm | undefined)[]): GivenForm | undefined {
  const { structured_outputs: wanted } = body
  const closes = wanted?.disable_additional_properties
  const undeclared = typeof closes === 'boolean' ? (closes ? 'closed' : 'open') : undefined
  const given: [string, unknown, (value: never, field: string) => GivenForm['form']][] = [
    ['structured_outputs.json', wanted?.json, (schema, field) => ({ ...schemaForm(schema, field), undeclared })],
    ['structured_outputs.regex', wanted?.regex, regexForm],
    ['structured_outputs.choice', wanted?.choice, choiceForm],
    ['structured_outputs.grammar', wanted?.grammar, grammarForm],
    ['structured_outputs.json_object', wanted?.json_object || undefined, () => ANY_OBJECT],
    ['guided_json', body.guided_json, schemaForm],
    ['guided_regex', body.guided_regex, regexForm],
    ['guided_choice', body.guided_choice, choiceForm],
    ['guided_grammar', body.guided_grammar, grammarForm],
    ['guided_json_object', body.guided_json_object || undefined, () => ANY_OBJECT],
    ['grammar', body.grammar || undefined, grammarForm],
    ['json_schema', body.json_schema, schemaForm],
    ['regex', body.regex, regexForm],
    ['ebnf', body.ebnf, grammarForm],
  ]
  const [first, second] = [
    ...others.filter((form) => form !== undefined),
    ...given
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([field, value, form]) => ({ field, form: form(value as never, field) })),
  ]
  if (second)
    throw badRequest(`"${first!.field}" and "${second.field}" both say what the answer must follow; send one of them.`, second.field)
  return first
}

/** @throws 400 on a format that lacks what it is about */
export function formatForm(format: ResponseFormat | null | undefined): GivenForm | undefined {
  const missing = (field: string): never => {
    throw badRequest(`response_format.${field}: missing.`, `response_format.${field}`)
  }
  switch (format?.type) {
    case 'json_object': {
      const field = 'response_format.schema'
      return { field, form: format.schema ? schemaForm(format.schema, field) : ANY_OBJECT }
    }
    case 'json_schema': {
      if (!format.json_schema)
        return { field: 'response_format.schema', form: schemaForm(format.schema ?? missing('json_schema'), 'response_format.schema') }
      return { field: 'response_format.json_schema.schema', form: namedForm(format.json_schema) }
    }
    case 'grammar':
      return { field: 'response_format.grammar', form: { grammar: format.grammar } }
    case 'regex':
      return { field: 'response_format.regex', form: { regex: format.regex ?? format.pattern ?? missing('regex') } }
    default:
      return undefined
  }
}

export function namedForm(given: { name?: string | null; description?: string | null; schema: JsonSchema }): GivenForm['form'] {
  return { schema: given.schema, schemaName: given.name ?? undefined, schemaDescription: given.description || undefined }
}

function schemaForm(given: JsonSchema | string, field: string): GivenForm['form'] {
  if (typeof given !== 'string') return { schema: given }
  try {
    return { schema: common.schemaObject.parse(readJson(given)) }
  } catch {
    throw badRequest(`${field}: this text is not a JSON schema.`, field)
  }
}

const regexForm = (regex: string) => ({ regex })
const choiceForm = (given: string[]) => ({ choice: given })
const grammarForm = (grammar: string) => ({ grammar })
