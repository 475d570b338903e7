/**
 * Qwen3, dense and mixture of experts: QK-norm per head before RoPE, no biases, router by softmax over all experts.
 * Qwen Team 2025, arXiv 2505.09388. The head size stands in the file and is independent of hidden size / heads.
 * A layer is a mixture exactly when it is not in `mlp_only_layers` and (index + 1) is a multiple of `decoder_sparse_step`.
 */
import type { Json } from '../../json/json.ts'
import type { Architecture, FeedForward } from '../architecture.ts'
import type { Described, Family } from '../families.ts'
import type { Fields } from '../fields.ts'
import {
  assemble,
  expertsPerToken,
  expertTensors,
  firstMoe,
  llamaConfig,
  llamaTensors,
  mixtureConfig,
  plainAttention,
  rmsNorm,
  sized,
  sizesFromConfig,
  swiglu,
  variant,
  windows,
} from '../llama-line.ts'
import type { Preset } from '../presets.ts'
import { ropeFromConfig } from '../rope-config.ts'

const readDense = (config: Fields): Described => read(config, () => swiglu(config))

function readMoe(config: Fields): Described {
  const experts = config.size(config.spelling('num_experts', 'num_local_experts'))
  const chosen = expertsPerToken(config, experts)
  config.refuse('shared_expert_intermediate_size', 'shared experts are not part of this model type', 0)
  const step = config.size('decoder_sparse_step', 1)
  const denseLayers = new Set(config.tokenIds('mlp_only_layers'))
  const moe: FeedForward = {
    kind: 'moe',
    experts,
    expertsPerToken: chosen,
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
  return read(config, (layer) => (denseLayers.has(layer) || (layer + 1) % step ? swiglu(config) : moe))
}

function read(config: Fields, feedForward: (layer: number) => FeedForward): Described {
  config.refuse('hidden_act', 'the gate of this model type is SiLU', 'silu')
  const sizes = sizesFromConfig(config)
  const norm = rmsNorm(config)
  const attention = {
    ...plainAttention(config, sizes, ropeFromConfig(config, sizes.headDim)),
    qkNorm: { kind: 'perHead', eps: norm.eps, unitOffset: false } as const,
  }
  const window = qwenWindows(config, sizes.layers)
  return assemble(config, sizes, (index) => {
    return { placement: 'pre', norm, attention: { ...attention, slidingWindow: window(index) }, feedForward: feedForward(index) }
  })
}

/** `layer_types`, or with `use_sliding_window` every layer from `max_window_layers` on. Published files say false. */
export function qwenWindows(config: Fields, layers: number): (layer: number) => number | null {
  const types = config.layerTypes(layers)
  const used = config.flag('use_sliding_window', false)
  if (types?.includes('sliding') && !used)
    config.fail('use_sliding_window', 'expected true, because layer_types names sliding layers; got false')
  if (!used) return () => null
  const window = config.size('sliding_window')
  const from = config.notNegative('max_window_layers', 0)
  return (layer) => ((types ? types[layer] === 'sliding' : layer >= from) ? window : null)
}

/** The fields of `qwenWindows`. */
export function qwenWindowsToConfig(a: Architecture): Json {
  const { sliding_window, layer_types } = windows(a)
  const used = sliding_window !== null
  // With `use_sliding_window` and no types, every layer from `max_window_layers` on slides.
  return { max_window_layers: used ? 0 : a.layers.length, sliding_window, use_sliding_window: used, layer_types }
}

const writeDense = (a: Architecture): Json => ({ ...llamaConfig(a), ...qwenWindowsToConfig(a) })

function writeMoe(a: Architecture): Json {
  const moe = firstMoe(a)
  return {
    ...writeDense(a),
    ...mixtureConfig(a),
    decoder_sparse_step: 1,
    mlp_only_layers: a.layers.flatMap((layer, index) => (layer.feedForward.kind === 'moe' ? [] : [index])),
    moe_intermediate_size: moe?.intermediateSize,
    norm_topk_prob: moe?.router.kind === 'softmaxTopk' && moe.router.normalize,
    num_experts: moe?.experts,
  }
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

const dense = (b: string, hidden: number, intermediate: number, layers: number, heads: number, tied: boolean): Preset =>
  sized(`Qwen3-${b}`, [`Qwen/Qwen3-${b}`], source, [hidden, intermediate, layers, heads, 8, 128], {
    ...common,
    model_type: 'qwen3',
    max_window_layers: layers,
    tie_word_embeddings: tied,
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

/** The added tokens of Qwen2, 2.5 and 3 in the order of their ids. */
const FIRST_ID = 151_643
const SPECIAL_NAMES = [
  ...'endoftext im_start im_end object_ref_start object_ref_end box_start box_end quad_start quad_end'.split(' '),
  ...'vision_start vision_end vision_pad image_pad video_pad'.split(' '),
]
const CODE_NAMES = 'fim_prefix fim_middle fim_suffix fim_pad repo_name file_sep'.split(' ')
const spelled = (name: string): string => `<|${name}|>`
const from = (first: number, spellings: string[]): Record<number, string> =>
  Object.fromEntries(spellings.map((spelling, i) => [first + i, spelling]))

export const QWEN_SPECIAL_TOKENS = from(FIRST_ID, SPECIAL_NAMES.map(spelled))
export const QWEN_TEXT_TOKENS = from(FIRST_ID + SPECIAL_NAMES.length, ['<tool_call>', '</tool_call>', ...CODE_NAMES.map(spelled)])
const QWEN3_TEXT_TOKENS = from(151_665, ['<tool_response>', '</tool_response>', '<think>', '</think>'])

/** The text part of a Qwen3-VL model has the sizes of a Qwen3 model. */
const vision = (of: Preset, b: string): Preset =>
  variant(
    of,
    `Qwen3-VL-${b}`,
    [`Qwen/Qwen3-VL-${b}-Instruct`, `Qwen/Qwen3-VL-${b}-Thinking`],
    { model_type: 'qwen3_vl_text', max_position_embeddings: 262144, rope_theta: 5000000 },
    'Qwen Team 2025, arXiv 2511.21631; text part of the config.json of the repository',
  )
const r1 = variant(
  b8,
  'DeepSeek-R1-0528-Qwen3-8B',
  ['deepseek-ai/DeepSeek-R1-0528-Qwen3-8B'],
  {
    max_position_embeddings: 131072,
    rope_scaling: { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 32768, attn_factor: 0.8782488562869419 },
  },
  'DeepSeek-AI 2025, arXiv 2501.12948; config.json of the repository',
)

export const qwen3: Family = {
  modelTypes: {
    qwen3: { read: readDense, write: writeDense, tensors: llamaTensors(), className: 'Qwen3ForCausalLM' },
    // Without pictures the three position streams of this form are one, so its rotation is the plain one.
    qwen3_vl_text: { read: readDense, write: writeDense, tensors: llamaTensors(), className: 'Qwen3VLTextModel', wrapper: 'qwen3_vl' },
    qwen3_moe: {
      read: readMoe,
      write: writeMoe,
      tensors: expertTensors('mlp', ['gate_proj', 'up_proj', 'down_proj']),
      className: 'Qwen3MoeForCausalLM',
    },
  },
  specialTokens: () => QWEN_SPECIAL_TOKENS,
  textTokens: { ...QWEN_TEXT_TOKENS, ...QWEN3_TEXT_TOKENS },
  presets: [
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
    variant(b30, 'Qwen3-Coder-30B-A3B', ['Qwen/Qwen3-Coder-30B-A3B-Instruct'], {
      ...coder,
      intermediate_size: 5472,
      max_window_layers: 28,
    }),
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
    r1,
    ...(
      [
        [b1, '2B'],
        [b4, '4B'],
        [b8, '8B'],
        [b32, '32B'],
      ] as const
    ).map(([of, b]) => vision(of, b)),
  ],
}
