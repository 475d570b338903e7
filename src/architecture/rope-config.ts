/**
 * The rotary part of a published config.json in all its spellings: `rope_theta` + `rope_scaling`, the newer
 * `rope_parameters`, and `type` for `rope_type`. YaRN: Peng et al. 2023, arXiv 2309.00071; the `llama3` form: Llama 3.1.
 */
import type { Json } from '../json/json.ts'
import type { Attention, Rope, RopeScaling } from './architecture.ts'
import { ConfigError, type Fields } from './fields.ts'

/** The rotation of (most) layers. `theta`: used for a file without `rope_theta`; undefined where files always have it. */
export function ropeFromConfig(config: Fields, headDim: number, theta?: number): Rope {
  if (config.has('rope_parameters')) {
    const parameters = config.below('rope_parameters')
    if (!parameters.has('full_attention') && !parameters.has('sliding_attention')) return fromParameters(parameters, config, headDim, theta)
  }
  const scaling = config.has('rope_scaling') ? scalingFrom(config.below('rope_scaling'), config) : ({ kind: 'none' } as const)
  return rope(config.positive('rope_theta', theta), rotaryDim(config, headDim), scaling)
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
  return rope(own, rotaryDim(part, headDim), scalingFrom(parameters, config))
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

const KINDS = { default: 'none', linear: 'linear', yarn: 'yarn', llama3: 'llama3' } as const

function scalingFrom(scaling: Fields, config: Fields): RopeScaling {
  const key = scaling.spelling('rope_type', 'type')
  const kind = scaling.choice<(typeof KINDS)[keyof typeof KINDS]>(key, KINDS)
  if (kind === 'none') return { kind }
  const factor = scaling.positive('factor')
  const original = () =>
    scaling.size('original_max_position_embeddings', config.optionalSize('original_max_position_embeddings') ?? undefined)
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

// `mscale` and `mscale_all_dim` (DeepSeek) are two logarithms whose quotient is the factor.
function yarnAttentionFactor(scaling: Fields, factor: number): number | null {
  if (scaling.has('attention_factor')) return scaling.positive('attention_factor')
  if (!scaling.has('mscale') || !scaling.has('mscale_all_dim')) return null
  const logarithm = (mscale: number) => (factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1)
  return logarithm(scaling.positive('mscale')) / logarithm(scaling.positive('mscale_all_dim'))
}

/** The fields of `ropeFromConfig`. */
export function ropeToConfig({ position, headDim }: Attention): Json {
  if (position.kind === 'none') return {}
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
