/**
 * LLaMA 1, 2, 3: RMSNorm before each branch, RoPE, SwiGLU, no biases; grouped queries in 2-70B and from 3 on.
 * Touvron et al. 2023, arXiv 2302.13971 and 2307.09288; Llama Team 2024, arXiv 2407.21783.
 * From 3.1 on the rotation is stretched by the `llama3` rule.
 */
import type { Json } from '../../json/json.ts'
import type { Architecture, Layer } from '../architecture.ts'
import type { Described, Family } from '../families.ts'
import type { Fields } from '../fields.ts'
import { assemble, llamaConfig, llamaTensors, plainAttention, rmsNorm, sized, sizesFromConfig, swiglu, variant } from '../llama-line.ts'
import type { Preset } from '../presets.ts'
import { ropeFromConfig } from '../rope-config.ts'

function read(config: Fields): Described {
  config.refuse('hidden_act', 'the gate of this model type is SiLU', 'silu')
  const sizes = sizesFromConfig(config)
  const layer: Layer = {
    placement: 'pre',
    norm: rmsNorm(config),
    attention: plainAttention(config, sizes, ropeFromConfig(config, sizes.headDim, 10000)),
    feedForward: swiglu(config, config.flag('mlp_bias', false)),
  }
  return assemble(config, sizes, () => structuredClone(layer))
}

function write(a: Architecture): Json {
  const { feedForward } = a.layers[0]!
  return { ...llamaConfig(a), mlp_bias: feedForward.kind === 'gated' && feedForward.bias, pretraining_tp: 1 }
}

const first = 'Touvron et al. 2023, arXiv 2302.13971, Table 2'
const one = {
  model_type: 'llama',
  hidden_act: 'silu',
  tie_word_embeddings: false,
  vocab_size: 32000,
  max_position_embeddings: 2048,
  rms_norm_eps: 1e-6,
  torch_dtype: 'float16',
  bos_token_id: 1,
  eos_token_id: 2,
}
const second = 'Touvron et al. 2023, arXiv 2307.09288; config.json of the repository'
const two = { ...one, max_position_embeddings: 4096, rms_norm_eps: 1e-5 }
const third = 'Llama Team 2024, arXiv 2407.21783, Table 3; config.json of the repository'
const three = {
  ...one,
  vocab_size: 128256,
  max_position_embeddings: 8192,
  rope_theta: 500000,
  rms_norm_eps: 1e-5,
  torch_dtype: 'bfloat16',
  bos_token_id: 128000,
  eos_token_id: 128001,
}
const stretched = (factor: number) => ({
  max_position_embeddings: 131072,
  rope_scaling: { rope_type: 'llama3', factor, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 },
})

/** The instruct models end a turn and a call of a tool at tokens of their own. */
const chat = { eos_token_id: [128001, 128008, 128009] }
const instruct = (of: Preset): Preset =>
  variant(
    of,
    `${of.name}-Instruct`,
    of.repositories.map((id) => `${id}-Instruct`),
    chat,
  )
const deepseek = 'DeepSeek-AI 2025, arXiv 2501.12948; config.json of the repository'
const smol = (b: string, sizes: Parameters<typeof sized>[3], theta: number): Preset[] => {
  const base = sized(
    `SmolLM2-${b}`,
    [`HuggingFaceTB/SmolLM2-${b}`],
    'Allal et al. 2025, arXiv 2502.02737; config.json of the repository',
    sizes,
    {
      ...three,
      vocab_size: 49152,
      rope_theta: theta,
      tie_word_embeddings: true,
      bos_token_id: 0,
      eos_token_id: 0,
    },
  )
  return [base, variant(base, `${base.name}-Instruct`, [`HuggingFaceTB/${base.name}-Instruct`], { bos_token_id: 1, eos_token_id: 2 })]
}

const llama3b8 = sized('Llama-3-8B', ['meta-llama/Meta-Llama-3-8B'], third, [4096, 14336, 32, 32, 8, 128], three)
const llama3b70 = sized('Llama-3-70B', ['meta-llama/Meta-Llama-3-70B'], third, [8192, 28672, 80, 64, 8, 128], three)
const long = (b: string) => [`meta-llama/Llama-3.1-${b}`, `meta-llama/Meta-Llama-3.1-${b}`]
const b8 = variant(llama3b8, 'Llama-3.1-8B', long('8B'), stretched(8))
const b70 = variant(llama3b70, 'Llama-3.1-70B', long('70B'), stretched(8))
const b405 = sized('Llama-3.1-405B', long('405B'), third, [16384, 53248, 126, 128, 8, 128], { ...three, ...stretched(8) })
const small = { ...three, ...stretched(32), tie_word_embeddings: true }
const b1 = sized('Llama-3.2-1B', ['meta-llama/Llama-3.2-1B'], third, [2048, 8192, 16, 32, 8, 64], small)
const b3 = sized('Llama-3.2-3B', ['meta-llama/Llama-3.2-3B'], third, [3072, 8192, 28, 24, 8, 128], small)

function specialTokens({ vocabSize }: { vocabSize: number }): Record<number, string> {
  if (vocabSize === 49_152) return { 0: '<|endoftext|>', 1: '<|im_start|>', 2: '<|im_end|>' } // SmolLM2
  if (vocabSize < 128_256) return { 0: '<unk>', 1: '<s>', 2: '</s>' } // Llama 1 and 2
  return {
    128000: '<|begin_of_text|>',
    128001: '<|end_of_text|>',
    128006: '<|start_header_id|>',
    128007: '<|end_header_id|>',
    128008: '<|eom_id|>',
    128009: '<|eot_id|>',
  }
}

export const llama: Family = {
  modelTypes: {
    llama: { read, write, tensors: llamaTensors(), className: 'LlamaForCausalLM', defaults: { max_position_embeddings: 2048 } },
  },
  specialTokens,
  beginsTexts: true,
  presets: [
    sized('Llama-1-7B', [], first, [4096, 11008, 32, 32, 32, 128], one),
    sized('Llama-1-13B', [], first, [5120, 13824, 40, 40, 40, 128], one),
    sized('Llama-1-33B', [], first, [6656, 17920, 60, 52, 52, 128], { ...one, rms_norm_eps: 1e-5 }),
    sized('Llama-1-65B', [], first, [8192, 22016, 80, 64, 64, 128], { ...one, rms_norm_eps: 1e-5 }),
    sized('Llama-2-7B', ['meta-llama/Llama-2-7b-hf', 'meta-llama/Llama-2-7b-chat-hf'], second, [4096, 11008, 32, 32, 32, 128], two),
    sized('Llama-2-13B', ['meta-llama/Llama-2-13b-hf', 'meta-llama/Llama-2-13b-chat-hf'], second, [5120, 13824, 40, 40, 40, 128], two),
    sized('Llama-2-70B', ['meta-llama/Llama-2-70b-hf', 'meta-llama/Llama-2-70b-chat-hf'], second, [8192, 28672, 80, 64, 8, 128], two),
    llama3b8,
    llama3b70,
    ...[b8, b70, b405, b1, b3].flatMap((size) => [size, instruct(size)]),
    variant(
      b70,
      'Llama-3.3-70B-Instruct',
      ['meta-llama/Llama-3.3-70B-Instruct'],
      chat,
      'Meta 2024, Llama 3.3; config.json of the repository',
    ),
    variant(b8, 'DeepSeek-R1-Distill-Llama-8B', ['deepseek-ai/DeepSeek-R1-Distill-Llama-8B'], {}, deepseek),
    variant(b70, 'DeepSeek-R1-Distill-Llama-70B', ['deepseek-ai/DeepSeek-R1-Distill-Llama-70B'], {}, deepseek),
    ...smol('135M', [576, 1536, 30, 9, 3, 64], 100000),
    ...smol('360M', [960, 2560, 32, 15, 5, 64], 100000),
    ...smol('1.7B', [2048, 8192, 24, 32, 32, 64], 130000),
  ],
}
