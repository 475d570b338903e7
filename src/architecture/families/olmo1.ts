/**
 * OLMo 1: Llama with LayerNorms that have no parameters, and in some sizes values of q, k and v held to a range.
 * Groeneveld et al. 2024, arXiv 2402.00838, section 2.1; config.json of allenai/OLMo-1B-hf and OLMo-7B-hf.
 */
import type { Json } from '../../json/json.ts'
import type { Architecture, Layer, Norm } from '../architecture.ts'
import type { Described, Family } from '../families.ts'
import type { Fields } from '../fields.ts'
import { assemble, llamaConfig, llamaTensors, plainAttention, sizesFromConfig, swiglu } from '../llama-line.ts'
import type { Preset } from '../presets.ts'
import { ropeFromConfig } from '../rope-config.ts'
import { multiHeadOf } from '../slots.ts'

/** The files do not say it: transformers' modeling_olmo.py. */
const NORM: Norm = { kind: 'plainLayerNorm', eps: 1e-5 }

function read(config: Fields): Described {
  config.refuse('hidden_act', 'the gate of this model type is SiLU', 'silu')
  const sizes = sizesFromConfig(config)
  const layer: Layer = {
    placement: 'pre',
    norm: NORM,
    attention: {
      ...plainAttention(config, sizes, ropeFromConfig(config, sizes.headDim, 10000)),
      qkvClip: config.optionalPositive('clip_qkv') ?? undefined,
    },
    feedForward: swiglu(config),
  }
  return assemble(config, sizes, () => structuredClone(layer), NORM)
}

function write(a: Architecture): Json {
  const { rms_norm_eps: _, ...config } = llamaConfig(a)
  return { ...config, clip_qkv: multiHeadOf(a).qkvClip ?? null }
}

const make = (b: string, hidden: number, layers: number, heads: number, intermediate: number, tied: boolean): Preset => ({
  name: `OLMo-${b}`,
  repositories: [`allenai/OLMo-${b}-hf`],
  config: {
    model_type: 'olmo',
    attention_bias: false,
    clip_qkv: null,
    eos_token_id: 50279,
    hidden_act: 'silu',
    hidden_size: hidden,
    intermediate_size: intermediate,
    max_position_embeddings: 2048,
    num_attention_heads: heads,
    num_hidden_layers: layers,
    num_key_value_heads: heads,
    pad_token_id: 1,
    rope_theta: 10000,
    tie_word_embeddings: tied,
    torch_dtype: 'float32',
    vocab_size: 50304,
  },
  source: 'Groeneveld et al. 2024, arXiv 2402.00838, Table 1; config.json of the repository',
})

export const olmo1: Family = {
  modelTypes: { olmo: { read, write, tensors: llamaTensors(), className: 'OlmoForCausalLM' } },
  specialTokens: () => ({ 1: '<|padding|>', 50279: '<|endoftext|>' }),
  presets: [make('1B', 2048, 16, 16, 8192, true), make('7B', 4096, 32, 32, 11008, false)],
}
