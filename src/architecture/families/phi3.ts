/**
 * Phi-3 and Phi-4: the LLaMA line with q, k, v in one matrix and gate, up in one. Abdin et al. 2024, arXiv 2404.14219 and 2412.08905.
 * The long models stretch the rotation by LongRoPE (Ding et al. 2024, arXiv 2402.13753); Phi-4-mini rotates three quarters of a head.
 */
import type { Json } from '../../json/json.ts'
import type { Architecture } from '../architecture.ts'
import type { Described, Family } from '../families.ts'
import type { Fields } from '../fields.ts'
import { assemble, llamaConfig, llamaTensors, plainAttention, rmsNorm, sized, sizesFromConfig, swiglu, windows } from '../llama-line.ts'
import { fused, type Recipe, type TensorTable } from '../recipes.ts'
import { ropeFromConfig } from '../rope-config.ts'

function read(config: Fields): Described {
  config.refuse('hidden_act', 'the gate of this model type is SiLU', 'silu')
  config.refuse('attention_bias', 'the projections of this model type have no biases')
  const sizes = sizesFromConfig(config)
  const attention = {
    ...plainAttention(config, sizes, ropeFromConfig(config, sizes.headDim, 10000)),
    slidingWindow: config.optionalSize('sliding_window'),
  }
  const [norm, feedForward] = [rmsNorm(config), swiglu(config)]
  const described = assemble(config, sizes, () => structuredClone({ placement: 'pre', norm, attention, feedForward }))
  const dropout = { ...described.dropout, embedding: config.probability('embd_pdrop', 0), residual: config.probability('resid_pdrop', 0) }
  return { ...described, dropout }
}

const write = (a: Architecture): Json => ({
  ...llamaConfig(a),
  ...windows(a),
  embd_pdrop: a.dropout.embedding,
  resid_pdrop: a.dropout.residual,
})

const llama = llamaTensors()
const tensors: TensorTable = {
  ...llama,
  inLayer(architecture, layer, at) {
    const { q, k, v } = fused(architecture, layer)
    const width = architecture.layers[layer]!.feedForward.intermediateSize
    const rows = (tensor: string, slice: { from: number; total: number }): Recipe => ({ form: 'asStored', tensor: at(tensor), slice })
    return {
      ...llama.inLayer(architecture, layer, at),
      'attention.q': rows('self_attn.qkv_proj.weight', q),
      'attention.k': rows('self_attn.qkv_proj.weight', k),
      'attention.v': rows('self_attn.qkv_proj.weight', v),
      'feedForward.gate': rows('mlp.gate_up_proj.weight', { from: 0, total: 2 * width }),
      'feedForward.up': rows('mlp.gate_up_proj.weight', { from: width, total: 2 * width }),
    }
  },
}

const common = {
  model_type: 'phi3',
  attention_bias: false,
  embd_pdrop: 0,
  hidden_act: 'silu',
  resid_pdrop: 0,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: false,
  torch_dtype: 'bfloat16',
}
// Of Phi-4-mini, for 48 pairs.
const LONG_FACTORS = [
  1, 1.118320672, 1.250641126, 1.398617824, 1.564103225, 1.74916897, 1.956131817, 2.187582649, 2.446418898, 2.735880826, 3.059592084,
  3.421605075, 3.826451687, 4.279200023, 4.785517845, 5.351743533, 5.984965424, 6.693110555, 7.485043894, 8.370679318, 9.36110372,
  10.4687158, 11.70738129, 13.09260651, 14.64173252, 16.37415215, 18.31155283, 20.47818807, 22.90118105, 25.61086418, 28.64115884, 32.03,
  32.1, 32.13, 32.23, 32.6, 32.61, 32.64, 32.66, 32.7, 32.71, 32.93, 32.97, 33.28, 33.49, 33.5, 44.16, 47.77,
]

function specialTokens({ vocabSize }: { vocabSize: number }): Record<number, string> {
  if (vocabSize < 100_000)
    return { 0: '<unk>', 1: '<s>', 2: '</s>', 32000: '<|endoftext|>', 32001: '<|assistant|>', 32007: '<|end|>', 32010: '<|user|>' }
  if (vocabSize < 199_999) return { 100257: '<|endoftext|>', 100264: '<|im_start|>', 100265: '<|im_end|>', 100266: '<|im_sep|>' }
  return { 199999: '<|endoftext|>', 200019: '<|assistant|>', 200020: '<|end|>', 200021: '<|user|>', 200022: '<|system|>' }
}

export const phi3: Family = {
  modelTypes: { phi3: { read, write, tensors, className: 'Phi3ForCausalLM' } },
  specialTokens,
  presets: [
    sized(
      'Phi-3-mini-4k',
      ['microsoft/Phi-3-mini-4k-instruct'],
      'Abdin et al. 2024, arXiv 2404.14219; config.json of the repository',
      [3072, 8192, 32, 32, 32, 96],
      {
        ...common,
        bos_token_id: 1,
        eos_token_id: 32000,
        max_position_embeddings: 4096,
        original_max_position_embeddings: 4096,
        rope_theta: 10000,
        sliding_window: 2047,
        vocab_size: 32064,
      },
    ),
    sized(
      'Phi-4',
      ['microsoft/phi-4'],
      'Abdin et al. 2024, arXiv 2412.08905; config.json of the repository',
      [5120, 17920, 40, 40, 10, 128],
      {
        ...common,
        bos_token_id: 100257,
        eos_token_id: [100257, 100265],
        max_position_embeddings: 16384,
        original_max_position_embeddings: 16384,
        rope_theta: 250000,
        sliding_window: null,
        vocab_size: 100352,
      },
    ),
    sized(
      'Phi-4-mini',
      ['microsoft/Phi-4-mini-instruct'],
      'Microsoft 2025, arXiv 2503.01743; config.json of the repository',
      [3072, 8192, 32, 24, 8, 128],
      {
        ...common,
        bos_token_id: 199999,
        eos_token_id: [200020, 199999],
        max_position_embeddings: 131072,
        original_max_position_embeddings: 4096,
        partial_rotary_factor: 0.75,
        rope_theta: 10000,
        rope_scaling: { type: 'longrope', short_factor: LONG_FACTORS.map(() => 1), long_factor: LONG_FACTORS },
        sliding_window: 262144,
        tie_word_embeddings: true,
        vocab_size: 200064,
      },
    ),
  ],
}
