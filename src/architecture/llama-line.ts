/**
 * What the model types of the LLaMA line share: sizes, heads, dtypes and rotation of config.json, read and written, and tensor names.
 * A family file adds the slots that make it what it is. Touvron et al. 2023, arXiv 2302.13971.
 */

import type { Json } from '../json/json.ts'
import type { Architecture, DType, FeedForward, Layer, Mixture, MultiHead, Norm, Position, RmsNorm } from './architecture.ts'
import type { Described } from './families.ts'
import type { Fields } from './fields.ts'
import type { Preset } from './presets.ts'
import { quantizationOf } from './quantization.ts'
import { type Names, packed, type Recipe, type TensorTable } from './recipes.ts'
import { checkRotatable, ropeToConfig } from './rope-config.ts'
import { multiHeadOf, windowOf } from './slots.ts'

export interface Sizes {
  layers: number
  hiddenSize: number
  heads: number
  kvHeads: number
  headDim: number
}

/** Layers, width and heads, checked against each other. `head_dim` is read where it stands and never derived then. */
export function sizesFromConfig(config: Fields): Sizes {
  const layers = config.layerCount('num_hidden_layers')
  const hiddenSize = config.size('hidden_size')
  const heads = config.size('num_attention_heads')
  const kvHeads = config.size('num_key_value_heads', heads)
  if (heads % kvHeads) config.fail('num_key_value_heads', `expected a divisor of num_attention_heads (${heads}), got ${kvHeads}`)
  if (!config.has('head_dim') && hiddenSize % heads)
    config.fail('num_attention_heads', `expected a divisor of hidden_size (${hiddenSize}) where head_dim is absent, got ${heads}`)
  const headDim = config.size('head_dim', hiddenSize / heads)
  checkRotatable(config, headDim)
  return { layers, hiddenSize, heads, kvHeads, headDim }
}

/** The norm of a layer that only has `rms_norm_eps`. */
export const rmsNorm = (config: Fields, unitOffset = false): RmsNorm => ({
  kind: 'rmsNorm',
  eps: config.positive('rms_norm_eps'),
  unitOffset,
})

/** SwiGLU as wide as the file says. */
export const swiglu = (config: Fields, bias = false): FeedForward => ({
  kind: 'gated',
  intermediateSize: config.size('intermediate_size'),
  activation: { kind: 'swiglu' },
  bias,
})

/** Experts per token, which are no more than there are experts. */
export function expertsPerToken(config: Fields, experts: number): number {
  const chosen = config.size(config.spelling('num_experts_per_tok', 'experts_per_token'))
  if (chosen > experts) config.fail('num_experts_per_tok', `expected at most the number of experts (${experts}), got ${chosen}`)
  return chosen
}

/** The attention slot without specialities: full, scaled by headDim^-0.5, `attention_bias` on all four projections. */
export function plainAttention(config: Fields, sizes: Sizes, position: Position): MultiHead {
  const bias = config.flag('attention_bias', false)
  return {
    kind: 'multiHead',
    heads: sizes.heads,
    kvHeads: sizes.kvHeads,
    headDim: sizes.headDim,
    scale: sizes.headDim ** -0.5,
    slidingWindow: null,
    position,
    qkvBias: bias,
    outBias: bias,
    sinks: false,
    qkNorm: { kind: 'none' },
    logitSoftcap: null,
  }
}

/** The layers, and everything outside of them with the defaults of the LLaMA line. */
export function assemble(
  config: Fields,
  { layers: count, hiddenSize }: Pick<Sizes, 'layers' | 'hiddenSize'>,
  layer: (index: number) => Layer,
  finalNorm: Norm = rmsNorm(config),
): Described {
  const layers = Array.from({ length: count }, (_, index) => layer(index))
  const dtype = config.dtype('bf16')
  const hasExperts = layers.some((layer) => layer.feedForward.kind === 'moe')
  if (!hasExperts) refuseQuantization(config)
  return {
    hiddenSize,
    maxPositionEmbeddings: config.size('max_position_embeddings'),
    embedding: { scale: 1, position: { kind: 'none' } },
    layers,
    finalNorm,
    tieWordEmbeddings: config.flag('tie_word_embeddings', false),
    residualScale: 1,
    logitDivisor: 1,
    finalLogitSoftcap: null,
    dtype,
    // Not published for this line, but what `lineage quantize` writes: the packed experts of gpt-oss.
    expertDtype: hasExperts ? expertDtypeFrom(config, dtype) : dtype,
    dropout: { embedding: 0, attention: config.probability('attention_dropout', 0), residual: 0 },
  }
}

/** Refuses what is quantised in a way that is not read, and MXFP4 where there are no experts. */
export function refuseQuantization(config: Fields): void {
  if (quantizationOf(config) || !config.has('quantization_config')) return
  if (config.below('quantization_config').raw('quant_method') === 'lineage') return
  config.below('quantization_config').fail('quant_method', 'expected no "mxfp4" in a model without experts; use the published checkpoint')
}

/** The dtype of the experts: `mxfp4` where the file says so. */
const expertDtypeFrom = (config: Fields, dtype: DType): DType =>
  !config.has('quantization_config') || quantizationOf(config) || config.below('quantization_config').raw('quant_method') !== 'mxfp4'
    ? dtype
    : 'mxfp4'

/** What all model types of the LLaMA line say. A family adds what differs between its layers. */
export function llamaConfig(a: Architecture): Json {
  const attention = multiHeadOf(a)
  return {
    ...stackConfig(a),
    attention_bias: attention.qkvBias,
    head_dim: attention.headDim,
    num_attention_heads: attention.heads,
    num_key_value_heads: attention.kvHeads,
    ...ropeToConfig((a.layers.find((layer) => layer.attention.position.kind !== 'none') ?? a.layers[0]!).attention),
  }
}

/** What is not about attention. */
export const stackConfig = (a: Architecture): Json => ({
  attention_dropout: a.dropout.attention,
  hidden_act: 'silu',
  hidden_size: a.hiddenSize,
  intermediate_size: a.layers.map((layer) => layer.feedForward).find((slot) => slot.kind !== 'moe')?.intermediateSize,
  max_position_embeddings: a.maxPositionEmbeddings,
  num_hidden_layers: a.layers.length,
  rms_norm_eps: a.layers[0]!.norm.eps,
})

/** `sliding_window` and, where layers differ, `layer_types`. */
export function windows(a: Architecture): { sliding_window: number | null; layer_types?: string[] } {
  const all = a.layers.map(windowOf)
  const window = all.find((one) => one !== null) ?? null
  if (all.every((one) => one === window)) return { sliding_window: window }
  return { sliding_window: window, layer_types: all.map((one) => (one === null ? 'full_attention' : 'sliding_attention')) }
}

/** The window is the same in all sliding layers, and every layer says which kind it is. */
export function typedWindows(a: Architecture): Json {
  const { sliding_window } = windows(a)
  const types = a.layers.map((layer) => (windowOf(layer) === null ? 'full_attention' : 'sliding_attention'))
  // The readers want a window even where no layer uses it.
  return { sliding_window: sliding_window ?? a.maxPositionEmbeddings, layer_types: types }
}

export const firstMoe = (a: Architecture): Mixture | undefined =>
  a.layers.map((layer) => layer.feedForward).find((slot) => slot.kind === 'moe')

/** The fields of a mixture of experts that was published in bf16. */
export function mixtureConfig(a: Architecture): Json {
  const moe = firstMoe(a)
  return {
    num_experts_per_tok: moe?.expertsPerToken,
    output_router_logits: false,
    quantization_config: a.expertDtype === 'mxfp4' ? { quant_method: 'mxfp4' } : undefined,
    router_aux_loss_coef: moe?.router.auxLossCoef,
  }
}

/** Tensor names in the manner of Llama; `experts` adds the feed-forward part of a mixture of experts. */
export function llamaTensors(experts: (at: (tail: string) => string) => Names = () => ({})): TensorTable {
  return {
    // A language model inside a multimodal checkpoint carries one of the longer prefixes.
    prefixes: ['model.', 'language_model.model.', 'model.language_model.', ''],
    layer: 'layers.{N}.',
    ignored: /(^|\.)rotary_emb\.inv_freq$|^(model\.)?(vision_tower|multi_modal_projector|visual)\./,
    whole: { embed: 'embed_tokens.weight', 'finalNorm.gain': 'norm.weight' },
    unembed: ['lm_head.weight', 'language_model.lm_head.weight'],
    inLayer(architecture, layer, at) {
      const { placement, feedForward } = architecture.layers[layer]!
      const matrix = (key: string, name: string) => ({ [key]: at(`${name}.weight`), [`${key}Bias`]: at(`${name}.bias`) })
      return {
        'attentionNorm.gain': at('input_layernorm.weight'),
        // Llama names the norm before the feed-forward after what precedes it; the sandwich of Gemma 2 has both.
        'attentionPostNorm.gain': at('post_attention_layernorm.weight'),
        'feedForwardNorm.gain': at(placement === 'sandwich' ? 'pre_feedforward_layernorm.weight' : 'post_attention_layernorm.weight'),
        'feedForwardPostNorm.gain': at('post_feedforward_layernorm.weight'),
        ...matrix('attention.q', 'self_attn.q_proj'),
        ...matrix('attention.k', 'self_attn.k_proj'),
        ...matrix('attention.v', 'self_attn.v_proj'),
        ...matrix('attention.o', 'self_attn.o_proj'),
        'attention.qNorm': at('self_attn.q_norm.weight'),
        'attention.kNorm': at('self_attn.k_norm.weight'),
        'attention.sinks': at('self_attn.sinks'),
        ...(feedForward.kind === 'moe'
          ? experts(at)
          : {
              ...matrix('feedForward.gate', 'mlp.gate_proj'),
              ...matrix('feedForward.up', 'mlp.up_proj'),
              ...matrix('feedForward.down', 'mlp.down_proj'),
            }),
      }
    },
  }
}

/**
 * A mixture of experts with one tensor per expert and matrix, as Mixtral and Qwen3 publish it, or packed by `lineage quantize`.
 * `block` holds router and experts; the three names are those of gate, up and down.
 */
export const expertTensors = (block: string, [gate, up, down]: [string, string, string]): TensorTable => {
  return llamaTensors((at) => {
    const of = (name: string) => (expert: number) => at(`${block}.experts.${expert}.${name}.weight`)
    const gateUp: Recipe = { form: 'interleaved', gate: of(gate), up: of(up) }
    return {
      'feedForward.router': at(`${block}.gate.weight`),
      'feedForward.gateUp': [gateUp, packed(at(`${block}.experts.gate_up_proj`))],
      'feedForward.down': [{ form: 'perExpert', tensor: of(down) }, packed(at(`${block}.experts.down_proj`))],
    }
  })
}

/** A published configuration of six sizes and what else its file says. */
export const sized = (
  name: string,
  repositories: string[],
  source: string,
  [hidden, intermediate, layers, heads, kvHeads, headDim]: [number, number, number, number, number, number],
  rest: Record<string, unknown>,
): Preset => ({
  name,
  repositories,
  config: {
    hidden_size: hidden,
    intermediate_size: intermediate,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headDim,
    ...rest,
  },
  source,
})

/** The same published configuration with other keys under other names: fine-tunes and later revisions of one size. */
export function variant(of: Preset, name: string, repositories: string[], changes: Record<string, unknown>, source = of.source): Preset {
  return { name, repositories, config: { ...of.config, ...changes }, source }
}
