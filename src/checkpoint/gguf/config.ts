/**
 * The metadata of a GGUF file as the config.json of its family, which the family's own file then reads and checks. Says nothing
 * about tensors but their names and shapes. Sources: the converters of llama.cpp (conversion/*.py), which write the metadata, and
 * its model files where the metadata leave something out.
 */
import { isInteger } from '../../json/fields.ts'
import type { Json } from '../../json/json.ts'
import { WrongFormatError } from '../errors.ts'
import type { TensorEntry } from '../safetensors.ts'
import type { GgufHeader } from './header.ts'
import { MetadataFields } from './metadata.ts'
import { endIds } from './special-ids.ts'

/** Divisors of the rotation by pair, read from the file's tensors `rope_….weight`. */
export interface RopeFactors {
  /** Of `rope_freqs`: the stretch of Llama 3. */
  readonly freqs?: readonly number[]
  readonly long?: readonly number[]
  readonly short?: readonly number[]
}

/** What a family says beyond the common fields. */
interface Parts {
  readonly fields: MetadataFields
  readonly tensors: ReadonlyMap<string, TensorEntry>
  readonly layers: number
  readonly headDim: number
}

interface Translation {
  readonly modelType: string
  /** Fields that differ from or add to the common ones. */
  readonly rest?: (parts: Parts) => Json
}

/** By `general.architecture`. */
const ARCHITECTURES: Record<string, (fields: MetadataFields) => Translation> = {
  llama: (fields) => ((fields.number('expert_count') ?? 0) > 0 ? mixtral : llama),
  qwen2: () => ({ modelType: 'qwen2' }),
  qwen3: () => ({ modelType: 'qwen3' }),
  qwen3moe: () => ({ modelType: 'qwen3_moe', rest: (parts) => ({ ...experts(parts), norm_topk_prob: true }) }),
  gemma: () => ({ modelType: 'gemma', rest: () => GELU }),
  gemma2: () => ({ modelType: 'gemma2', rest: gemma2 }),
  gemma3: () => ({ modelType: 'gemma3_text', rest: gemma3 }),
  gpt2: () => ({ modelType: 'gpt2', rest: gpt2 }),
  gptneox: () => ({ modelType: 'gpt_neox', rest: gptNeox }),
  'gpt-oss': () => ({ modelType: 'gpt_oss', rest: gptOss }),
  granite: () => ({ modelType: 'granite', rest: granite }),
  olmo: () => ({ modelType: 'olmo', rest: ({ fields }) => ({ clip_qkv: fields.number('attention.clamp_kqv') ?? null }) }),
  olmo2: (fields) => (fields.number('attention.sliding_window') ? { modelType: 'olmo3', rest: olmo3 } : { modelType: 'olmo2' }),
  phi3: () => ({ modelType: 'phi3', rest: ({ fields }) => ({ sliding_window: fields.number('attention.sliding_window') || null }) }),
  smollm3: () => ({ modelType: 'smollm3' }),
}

/** What to take instead of a model whose architecture goes by another name in common files. */
const OTHERS: Record<string, string> = {
  gptoss: "This is Ollama's own form of gpt-oss: take the file of ggml-org/gpt-oss-20b-GGUF, or lineage pull gpt-oss-20b.",
}

const GELU = { hidden_activation: 'gelu_pytorch_tanh', hidden_act: 'gelu_pytorch_tanh' }

const llama: Translation = {
  modelType: 'llama',
  rest: ({ tensors }) => ({ attention_bias: tensors.has('blk.0.attn_q.bias'), mlp_bias: tensors.has('blk.0.ffn_gate.bias') }),
}

const mixtral: Translation = {
  modelType: 'mixtral',
  rest: (parts) => ({ ...experts(parts), intermediate_size: parts.fields.same('feed_forward_length'), sliding_window: null }),
}

function experts({ fields }: Parts): Json {
  const count = fields.required('expert_count')
  return {
    num_experts: count,
    num_local_experts: count,
    num_experts_per_tok: fields.required('expert_used_count'),
    moe_intermediate_size: fields.same('expert_feed_forward_length') ?? fields.same('feed_forward_length'),
  }
}

/** The files do not say by what scores are scaled: llama.cpp takes the width per head in the largest model, else the head size. */
const queryScalar = ({ fields, layers, headDim }: Parts, largest: number): number =>
  layers === largest ? fields.required('embedding_length') / fields.required('attention.head_count') : headDim

function gemma2(parts: Parts): Json {
  const { fields } = parts
  return {
    ...GELU,
    attn_logit_softcapping: fields.number('attn_logit_softcapping') ?? 50,
    final_logit_softcapping: fields.number('final_logit_softcapping') ?? 30,
    sliding_window: fields.number('attention.sliding_window') ?? 4096,
    query_pre_attn_scalar: queryScalar(parts, 46),
  }
}

function gemma3(parts: Parts): Json {
  const { fields, layers } = parts
  const pattern = fields.raw('attention.sliding_window_pattern')
  return {
    ...GELU,
    final_logit_softcapping: fields.number('final_logit_softcapping'),
    sliding_window: fields.required('attention.sliding_window'),
    ...(Array.isArray(pattern) ? { layer_types: layerTypes(fields, layers) } : { sliding_window_pattern: pattern ?? 6 }),
    rope_local_base_freq: fields.number('rope.freq_base_swa') ?? 10000,
    query_pre_attn_scalar: queryScalar(parts, 62),
  }
}

function gpt2({ fields }: Parts): Json {
  return {
    activation_function: 'gelu_new',
    layer_norm_epsilon: fields.required('attention.layer_norm_epsilon'),
    n_embd: fields.required('embedding_length'),
    n_head: fields.required('attention.head_count'),
    n_inner: fields.same('feed_forward_length'),
    n_layer: fields.required('block_count'),
    n_positions: fields.required('context_length'),
  }
}

const gptNeox = ({ fields, headDim }: Parts): Json => ({
  hidden_act: 'gelu',
  layer_norm_eps: fields.required('attention.layer_norm_epsilon'),
  rotary_emb_base: fields.number('rope.freq_base') ?? 10000,
  rotary_pct: (fields.number('rope.dimension_count') ?? headDim) / headDim,
  partial_rotary_factor: undefined,
  use_parallel_residual: fields.flag('use_parallel_residual') ?? true,
})

function gptOss(parts: Parts): Json {
  const { fields } = parts
  return {
    ...experts(parts),
    intermediate_size: fields.same('expert_feed_forward_length') ?? fields.same('feed_forward_length'),
    sliding_window: fields.required('attention.sliding_window'),
  }
}

const granite = ({ fields }: Parts): Json => ({
  attention_multiplier: fields.number('attention.scale'),
  embedding_multiplier: fields.number('embedding_scale'),
  residual_multiplier: fields.number('residual_scale'),
  logits_scaling: fields.number('logit_scale'),
})

const olmo3 = ({ fields, layers }: Parts): Json => ({
  sliding_window: fields.required('attention.sliding_window'),
  layer_types: layerTypes(fields, layers),
})

/** `attention.sliding_window_pattern` as a list: true for a layer with a window. */
function layerTypes(fields: MetadataFields, layers: number): string[] | undefined {
  const pattern = fields.flags('attention.sliding_window_pattern')
  if (pattern && pattern.length !== layers) fields.fail('attention.sliding_window_pattern', `${layers} flags, one per layer`, pattern)
  return pattern?.map((sliding) => (sliding ? 'sliding_attention' : 'full_attention'))
}

/** Architectures by their GGUF names. */
export const ggufArchitectures: readonly string[] = Object.keys(ARCHITECTURES)

/**
 * The config.json that says what the metadata say.
 * @throws CheckpointError for an architecture that is not read, a file that is no model, or values of wrong types
 */
export function configFromMetadata(file: string, { metadata, tensors }: GgufHeader, factors: RopeFactors): Json {
  const all = new MetadataFields(file, metadata)
  const name = all.text('general.architecture') ?? all.fail('general.architecture', 'the name of an architecture', undefined)
  refuseOtherKinds(file, name, all.text('general.type'))
  const translate = Object.hasOwn(ARCHITECTURES, name) ? ARCHITECTURES[name] : undefined
  if (!translate) {
    throw new WrongFormatError({
      file,
      expected: `one of the architectures ${ggufArchitectures.join(', ')}`,
      came: `"${name.slice(0, 40)}"`,
      remedy: OTHERS[name] ?? 'Models of this architecture are not read: choose a model of another family.',
    })
  }
  if (tensors.size === 0) {
    const remedy = 'Take the file of the whole model.'
    throw new WrongFormatError({ file, expected: 'a model with tensors', came: 'a file with metadata only, perhaps a vocabulary', remedy })
  }
  const embedding = tensors.get('token_embd.weight')
  if (!embedding) {
    const remedy = 'Take the file of the whole model.'
    throw new WrongFormatError({ file, expected: 'the tensor "token_embd.weight"', came: 'none', remedy })
  }
  const fields = new MetadataFields(file, metadata, `${name}.`)
  const { modelType, rest } = translate(fields)
  const hidden = fields.required('embedding_length')
  const heads = fields.same('attention.head_count') ?? fields.fail('attention.head_count', 'a number', undefined)
  const keyLength = fields.number('attention.key_length')
  const headDim = keyLength ?? hidden / heads
  if (fields.number('attention.value_length') !== keyLength)
    fields.fail('attention.value_length', `${keyLength}, the length of keys,`, fields.raw('attention.value_length'))
  const rotary = fields.number('rope.dimension_count') ?? headDim
  const parts: Parts = { fields, tensors, layers: fields.required('block_count'), headDim }
  return {
    model_type: modelType,
    _name_or_path: all.text('general.name'),
    torch_dtype: TORCH_DTYPES[embedding.dtype],
    vocab_size: embedding.shape[0],
    tie_word_embeddings: !tensors.has('output.weight'),
    hidden_size: hidden,
    num_hidden_layers: parts.layers,
    num_attention_heads: heads,
    num_key_value_heads: fields.same('attention.head_count_kv') ?? heads,
    head_dim: keyLength,
    intermediate_size: fields.same('feed_forward_length'),
    max_position_embeddings: fields.required('context_length'),
    rms_norm_eps: fields.number('attention.layer_norm_rms_epsilon'),
    rope_theta: fields.number('rope.freq_base') ?? 10000,
    rope_scaling: ropeScaling(fields, factors, modelType),
    partial_rotary_factor: rotary === headDim ? undefined : rotary / headDim,
    bos_token_id: tokenId(all, 'tokenizer.ggml.bos_token_id'),
    eos_token_id: endIds(all),
    ...rest?.(parts),
  }
}

const TORCH_DTYPES: Record<string, string> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' }

function refuseOtherKinds(file: string, architecture: string, type = 'model'): void {
  const problem = (came: string, remedy: string) => new WrongFormatError({ file, expected: 'a language model', came, remedy })
  if (type === 'adapter') throw problem('an adapter (LoRA) as GGUF', 'Load its base, and take the adapter in the layout of PEFT.')
  if (type === 'mmproj' || architecture === 'clip')
    throw problem('the projector of a model for images', 'Take the file of the language model beside it.')
  if (type === 'imatrix') throw problem('an importance matrix for quantising', 'Take the file of the model.')
}

const tokenId = (fields: MetadataFields, key: string): number | null => {
  const id = fields.number(key)
  return isInteger(id, 0, 2 ** 31) ? (id as number) : null
}

/** `rope_scaling` of config.json. */
function ropeScaling(fields: MetadataFields, factors: RopeFactors, modelType: string): Json | null {
  const context = fields.required('context_length')
  const original = fields.number('rope.scaling.original_context_length')
  if (factors.long && factors.short) {
    const attention = fields.number('rope.scaling.attn_factor')
    return {
      rope_type: 'longrope',
      long_factor: factors.long,
      short_factor: factors.short,
      original_max_position_embeddings: original ?? context,
      attention_factor: attention,
    }
  }
  if (factors.freqs) return llama3Scaling(fields, factors.freqs, context)
  const linear = fields.number('rope.scale_linear')
  const type = fields.text('rope.scaling.type') ?? (linear === undefined ? 'none' : 'linear')
  const factor = fields.number('rope.scaling.factor') ?? linear ?? 1
  switch (type) {
    case 'none':
      return null
    case 'linear':
      return factor === 1 ? null : { rope_type: 'linear', factor }
    case 'yarn': {
      const attention = fields.number('rope.scaling.yarn_attn_factor')
      return {
        rope_type: 'yarn',
        factor,
        original_max_position_embeddings: original ?? context / factor,
        beta_fast: fields.number('rope.scaling.yarn_beta_fast') ?? 32,
        beta_slow: fields.number('rope.scaling.yarn_beta_slow') ?? 1,
        // The files do not say it, but the one family with unrounded borders is known.
        truncate: modelType !== 'gpt_oss',
        // Converters write two published fields here: `attention_factor`, the whole factor, and `attn_factor`, which multiplies it.
        ...(attention === undefined ? {} : attention < 1 ? { attn_factor: attention } : { attention_factor: attention }),
      }
    }
    default:
      return fields.fail('rope.scaling.type', 'none, linear, yarn or longrope', type)
  }
}

/** Context before the stretch that all published models of Llama 3.1 to 3.3 have, and the rule's two borders. */
const LLAMA3 = { original_max_position_embeddings: 8192, low_freq_factor: 1, high_freq_factor: 4 }

/** The stretch of Llama 3 by its rule where the divisors follow from it, else with the divisors themselves. */
function llama3Scaling(fields: MetadataFields, freqs: readonly number[], context: number): Json | null {
  if (freqs.every((divisor) => divisor === 1)) return null
  const factor = Math.max(...freqs)
  const theta = fields.number('rope.freq_base') ?? 10000
  const follows = freqs.every((divisor, pair) => {
    const length = 2 * Math.PI * theta ** (pair / freqs.length)
    const { original_max_position_embeddings: original, low_freq_factor: low, high_freq_factor: high } = LLAMA3
    const smooth = Math.min(1, Math.max(0, (original / length - low) / (high - low)))
    return Math.abs(divisor * ((1 - smooth) / factor + smooth) - 1) < 1e-5
  })
  if (follows) return { rope_type: 'llama3', factor, ...LLAMA3 }
  return { rope_type: 'longrope', long_factor: freqs, short_factor: freqs, original_max_position_embeddings: context, attention_factor: 1 }
}
