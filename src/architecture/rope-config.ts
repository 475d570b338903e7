/**
 * The rotary part of a published config.json in all its spellings: `rope_theta` + `rope_scaling`, the newer
 * `rope_parameters`, and `type` for `rope_type`. YaRN: Peng et al. 2023, arXiv 2309.00071; the `llama3` form: Llama 3.1;
 * LongRoPE: Ding et al. 2024, arXiv 2402.13753, first published as `su`.
 */
import type { Json } from '../json/json.ts'
import type { Attention, Rope, RopeScaling } from './architecture.ts'
import { ConfigError, type Fields } from './fields.ts'
import { hasHeads, rotatedHeadDim } from './slots.ts'

/** The rotation of (most) layers. `theta`: used for a file without `rope_theta`; undefined where files always have it. */
export function ropeFromConfig(config: Fields, headDim: number, theta?: number): Rope {
  if (config.has('rope_parameters')) {
    const parameters = config.below('rope_parameters')
    if (!parameters.has('full_attention') && !parameters.has('sliding_attention')) return fromParameters(parameters, config, headDim, theta)
  }
  const size = rotaryDim(config, headDim)
  const scaling = config.has('rope_scaling') ? scalingFrom(config.below('rope_scaling'), config, size / 2) : ({ kind: 'none' } as const)
  return rope(config.positive('rope_theta', theta), size, scaling)
}

/**
 * Separate rotations of sliding and full layers: `rope_parameters` by layer type, else one rotation for the full layers
 * and a plain one for the sliding layers with the base `slidingTheta` (Gemma 3: `rope_local_base_freq`).
 */
export function ropePairFromConfig(config: Fields, headDim: number, slidingTheta?: number): { sliding: Rope; full: Rope } {
  const parameters = config.has('rope_parameters') ? config.below('rope_parameters') : null
  if (parameters?.has('full_attention'))
    return {
      sliding: fromParameters(parameters.below('sliding_attention'), config, headDim, slidingTheta),
      full: fromParameters(parameters.below('full_attention'), config, headDim, undefined),
    }
  const full = ropeFromConfig(config, headDim)
  return { full, sliding: { ...full, ropeTheta: slidingTheta ?? full.ropeTheta, scaling: { kind: 'none' } } }
}

function fromParameters(parameters: Fields, config: Fields, headDim: number, theta: number | undefined): Rope {
  const own = parameters.has('rope_theta') ? parameters.positive('rope_theta') : config.positive('rope_theta', theta)
  const part = parameters.has('partial_rotary_factor') ? parameters : config
  const size = rotaryDim(part, headDim)
  return rope(own, size, scalingFrom(parameters, config, size / 2))
}

const rope = (ropeTheta: number, rotaryDim: number, scaling: RopeScaling): Rope => ({
  kind: 'rope',
  ropeTheta,
  rotaryDim,
  pairing: 'halves',
  scaling,
})

/** How many values of a head are rotated: an even number of at most all. */
function rotaryDim(config: Fields, headDim: number): number {
  const size = Math.floor(headDim * config.positive('partial_rotary_factor', 1))
  if (size < 2 || size > headDim || size % 2)
    config.fail('partial_rotary_factor', `expected an even part of a head of ${headDim} (rotation works on pairs), got ${size} values`)
  return size
}

const KINDS = { default: 'none', linear: 'linear', yarn: 'yarn', llama3: 'llama3', longrope: 'longrope', su: 'longrope' } as const

function scalingFrom(scaling: Fields, config: Fields, pairs: number): RopeScaling {
  const key = scaling.spelling('rope_type', 'type')
  const kind = scaling.choice<(typeof KINDS)[keyof typeof KINDS]>(key, KINDS)
  for (const unread of ['alpha', 'llama_4_scaling_beta', 'long_mscale', 'short_mscale'])
    scaling.refuse(unread, 'it changes the rotation, and nothing here reads it')
  if (kind === 'none') return { kind }
  const original = () =>
    scaling.size('original_max_position_embeddings', config.optionalSize('original_max_position_embeddings') ?? undefined)
  if (kind === 'longrope') return longRope(scaling, original(), config.size('max_position_embeddings'), pairs)
  const factor = scaling.positive('factor')
  switch (kind) {
    case 'linear':
      return { kind, factor }
    case 'yarn':
      return {
        kind,
        factor,
        originalMaxPositionEmbeddings: original(),
        betaFast: scaling.positive('beta_fast', 32),
        betaSlow: scaling.positive('beta_slow', 1),
        truncate: scaling.flag('truncate', true),
        attentionFactor: yarnAttentionFactor(scaling, factor),
      }
    case 'llama3': {
      const low = scaling.positive('low_freq_factor')
      const high = scaling.positive('high_freq_factor')
      if (high <= low) scaling.fail('high_freq_factor', `expected more than low_freq_factor (${low}), got ${high}`)
      return { kind, factor, lowFreqFactor: low, highFreqFactor: high, originalMaxPositionEmbeddings: original() }
    }
  }
}

function longRope(scaling: Fields, original: number, context: number, pairs: number): RopeScaling {
  const factors = (key: string): number[] => {
    const values = scaling.array(key)
    if (values.length !== pairs || !values.every((value) => typeof value === 'number' && Number.isFinite(value) && value > 0))
      scaling.expected(key, `${pairs} numbers above 0, one per rotated pair`, values)
    return values as number[]
  }
  const factor = scaling.positive('factor', context / original)
  return {
    kind: 'longrope',
    shortFactor: factors('short_factor'),
    longFactor: factors('long_factor'),
    originalMaxPositionEmbeddings: original,
    attentionFactor: scaling.positive('attention_factor', factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original))),
  }
}

// `mscale` and `mscale_all_dim` (DeepSeek) are two logarithms whose quotient is the factor. `attn_factor` multiplies what comes of the
// stretch: DeepSeek-R1-0528-Qwen3-8B says 1/1.1386, so cos and sin keep their length.
function yarnAttentionFactor(scaling: Fields, factor: number): number | null {
  if (scaling.has('attn_factor') && !scaling.has('attention_factor'))
    return scaling.positive('attn_factor') * (factor <= 1 ? 1 : 0.1 * Math.log(factor) + 1)
  if (scaling.has('attention_factor')) return scaling.positive('attention_factor')
  if (!scaling.raw('mscale') || !scaling.raw('mscale_all_dim')) return null // zero means absent, as in transformers
  const logarithm = (mscale: number) => (factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1)
  return logarithm(scaling.positive('mscale')) / logarithm(scaling.positive('mscale_all_dim'))
}

/** The fields of `ropeFromConfig`. */
export function ropeToConfig(slot: Attention): Json {
  const { position } = slot
  if (position.kind === 'none' || !hasHeads(slot)) return {}
  const headDim = rotatedHeadDim(slot)
  const { ropeTheta, rotaryDim, scaling } = position
  const part = rotaryDim === headDim ? {} : { partial_rotary_factor: rotaryDim / headDim }
  return { rope_theta: ropeTheta, rope_scaling: ropeScaling(scaling), ...part }
}

function ropeScaling(scaling: RopeScaling): Json | null {
  switch (scaling.kind) {
    case 'none':
      return null
    case 'linear':
      return { rope_type: 'linear', factor: scaling.factor }
    case 'yarn':
      return {
        beta_fast: scaling.betaFast,
        beta_slow: scaling.betaSlow,
        factor: scaling.factor,
        original_max_position_embeddings: scaling.originalMaxPositionEmbeddings,
        rope_type: 'yarn',
        truncate: scaling.truncate,
        ...(scaling.attentionFactor !== null && { attention_factor: scaling.attentionFactor }),
        ...(scaling.mscaleAllDim !== undefined && { mscale_all_dim: scaling.mscaleAllDim }),
      }
    case 'longrope':
      return {
        attention_factor: scaling.attentionFactor,
        long_factor: scaling.longFactor,
        original_max_position_embeddings: scaling.originalMaxPositionEmbeddings,
        rope_type: 'longrope',
        short_factor: scaling.shortFactor,
      }
    case 'llama3':
      return {
        factor: scaling.factor,
        high_freq_factor: scaling.highFreqFactor,
        low_freq_factor: scaling.lowFreqFactor,
        original_max_position_embeddings: scaling.originalMaxPositionEmbeddings,
        rope_type: 'llama3',
      }
  }
}

/** A rotation pairs dimensions, so it needs an even head. */
export function checkRotatable(config: Fields, headDim: number): void {
  if (headDim % 2) throw new ConfigError(config.file, 'head_dim', `expected an even number (rotation works on pairs), got ${headDim}`)
}
