/**
 * A published config.json -> Architecture. Chooses the family by `model_type` and nothing else; every family file checks its own
 * fields. Errors are ConfigErrors of one line: file, field, what was expected, what came.
 */
import { describe } from '../json/json.ts'
import type { Architecture } from './architecture.ts'
import { MODEL_TYPES } from './families.ts'
import { type ConfigError, Fields } from './fields.ts'
import { type Quantization, quantizationOf } from './quantization.ts'

export { ConfigError } from './fields.ts'

/** Multimodal model types of which the text part is read, with the model type of that part. */
const WRAPPERS: ReadonlyMap<string, string> = new Map([...MODEL_TYPES].flatMap(([key, { wrapper }]) => (wrapper ? [[wrapper, key]] : [])))

/** Model types that `configFromJson` understands. */
export const modelTypes: readonly string[] = [
  ...[...MODEL_TYPES].filter(([, form]) => !form.withoutType).map(([key]) => key),
  ...WRAPPERS.keys(),
]

/** What a multimodal file says beside its `text_config` and means for the text part too. */
const INHERITED = ['bos_token_id', 'eos_token_id', 'initializer_range', 'quantization_config', 'tie_word_embeddings', '_name_or_path']
const DTYPE_KEYS = ['dtype', 'torch_dtype']

/**
 * @param json the parsed file
 * @param file its name, for error messages
 * @throws ConfigError on an unknown model type, a missing or contradictory field, or a value that is no size
 */
export function configFromJson(json: unknown, file: string): Architecture {
  const said = textPart(new Fields(json, file))
  const [key, form] = [...MODEL_TYPES].find(([key, { withoutType }]) => {
    return said.has('model_type') ? key === said.raw('model_type') && !withoutType : withoutType?.recognizes(said)
  }) ?? [undefined, undefined]
  if (!form) throw unknownType(said)
  const config = form.defaults ? said.with(form.defaults) : said
  const described = form.read(config)
  const modelType = form.withoutType?.modelType ?? key
  const name = config.raw('_name_or_path')
  return {
    name: typeof name === 'string' && name ? name : modelType,
    modelType,
    ...(form.withoutType && { tensorLayout: key }),
    ...described,
    vocabSize: config.size('vocab_size'),
    initializerRange: config.notNegative('initializer_range', 0.02),
    eosTokenIds: config.tokenIds('eos_token_id'),
    bosTokenId: config.tokenId('bos_token_id'),
  }
}

/**
 * How the matrices of the checkpoint are packed; undefined for published dtypes.
 * @throws ConfigError
 */
export const quantizationFromJson = (json: unknown, file: string): Quantization | undefined =>
  quantizationOf(textPart(new Fields(json, file)))

/** The `text_config` of a multimodal file, with what the file says for all its parts; other files as they are. */
function textPart(file: Fields): Fields {
  const textType = WRAPPERS.get(String(file.raw('model_type')))
  if (!textType) return file
  const text = file.below('text_config')
  const keys = text.has('dtype') || text.has('torch_dtype') ? INHERITED : [...INHERITED, ...DTYPE_KEYS]
  return text.with({ model_type: textType, ...Object.fromEntries(keys.map((key) => [key, file.raw(key)])) })
}

function unknownType(config: Fields): ConfigError {
  const came = config.raw('model_type')
  const wanted = `expected one of ${modelTypes.join(', ')}`
  const field = config.path ? `${config.path}.model_type` : 'model_type'
  if (came === undefined) return config.error(field, `missing; ${wanted}`)
  const near = modelTypes.filter((known) => stem(known) === stem(String(came)) || String(came).startsWith(stem(known)))
  const family = near.length > 0 ? `; of its family these are read: ${near.join(', ')}` : ''
  return config.error(field, `${wanted}, got ${describe(came)}${family}`)
}

/** The letters before a version: 'qwen' of 'qwen3_moe'. Many families are called GPT, so that says nothing. */
const stem = (modelType: string): string => /^[a-z]*/.exec(modelType)![0].replace(/^gpt$/, modelType)
