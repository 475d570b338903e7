/**
 * GPT-2: LayerNorm before each branch, learned positions, GELU (tanh form), biases everywhere, tied output, dropout.
 * Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"; github.com/openai/gpt-2 src/model.py.
 * Sizes: config.json of openai-community/gpt2, gpt2-medium, gpt2-large, gpt2-xl.
 */
import type { Json } from '../../json/json.ts'
import type { Architecture, Gelu, Layer, Norm } from '../architecture.ts'
import type { Described, Family } from '../families.ts'
import type { Fields } from '../fields.ts'
import { refuseQuantization } from '../llama-line.ts'
import type { Preset } from '../presets.ts'
import { fused, type Recipe, type Slice, type TensorTable, transposed } from '../recipes.ts'
import { multiHeadOf } from '../slots.ts'

const GELUS: Record<string, Gelu> = {
  gelu_new: { kind: 'gelu', approximation: 'tanh' },
  gelu_pytorch_tanh: { kind: 'gelu', approximation: 'tanh' },
  gelu: { kind: 'gelu', approximation: 'erf' },
}

/** Reads a configuration with the keys of GPT-2. */
export function readGpt2(config: Fields): Described {
  const hiddenSize = config.size('n_embd')
  const heads = config.size('n_head')
  if (hiddenSize % heads) config.fail('n_head', `expected a divisor of n_embd (${hiddenSize}), got ${heads}`)
  const headDim = hiddenSize / heads
  config.refuse('scale_attn_by_inverse_layer_idx', 'attention scaled by the layer number is not implemented')
  config.refuse('add_cross_attention', 'a decoder without an encoder is all there is here')
  refuseQuantization(config)
  const norm: Norm = { kind: 'layerNorm', eps: config.positive('layer_norm_epsilon') }
  const length = config.size('n_positions')
  const dtype = config.dtype('f32')
  const layer: Layer = {
    placement: 'pre',
    norm,
    attention: {
      kind: 'multiHead',
      heads,
      kvHeads: heads,
      headDim,
      scale: config.flag('scale_attn_weights', true) ? headDim ** -0.5 : 1,
      slidingWindow: null,
      position: { kind: 'none' },
      qkvBias: true,
      outBias: true,
      sinks: false,
      qkNorm: { kind: 'none' },
      logitSoftcap: null,
    },
    feedForward: {
      kind: 'mlp',
      intermediateSize: config.optionalSize('n_inner') ?? 4 * hiddenSize,
      activation: config.choice('activation_function', GELUS),
      bias: true,
    },
  }
  return {
    hiddenSize,
    maxPositionEmbeddings: length,
    embedding: { scale: 1, position: { kind: 'learned', length } },
    layers: Array.from({ length: config.layerCount('n_layer') }, () => structuredClone(layer)),
    finalNorm: norm,
    tieWordEmbeddings: config.flag('tie_word_embeddings', true),
    residualScale: 1,
    logitDivisor: 1,
    finalLogitSoftcap: null,
    dtype,
    expertDtype: dtype,
    dropout: {
      embedding: config.probability('embd_pdrop', 0.1),
      attention: config.probability('attn_pdrop', 0.1),
      residual: config.probability('resid_pdrop', 0.1),
    },
  }
}

function write(a: Architecture): Json {
  const { feedForward, norm } = a.layers[0]!
  const attention = multiHeadOf(a)
  return {
    activation_function: feedForward.kind === 'mlp' && feedForward.activation.approximation === 'erf' ? 'gelu' : 'gelu_new',
    attn_pdrop: a.dropout.attention,
    embd_pdrop: a.dropout.embedding,
    layer_norm_epsilon: norm.eps,
    n_ctx: a.maxPositionEmbeddings,
    n_embd: a.hiddenSize,
    n_head: attention.heads,
    n_inner: feedForward.intermediateSize === 4 * a.hiddenSize ? null : feedForward.intermediateSize,
    n_layer: a.layers.length,
    n_positions: a.maxPositionEmbeddings,
    resid_pdrop: a.dropout.residual,
    scale_attn_weights: attention.scale !== 1,
  }
}

const tensors: TensorTable = {
  prefixes: ['', 'transformer.'],
  layer: 'h.{N}.',
  ignored: /^(transformer\.)?h\.\d+\.attn\.(bias|masked_bias)$/,
  whole: { embed: 'wte.weight', position: 'wpe.weight', 'finalNorm.gain': 'ln_f.weight', 'finalNorm.bias': 'ln_f.bias' },
  unembed: ['lm_head.weight'],
  inLayer(architecture, layer, at) {
    const { q, k, v } = fused(architecture, layer)
    const weight = (slice: Slice): Recipe => transposed(at('attn.c_attn.weight'), slice)
    const bias = (slice: Slice): Recipe => ({ form: 'asStored', tensor: at('attn.c_attn.bias'), slice })
    return {
      'attentionNorm.gain': at('ln_1.weight'),
      'attentionNorm.bias': at('ln_1.bias'),
      'attention.q': weight(q),
      'attention.k': weight(k),
      'attention.v': weight(v),
      'attention.qBias': bias(q),
      'attention.kBias': bias(k),
      'attention.vBias': bias(v),
      'attention.o': transposed(at('attn.c_proj.weight')),
      'attention.oBias': at('attn.c_proj.bias'),
      'feedForwardNorm.gain': at('ln_2.weight'),
      'feedForwardNorm.bias': at('ln_2.bias'),
      'feedForward.up': transposed(at('mlp.c_fc.weight')),
      'feedForward.upBias': at('mlp.c_fc.bias'),
      'feedForward.down': transposed(at('mlp.c_proj.weight')),
      'feedForward.downBias': at('mlp.c_proj.bias'),
    }
  },
}

const size = (name: string, n_layer: number, n_head: number, n_embd: number): Preset => ({
  name,
  repositories: [`openai-community/${name}`],
  config: {
    model_type: 'gpt2',
    activation_function: 'gelu_new',
    attn_pdrop: 0.1,
    embd_pdrop: 0.1,
    resid_pdrop: 0.1,
    bos_token_id: 50256,
    eos_token_id: 50256,
    initializer_range: 0.02,
    layer_norm_epsilon: 1e-5,
    n_embd,
    n_head,
    n_layer,
    n_positions: 1024,
    vocab_size: 50257,
  },
  source: 'Radford et al. 2019, Table 2; config.json of the repository',
  alsoStored: { what: 'causal masks', bytes: n_layer * 1024 * 1024 * 4 },
})

export const gpt2: Family = {
  modelTypes: { gpt2: { read: readGpt2, write, tensors, className: 'GPT2LMHeadModel' } },
  specialTokens: () => ({ 50256: '<|endoftext|>' }),
  presets: [size('gpt2', 12, 12, 768), size('gpt2-medium', 24, 16, 1024), size('gpt2-large', 36, 20, 1280), size('gpt2-xl', 48, 25, 1600)],
}
