/**
 * Qwen3, dense and mixture of experts: QK-norm per head before RoPE, no biases, router by softmax over all experts.
 * Qwen Team 2025, arXiv 2505.09388. The head size stands in the file and is independent of hidden size / heads.
 * A layer is a mixture exactly when it is not in `mlp_only_layers` and (index + 1) is a multiple of `decoder_sparse_step`.
 */
import type { Architecture, FeedForward } from './architecture.ts'
import { outsideOfLayers, type Preset, plainAttention, sizesFromConfig, variant } from './common.ts'
import type { Fields } from './fields.ts'
import { ropeFromConfig } from './rope-config.ts'

export function qwen3FromConfig(config: Fields): Architecture {
  const intermediateSize = config.size('intermediate_size')
  return assemble(config, 'qwen3', () => ({ kind: 'gated', intermediateSize, activation: { kind: 'swiglu' }, bias: false }))
}

export function qwen3MoeFromConfig(config: Fields): Architecture {
  const experts = config.size(config.spelling('num_experts', 'num_local_experts'))
  const expertsPerToken = config.size('num_experts_per_tok')
  if (expertsPerToken > experts)
    config.fail('num_experts_per_tok', `expected at most the number of experts (${experts}), got ${expertsPerToken}`)
  config.refuse('shared_expert_intermediate_size', 'shared experts are not part of this model type', 0)
  const step = config.size('decoder_sparse_step', 1)
  const denseLayers = new Set(config.tokenIds('mlp_only_layers'))
  const moe: FeedForward = {
    kind: 'moe',
    experts,
    expertsPerToken,
    intermediateSize: config.size('moe_intermediate_size'),
    activation: { kind: 'swiglu' },
    bias: false,
    router: {
      kind: 'softmaxTopk',
      normalize: config.flag('norm_topk_prob'),
      bias: false,
      auxLossCoef: config.notNegative('router_aux_loss_coef', 0.001),
    },
  }
  const dense = (): FeedForward => ({
    kind: 'gated',
    intermediateSize: config.size('intermediate_size'),
    activation: { kind: 'swiglu' },
    bias: false,
  })
  const architecture = assemble(config, 'qwen3_moe', (layer) => (denseLayers.has(layer) || (layer + 1) % step ? dense() : moe))
  return { ...architecture, tensorLayout: 'qwen3-moe' }
}

function assemble(config: Fields, modelType: string, feedForward: (layer: number) => FeedForward): Architecture {
  config.refuse('hidden_act', 'the gate of this model type is SiLU', 'silu')
  const sizes = sizesFromConfig(config)
  const eps = config.positive('rms_norm_eps')
  const attention = {
    ...plainAttention(config, sizes, ropeFromConfig(config, sizes.headDim)),
    qkNorm: { kind: 'perHead', eps, unitOffset: false } as const,
  }
  const window = slidingLayers(config, sizes.layers)
  const layers = Array.from({ length: sizes.layers }, (_, index) => ({
    placement: 'pre' as const,
    norm: { kind: 'rmsNorm' as const, eps, unitOffset: false },
    attention: { ...attention, slidingWindow: window(index) },
    feedForward: feedForward(index),
  }))
  return outsideOfLayers(config, modelType, sizes, layers)
}

/** `layer_types` where present; else, with `use_sliding_window`, every layer from `max_window_layers` on. All published files say false. */
function slidingLayers(config: Fields, layers: number): (layer: number) => number | null {
  const types = config.layerTypes(layers)
  const used = config.flag('use_sliding_window', false)
  if (types?.includes('sliding') && !used)
    config.fail('use_sliding_window', 'expected true, because layer_types names sliding layers; got false')
  if (!used) return () => null
  const window = config.size('sliding_window')
  const from = config.notNegative('max_window_layers', 0)
  return (layer) => ((types ? types[layer] === 'sliding' : layer >= from) ? window : null)
}

const common = {
  attention_bias: false,
  attention_dropout: 0,
  bos_token_id: 151643,
  eos_token_id: 151645,
  head_dim: 128,
  hidden_act: 'silu',
  initializer_range: 0.02,
  max_position_embeddings: 40960,
  rms_norm_eps: 1e-6,
  rope_scaling: null,
  rope_theta: 1000000,
  sliding_window: null,
  torch_dtype: 'bfloat16',
  use_sliding_window: false,
  vocab_size: 151936,
}
const source = 'Qwen Team 2025, arXiv 2505.09388, Tables 1 and 2; config.json of the repository'

const dense = (b: string, hidden: number, intermediate: number, layers: number, heads: number, tied: boolean): Preset => ({
  name: `Qwen3-${b}`,
  repositories: [`Qwen/Qwen3-${b}`],
  config: {
    ...common,
    model_type: 'qwen3',
    hidden_size: hidden,
    intermediate_size: intermediate,
    num_hidden_layers: layers,
    max_window_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: 8,
    tie_word_embeddings: tied,
  },
  source,
})

const moe = (b: string, sizes: Record<string, number>): Preset => ({
  name: `Qwen3-${b}`,
  repositories: [`Qwen/Qwen3-${b}`],
  config: {
    ...common,
    model_type: 'qwen3_moe',
    decoder_sparse_step: 1,
    mlp_only_layers: [],
    norm_topk_prob: true,
    num_experts: 128,
    num_experts_per_tok: 8,
    router_aux_loss_coef: 0.001,
    tie_word_embeddings: false,
    ...sizes,
  },
  source,
})

const base = (of: Preset): Preset =>
  variant(of, `${of.name}-Base`, [`Qwen/${of.name}-Base`], { max_position_embeddings: 32768, eos_token_id: 151643 })
const revision2507 = (of: Preset, kind: 'Instruct' | 'Thinking', theta: number): Preset =>
  variant(of, `${of.name}-${kind}-2507`, [`Qwen/${of.name}-${kind}-2507`], { max_position_embeddings: 262144, rope_theta: theta })

// The two smallest are tied and store the output matrix all the same; 4B does not.
const twice = (of: Preset): Preset => ({
  ...of,
  alsoStored: { what: 'the tied matrix a second time', bytes: common.vocab_size * Number(of.config.hidden_size) * 2 },
})
const small = twice(dense('0.6B', 1024, 3072, 28, 16, true))
const b1 = twice(dense('1.7B', 2048, 6144, 28, 16, true))
const b4 = dense('4B', 2560, 9728, 36, 32, true)
const b8 = dense('8B', 4096, 12288, 36, 32, false)
const b14 = dense('14B', 5120, 17408, 40, 40, false)
const b32 = dense('32B', 5120, 25600, 64, 64, false)
const b30 = moe('30B-A3B', {
  hidden_size: 2048,
  intermediate_size: 6144,
  moe_intermediate_size: 768,
  num_hidden_layers: 48,
  max_window_layers: 48,
  num_attention_heads: 32,
  num_key_value_heads: 4,
})
const b235 = moe('235B-A22B', {
  hidden_size: 4096,
  intermediate_size: 12288,
  moe_intermediate_size: 1536,
  num_hidden_layers: 94,
  max_window_layers: 94,
  num_attention_heads: 64,
  num_key_value_heads: 4,
})
const coder = { bos_token_id: null, max_position_embeddings: 262144, rope_theta: 10000000, router_aux_loss_coef: 0 }

export const qwen3Presets: Preset[] = [
  ...[small, b1, b4, b8, b14].flatMap((size) => [size, base(size)]),
  b32,
  revision2507(b4, 'Instruct', 5000000),
  revision2507(b4, 'Thinking', 5000000),
  b30,
  base(b30),
  revision2507(b30, 'Instruct', 10000000),
  revision2507(b30, 'Thinking', 10000000),
  b235,
  revision2507(b235, 'Instruct', 5000000),
  revision2507(b235, 'Thinking', 5000000),
  variant(b30, 'Qwen3-Coder-30B-A3B', ['Qwen/Qwen3-Coder-30B-A3B-Instruct'], { ...coder, intermediate_size: 5472, max_window_layers: 28 }),
  variant(b235, 'Qwen3-Coder-480B-A35B', ['Qwen/Qwen3-Coder-480B-A35B-Instruct'], {
    ...coder,
    hidden_size: 6144,
    intermediate_size: 8192,
    moe_intermediate_size: 2560,
    num_hidden_layers: 62,
    max_window_layers: 62,
    num_attention_heads: 96,
    num_key_value_heads: 8,
    num_experts: 160,
  }),
]
