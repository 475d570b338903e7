/**
 * Granite 3: the LLaMA line with four factors, on embeddings, scores, branches and logits (muP; Yang et al. 2022, arXiv 2203.03466).
 * IBM Granite Team 2024, "Granite 3.0 Language Models".
 */
import type { Json } from '../../json/json.ts'
import type { Architecture, Layer } from '../architecture.ts'
import type { Described, Family } from '../families.ts'
import type { Fields } from '../fields.ts'
import { assemble, llamaConfig, llamaTensors, plainAttention, rmsNorm, sized, sizesFromConfig, swiglu } from '../llama-line.ts'
import { ropeFromConfig } from '../rope-config.ts'
import { multiHeadOf } from '../slots.ts'

function read(config: Fields): Described {
  config.refuse('hidden_act', 'the gate of this model type is SiLU', 'silu')
  const sizes = sizesFromConfig(config)
  const attention = plainAttention(config, sizes, ropeFromConfig(config, sizes.headDim, 10000))
  const layer: Layer = {
    placement: 'pre',
    norm: rmsNorm(config),
    attention: { ...attention, scale: config.positive('attention_multiplier', 1) },
    feedForward: swiglu(config, config.flag('mlp_bias', false)),
  }
  return {
    ...assemble(config, sizes, () => structuredClone(layer)),
    embedding: { scale: config.positive('embedding_multiplier', 1), position: { kind: 'none' } },
    residualScale: config.positive('residual_multiplier', 1),
    logitDivisor: config.positive('logits_scaling', 1),
  }
}

function write(a: Architecture): Json {
  const { feedForward } = a.layers[0]!
  return {
    ...llamaConfig(a),
    attention_multiplier: multiHeadOf(a).scale,
    embedding_multiplier: a.embedding.scale,
    logits_scaling: a.logitDivisor,
    mlp_bias: feedForward.kind === 'gated' && feedForward.bias,
    residual_multiplier: a.residualScale,
  }
}

const source = 'IBM Granite Team 2025, Granite 3.3; config.json of the repository'
const common = {
  model_type: 'granite',
  attention_bias: false,
  bos_token_id: 0,
  embedding_multiplier: 12,
  eos_token_id: 0,
  hidden_act: 'silu',
  max_position_embeddings: 131072,
  mlp_bias: false,
  residual_multiplier: 0.22,
  rms_norm_eps: 1e-5,
  rope_theta: 10000000,
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  vocab_size: 49159,
}

export const granite: Family = {
  modelTypes: { granite: { read, write, tensors: llamaTensors(), className: 'GraniteForCausalLM' } },
  specialTokens: () => ({ 0: '<|end_of_text|>', 49152: '<|start_of_role|>', 49153: '<|end_of_role|>', 49154: '<|tool_call|>' }),
  presets: [
    sized(
      'Granite-3.3-2B',
      ['ibm-granite/granite-3.3-2b-instruct', 'ibm-granite/granite-3.3-2b-base'],
      source,
      [2048, 8192, 40, 32, 8, 64],
      {
        ...common,
        attention_multiplier: 0.015625,
        logits_scaling: 8,
      },
    ),
    sized(
      'Granite-3.3-8B',
      ['ibm-granite/granite-3.3-8b-instruct', 'ibm-granite/granite-3.3-8b-base'],
      source,
      [4096, 12800, 40, 32, 8, 128],
      {
        ...common,
        attention_multiplier: 0.0078125,
        logits_scaling: 16,
      },
    ),
  ],
}
