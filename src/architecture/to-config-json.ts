/**
 * Architecture -> published config.json: the inverse of `configFromJson`, for synthesised and trained models. Writes the keys that
 * transformers reads. What was written is read back and compared, so a file that would describe another model is never produced.
 */
import type { Json } from '../json/json.ts'
import type { Architecture, Attention, DType, FeedForward, RopeScaling } from './architecture.ts'
import { configFromJson } from './config-json.ts'

/** An architecture that no published model type can describe. */
export class UnwritableArchitectureError extends Error {
  override name = 'UnwritableArchitectureError'
}

/**
 * The config.json of an architecture, in the spelling of its `modelType`.
 * @throws UnwritableArchitectureError that names the first field in which the model type cannot express the architecture
 */
export function toConfigJson(architecture: Architecture): Json {
  const write = architecture.tensorLayout === 'gpt-oss-original' ? gptOssOriginal : WRITERS[architecture.modelType]
  const { name, modelType } = architecture
  if (!write) throw new UnwritableArchitectureError(`${name}: no config.json is known for the model type "${modelType}"`)
  const named = name === modelType ? {} : { _name_or_path: name }
  const config = { ...named, ...write(architecture) }
  const difference = firstDifference(architecture, readBack(config, architecture), '')
  if (difference !== undefined) {
    throw new UnwritableArchitectureError(`${name}: a config.json of the model type "${modelType}" cannot say ${difference}`)
  }
  return config
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

const DTYPE_NAMES: Partial<Record<DType, string>> = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' }

/** What all model types of the LLaMA line say. Layers that differ are the business of the family. */
function common(a: Architecture, className: string): Json {
  const { attention, norm } = a.layers[0]!
  return {
    architectures: [className],
    attention_bias: attention.qkvBias,
    attention_dropout: a.dropout.attention,
    bos_token_id: a.bosTokenId,
    eos_token_id: tokenIds(a.eosTokenIds),
    head_dim: attention.headDim,
    hidden_act: 'silu',
    hidden_size: a.hiddenSize,
    initializer_range: a.initializerRange,
    intermediate_size: a.layers.map((layer) => layer.feedForward).find((slot) => slot.kind !== 'moe')?.intermediateSize,
    max_position_embeddings: a.maxPositionEmbeddings,
    model_type: a.modelType,
    num_attention_heads: attention.heads,
    num_hidden_layers: a.layers.length,
    num_key_value_heads: attention.kvHeads,
    rms_norm_eps: norm.eps,
    ...rope(attention),
    tie_word_embeddings: a.tieWordEmbeddings,
    torch_dtype: DTYPE_NAMES[a.dtype],
    use_cache: true,
    vocab_size: a.vocabSize,
  }
}

const tokenIds = (ids: readonly number[]): unknown => (ids.length === 0 ? null : ids.length === 1 ? ids[0] : ids)

function rope({ position, headDim }: Attention): Json {
  if (position.kind === 'none') return {}
  const { ropeTheta, rotaryDim, scaling } = position
  const part = rotaryDim === headDim ? {} : { partial_rotary_factor: rotaryDim / headDim }
  return { rope_theta: ropeTheta, rope_scaling: ropeScaling(scaling), ...part }
}

function ropeScaling(scaling: RopeScaling): Json | null {
  switch (scaling.kind) {
    case 'none':
      return null
    case 'linear':
      return { rope_type: 'linear', factor: scaling.factor }
    case 'yarn':
      return {
        beta_fast: scaling.betaFast,
        beta_slow: scaling.betaSlow,
        factor: scaling.factor,
        original_max_position_embeddings: scaling.originalMaxPositionEmbeddings,
        rope_type: 'yarn',
        truncate: scaling.truncate,
        ...(scaling.attentionFactor !== null && { attention_factor: scaling.attentionFactor }),
      }
    case 'llama3':
      return {
        factor: scaling.factor,
        high_freq_factor: scaling.highFreqFactor,
        low_freq_factor: scaling.lowFreqFactor,
        original_max_position_embeddings: scaling.originalMaxPositionEmbeddings,
        rope_type: 'llama3',
      }
  }
}

/** `sliding_window` and, where layers differ, `layer_types`. */
function windows(a: Architecture): { sliding_window: number | null; layer_types?: string[] } {
  const all = a.layers.map((layer) => layer.attention.slidingWindow)
  const window = all.find((one) => one !== null) ?? null
  if (all.every((one) => one === window)) return { sliding_window: window }
  return { sliding_window: window, layer_types: all.map((one) => (one === null ? 'full_attention' : 'sliding_attention')) }
}

/** The window is the same in all sliding layers, and every layer says which kind it is. */
function typedWindows(a: Architecture): Json {
  const { sliding_window } = windows(a)
  const types = a.layers.map((layer) => (layer.attention.slidingWindow === null ? 'full_attention' : 'sliding_attention'))
  // The readers want a window even where no layer uses it.
  return { sliding_window: sliding_window ?? a.maxPositionEmbeddings, layer_types: types }
}

const firstMoe = (a: Architecture): Extract<FeedForward, { kind: 'moe' }> | undefined =>
  a.layers.map((layer) => layer.feedForward).find((slot) => slot.kind === 'moe')

const quantization = (a: Architecture): Json => (a.expertDtype === 'mxfp4' ? { quantization_config: { quant_method: 'mxfp4' } } : {})

function gpt2(a: Architecture): Json {
  const { attention, feedForward, norm } = a.layers[0]!
  return {
    activation_function: feedForward.kind === 'mlp' && feedForward.activation.approximation === 'erf' ? 'gelu' : 'gelu_new',
    architectures: ['GPT2LMHeadModel'],
    attn_pdrop: a.dropout.attention,
    bos_token_id: a.bosTokenId,
    embd_pdrop: a.dropout.embedding,
    eos_token_id: tokenIds(a.eosTokenIds),
    initializer_range: a.initializerRange,
    layer_norm_epsilon: norm.eps,
    model_type: 'gpt2',
    n_ctx: a.maxPositionEmbeddings,
    n_embd: a.hiddenSize,
    n_head: attention.heads,
    n_inner: feedForward.intermediateSize === 4 * a.hiddenSize ? null : feedForward.intermediateSize,
    n_layer: a.layers.length,
    n_positions: a.maxPositionEmbeddings,
    resid_pdrop: a.dropout.residual,
    scale_attn_weights: attention.scale !== 1,
    tie_word_embeddings: a.tieWordEmbeddings,
    torch_dtype: DTYPE_NAMES[a.dtype],
    vocab_size: a.vocabSize,
  }
}

function gptOss(a: Architecture): Json {
  const { position } = a.layers[0]!.attention
  const original = position.kind === 'rope' && position.scaling.kind === 'yarn' ? position.scaling.originalMaxPositionEmbeddings : undefined
  const moe = firstMoe(a)
  return {
    ...common(a, 'GptOssForCausalLM'),
    experts_per_token: moe?.expertsPerToken,
    ...(original !== undefined && { initial_context_length: original }),
    intermediate_size: moe?.intermediateSize,
    num_experts_per_tok: moe?.expertsPerToken,
    num_local_experts: moe?.experts,
    output_router_logits: false,
    ...(a.expertDtype === 'mxfp4' && {
      quantization_config: {
        modules_to_not_convert: ['model.layers.*.self_attn', 'model.layers.*.mlp.router', 'model.embed_tokens', 'lm_head'],
        quant_method: 'mxfp4',
      },
    }),
    router_aux_loss_coef: moe?.router.auxLossCoef,
    ...typedWindows(a),
    ...(moe?.activation.kind === 'clampedSwiglu' && { swiglu_alpha: moe.activation.alpha, swiglu_limit: moe.activation.limit }),
  }
}

/** OpenAI's own file, which knows neither dtypes nor token ids. */
function gptOssOriginal(a: Architecture): Json {
  const { attention } = a.layers[0]!
  const moe = firstMoe(a)
  const scaling = attention.position.kind === 'rope' && attention.position.scaling.kind === 'yarn' ? attention.position.scaling : undefined
  return {
    num_hidden_layers: a.layers.length,
    num_experts: moe?.experts,
    experts_per_token: moe?.expertsPerToken,
    vocab_size: a.vocabSize,
    hidden_size: a.hiddenSize,
    intermediate_size: moe?.intermediateSize,
    ...(moe?.activation.kind === 'clampedSwiglu' && { swiglu_limit: moe.activation.limit }),
    head_dim: attention.headDim,
    num_attention_heads: attention.heads,
    num_key_value_heads: attention.kvHeads,
    sliding_window: windows(a).sliding_window,
    initial_context_length: scaling?.originalMaxPositionEmbeddings,
    rope_theta: attention.position.kind === 'rope' ? attention.position.ropeTheta : undefined,
    rope_scaling_factor: scaling?.factor,
    rope_ntk_alpha: scaling?.betaSlow,
    rope_ntk_beta: scaling?.betaFast,
  }
}

function llama(a: Architecture): Json {
  const { feedForward } = a.layers[0]!
  return { ...common(a, 'LlamaForCausalLM'), mlp_bias: feedForward.kind === 'gated' && feedForward.bias, pretraining_tp: 1 }
}

const mistral = (a: Architecture): Json => ({ ...common(a, 'MistralForCausalLM'), ...windows(a) })

function mixtral(a: Architecture): Json {
  const moe = firstMoe(a)
  return {
    ...common(a, 'MixtralForCausalLM'),
    intermediate_size: moe?.intermediateSize,
    num_experts_per_tok: moe?.expertsPerToken,
    num_local_experts: moe?.experts,
    output_router_logits: false,
    ...quantization(a),
    router_aux_loss_coef: moe?.router.auxLossCoef,
    ...windows(a),
  }
}

function qwen3(a: Architecture): Json {
  const { sliding_window, layer_types } = windows(a)
  const used = sliding_window !== null
  return {
    ...common(a, 'Qwen3ForCausalLM'),
    // With `use_sliding_window` and no types, every layer from here on slides.
    max_window_layers: used ? 0 : a.layers.length,
    sliding_window,
    use_sliding_window: used,
    ...(layer_types && { layer_types }),
  }
}

function qwen3Moe(a: Architecture): Json {
  const moe = firstMoe(a)
  return {
    ...qwen3(a),
    architectures: ['Qwen3MoeForCausalLM'],
    decoder_sparse_step: 1,
    mlp_only_layers: a.layers.flatMap((layer, index) => (layer.feedForward.kind === 'moe' ? [] : [index])),
    moe_intermediate_size: moe?.intermediateSize,
    norm_topk_prob: moe?.router.kind === 'softmaxTopk' && moe.router.normalize,
    num_experts: moe?.experts,
    num_experts_per_tok: moe?.expertsPerToken,
    output_router_logits: false,
    ...quantization(a),
    router_aux_loss_coef: moe?.router.auxLossCoef,
  }
}

/** The published field is the width whose inverse root the scores are multiplied with. */
function queryScalar({ scale }: Attention): number {
  const rounded = Math.round(scale ** -2)
  return rounded ** -0.5 === scale ? rounded : scale ** -2
}

function gemma(a: Architecture): Json {
  const activation = 'gelu_pytorch_tanh'
  return { ...common(a, 'GemmaForCausalLM'), hidden_act: activation, hidden_activation: activation }
}

function gemma2(a: Architecture): Json {
  const { attention } = a.layers[0]!
  return {
    ...gemma(a),
    architectures: ['Gemma2ForCausalLM'],
    attn_logit_softcapping: attention.logitSoftcap,
    final_logit_softcapping: a.finalLogitSoftcap,
    query_pre_attn_scalar: queryScalar(attention),
    ...typedWindows(a),
  }
}

function gemma3(a: Architecture): Json {
  const of = (sliding: boolean) => a.layers.find((layer) => (layer.attention.slidingWindow !== null) === sliding)?.attention
  const local = of(true) ?? of(false)
  return {
    ...gemma2(a),
    architectures: ['Gemma3ForCausalLM'],
    ...rope(of(false) ?? local!),
    rope_local_base_freq: local?.position.kind === 'rope' ? local.position.ropeTheta : undefined,
  }
}

const WRITERS: Record<string, (architecture: Architecture) => Json> = {
  gpt2,
  gpt_oss: gptOss,
  llama,
  mistral,
  mixtral,
  qwen3,
  qwen3_moe: qwen3Moe,
  gemma,
  gemma2,
  gemma3_text: gemma3,
  olmo2: (a) => common(a, 'Olmo2ForCausalLM'),
}
