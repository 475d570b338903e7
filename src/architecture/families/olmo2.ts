/**
 * OLMo 2: the norms stand after attention and feed-forward, inside the residual branch; QK-norm over the full width.
 * OLMo Team 2024, arXiv 2501.00656, section 2.
 */
import type { Layer } from '../architecture.ts'
import type { Described, Family } from '../families.ts'
import type { Fields } from '../fields.ts'
import { assemble, llamaConfig, llamaTensors, plainAttention, rmsNorm, sizesFromConfig, swiglu } from '../llama-line.ts'
import type { Preset } from '../presets.ts'
import { ropeFromConfig } from '../rope-config.ts'

function read(config: Fields): Described {
  config.refuse('hidden_act', 'the gate of this model type is SiLU', 'silu')
  const sizes = sizesFromConfig(config)
  const norm = rmsNorm(config)
  const layer: Layer = {
    placement: 'post',
    norm,
    attention: {
      ...plainAttention(config, sizes, ropeFromConfig(config, sizes.headDim)),
      qkNorm: { kind: 'fullWidth', eps: norm.eps, unitOffset: false },
    },
    feedForward: swiglu(config),
  }
  return assemble(config, sizes, () => structuredClone(layer))
}

const make = (b: string, hidden: number, intermediate: number, layers: number, heads: number): Preset => ({
  name: `OLMo-2-${b}`,
  repositories: [`allenai/OLMo-2-1124-${b}`, `allenai/OLMo-2-1124-${b}-Instruct`],
  config: {
    model_type: 'olmo2',
    attention_bias: false,
    hidden_act: 'silu',
    hidden_size: hidden,
    intermediate_size: intermediate,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: heads,
    max_position_embeddings: 4096,
    rms_norm_eps: 1e-6,
    rope_theta: 500000,
    tie_word_embeddings: false,
    torch_dtype: 'float32',
    vocab_size: 100352,
    eos_token_id: 100257,
    pad_token_id: 100277,
  },
  source: 'OLMo Team 2024, arXiv 2501.00656, Table 1; config.json of the repository',
})

export const olmo2: Family = {
  modelTypes: { olmo2: { read, write: llamaConfig, tensors: llamaTensors(), className: 'Olmo2ForCausalLM' } },
  specialTokens: () => ({ 100257: '<|endoftext|>', 100277: '<|pad|>' }),
  presets: [make('7B', 4096, 11008, 32, 32), make('13B', 5120, 13824, 40, 40)],
}
