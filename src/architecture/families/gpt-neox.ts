/**
 * GPT-NeoX and Pythia: attention and feed-forward side by side, a quarter of each head rotated, q, k and v of each head fused in turn.
 * Black et al. 2022, arXiv 2204.06745; Biderman et al. 2023, arXiv 2304.01373 (Pythia), Table 1 and config.json of the repositories.
 */
import type { Json } from '../../json/json.ts'
import type { Architecture, Gelu, Layer, Norm, Rope } from '../architecture.ts'
import type { Described, Family } from '../families.ts'
import type { Fields } from '../fields.ts'
import { refuseQuantization } from '../llama-line.ts'
import type { Preset } from '../presets.ts'
import { fusedByHead, type Recipe, type Slice, type TensorTable } from '../recipes.ts'
import { ropeFromConfig, ropeToConfig } from '../rope-config.ts'
import { multiHeadOf } from '../slots.ts'

const GELUS: Record<string, Gelu> = {
  gelu: { kind: 'gelu', approximation: 'erf' },
  gelu_new: { kind: 'gelu', approximation: 'tanh' },
  gelu_fast: { kind: 'gelu', approximation: 'tanh' },
  gelu_pytorch_tanh: { kind: 'gelu', approximation: 'tanh' },
}

/** `rotary_pct` and `rotary_emb_base`, or the spellings of other model types in newer files. */
function rotation(config: Fields, headDim: number): Rope {
  const rope = ropeFromConfig(config, headDim, config.positive('rotary_emb_base', 10000))
  const newer = [config, config.inner('rope_parameters')].some((fields) => fields?.has('partial_rotary_factor'))
  if (newer && !config.has('rotary_pct')) return rope
  const rotaryDim = Math.floor(headDim * config.positive('rotary_pct', 0.25))
  if (rotaryDim < 2 || rotaryDim > headDim || rotaryDim % 2)
    config.fail('rotary_pct', `expected an even part of a head of ${headDim} (rotation works on pairs), got ${rotaryDim} values`)
  return { ...rope, rotaryDim }
}

function read(config: Fields): Described {
  const hiddenSize = config.size('hidden_size')
  const heads = config.size('num_attention_heads')
  if (hiddenSize % heads) config.fail('num_attention_heads', `expected a divisor of hidden_size (${hiddenSize}), got ${heads}`)
  const headDim = hiddenSize / heads
  refuseQuantization(config)
  const norm: Norm = { kind: 'layerNorm', eps: config.positive('layer_norm_eps', 1e-5) }
  const bias = config.flag('attention_bias', true)
  const dtype = config.dtype('f16')
  const dropout = (key: string) => config.probability(key, 0)
  const layer: Layer = {
    placement: config.flag('use_parallel_residual', true) ? 'parallel' : 'pre',
    norm,
    attention: {
      kind: 'multiHead',
      heads,
      kvHeads: heads,
      headDim,
      scale: headDim ** -0.5,
      slidingWindow: null,
      position: rotation(config, headDim),
      qkvBias: bias,
      outBias: bias,
      sinks: false,
      qkNorm: { kind: 'none' },
      logitSoftcap: null,
    },
    feedForward: {
      kind: 'mlp',
      intermediateSize: config.size('intermediate_size'),
      activation: config.choice('hidden_act', GELUS),
      bias: true,
    },
  }
  return {
    hiddenSize,
    maxPositionEmbeddings: config.size('max_position_embeddings'),
    embedding: { scale: 1, position: { kind: 'none' } },
    layers: Array.from({ length: config.layerCount('num_hidden_layers') }, () => structuredClone(layer)),
    finalNorm: norm,
    tieWordEmbeddings: config.flag('tie_word_embeddings', false),
    finalLogitSoftcap: null,
    residualScale: 1,
    logitDivisor: 1,
    dtype,
    expertDtype: dtype,
    dropout: { embedding: dropout('hidden_dropout'), attention: dropout('attention_dropout'), residual: dropout('hidden_dropout') },
  }
}

function write(a: Architecture): Json {
  const { feedForward, norm, placement } = a.layers[0]!
  const attention = multiHeadOf(a)
  const { rope_theta, rope_scaling, partial_rotary_factor = 1 } = ropeToConfig(attention)
  return {
    attention_bias: attention.qkvBias,
    attention_dropout: a.dropout.attention,
    hidden_act: feedForward.kind === 'mlp' && feedForward.activation.approximation === 'tanh' ? 'gelu_new' : 'gelu',
    hidden_dropout: a.dropout.residual,
    hidden_size: a.hiddenSize,
    intermediate_size: feedForward.intermediateSize,
    layer_norm_eps: norm.eps,
    max_position_embeddings: a.maxPositionEmbeddings,
    num_attention_heads: attention.heads,
    num_hidden_layers: a.layers.length,
    rope_scaling,
    rotary_emb_base: rope_theta,
    rotary_pct: partial_rotary_factor,
    use_parallel_residual: placement === 'parallel',
  }
}

const tensors: TensorTable = {
  prefixes: ['gpt_neox.', ''],
  layer: 'layers.{N}.',
  ignored: /(^|\.)attention\.(bias|masked_bias|rotary_emb\.inv_freq)$/,
  whole: { embed: 'embed_in.weight', 'finalNorm.gain': 'final_layer_norm.weight', 'finalNorm.bias': 'final_layer_norm.bias' },
  unembed: ['embed_out.weight', 'lm_head.weight'],
  inLayer(architecture, layer, at) {
    const { q, k, v } = fusedByHead(architecture, layer)
    const part = (tail: string, slice: Slice): Recipe => ({ form: 'asStored', tensor: at(`attention.query_key_value.${tail}`), slice })
    const both = (inner: string, published: string) => ({ [inner]: at(`${published}.weight`), [`${inner}Bias`]: at(`${published}.bias`) })
    return {
      'attentionNorm.gain': at('input_layernorm.weight'),
      'attentionNorm.bias': at('input_layernorm.bias'),
      'attention.q': part('weight', q),
      'attention.k': part('weight', k),
      'attention.v': part('weight', v),
      'attention.qBias': part('bias', q),
      'attention.kBias': part('bias', k),
      'attention.vBias': part('bias', v),
      ...both('attention.o', 'attention.dense'),
      'feedForwardNorm.gain': at('post_attention_layernorm.weight'),
      'feedForwardNorm.bias': at('post_attention_layernorm.bias'),
      ...both('feedForward.up', 'mlp.dense_h_to_4h'),
      ...both('feedForward.down', 'mlp.dense_4h_to_h'),
    }
  },
}

const pythia = (b: string, layers: number, heads: number, hidden: number, vocabulary = 50304): Preset => ({
  name: `Pythia-${b.toUpperCase()}`,
  repositories: [`EleutherAI/pythia-${b}`, `EleutherAI/pythia-${b}-deduped`],
  config: {
    model_type: 'gpt_neox',
    bos_token_id: 0,
    eos_token_id: 0,
    hidden_act: 'gelu',
    hidden_size: hidden,
    intermediate_size: 4 * hidden,
    layer_norm_eps: 1e-5,
    max_position_embeddings: 2048,
    num_attention_heads: heads,
    num_hidden_layers: layers,
    rotary_emb_base: 10000,
    rotary_pct: 0.25,
    tie_word_embeddings: false,
    torch_dtype: 'float16',
    use_parallel_residual: true,
    vocab_size: vocabulary,
  },
  source: 'Biderman et al. 2023, arXiv 2304.01373, Table 1; config.json of the repository',
})

export const gptNeox: Family = {
  modelTypes: { gpt_neox: { read, write, tensors, className: 'GPTNeoXForCausalLM' } },
  specialTokens: () => ({ 0: '<|endoftext|>', 1: '<|padding|>' }),
  presets: [
    pythia('70m', 6, 8, 512),
    pythia('160m', 12, 12, 768),
    pythia('410m', 24, 16, 1024),
    pythia('1b', 16, 8, 2048),
    pythia('1.4b', 24, 16, 2048),
    pythia('2.8b', 32, 32, 2560),
    pythia('6.9b', 32, 32, 4096, 50432),
    pythia('12b', 36, 40, 5120, 50688),
  ],
}
