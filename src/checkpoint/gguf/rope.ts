/** The stretch of the rotation in the metadata of a GGUF file, and in its tensors of divisors, as `rope_scaling` of config.json. */
import type { RopeScaling } from '../../architecture/architecture.ts'
import type { Json } from '../../json/json.ts'
import type { MetadataFields } from './metadata.ts'

/** Divisors of the rotation by pair, read from the file's tensors `rope_….weight`. */
export interface RopeFactors {
  /** Of `rope_freqs`: the stretch of Llama 3. */
  readonly freqs?: readonly number[]
  readonly long?: readonly number[]
  readonly short?: readonly number[]
}

/** `rope_scaling` of config.json. */
export function ropeScaling(fields: MetadataFields, factors: RopeFactors, modelType: string): Json | null {
  const context = fields.required('context_length')
  const original = fields.number('rope.scaling.original_context_length')
  if (factors.long && factors.short) {
    const attention = fields.number('rope.scaling.attn_factor')
    return {
      rope_type: 'longrope',
      long_factor: factors.long,
      short_factor: factors.short,
      original_max_position_embeddings: original ?? context,
      attention_factor: attention,
    }
  }
  if (factors.freqs) return llama3Scaling(fields, factors.freqs, context)
  // llama.cpp takes a factor without a type as linear, and 0 as no stretch.
  const type = fields.text('rope.scaling.type') ?? 'linear'
  const factor = (fields.number('rope.scaling.factor') ?? fields.number('rope.scale_linear')) || 1
  switch (type) {
    case 'none':
      return null
    case 'linear':
      return factor === 1 ? null : { rope_type: 'linear', factor }
    case 'yarn': {
      const attention = fields.number('rope.scaling.yarn_attn_factor')
      return {
        rope_type: 'yarn',
        factor,
        original_max_position_embeddings: original ?? context / factor,
        beta_fast: fields.number('rope.scaling.yarn_beta_fast') ?? 32,
        beta_slow: fields.number('rope.scaling.yarn_beta_slow') ?? 1,
        // The files do not say it, but the one family with unrounded borders is known.
        truncate: modelType !== 'gpt_oss',
        // Converters write two published fields here: `attention_factor`, the whole factor, and `attn_factor`, which multiplies it.
        ...logMultiplier(fields, modelType),
        ...(attention === undefined ? {} : attention < 1 ? { attn_factor: attention } : { attention_factor: attention }),
      }
    }
    default:
      return fields.fail('rope.scaling.type', 'none, linear, yarn or longrope', type)
  }
}

/** DeepSeek's two factors, of which files hold one, as a tenth. Published models have both alike. */
function logMultiplier(fields: MetadataFields, modelType: string): Json {
  const tenth = fields.number('rope.scaling.yarn_log_multiplier')
  if (tenth === undefined || !modelType.startsWith('deepseek')) return {}
  const mscale = Number((tenth * 10).toPrecision(6))
  return { mscale, mscale_all_dim: mscale }
}

/** Context before the stretch that all published models of Llama 3.1 to 3.3 have, and the rule's two borders. */
const LLAMA3 = { original_max_position_embeddings: 8192, low_freq_factor: 1, high_freq_factor: 4 }

/** What the rule of Llama 3 divides the rotation of each pair by. */
export function llama3Divisors(
  pairs: number,
  theta: number,
  { factor, lowFreqFactor: low, highFreqFactor: high, originalMaxPositionEmbeddings: original }: Omit<Llama3, 'kind'>,
): number[] {
  return Array.from({ length: pairs }, (_, pair) => {
    const length = 2 * Math.PI * theta ** (pair / pairs)
    const smooth = Math.min(1, Math.max(0, (original / length - low) / (high - low)))
    return 1 / ((1 - smooth) / factor + smooth)
  })
}

type Llama3 = Extract<RopeScaling, { kind: 'llama3' }>

/** The stretch of Llama 3 by its rule where the divisors follow from it, else with the divisors themselves. */
function llama3Scaling(fields: MetadataFields, freqs: readonly number[], context: number): Json | null {
  if (freqs.every((divisor) => divisor === 1)) return null
  const factor = Math.max(...freqs)
  const theta = fields.number('rope.freq_base') ?? 10000
  const rule = llama3Divisors(freqs.length, theta, {
    factor,
    lowFreqFactor: LLAMA3.low_freq_factor,
    highFreqFactor: LLAMA3.high_freq_factor,
    originalMaxPositionEmbeddings: LLAMA3.original_max_position_embeddings,
  })
  if (freqs.every((divisor, pair) => Math.abs(divisor / rule[pair]! - 1) < 1e-5)) return { rope_type: 'llama3', factor, ...LLAMA3 }
  return { rope_type: 'longrope', long_factor: freqs, short_factor: freqs, original_max_position_embeddings: context, attention_factor: 1 }
}
