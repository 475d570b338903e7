/**
 * Mistral 7B (a window of 4,096 in every layer) and Mixtral 8x7B (eight experts, two per token, no window).
 * Jiang et al. 2023, arXiv 2310.06825; Jiang et al. 2024, arXiv 2401.04088. Mixtral's router takes the softmax over all
 * experts and renormalises the best two, which equals the softmax over the best two.
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
  sizesFromConfig,
  swiglu,
  variant,
  windows,
} from '../llama-line.ts'
import type { Preset } from '../presets.ts'
import { ropeFromConfig } from '../rope-config.ts'

function readMistral(config: Fields): Described {
  // A file without the key means the first release; one that says null (v0.2 and later) means no window.
  const window = config.mentions('sliding_window') ? config.optionalSize('sliding_window') : 4096
  return read(config, 10000, window, swiglu(config))
}

function readMixtral(config: Fields): Described {
  const experts = config.size('num_local_experts')
  return read(config, undefined, config.optionalSize('sliding_window'), {
    kind: 'moe',
    experts,
    expertsPerToken: expertsPerToken(config, experts),
    intermediateSize: config.size('intermediate_size'),
    activation: { kind: 'swiglu' },
    bias: false,
    router: { kind: 'topkSoftmax', bias: false, auxLossCoef: config.notNegative('router_aux_loss_coef', 0.001) },
  })
}

function read(config: Fields, theta: number | undefined, window: number | null, feedForward: FeedForward): Described {
  config.refuse('hidden_act', 'the gate of this model type is SiLU', 'silu')
  const sizes = sizesFromConfig(config)
  const types = config.layerTypes(sizes.layers)
  if (types?.includes('sliding') && !window)
    config.fail('sliding_window', 'missing; expected a positive integer, because layer_types names sliding layers')
  const attention = plainAttention(config, sizes, ropeFromConfig(config, sizes.headDim, theta))
  const norm = rmsNorm(config)
  return assemble(config, sizes, (index) => {
    return { placement: 'pre', norm, attention: { ...attention, slidingWindow: types?.[index] === 'full' ? null : window }, feedForward }
  })
}

const writeMistral = (a: Architecture): Json => ({ ...llamaConfig(a), ...windows(a) })

function writeMixtral(a: Architecture): Json {
  const moe = firstMoe(a)
  return { ...writeMistral(a), ...mixtureConfig(a), intermediate_size: moe?.intermediateSize, num_local_experts: moe?.experts }
}

const common = {
  hidden_act: 'silu',
  hidden_size: 4096,
  intermediate_size: 14336,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  head_dim: 128,
  vocab_size: 32000,
  max_position_embeddings: 32768,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: false,
  torch_dtype: 'bfloat16',
  bos_token_id: 1,
  eos_token_id: 2,
}

const v1: Preset = {
  name: 'Mistral-7B-v0.1',
  repositories: ['mistralai/Mistral-7B-v0.1', 'mistralai/Mistral-7B-Instruct-v0.1'],
  config: { ...common, model_type: 'mistral', rope_theta: 10000, sliding_window: 4096 },
  source: 'Jiang et al. 2023, arXiv 2310.06825, Table 1; config.json of the repository',
}

const nemo: Preset = {
  name: 'Mistral-Nemo-12B',
  repositories: ['mistralai/Mistral-Nemo-Base-2407', 'mistralai/Mistral-Nemo-Instruct-2407'],
  config: {
    ...v1.config,
    hidden_size: 5120,
    num_hidden_layers: 40,
    max_position_embeddings: 131072,
    rope_theta: 1000000,
    sliding_window: null,
    vocab_size: 131072,
  },
  source: 'Mistral AI and NVIDIA 2024, Mistral NeMo; config.json of the repository',
}
const small: Preset = {
  name: 'Mistral-Small',
  repositories: [],
  config: { ...nemo.config, intermediate_size: 32768, max_position_embeddings: 32768, rope_theta: 100000000 },
  source: 'Mistral AI 2025, Mistral Small 3; config.json of the repository',
}

export const mistral: Family = {
  modelTypes: {
    mistral: { read: readMistral, write: writeMistral, tensors: llamaTensors(), className: 'MistralForCausalLM', wrapper: 'mistral3' },
    mixtral: {
      read: readMixtral,
      write: writeMixtral,
      tensors: expertTensors('block_sparse_moe', ['w1', 'w3', 'w2']),
      className: 'MixtralForCausalLM',
    },
  },
  specialTokens: () => ({ 0: '<unk>', 1: '<s>', 2: '</s>' }),
  beginsTexts: true,
  presets: [
    v1,
    variant(v1, 'Mistral-7B-v0.3', ['mistralai/Mistral-7B-v0.3', 'mistralai/Mistral-7B-Instruct-v0.3'], {
      vocab_size: 32768,
      rope_theta: 1000000,
      sliding_window: null,
    }),
    nemo,
    variant(small, 'Mistral-Small-24B-2501', ['mistralai/Mistral-Small-24B-Base-2501', 'mistralai/Mistral-Small-24B-Instruct-2501'], {}),
    variant(
      small,
      'Mistral-Small-3.1-24B',
      [
        'mistralai/Mistral-Small-3.1-24B-Base-2503',
        'mistralai/Mistral-Small-3.1-24B-Instruct-2503',
        'mistralai/Mistral-Small-3.2-24B-Instruct-2506',
      ],
      { max_position_embeddings: 131072, rope_theta: 1000000000 },
      'Mistral AI 2025, Mistral Small 3.1 and 3.2; text part of the config.json of the repository',
    ),
    {
      name: 'Mixtral-8x7B-v0.1',
      repositories: ['mistralai/Mixtral-8x7B-v0.1', 'mistralai/Mixtral-8x7B-Instruct-v0.1'],
      config: {
        ...common,
        model_type: 'mixtral',
        num_local_experts: 8,
        num_experts_per_tok: 2,
        rope_theta: 1000000,
        router_aux_loss_coef: 0.02,
        sliding_window: null,
      },
      source: 'Jiang et al. 2024, arXiv 2401.04088, Table 1; config.json of the repository',
    },
  ],
}
