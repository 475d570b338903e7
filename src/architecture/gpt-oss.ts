/**
 * gpt-oss: RMSNorm, RoPE stretched by YaRN, grouped queries, every other layer sliding, a sink per head, experts in MXFP4.
 * OpenAI 2025, model card arXiv 2508.10925; github.com/openai/gpt-oss gpt_oss/torch/model.py. Two published layouts: the
 * Hugging Face config.json and OpenAI's `original/config.json`, which has no model_type.
 */
import type { Architecture, DType, Layer, Norm, Position, TensorLayout } from './architecture.ts'
import { expertDtypeFrom, nameFrom, type Preset, type Sizes, sizesFromConfig } from './common.ts'
import type { Fields } from './fields.ts'
import { ropeFromConfig } from './rope-config.ts'

/** Slope of the gate's sigmoid; in no published file, a constant of the published code. */
const SWIGLU_ALPHA = 1.702
const SWIGLU_LIMIT = 7

export function gptOssFromConfig(config: Fields): Architecture {
  config.refuse('hidden_act', 'the activation is the clamped SwiGLU, whatever this field says', 'silu', 'swish')
  const sizes = sizesFromConfig(config)
  const dtype = config.dtype('bf16')
  const types = config.layerTypes(sizes.layers)
  return assemble(config, {
    sizes,
    position: ropeFromConfig(config, sizes.headDim),
    sliding: (index) => (types ? types[index] === 'sliding' : index % 2 === 0),
    bias: config.flag('attention_bias', true),
    experts: config.size(config.spelling('num_local_experts', 'num_experts')),
    eps: config.positive('rms_norm_eps'),
    maxPositionEmbeddings: config.size('max_position_embeddings'),
    dtype,
    expertDtype: expertDtypeFrom(config, dtype),
    tensorLayout: 'gpt-oss',
  })
}

/** OpenAI's own file. The dtypes are those of `original/dtypes.json`: BF16, expert matrices FP4 with UE8 scales. */
export function gptOssFromOriginalConfig(config: Fields): Architecture {
  const original = config.size('initial_context_length')
  const factor = config.positive('rope_scaling_factor')
  const sizes = sizesFromConfig(config)
  return assemble(config, {
    sizes,
    position: {
      kind: 'rope',
      ropeTheta: config.positive('rope_theta'),
      rotaryDim: sizes.headDim,
      pairing: 'halves',
      scaling: {
        kind: 'yarn',
        factor,
        originalMaxPositionEmbeddings: original,
        betaFast: config.positive('rope_ntk_beta'),
        betaSlow: config.positive('rope_ntk_alpha'),
        truncate: false,
        attentionFactor: null,
      },
    },
    sliding: (index) => index % 2 === 0,
    bias: true,
    experts: config.size('num_experts'),
    eps: 1e-5,
    maxPositionEmbeddings: Math.floor(original * factor),
    dtype: 'bf16',
    expertDtype: 'mxfp4',
    tensorLayout: 'gpt-oss-original',
  })
}

interface Parts {
  sizes: Sizes
  position: Position
  sliding: (layer: number) => boolean
  bias: boolean
  experts: number
  eps: number
  maxPositionEmbeddings: number
  dtype: DType
  expertDtype: DType
  tensorLayout: TensorLayout
}

function assemble(config: Fields, parts: Parts): Architecture {
  const { sizes, experts, dtype, expertDtype } = parts
  const norm: Norm = { kind: 'rmsNorm', eps: parts.eps, unitOffset: false }
  const window = config.size('sliding_window')
  const perToken = config.size(config.spelling('num_experts_per_tok', 'experts_per_token'))
  if (perToken > experts) config.fail('num_experts_per_tok', `expected at most the number of experts (${experts}), got ${perToken}`)
  const intermediateSize = config.size('intermediate_size')
  if (expertDtype === 'mxfp4') {
    if (sizes.hiddenSize % 32) config.fail('hidden_size', `expected a multiple of 32 (MXFP4 blocks), got ${sizes.hiddenSize}`)
    if (intermediateSize % 32) config.fail('intermediate_size', `expected a multiple of 32 (MXFP4 blocks), got ${intermediateSize}`)
  }
  const layer = (index: number): Layer => ({
    placement: 'pre',
    norm,
    attention: {
      kind: 'multiHead',
      heads: sizes.heads,
      kvHeads: sizes.kvHeads,
      headDim: sizes.headDim,
      scale: sizes.headDim ** -0.5,
      slidingWindow: parts.sliding(index) ? window : null,
      position: parts.position,
      qkvBias: parts.bias,
      outBias: parts.bias,
      sinks: true,
      qkNorm: { kind: 'none' },
      logitSoftcap: null,
    },
    feedForward: {
      kind: 'moe',
      experts,
      expertsPerToken: perToken,
      intermediateSize,
      activation: {
        kind: 'clampedSwiglu',
        alpha: config.positive('swiglu_alpha', SWIGLU_ALPHA),
        limit: config.positive('swiglu_limit', SWIGLU_LIMIT),
      },
      bias: true,
      router: { kind: 'topkSoftmax', bias: true, auxLossCoef: config.notNegative('router_aux_loss_coef', 0.9) },
    },
  })
  return {
    name: nameFrom(config, 'gpt_oss'),
    modelType: 'gpt_oss',
    vocabSize: config.size('vocab_size'),
    hiddenSize: sizes.hiddenSize,
    maxPositionEmbeddings: parts.maxPositionEmbeddings,
    embedding: { scale: 1, position: { kind: 'none' } },
    layers: Array.from({ length: sizes.layers }, (_, index) => layer(index)),
    finalNorm: norm,
    tieWordEmbeddings: config.flag('tie_word_embeddings', false),
    finalLogitSoftcap: null,
    dtype,
    expertDtype,
    tensorLayout: parts.tensorLayout,
    dropout: { embedding: 0, attention: config.probability('attention_dropout', 0), residual: 0 },
    initializerRange: config.notNegative('initializer_range', 0.02),
    eosTokenIds: config.tokenIds('eos_token_id'),
    bosTokenId: config.tokenId('bos_token_id'),
  }
}

const size = (name: string, layers: number, experts: number): Preset => ({
  name,
  repositories: [`openai/${name}`],
  config: {
    model_type: 'gpt_oss',
    attention_bias: true,
    attention_dropout: 0,
    eos_token_id: 200002,
    head_dim: 64,
    hidden_act: 'silu',
    hidden_size: 2880,
    initial_context_length: 4096,
    initializer_range: 0.02,
    intermediate_size: 2880,
    layer_types: Array.from({ length: layers }, (_, index) => (index % 2 ? 'full_attention' : 'sliding_attention')),
    max_position_embeddings: 131072,
    num_attention_heads: 64,
    num_experts_per_tok: 4,
    num_hidden_layers: layers,
    num_key_value_heads: 8,
    num_local_experts: experts,
    pad_token_id: 199999,
    quantization_config: {
      modules_to_not_convert: ['model.layers.*.self_attn', 'model.layers.*.mlp.router', 'model.embed_tokens', 'lm_head'],
      quant_method: 'mxfp4',
    },
    rms_norm_eps: 1e-5,
    rope_scaling: {
      beta_fast: 32,
      beta_slow: 1,
      factor: 32,
      original_max_position_embeddings: 4096,
      rope_type: 'yarn',
      truncate: false,
    },
    rope_theta: 150000,
    router_aux_loss_coef: 0.9,
    sliding_window: 128,
    swiglu_limit: 7,
    tie_word_embeddings: false,
    vocab_size: 201088,
  },
  source: 'OpenAI 2025, arXiv 2508.10925, Table 1; config.json of the repository',
})

export const gptOssPresets: Preset[] = [size('gpt-oss-20b', 24, 32), size('gpt-oss-120b', 36, 128)]
