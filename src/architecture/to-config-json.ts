/**
 * Architecture -> published config.json: the inverse of `configFromJson`, for synthesised and trained models. Writes the keys that
 * transformers reads. What was written is read back and compared, so a file that would describe another model is never produced.
 */
import type { Json } from '../json/json.ts'
import type { Architecture, DType } from './architecture.ts'
import { configFromJson } from './config-json.ts'
import { formOf, type ModelType } from './families.ts'

/** An architecture that no published model type can describe. */
export class UnwritableArchitectureError extends Error {
  override name = 'UnwritableArchitectureError'
}

const DTYPE_NAMES: Partial<Record<DType, string>> = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' }

/**
 * The config.json of an architecture, in the spelling of its `modelType`.
 * @throws UnwritableArchitectureError that names the first field in which the model type cannot express the architecture
 */
export function toConfigJson(architecture: Architecture): Json {
  const { name, modelType } = architecture
  const form = formOf(architecture)
  if (!form) throw new UnwritableArchitectureError(`${name}: no config.json is known for the model type "${modelType}"`)
  const config: Json = name === modelType ? {} : { _name_or_path: name }
  if (form.className !== undefined) Object.assign(config, commonFields(architecture, form.className))
  Object.assign(config, spelled(form, architecture), { vocab_size: architecture.vocabSize })
  const difference = firstDifference(architecture, readBack(config, architecture), '')
  if (difference !== undefined) {
    throw new UnwritableArchitectureError(`${name}: a config.json of the model type "${modelType}" cannot say ${difference}`)
  }
  return config
}

function spelled(form: ModelType, architecture: Architecture): Json {
  try {
    return form.write(architecture)
  } catch (cause) {
    const problem = `${architecture.name}: a config.json of the model type "${architecture.modelType}" cannot be written: ${(cause as Error).message}`
    throw new UnwritableArchitectureError(problem, { cause })
  }
}

function commonFields(a: Architecture, className: string): Json {
  const [first, ...others] = a.eosTokenIds
  return {
    architectures: [className],
    bos_token_id: a.bosTokenId,
    eos_token_id: others.length > 0 ? a.eosTokenIds : (first ?? null),
    initializer_range: a.initializerRange,
    model_type: a.modelType,
    tie_word_embeddings: a.tieWordEmbeddings,
    torch_dtype: DTYPE_NAMES[a.dtype],
    use_cache: true,
  }
}

function readBack(config: Json, architecture: Architecture): Architecture {
  try {
    return configFromJson(config, 'config.json')
  } catch (cause) {
    const problem = (cause as Error).message
    throw new UnwritableArchitectureError(`${architecture.name}: not a ${architecture.modelType} model: ${problem}`, { cause })
  }
}

/** Where two plain values differ first: 'layers.0.norm.eps: 1e-6 (it would be read as 1e-5)'. */
function firstDifference(wanted: unknown, read: unknown, path: string): string | undefined {
  if (typeof wanted !== 'object' || wanted === null || typeof read !== 'object' || read === null) {
    return Object.is(wanted, read) ? undefined : `${path}: ${JSON.stringify(wanted)} (it would be read as ${JSON.stringify(read)})`
  }
  for (const key of new Set([...Object.keys(wanted), ...Object.keys(read)])) {
    const found = firstDifference((wanted as Json)[key], (read as Json)[key], path ? `${path}.${key}` : key)
    if (found !== undefined) return found
  }
  return undefined
}
