/**
 * Qwen2 and 2.5: the LLaMA line with biases on q, k and v, grouped queries, and tied embeddings in the small sizes.
 * Qwen Team 2024, arXiv 2407.10671 and 2412.15115.
 */
import type { Json } from '../../json/json.ts'
import type { Architecture } from '../architecture.ts'
import type { Described, Family } from '../families.ts'
import type { Fields } from '../fields.ts'
import { assemble, llamaConfig, llamaTensors, plainAttention, rmsNorm, sized, sizesFromConfig, swiglu, variant } from '../llama-line.ts'
import type { Preset } from '../presets.ts'
import { ropeFromConfig } from '../rope-config.ts'
import { QWEN_SPECIAL_TOKENS, QWEN_TEXT_TOKENS, qwenWindows, qwenWindowsToConfig } from './qwen3.ts'

function read(config: Fields): Described {
  config.refuse('hidden_act', 'the gate of this model type is SiLU', 'silu')
  const sizes = sizesFromConfig(config)
  const window = qwenWindows(config, sizes.layers)
  const attention = { ...plainAttention(config, sizes, ropeFromConfig(config, sizes.headDim, 10000)), qkvBias: true, outBias: false }
  const [norm, feedForward] = [rmsNorm(config), swiglu(config)]
  return assemble(config, sizes, (index) => {
    return { placement: 'pre', norm, attention: { ...attention, slidingWindow: window(index) }, feedForward }
  })
}

/** The biases are part of the model type: the file has no field for them. */
const write = (a: Architecture): Json => ({ ...llamaConfig(a), attention_bias: undefined, ...qwenWindowsToConfig(a) })

const common = {
  model_type: 'qwen2',
  bos_token_id: 151643,
  eos_token_id: 151643,
  hidden_act: 'silu',
  max_position_embeddings: 131072,
  rope_theta: 1000000,
  tie_word_embeddings: false,
  torch_dtype: 'bfloat16',
  use_sliding_window: false,
}

/** A size and its instruct model, which ends its answers at another token. */
function pair(b: string, vocabulary: number, eps: number, sizes: Parameters<typeof sized>[3], changes: Record<string, unknown>): Preset[] {
  const base = sized(
    `Qwen2.5-${b}`,
    [`Qwen/Qwen2.5-${b}`],
    'Qwen Team 2024, arXiv 2412.15115, Table 1; config.json of the repository',
    sizes,
    { ...common, max_window_layers: sizes[2], rms_norm_eps: eps, vocab_size: vocabulary, ...changes },
  )
  const instruct = { eos_token_id: 151645, max_position_embeddings: 32768, rms_norm_eps: 1e-6 }
  return [base, variant(base, `${base.name}-Instruct`, [`Qwen/${base.name}-Instruct`], instruct)]
}

const b32 = pair('32B', 152064, 1e-5, [5120, 27648, 64, 40, 8, 128], {})
const deepseek = 'DeepSeek-AI 2025, arXiv 2501.12948; config.json of the repository'
/** Qwen2.5 models that were taught by DeepSeek-R1; the two smaller ones come from Qwen2.5-Math. */
const distill = (b: string, vocabulary: number, eps: number, sizes: Parameters<typeof sized>[3], theta: number): Preset =>
  sized(`DeepSeek-R1-Distill-Qwen-${b}`, [`deepseek-ai/DeepSeek-R1-Distill-Qwen-${b}`], deepseek, sizes, {
    ...common,
    bos_token_id: 151646,
    max_window_layers: sizes[2],
    rms_norm_eps: eps,
    rope_theta: theta,
    vocab_size: vocabulary,
  })

export const qwen2: Family = {
  modelTypes: { qwen2: { read, write, tensors: llamaTensors(), className: 'Qwen2ForCausalLM' } },
  specialTokens: () => QWEN_SPECIAL_TOKENS,
  textTokens: QWEN_TEXT_TOKENS,
  presets: [
    ...pair('0.5B', 151936, 1e-6, [896, 4864, 24, 14, 2, 64], { max_position_embeddings: 32768, tie_word_embeddings: true }),
    ...pair('1.5B', 151936, 1e-6, [1536, 8960, 28, 12, 2, 128], { tie_word_embeddings: true }),
    ...pair('3B', 151936, 1e-6, [2048, 11008, 36, 16, 2, 128], { max_position_embeddings: 32768, tie_word_embeddings: true }),
    ...pair('7B', 152064, 1e-6, [3584, 18944, 28, 28, 4, 128], {}),
    ...pair('14B', 152064, 1e-5, [5120, 13824, 48, 40, 8, 128], {}),
    ...b32,
    ...pair('72B', 152064, 1e-5, [8192, 29568, 80, 64, 8, 128], {}),
    variant(
      b32[0]!,
      'QwQ-32B',
      ['Qwen/QwQ-32B'],
      { eos_token_id: 151645, max_position_embeddings: 40960 },
      'Qwen Team 2025, QwQ-32B; config.json of the repository',
    ),
    distill('1.5B', 151936, 1e-6, [1536, 8960, 28, 12, 2, 128], 10000),
    distill('7B', 152064, 1e-6, [3584, 18944, 28, 28, 4, 128], 10000),
    distill('14B', 152064, 1e-5, [5120, 13824, 48, 40, 8, 128], 1000000),
    distill('32B', 152064, 1e-5, [5120, 27648, 64, 40, 8, 128], 1000000),
  ],
}
