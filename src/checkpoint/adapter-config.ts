/**
 * adapter_config.json of PEFT: which kind of adapter it is, and the factor of each of its modules. Knows no tensors.
 * Source of the fields: huggingface/peft, tuners/lora/config.py; rsLoRA: Kalajdzievski 2023.
 */
import { Fields } from '../json/fields.ts'
import { CheckpointError } from './errors.ts'
import { parseJson } from './load.ts'
import { type Folder, readText, type Source } from './source.ts'

/** A PEFT directory that is no adapter of this model, or of a kind that is not read. */
export class AdapterError extends CheckpointError {}

export interface AdapterConfig {
  readonly file: string
  /** The model that it was trained on, as it says. */
  readonly base: string | undefined
  /** Rank of a module by its published name ('model.layers.0.mlp.up_proj'). */
  rank(module: string): number
  /** Factor of its product: alpha / rank, or alpha / sqrt(rank). */
  scale(module: string): number
}

/** Fields that change the arithmetic in ways that are not built. */
const REFUSED = [
  'use_dora',
  'use_qalora',
  'use_bdlora',
  'lora_bias',
  'layer_replication',
  'alora_invocation_tokens',
  'arrow_config',
  'kasa_config',
  'velora_config',
  'monteclora_config',
  'trainable_token_indices',
]

/** Initialisations that change the base weights, so the adapter alone is only half of the change. */
const CHANGES_BASE = /^(pissa|olora|corda|loftq|lora_ga)/

/** A quantifier behind a group can take exponential time; module names need none. */
const UNSAFE_PATTERN = /\)[*+?{]|.{257}/s

/** @throws CheckpointError, FieldError for other kinds of adapters and wrong values */
export async function readAdapterConfig(folder: Folder): Promise<AdapterConfig> {
  const source = await openPart(folder, 'adapter_config.json')
  const file = source.name
  const text = await readText(source).finally(() => source.close())
  const config = new Fields(parseJson(file, text), file)
  config.refuse('peft_type', 'other adapters than LoRA are not read.', 'LORA')
  for (const key of REFUSED)
    if (!isEmpty(config.raw(key))) config.refuse(key, 'this variant of LoRA is not built. Merge the adapter into its base with PEFT.')
  const start = config.raw('init_lora_weights')
  if (typeof start === 'string' && CHANGES_BASE.test(start))
    config.fail(
      'init_lora_weights',
      `"${start}" changed the base weights, which are not in this directory. Convert it to a plain LoRA with PEFT.`,
    )
  const [r, alpha] = [config.size('r', undefined, 2 ** 16), config.positive('lora_alpha')]
  const root = config.flag('use_rslora', false)
  const [ranks, alphas] = [patterns(config, 'rank_pattern'), patterns(config, 'alpha_pattern')]
  const rank = (module: string) => ranks(module) ?? r
  return {
    file,
    base: config.has('base_model_name_or_path') ? config.string('base_model_name_or_path') : undefined,
    rank,
    scale: (module) => (alphas(module) ?? alpha) / (root ? Math.sqrt(rank(module)) : rank(module)),
  }
}

/** A file that every adapter has. @throws AdapterError */
export async function openPart(folder: Folder, name: string): Promise<Source> {
  const source = await folder.open(name)
  if (source) return source
  const remedy = 'Give the directory that PEFT saved (adapter_config.json, adapter_model.safetensors).'
  throw new AdapterError({ file: `${folder.name}/${name}`, expected: 'a file of an adapter', came: 'no such file', remedy })
}

const isEmpty = (value: unknown) => typeof value === 'object' && value !== null && Object.keys(value).length === 0

/** A table of numbers by regular expressions over module names: the first that matches the end of a name counts. */
function patterns(config: Fields, key: string): (module: string) => number | undefined {
  const table = config.inner(key)
  const rules = Object.keys(table ? (config.raw(key) as object) : {}).map((pattern) => {
    const value = table!.positive(pattern)
    if (UNSAFE_PATTERN.test(pattern)) return table!.fail(pattern, 'expected a module name or a simple pattern of at most 256 characters.')
    try {
      return { pattern: new RegExp(`^(?:.*\\.)?(?:${pattern})$`), value }
    } catch {
      return table!.fail(pattern, 'expected a regular expression over module names.')
    }
  })
  return (module) => rules.find(({ pattern }) => pattern.test(module))?.value
}
