/**
 * What the configurations of the LLaMA line share (sizes, heads, dtype, token ids), read once for all families of it.
 * A family file adds the slots that make it what it is. Touvron et al. 2023, arXiv 2302.13971.
 */
import type { Architecture, Attention, DType, Layer, Position } from './architecture.ts'
import type { Fields } from './fields.ts'
import { checkRotatable } from './rope-config.ts'

/** A published model: its name here, its Hugging Face repositories, its configuration, and where the numbers were published. */
export interface Preset {
  name: string
  repositories: string[]
  config: Record<string, unknown>
  /** Paper or file, with year. */
  source: string
  /** Tensors of the published files that are no parameters of their own. */
  alsoStored?: { what: string; bytes: number }
}

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

/** The attention slot without specialities: full, scaled by headDim^-0.5, `attention_bias` on all four projections. */
export function plainAttention(config: Fields, sizes: Sizes, position: Position): Attention {
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

/** Everything outside of the layers, with the defaults of the LLaMA line. */
export function outsideOfLayers(config: Fields, modelType: string, sizes: Sizes, layers: Layer[]): Architecture {
  const dtype = config.dtype('bf16')
  const hasExperts = layers.some((layer) => layer.feedForward.kind === 'moe')
  if (!hasExperts) refuseQuantization(config)
  return {
    name: nameFrom(config, modelType),
    modelType,
    vocabSize: config.size('vocab_size'),
    hiddenSize: sizes.hiddenSize,
    maxPositionEmbeddings: config.size('max_position_embeddings'),
    embedding: { scale: 1, position: { kind: 'none' } },
    layers,
    finalNorm: { kind: 'rmsNorm', eps: config.positive('rms_norm_eps'), unitOffset: false },
    tieWordEmbeddings: config.flag('tie_word_embeddings', false),
    finalLogitSoftcap: null,
    dtype,
    // Not published for this line, but what `lineage quantize` writes: the packed experts of gpt-oss.
    expertDtype: hasExperts ? expertDtypeFrom(config, dtype) : dtype,
    tensorLayout: 'llama',
    dropout: { embedding: 0, attention: config.probability('attention_dropout', 0), residual: 0 },
    initializerRange: config.notNegative('initializer_range', 0.02),
    eosTokenIds: config.tokenIds('eos_token_id'),
    bosTokenId: config.tokenId('bos_token_id'),
  }
}

/** What the file calls its model, else its type. */
export function nameFrom(config: Fields, modelType: string): string {
  const name = config.raw('_name_or_path')
  return typeof name === 'string' && name ? name : modelType
}

/** Quantised re-uploads hold other tensors; only the published MXFP4 form is known. */
export function refuseQuantization(config: Fields): void {
  if (!config.has('quantization_config')) return
  const method = config.below('quantization_config').raw('quant_method')
  config.fail(
    'quantization_config.quant_method',
    `expected no quantization in this model type, got ${JSON.stringify(method ?? null)}; use the published checkpoint`,
  )
}

/** The dtype of the experts: `mxfp4` where the file says so. */
export function expertDtypeFrom(config: Fields, dtype: DType): DType {
  if (!config.has('quantization_config')) return dtype
  return config.below('quantization_config').choice<DType>('quant_method', { mxfp4: 'mxfp4' })
}

/** The same published configuration with other keys under other names: fine-tunes and later revisions of one size. */
export function variant(of: Preset, name: string, repositories: string[], changes: Record<string, unknown>, source = of.source): Preset {
  return { name, repositories, config: { ...of.config, ...changes }, source }
}
