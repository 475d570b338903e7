/**
 * Gemma 1, 2 and 3 (text): GeGLU, RMSNorm with gain 1 + w, embeddings times sqrt(width), tied output.
 * Gemma 2 adds norms after each branch, soft caps, and a window in even layers. Gemma 3 has QK-norm instead of the caps, and a
 * window with a rotation of its own in five layers of six.
 * Gemma Team 2024, 2024, 2025: arXiv 2403.08295, 2408.00118, 2503.19786.
 */
import type { Json } from '../../json/json.ts'
import type { Architecture, FeedForward, Gated, Layer, MultiHead, Position } from '../architecture.ts'
import type { Described, Family } from '../families.ts'
import type { Fields } from '../fields.ts'
import {
  assemble,
  llamaConfig,
  llamaTensors,
  plainAttention,
  rmsNorm,
  type Sizes,
  sized,
  sizesFromConfig,
  typedWindows,
} from '../llama-line.ts'
import { ropeFromConfig, ropePairFromConfig, ropeToConfig } from '../rope-config.ts'
import { multiHeadOf, windowOf } from '../slots.ts'

const GEGLU = { gelu_pytorch_tanh: { kind: 'geglu', approximation: 'tanh' } } satisfies Record<string, Gated>

function read1(config: Fields): Described {
  const sizes = sizesFromConfig(config)
  const attention = plainAttention(config, sizes, ropeFromConfig(config, sizes.headDim, 10000))
  return read(config, sizes, () => ({ placement: 'pre', attention }))
}

function read2(config: Fields): Described {
  const sizes = sizesFromConfig(config)
  const types = config.layerTypes(sizes.layers)
  const window = config.size('sliding_window')
  const attention = {
    ...plainAttention(config, sizes, ropeFromConfig(config, sizes.headDim, 10000)),
    scale: config.positive('query_pre_attn_scalar') ** -0.5,
    logitSoftcap: config.optionalPositive('attn_logit_softcapping'),
  }
  return read(config, sizes, (index) => ({
    placement: 'sandwich',
    attention: { ...attention, slidingWindow: (types ? types[index] === 'sliding' : index % 2 === 0) ? window : null },
  }))
}

function read3(config: Fields): Described {
  config.refuse('use_bidirectional_attention', 'attention is causal here')
  const sizes = sizesFromConfig(config)
  const types = config.layerTypes(sizes.layers)
  const pattern = types ? 0 : config.size(config.spelling('sliding_window_pattern', '_sliding_window_pattern'), 6)
  const window = config.size('sliding_window')
  const rope: Record<'sliding' | 'full', Position> = ropePairFromConfig(config, sizes.headDim, config.positive('rope_local_base_freq'))
  const attention = {
    ...plainAttention(config, sizes, rope.full),
    scale: config.positive('query_pre_attn_scalar') ** -0.5,
    logitSoftcap: config.optionalPositive('attn_logit_softcapping'),
    qkNorm: { kind: 'perHead', eps: config.positive('rms_norm_eps'), unitOffset: true } as const,
  }
  return read(config, sizes, (index) => {
    const kind = types ? types[index]! : (index + 1) % pattern ? 'sliding' : 'full'
    return {
      placement: 'sandwich',
      attention: { ...attention, position: rope[kind], slidingWindow: kind === 'sliding' ? window : null },
    }
  })
}

function read(config: Fields, sizes: Sizes, layer: (index: number) => Pick<Layer, 'placement' | 'attention'>): Described {
  const norm = rmsNorm(config, true)
  // The first files say hidden_act "gelu", but the published weights were trained with the tanh form.
  const activation = config.has('hidden_activation') ? config.choice('hidden_activation', GEGLU) : GEGLU.gelu_pytorch_tanh
  if (!config.has('hidden_activation')) config.refuse('hidden_act', 'the gate of this model type is GELU', 'gelu', 'gelu_pytorch_tanh')
  const intermediateSize = config.size('intermediate_size')
  const feedForward: FeedForward = { kind: 'gated', intermediateSize, activation, bias: false }
  return {
    ...assemble(config, sizes, (index) => ({ norm, ...layer(index), feedForward })),
    embedding: { scale: Math.sqrt(sizes.hiddenSize), roundScale: true, position: { kind: 'none' } },
    finalNorm: norm,
    tieWordEmbeddings: config.flag('tie_word_embeddings', true),
    finalLogitSoftcap: config.optionalPositive('final_logit_softcapping'),
  }
}

/** The published field is the width whose inverse root the scores are multiplied with. */
function queryScalar({ scale }: MultiHead): number {
  const rounded = Math.round(scale ** -2)
  return rounded ** -0.5 === scale ? rounded : scale ** -2
}

function write1(a: Architecture): Json {
  const activation = 'gelu_pytorch_tanh'
  return { ...llamaConfig(a), hidden_act: activation, hidden_activation: activation }
}

function write2(a: Architecture): Json {
  const attention = multiHeadOf(a)
  return {
    ...write1(a),
    attn_logit_softcapping: attention.logitSoftcap,
    final_logit_softcapping: a.finalLogitSoftcap,
    query_pre_attn_scalar: queryScalar(attention),
    ...typedWindows(a),
  }
}

function write3(a: Architecture): Json {
  const of = (sliding: boolean) => a.layers.find((layer) => (windowOf(layer) !== null) === sliding)?.attention
  const local = of(true) ?? of(false)
  return {
    ...write2(a),
    ...ropeToConfig(of(false) ?? local!),
    rope_local_base_freq: local?.position.kind === 'rope' ? local.position.ropeTheta : undefined,
  }
}

const common = {
  hidden_activation: 'gelu_pytorch_tanh',
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-6,
  torch_dtype: 'bfloat16',
  vocab_size: 256000,
  bos_token_id: 2,
  eos_token_id: 1,
}

const one = { ...common, model_type: 'gemma', rope_theta: 10000 }
const first = 'Gemma Team 2024, arXiv 2403.08295, Table 1; config.json of the repository'
const two = {
  ...common,
  model_type: 'gemma2',
  rope_theta: 10000,
  sliding_window: 4096,
  attn_logit_softcapping: 50,
  final_logit_softcapping: 30,
  query_pre_attn_scalar: 256,
}
const second = 'Gemma Team 2024, arXiv 2408.00118, Table 1; config.json of the repository'
const three = {
  ...common,
  model_type: 'gemma3_text',
  vocab_size: 262144,
  max_position_embeddings: 32768,
  rope_theta: 1000000,
  rope_local_base_freq: 10000,
  sliding_window: 512,
  sliding_window_pattern: 6,
  query_pre_attn_scalar: 256,
  eos_token_id: [1, 106],
}
/** What the published files of 4B, 12B and 27B leave to the defaults of transformers. */
const threeDefaults = {
  hidden_activation: 'gelu_pytorch_tanh',
  vocab_size: 262208,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 256,
  max_position_embeddings: 131072,
  query_pre_attn_scalar: 256,
  rms_norm_eps: 1e-6,
  rope_theta: 1000000,
  rope_local_base_freq: 10000,
  sliding_window: 4096,
}
const threeLong = {
  ...three,
  vocab_size: 262208,
  max_position_embeddings: 131072,
  sliding_window: 1024,
  rope_scaling: { rope_type: 'linear', factor: 8 },
}
const third = 'Gemma Team 2025, arXiv 2503.19786, Table 1; text part of the config.json of the repository'

export const gemma: Family = {
  modelTypes: {
    gemma: { read: read1, write: write1, tensors: llamaTensors(), className: 'GemmaForCausalLM' },
    gemma2: { read: read2, write: write2, tensors: llamaTensors(), className: 'Gemma2ForCausalLM' },
    gemma3_text: {
      read: read3,
      write: write3,
      tensors: llamaTensors(),
      className: 'Gemma3ForCausalLM',
      wrapper: 'gemma3',
      defaults: threeDefaults,
    },
  },
  specialTokens: ({ modelType }) => {
    const turn = modelType === 'gemma3_text' ? 105 : 106
    return { 0: '<pad>', 1: '<eos>', 2: '<bos>', 3: '<unk>', [turn]: '<start_of_turn>', [turn + 1]: '<end_of_turn>' }
  },
  beginsTexts: true,
  presets: [
    sized('Gemma-2B', ['google/gemma-2b', 'google/gemma-2b-it'], first, [2048, 16384, 18, 8, 1, 256], one),
    sized('Gemma-7B', ['google/gemma-7b', 'google/gemma-7b-it'], first, [3072, 24576, 28, 16, 16, 256], one),
    sized('Gemma-2-2B', ['google/gemma-2-2b', 'google/gemma-2-2b-it'], second, [2304, 9216, 26, 8, 4, 256], two),
    sized('Gemma-2-9B', ['google/gemma-2-9b', 'google/gemma-2-9b-it'], second, [3584, 14336, 42, 16, 8, 256], two),
    sized('Gemma-2-27B', ['google/gemma-2-27b', 'google/gemma-2-27b-it'], second, [4608, 36864, 46, 32, 16, 128], {
      ...two,
      query_pre_attn_scalar: 144,
    }),
    sized('Gemma-3-270M', ['google/gemma-3-270m', 'google/gemma-3-270m-it'], third, [640, 2048, 18, 4, 1, 256], three),
    sized('Gemma-3-1B', ['google/gemma-3-1b-pt', 'google/gemma-3-1b-it'], third, [1152, 6912, 26, 4, 1, 256], three),
    sized('Gemma-3-4B', ['google/gemma-3-4b-pt', 'google/gemma-3-4b-it'], third, [2560, 10240, 34, 8, 4, 256], threeLong),
    sized('Gemma-3-12B', ['google/gemma-3-12b-pt', 'google/gemma-3-12b-it'], third, [3840, 15360, 48, 16, 8, 256], threeLong),
    sized('Gemma-3-27B', ['google/gemma-3-27b-pt', 'google/gemma-3-27b-it'], third, [5376, 21504, 62, 32, 16, 128], {
      ...threeLong,
      query_pre_attn_scalar: 168,
    }),
  ],
}
