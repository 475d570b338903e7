/**
 * SmolLM3: the LLaMA line with tied embeddings and no rotation in every fourth layer (NoPE).
 * Hugging Face 2025, "SmolLM3: smol, multilingual, long-context reasoner". `no_rope_layers` has a 1 for a layer that rotates and a 0 for
 * one that does not. SmolLM 1 and 2 are plain LLaMA models.
 */
import { isInteger } from '../../json/fields.ts'
import type { Json } from '../../json/json.ts'
import type { Architecture } from '../architecture.ts'
import type { Described, Family } from '../families.ts'
import type { Fields } from '../fields.ts'
import { assemble, llamaConfig, llamaTensors, plainAttention, rmsNorm, sized, sizesFromConfig, swiglu } from '../llama-line.ts'
import { ropeFromConfig } from '../rope-config.ts'
import { windowOf } from '../slots.ts'
import { qwenWindows, qwenWindowsToConfig } from './qwen3.ts'

function read(config: Fields): Described {
  config.refuse('hidden_act', 'the gate of this model type is SiLU', 'silu')
  const sizes = sizesFromConfig(config)
  const attention = plainAttention(config, sizes, ropeFromConfig(config, sizes.headDim, 2000000))
  const [norm, feedForward] = [rmsNorm(config), swiglu(config, config.flag('mlp_bias', false))]
  const rotates = rotatingLayers(config, sizes.layers)
  // Without layer_types only the layers that do not rotate slide.
  const window =
    config.has('layer_types') || !config.flag('use_sliding_window', false)
      ? qwenWindows(config, sizes.layers)
      : slidingUnless(config, rotates)
  return assemble(config, sizes, (index) => {
    const position = rotates(index) ? attention.position : ({ kind: 'none' } as const)
    return { placement: 'pre', norm, attention: { ...attention, position, slidingWindow: window(index) }, feedForward }
  })
}

function slidingUnless(config: Fields, rotates: (layer: number) => boolean): (layer: number) => number | null {
  const window = config.optionalSize('sliding_window')
  return (layer) => (rotates(layer) ? null : window)
}

function rotatingLayers(config: Fields, layers: number): (layer: number) => boolean {
  if (!config.has('no_rope_layers')) {
    const interval = config.size('no_rope_layer_interval', 4)
    return (layer) => (layer + 1) % interval !== 0
  }
  const flags = config.array('no_rope_layers')
  if (flags.length !== layers) config.fail('no_rope_layers', `expected ${layers} entries (one per layer), got ${flags.length}`)
  flags.forEach((flag, layer) => {
    if (!isInteger(flag, 0, 1)) config.expected(`no_rope_layers[${layer}]`, '1 (rotates) or 0', flag)
  })
  return (layer) => flags[layer] === 1
}

function write(a: Architecture): Json {
  const { feedForward } = a.layers[0]!
  const windows = qwenWindowsToConfig(a)
  const types = a.layers.map((layer) => (windowOf(layer) === null ? 'full_attention' : 'sliding_attention'))
  return {
    ...llamaConfig(a),
    ...windows,
    layer_types: types,
    mlp_bias: feedForward.kind === 'gated' && feedForward.bias,
    no_rope_layers: a.layers.map(({ attention }) => (attention.position.kind === 'none' ? 0 : 1)),
  }
}

export const smollm3: Family = {
  modelTypes: { smollm3: { read, write, tensors: llamaTensors(), className: 'SmolLM3ForCausalLM' } },
  specialTokens: () => ({ 128000: '<|begin_of_text|>', 128001: '<|end_of_text|>', 128011: '<|im_start|>', 128012: '<|im_end|>' }),
  textTokens: { 128002: '<think>', 128003: '</think>' },
  presets: [
    sized(
      'SmolLM3-3B',
      ['HuggingFaceTB/SmolLM3-3B'],
      'Hugging Face 2025, SmolLM3; config.json of the repository',
      [2048, 11008, 36, 16, 4, 128],
      {
        model_type: 'smollm3',
        bos_token_id: 128000,
        eos_token_id: 128012,
        hidden_act: 'silu',
        max_position_embeddings: 65536,
        no_rope_layer_interval: 4,
        rms_norm_eps: 1e-6,
        rope_theta: 5000000,
        tie_word_embeddings: true,
        torch_dtype: 'bfloat16',
        use_sliding_window: false,
        vocab_size: 128256,
      },
    ),
  ],
}
