/**
 * A published config.json -> Architecture. Chooses the family by `model_type` and nothing else; every family file checks its own
 * fields. Errors are ConfigErrors of one line: file, field, what was expected, what came.
 */
import type { Architecture } from './architecture.ts'
import { ConfigError, Fields } from './fields.ts'
import { gemma2FromConfig, gemma3FromConfig, gemmaFromConfig } from './gemma.ts'
import { gptOssFromConfig, gptOssFromOriginalConfig } from './gpt-oss.ts'
import { gpt2FromConfig } from './gpt2.ts'
import { llamaFromConfig } from './llama.ts'
import { mistralFromConfig, mixtralFromConfig } from './mistral.ts'
import { olmo2FromConfig } from './olmo2.ts'
import { qwen3FromConfig, qwen3MoeFromConfig } from './qwen3.ts'

export { ConfigError } from './fields.ts'

const FAMILIES: Record<string, (config: Fields) => Architecture> = {
  gpt2: gpt2FromConfig,
  gpt_oss: gptOssFromConfig,
  qwen3: qwen3FromConfig,
  qwen3_moe: qwen3MoeFromConfig,
  llama: llamaFromConfig,
  mistral: mistralFromConfig,
  mixtral: mixtralFromConfig,
  gemma: gemmaFromConfig,
  gemma2: gemma2FromConfig,
  gemma3_text: gemma3FromConfig,
  olmo2: olmo2FromConfig,
}

/** Model types that `configFromJson` understands. */
export const modelTypes: readonly string[] = Object.keys(FAMILIES)

/**
 * @param json the parsed file
 * @param file its name, for error messages
 * @throws ConfigError on an unknown model type, a missing or contradictory field, or a value that is no size
 */
export function configFromJson(json: unknown, file: string): Architecture {
  const config = new Fields(json, file)
  if (!config.has('model_type')) {
    // OpenAI's own layout of gpt-oss carries no type; these two keys are in no other published file.
    if (config.has('rope_ntk_beta') && config.has('num_experts')) return gptOssFromOriginalConfig(config)
    throw new ConfigError(file, 'model_type', `missing; expected one of ${modelTypes.join(', ')}`)
  }
  const modelType = config.raw('model_type')
  if (typeof modelType !== 'string' || !Object.hasOwn(FAMILIES, modelType))
    throw new ConfigError(file, 'model_type', `expected one of ${modelTypes.join(', ')}, got ${JSON.stringify(modelType)}`)
  return FAMILIES[modelType]!(config)
}
