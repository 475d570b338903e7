/**
 * OLMo 2 and 3: the norms stand after attention and feed-forward, inside the residual branch; QK-norm over the full width.
 * OLMo 3 adds a window in three layers of four; its stretched rotation (YaRN) is that of the full layers only.
 * OLMo Team 2024, arXiv 2501.00656, section 2; OLMo Team 2025, "Olmo 3".
 */
import type { Json } from '../../json/json.ts'
import type { Architecture, Layer } from '../architecture.ts'
import type { Described, Family } from '../families.ts'
import type { Fields } from '../fields.ts'
import {
  assemble,
  llamaConfig,
  llamaTensors,
  plainAttention,
  rmsNorm,
  sized,
  sizesFromConfig,
  swiglu,
  typedWindows,
} from '../llama-line.ts'
import type { Preset } from '../presets.ts'
import { ropePairFromConfig, ropeToConfig } from '../rope-config.ts'
import { windowOf } from '../slots.ts'

const read2 = (config: Fields): Described => read(config, () => null)

function read3(config: Fields): Described {
  const types = config.layerTypes(config.layerCount('num_hidden_layers'))
  const window = config.size('sliding_window')
  return read(config, (index) => ((types ? types[index] === 'sliding' : (index + 1) % 4) ? window : null))
}

function read(config: Fields, window: (layer: number) => number | null): Described {
  config.refuse('hidden_act', 'the gate of this model type is SiLU', 'silu')
  const sizes = sizesFromConfig(config)
  const [norm, feedForward, rope] = [rmsNorm(config), swiglu(config), ropePairFromConfig(config, sizes.headDim)]
  const attention = {
    ...plainAttention(config, sizes, rope.full),
    qkNorm: { kind: 'fullWidth', eps: norm.eps, unitOffset: false } as const,
  }
  return assemble(config, sizes, (index): Layer => {
    const slidingWindow = window(index)
    const position = rope[slidingWindow === null ? 'full' : 'sliding']
    return { placement: 'post', norm, attention: { ...attention, position, slidingWindow }, feedForward }
  })
}

function write3(a: Architecture): Json {
  const full = a.layers.find((layer) => windowOf(layer) === null) ?? a.layers[0]!
  return { ...llamaConfig(a), ...ropeToConfig(full.attention), ...typedWindows(a) }
}
const common = {
  attention_bias: false,
  hidden_act: 'silu',
  rms_norm_eps: 1e-6,
  rope_theta: 500000,
  tie_word_embeddings: false,
  eos_token_id: 100257,
  pad_token_id: 100277,
}
const second = 'OLMo Team 2024, arXiv 2501.00656, Table 1; config.json of the repository'
const two = { ...common, model_type: 'olmo2', max_position_embeddings: 4096, torch_dtype: 'float32', vocab_size: 100352 }
const third = 'OLMo Team 2025, Olmo 3; config.json of the repository'
const three = {
  ...common,
  model_type: 'olmo3',
  max_position_embeddings: 65536,
  rope_scaling: {
    rope_type: 'yarn',
    factor: 8,
    beta_fast: 32,
    beta_slow: 1,
    original_max_position_embeddings: 8192,
    attention_factor: 1.2079441541679836,
  },
  sliding_window: 4096,
  torch_dtype: 'bfloat16',
  vocab_size: 100278,
}

const make2 = (b: string, sizes: Parameters<typeof sized>[3]): Preset =>
  sized(`OLMo-2-${b}`, [`allenai/OLMo-2-1124-${b}`, `allenai/OLMo-2-1124-${b}-Instruct`], second, sizes, two)

export const olmo: Family = {
  modelTypes: {
    olmo2: { read: read2, write: llamaConfig, tensors: llamaTensors(), className: 'Olmo2ForCausalLM' },
    olmo3: { read: read3, write: write3, tensors: llamaTensors(), className: 'Olmo3ForCausalLM' },
  },
  specialTokens: () => ({ 100257: '<|endoftext|>', 100277: '<|pad|>' }),
  presets: [
    make2('7B', [4096, 11008, 32, 32, 32, 128]),
    make2('13B', [5120, 13824, 40, 40, 40, 128]),
    sized(
      'OLMo-3-7B',
      ['allenai/Olmo-3-1025-7B', 'allenai/Olmo-3-7B-Instruct', 'allenai/Olmo-3-7B-Think'],
      third,
      [4096, 11008, 32, 32, 32, 128],
      three,
    ),
    sized(
      'OLMo-3-32B',
      ['allenai/Olmo-3-1125-32B', 'allenai/Olmo-3-32B-Think', 'allenai/Olmo-3.1-32B-Instruct', 'allenai/Olmo-3.1-32B-Think'],
      third,
      [5120, 27648, 64, 40, 8, 128],
      three,
    ),
  ],
}
