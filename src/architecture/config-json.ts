/**
 * A published config.json -> Architecture. Chooses the family by `model_type` and nothing else; every family file checks its own
 * fields. Errors are ConfigErrors of one line: file, field, what was expected, what came.
 */
import type { Architecture } from './architecture.ts'
import { MODEL_TYPES } from './families.ts'
import { ConfigError, Fields } from './fields.ts'

export { ConfigError } from './fields.ts'

/** Model types that `configFromJson` understands. */
export const modelTypes: readonly string[] = [...MODEL_TYPES].filter(([, form]) => !form.withoutType).map(([key]) => key)

/**
 * @param json the parsed file
 * @param file its name, for error messages
 * @throws ConfigError on an unknown model type, a missing or contradictory field, or a value that is no size
 */
export function configFromJson(json: unknown, file: string): Architecture {
  const config = new Fields(json, file)
  const [key, form] = [...MODEL_TYPES].find(([key, { withoutType }]) => {
    return config.has('model_type') ? key === config.raw('model_type') && !withoutType : withoutType?.recognizes(config)
  }) ?? [undefined, undefined]
  if (!form) {
    const came = config.has('model_type') ? `, got ${JSON.stringify(config.raw('model_type'))}` : ''
    throw new ConfigError(file, 'model_type', `${came ? '' : 'missing; '}expected one of ${modelTypes.join(', ')}${came}`)
  }
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
