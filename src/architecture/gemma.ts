/**
 * Gemma 1, 2 and 3 (text): GeGLU, RMSNorm with gain 1 + w, embeddings times sqrt(width), tied output. 2 adds norms after each
 * branch, soft caps and a window in even layers; 3 trades the caps for QK-norm and slides five layers of six with a rotation of their own.
 * Gemma Team 2024, 2024, 2025: arXiv 2403.08295, 2408.00118, 2503.19786.
 */
import { fromBf16, toBf16 } from '../numbers/bf16.ts'
import type { Architecture, Gated, Layer, Norm, Position } from './architecture.ts'
import { outsideOfLayers, type Preset, plainAttention, type Sizes, sizesFromConfig } from './common.ts'
import type { Fields } from './fields.ts'
import { ropeFromConfig, ropePairFromConfig } from './rope-config.ts'

const GEGLU = { gelu_pytorch_tanh: { kind: 'geglu', approximation: 'tanh' } } satisfies Record<string, Gated>

export function gemmaFromConfig(config: Fields): Architecture {
  const sizes = sizesFromConfig(config)
  const attention = plainAttention(config, sizes, ropeFromConfig(config, sizes.headDim, 10000))
  return assemble(config, 'gemma', sizes, () => ({ placement: 'pre', attention }))
}

export function gemma2FromConfig(config: Fields): Architecture {
  const sizes = sizesFromConfig(config)
  const types = config.layerTypes(sizes.layers)
  const window = config.size('sliding_window')
  const attention = {
    ...plainAttention(config, sizes, ropeFromConfig(config, sizes.headDim, 10000)),
    scale: config.positive('query_pre_attn_scalar') ** -0.5,
    logitSoftcap: config.optionalPositive('attn_logit_softcapping'),
  }
  return assemble(config, 'gemma2', sizes, (index) => ({
    placement: 'sandwich',
    attention: { ...attention, slidingWindow: (types ? types[index] === 'sliding' : index % 2 === 0) ? window : null },
  }))
}

export function gemma3FromConfig(config: Fields): Architecture {
  config.refuse('use_bidirectional_attention', 'attention is causal here')
  const sizes = sizesFromConfig(config)
  const types = config.layerTypes(sizes.layers)
  const pattern = types ? 0 : config.size(config.spelling('sliding_window_pattern', '_sliding_window_pattern'))
  const window = config.size('sliding_window')
  const rope: Record<'sliding' | 'full', Position> = ropePairFromConfig(config, sizes.headDim)
  const attention = {
    ...plainAttention(config, sizes, rope.full),
    scale: config.positive('query_pre_attn_scalar') ** -0.5,
    logitSoftcap: config.optionalPositive('attn_logit_softcapping'),
    qkNorm: { kind: 'perHead', eps: config.positive('rms_norm_eps'), unitOffset: true } as const,
  }
  return assemble(config, 'gemma3_text', sizes, (index) => {
    const kind = types ? types[index]! : (index + 1) % pattern ? 'sliding' : 'full'
    return {
      placement: 'sandwich',
      attention: { ...attention, position: rope[kind], slidingWindow: kind === 'sliding' ? window : null },
    }
  })
}

function assemble(
  config: Fields,
  modelType: string,
  sizes: Sizes,
  layer: (index: number) => Pick<Layer, 'placement' | 'attention'>,
): Architecture {
  const norm: Norm = { kind: 'rmsNorm', eps: config.positive('rms_norm_eps'), unitOffset: true }
  // The first files say hidden_act "gelu", but the published weights were trained with the tanh form.
  const activation = config.has('hidden_activation') ? config.choice('hidden_activation', GEGLU) : GEGLU.gelu_pytorch_tanh
  if (!config.has('hidden_activation')) config.refuse('hidden_act', 'the gate of this model type is GELU', 'gelu', 'gelu_pytorch_tanh')
  const intermediateSize = config.size('intermediate_size')
  const layers = Array.from(
    { length: sizes.layers },
    (_, index): Layer => ({ norm, ...layer(index), feedForward: { kind: 'gated', intermediateSize, activation, bias: false } }),
  )
  return {
    ...outsideOfLayers(config, modelType, sizes, layers),
    // The published code holds the factor in the dtype of the weights.
    embedding: { scale: fromBf16(toBf16(Math.sqrt(sizes.hiddenSize))), position: { kind: 'none' } },
    finalNorm: norm,
    tieWordEmbeddings: config.flag('tie_word_embeddings', true),
    finalLogitSoftcap: config.optionalPositive('final_logit_softcapping'),
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

const make = (
  name: string,
  source: string,
  [hidden, intermediate, layers, heads, kvHeads, headDim]: [number, number, number, number, number, number],
  rest: Record<string, unknown>,
  repositories: string[],
): Preset => ({
  name,
  repositories,
  config: {
    ...common,
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

const one = { model_type: 'gemma', rope_theta: 10000 }
const first = 'Gemma Team 2024, arXiv 2403.08295, Table 1; config.json of the repository'
const two = {
  model_type: 'gemma2',
  rope_theta: 10000,
  sliding_window: 4096,
  attn_logit_softcapping: 50,
  final_logit_softcapping: 30,
  query_pre_attn_scalar: 256,
}
const second = 'Gemma Team 2024, arXiv 2408.00118, Table 1; config.json of the repository'
const three = {
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
const threeLong = {
  ...three,
  max_position_embeddings: 131072,
  sliding_window: 1024,
  rope_scaling: { rope_type: 'linear', factor: 8 },
}
const third = 'Gemma Team 2025, arXiv 2503.19786, Table 1; text part of the config.json of the repository'

export const gemmaPresets: Preset[] = [
  make('Gemma-2B', first, [2048, 16384, 18, 8, 1, 256], one, ['google/gemma-2b', 'google/gemma-2b-it']),
  make('Gemma-7B', first, [3072, 24576, 28, 16, 16, 256], one, ['google/gemma-7b', 'google/gemma-7b-it']),
  make('Gemma-2-2B', second, [2304, 9216, 26, 8, 4, 256], two, ['google/gemma-2-2b', 'google/gemma-2-2b-it']),
  make('Gemma-2-9B', second, [3584, 14336, 42, 16, 8, 256], two, ['google/gemma-2-9b', 'google/gemma-2-9b-it']),
  make('Gemma-2-27B', second, [4608, 36864, 46, 32, 16, 128], { ...two, query_pre_attn_scalar: 144 }, [
    'google/gemma-2-27b',
    'google/gemma-2-27b-it',
  ]),
  make('Gemma-3-270M', third, [640, 2048, 18, 4, 1, 256], three, ['google/gemma-3-270m', 'google/gemma-3-270m-it']),
  make('Gemma-3-1B', third, [1152, 6912, 26, 4, 1, 256], three, ['google/gemma-3-1b-pt', 'google/gemma-3-1b-it']),
  make('Gemma-3-4B', third, [2560, 10240, 34, 8, 4, 256], threeLong, ['google/gemma-3-4b-pt', 'google/gemma-3-4b-it']),
  make('Gemma-3-12B', third, [3840, 15360, 48, 16, 8, 256], threeLong, ['google/gemma-3-12b-pt', 'google/gemma-3-12b-it']),
  make('Gemma-3-27B', third, [5376, 21504, 62, 32, 16, 128], { ...threeLong, query_pre_attn_scalar: 168 }, [
    'google/gemma-3-27b-pt',
    'google/gemma-3-27b-it',
  ]),
]
