/**
 * What each architecture of GGUF files says beyond the fields that all have, in the words of its family's config.json.
 * Sources: the converters of llama.cpp (conversion/*.py), and its model files where the metadata leave something out.
 */
import type { Json } from '../../json/json.ts'
import type { TensorEntry } from '../safetensors.ts'
import type { MetadataFields } from './metadata.ts'

/** What a family says beyond the common fields. */
export interface Parts {
  readonly fields: MetadataFields
  readonly tensors: ReadonlyMap<string, TensorEntry>
  readonly layers: number
  readonly headDim: number
}

export interface Translation {
  /** `model_type` of config.json. */
  readonly modelType: string
  /** Fields that differ from or add to the common ones. */
  readonly rest?: (parts: Parts) => Json
}

/** By `general.architecture`. */
export const ARCHITECTURES: Readonly<Record<string, (fields: MetadataFields) => Translation>> = {
  llama: (fields) => ((fields.number('expert_count') ?? 0) > 0 ? mixtral : llama),
  mistral3: () => ({ modelType: 'mistral', rest: mistral3 }),
  qwen2: () => ({ modelType: 'qwen2' }),
  qwen3: () => ({ modelType: 'qwen3' }),
  qwen3moe: () => qwen3Moe,
  // The text parts of models for images: text has the same position in all three axes of their rotation.
  qwen2vl: () => ({ modelType: 'qwen2' }),
  qwen3vl: () => ({ modelType: 'qwen3' }),
  qwen3vlmoe: () => qwen3Moe,
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
  deepseek: () => ({ modelType: 'deepseek', rest: deepseekExperts }),
  deepseek2: (fields) => ({
    modelType: fields.number('expert_gating_func') === SIGMOID ? 'deepseek_v3' : 'deepseek_v2',
    rest: deepseekLatent,
  }),
  jamba: () => ({ modelType: 'jamba', rest: jamba }),
}

const GELU = { hidden_activation: 'gelu_pytorch_tanh', hidden_act: 'gelu_pytorch_tanh' }

const llama: Translation = {
  modelType: 'llama',
  rest: ({ tensors }) => ({ attention_bias: tensors.has('blk.0.attn_q.bias'), mlp_bias: tensors.has('blk.0.ffn_gate.bias') }),
}

const qwen3Moe: Translation = { modelType: 'qwen3_moe', rest: (parts) => ({ ...experts(parts), norm_topk_prob: true }) }

function mistral3({ fields }: Parts): Json {
  const growth = fields.number('attention.temperature_scale') ?? 0
  if (growth !== 0) fields.fail('attention.temperature_scale', 'none, because queries that grow with their position are not read,', growth)
  return { sliding_window: null }
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
    // Ollama's converter has names of its own for the two bases.
    rope_theta: fields.number('rope.freq_base') ?? fields.number('rope.global.freq_base') ?? 1e6,
    rope_local_base_freq: fields.number('rope.freq_base_swa') ?? fields.number('rope.local.freq_base') ?? 10000,
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

/** `expert_gating_func` of a router with sigmoids. */
export const SIGMOID = 2

/** Routed and shared experts of DeepSeek's models. */
function deepseekExperts({ fields }: Parts): Json {
  const groups = fields.number('expert_group_count') ?? 1
  const sigmoid = fields.number('expert_gating_func') === SIGMOID
  return {
    first_k_dense_replace: fields.number('leading_dense_block_count') ?? 0,
    moe_intermediate_size: fields.number('expert_feed_forward_length'),
    moe_layer_freq: 1,
    n_group: groups,
    n_routed_experts: fields.number('expert_count') || null,
    n_shared_experts: fields.number('expert_shared_count') || null,
    norm_topk_prob: fields.flag('expert_weights_norm') ?? false,
    num_experts_per_tok: fields.number('expert_used_count'),
    routed_scaling_factor: fields.number('expert_weights_scale') ?? 1,
    scoring_func: sigmoid ? 'sigmoid' : 'softmax',
    topk_group: fields.number('expert_group_used_count') ?? 1,
    topk_method: sigmoid ? 'noaux_tc' : groups > 1 ? 'group_limited_greedy' : 'greedy',
  }
}

/** Older files give the lengths of keys and values of the heads, newer ones those of the latent, and of the heads under `…_mla`. */
function deepseekLatent(parts: Parts): Json {
  const { fields } = parts
  const rotated = fields.required('rope.dimension_count')
  const key = fields.number('attention.key_length_mla') ?? fields.required('attention.key_length')
  return {
    ...deepseekExperts(parts),
    head_dim: undefined,
    partial_rotary_factor: undefined,
    kv_lora_rank: fields.required('attention.kv_lora_rank'),
    num_key_value_heads: fields.required('attention.head_count'),
    q_lora_rank: fields.number('attention.q_lora_rank') || null,
    qk_nope_head_dim: key - rotated,
    qk_rope_head_dim: rotated,
    v_head_dim: fields.number('attention.value_length_mla') ?? fields.required('attention.value_length'),
  }
}

function jamba({ fields, tensors, layers }: Parts): Json {
  const heads = fields.numbers('attention.head_count_kv') ?? fields.fail('attention.head_count_kv', 'a list of numbers', undefined)
  if (heads.length !== layers) fields.fail('attention.head_count_kv', `${layers} numbers, one per layer`, heads)
  const attends = (layer: number) => heads[layer] !== 0
  const hasExperts = (layer: number) => tensors.has(`blk.${layer}.ffn_gate_inp.weight`)
  const any = (tail: string) => [...tensors.keys()].some((name) => name.endsWith(`.${tail}`))
  const attention = period(fields, 'attention.head_count_kv', layers, attends)
  const experts = period(fields, 'expert_count', layers, hasExperts)
  return {
    attn_layer_offset: attention.offset,
    attn_layer_period: attention.period,
    expert_layer_offset: experts.offset,
    expert_layer_period: experts.period,
    mamba_conv_bias: any('ssm_conv1d.bias'),
    mamba_proj_bias: any('ssm_in.bias'),
    mamba_d_conv: fields.required('ssm.conv_kernel'),
    mamba_d_state: fields.required('ssm.state_size'),
    mamba_dt_rank: fields.required('ssm.time_step_rank'),
    mamba_expand: fields.required('ssm.inner_size') / fields.required('embedding_length'),
    num_experts: fields.number('expert_count') || 1,
    num_experts_per_tok: fields.number('expert_used_count'),
    num_key_value_heads: heads.find((count) => count > 0) ?? fields.required('attention.head_count'),
  }
}

/** The period and the first of the layers that are chosen; without any a period longer than the model. */
function period(
  fields: MetadataFields,
  key: string,
  layers: number,
  chosen: (layer: number) => boolean,
): { period: number; offset: number } {
  const found = Array.from({ length: layers }, (_, layer) => layer).filter(chosen)
  const [first, second] = found
  if (first === undefined) return { period: layers + 1, offset: layers }
  const every = second === undefined ? layers : second - first
  const regular = found.every((layer, n) => layer === first + n * every) && first < every && first + found.length * every >= layers
  if (!regular) fields.fail(key, 'layers at regular distances', found.join(', '))
  return { period: every, offset: first }
}
