/**
 * gpt-oss: RMSNorm, RoPE stretched by YaRN, grouped queries, every other layer sliding, a sink per head, experts in MXFP4.
 * OpenAI 2025, model card arXiv 2508.10925; github.com/openai/gpt-oss gpt_oss/torch/model.py. Two published layouts: the
 * Hugging Face config.json and OpenAI's `original/config.json`, which has no model_type.
 */
import type { Json } from '../../json/json.ts'
import type { Architecture, DType, Layer, Norm, Position } from '../architecture.ts'
import type { Described, Family } from '../families.ts'
import type { Fields } from '../fields.ts'
import {
  expertsPerToken,
  firstMoe,
  llamaConfig,
  llamaTensors,
  type Sizes,
  sizesFromConfig,
  typedWindows,
  variant,
  windows,
} from '../llama-line.ts'
import type { Preset } from '../presets.ts'
import { fused, packed, type Recipe, type Slice, type TensorTable, transposed } from '../recipes.ts'
import { ropeFromConfig } from '../rope-config.ts'
import { multiHeadOf } from '../slots.ts'

/** Slope of the gate's sigmoid; in no published file, a constant of the published code. */
const SWIGLU_ALPHA = 1.702
const SWIGLU_LIMIT = 7

function read(config: Fields): Described {
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
    // Its experts are fused across inputs, so they have no other packed form.
    expertDtype: config.has('quantization_config')
      ? config.below('quantization_config').choice<DType>('quant_method', { mxfp4: 'mxfp4' })
      : dtype,
  })
}

/** OpenAI's own file. The dtypes are those of `original/dtypes.json`: BF16, expert matrices FP4 with UE8 scales. */
function readOriginal(config: Fields): Described {
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
}

function assemble(config: Fields, parts: Parts): Described {
  const { sizes, experts, dtype, expertDtype } = parts
  const norm: Norm = { kind: 'rmsNorm', eps: parts.eps, unitOffset: false }
  const window = config.size('sliding_window')
  const perToken = expertsPerToken(config, experts)
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
    hiddenSize: sizes.hiddenSize,
    maxPositionEmbeddings: parts.maxPositionEmbeddings,
    embedding: { scale: 1, position: { kind: 'none' } },
    layers: Array.from({ length: sizes.layers }, (_, index) => layer(index)),
    finalNorm: norm,
    tieWordEmbeddings: config.flag('tie_word_embeddings', false),
    residualScale: 1,
    logitDivisor: 1,
    finalLogitSoftcap: null,
    dtype,
    expertDtype,
    dropout: { embedding: 0, attention: config.probability('attention_dropout', 0), residual: 0 },
  }
}

function write(a: Architecture): Json {
  const moe = firstMoe(a)
  const clamped = moe?.activation.kind === 'clampedSwiglu' ? moe.activation : undefined
  return {
    ...llamaConfig(a),
    experts_per_token: moe?.expertsPerToken,
    initial_context_length: yarnOf(a)?.originalMaxPositionEmbeddings,
    intermediate_size: moe?.intermediateSize,
    num_experts_per_tok: moe?.expertsPerToken,
    num_local_experts: moe?.experts,
    output_router_logits: false,
    quantization_config: a.expertDtype === 'mxfp4' ? QUANTIZATION : undefined,
    router_aux_loss_coef: moe?.router.auxLossCoef,
    ...typedWindows(a),
    swiglu_alpha: clamped?.alpha,
    swiglu_limit: clamped?.limit,
  }
}

const QUANTIZATION = {
  modules_to_not_convert: ['model.layers.*.self_attn', 'model.layers.*.mlp.router', 'model.embed_tokens', 'lm_head'],
  quant_method: 'mxfp4',
}

/** The rotation of the first layer, where it is stretched by YaRN. */
function yarnOf(a: Architecture) {
  const { position } = a.layers[0]!.attention
  return position.kind === 'rope' && position.scaling.kind === 'yarn' ? position.scaling : undefined
}

/** OpenAI's own file, which knows neither dtypes nor token ids. */
function writeOriginal(a: Architecture): Json {
  const attention = multiHeadOf(a)
  const moe = firstMoe(a)
  const scaling = yarnOf(a)
  return {
    num_hidden_layers: a.layers.length,
    num_experts: moe?.experts,
    experts_per_token: moe?.expertsPerToken,
    hidden_size: a.hiddenSize,
    intermediate_size: moe?.intermediateSize,
    swiglu_limit: moe?.activation.kind === 'clampedSwiglu' ? moe.activation.limit : undefined,
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

/** MXFP4 as published, or transposed bf16 of dequantised checkpoints: told apart by name, for `down` is square. */
const tensors = llamaTensors((at) => {
  const matrix = (name: string): Recipe[] => [packed(at(`mlp.experts.${name}`)), transposed(at(`mlp.experts.${name}`))]
  return {
    'feedForward.router': at('mlp.router.weight'),
    'feedForward.routerBias': at('mlp.router.bias'),
    'feedForward.gateUp': matrix('gate_up_proj'),
    'feedForward.gateUpBias': at('mlp.experts.gate_up_proj_bias'),
    'feedForward.down': matrix('down_proj'),
    'feedForward.downBias': at('mlp.experts.down_proj_bias'),
  }
})

const originalTensors: TensorTable = {
  prefixes: [''],
  layer: 'block.{N}.',
  whole: { embed: 'embedding.weight', 'finalNorm.gain': 'norm.scale' },
  unembed: ['unembedding.weight'],
  inLayer(architecture, layer, at) {
    const { q, k, v } = fused(architecture, layer)
    const part = (tail: 'weight' | 'bias', slice: Slice): Recipe => ({ form: 'asStored', tensor: at(`attn.qkv.${tail}`), slice })
    const matrix = (name: string): (string | Recipe)[] => [
      { form: 'mxfp4', blocks: at(`mlp.${name}_weight.blocks`), scales: at(`mlp.${name}_weight.scales`) },
      at(`mlp.${name}_weight`),
    ]
    return {
      'attentionNorm.gain': at('attn.norm.scale'),
      'attention.q': part('weight', q),
      'attention.k': part('weight', k),
      'attention.v': part('weight', v),
      'attention.qBias': part('bias', q),
      'attention.kBias': part('bias', k),
      'attention.vBias': part('bias', v),
      'attention.o': at('attn.out.weight'),
      'attention.oBias': at('attn.out.bias'),
      'attention.sinks': at('attn.sinks'),
      'feedForwardNorm.gain': at('mlp.norm.scale'),
      'feedForward.router': at('mlp.gate.weight'),
      'feedForward.routerBias': at('mlp.gate.bias'),
      'feedForward.gateUp': matrix('mlp1'),
      'feedForward.gateUpBias': at('mlp.mlp1_bias'),
      'feedForward.down': matrix('mlp2'),
      'feedForward.downBias': at('mlp.mlp2_bias'),
    }
  },
}

/** o200k_harmony as in the published tokenizer.json: 199998 … 200018, most of them reserved. */
function specialTokens(): Record<number, string> {
  const reserved = Array.from({ length: 21 }, (_, i) => [199_998 + i, `<|reserved_${199_998 + i}|>`])
  return {
    ...Object.fromEntries(reserved),
    199998: '<|startoftext|>',
    199999: '<|endoftext|>',
    200002: '<|return|>',
    200003: '<|constrain|>',
    200005: '<|channel|>',
    200006: '<|start|>',
    200007: '<|end|>',
    200008: '<|message|>',
    200012: '<|call|>',
    200018: '<|endofprompt|>',
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
    quantization_config: QUANTIZATION,
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

const [small, large] = [size('gpt-oss-20b', 24, 32), size('gpt-oss-120b', 36, 128)]
const SAFEGUARD = 'OpenAI 2025, gpt-oss-safeguard technical report; config.json of the repository'

export const gptOss: Family = {
  modelTypes: {
    gpt_oss: { read, write, tensors, className: 'GptOssForCausalLM' },
    // OpenAI's own files carry no type; these two keys are in no other published file.
    gpt_oss_original: {
      read: readOriginal,
      write: writeOriginal,
      tensors: originalTensors,
      withoutType: { modelType: 'gpt_oss', recognizes: (config) => config.has('rope_ntk_beta') && config.has('num_experts') },
    },
  },
  specialTokens,
  presets: [
    small,
    large,
    variant(small, 'gpt-oss-safeguard-20b', ['openai/gpt-oss-safeguard-20b'], {}, SAFEGUARD),
    variant(large, 'gpt-oss-safeguard-120b', ['openai/gpt-oss-safeguard-120b'], {}, SAFEGUARD),
  ],
}
