/**
 * Rotary frequencies of an architecture, in f64: plain (Su et al. 2021), linear, YaRN (Peng et al.
 * 2023, by parts), LongRoPE (Ding et al. 2024) and Llama 3's smoothed scaling. Only the frequencies; rotating is an op.
 */
import type { Architecture, Rope, RopeScaling } from '../architecture/architecture.ts'
import { hasHeads, rotatedHeadDim } from '../architecture/slots.ts'
import type { Rotation } from '../ops/ops.ts'

const known = new WeakMap<Architecture, Partial<Record<'short' | 'long', (Rotation | undefined)[]>>>()

/**
 * One rotation per layer, undefined where the layer has none; layers that agree share one object. `reach` is the longest context
 * of the sequences at hand: beyond `shortContext` LongRoPE takes its long factors, for all positions.
 */
export function rotations(architecture: Architecture, reach: () => number): (Rotation | undefined)[] {
  const kinds = known.get(architecture) ?? {}
  known.set(architecture, kinds)
  const short = shortContext(architecture)
  const kind = short === Number.POSITIVE_INFINITY || reach() <= short ? 'short' : 'long'
  kinds[kind] ??= rotationsOf(architecture, kind === 'long')
  return kinds[kind]
}

/** The longest context that keeps the short factors of LongRoPE; infinite without LongRoPE. */
export function shortContext({ layers }: Architecture): number {
  const all = layers.map(({ attention: { position } }) => {
    return position.kind === 'rope' && position.scaling.kind === 'longrope'
      ? position.scaling.originalMaxPositionEmbeddings
      : Number.POSITIVE_INFINITY
  })
  return Math.min(...all)
}

function rotationsOf({ layers }: Architecture, long: boolean): (Rotation | undefined)[] {
  const shared = new Map<string, Rotation>()
  return layers.map(({ attention }) => {
    const { position } = attention
    if (position.kind === 'none' || !hasHeads(attention)) return undefined
    const headDim = rotatedHeadDim(attention)
    const key = JSON.stringify([position, headDim])
    if (!shared.has(key)) shared.set(key, rotation(headDim, position, long))
    return shared.get(key)
  })
}

/** The rotation of heads of `headDim`: R/2 inverse frequencies after scaling, and the factor on cos and sin. */
export function rotation(headDim: number, { rotaryDim, pairing, ropeTheta, scaling }: Rope, long = false): Rotation {
  const plain = Float64Array.from({ length: rotaryDim / 2 }, (_, i) => ropeTheta ** ((-2 * i) / rotaryDim))
  const [inverseFrequencies, amplitude] = scaled(plain, rotaryDim, ropeTheta, scaling, long)
  return { headDim, rotaryDim, pairing, inverseFrequencies, amplitude }
}

function scaled(
  plain: Float64Array,
  rotaryDim: number,
  theta: number,
  scaling: RopeScaling,
  long: boolean,
): [frequencies: Float64Array, amplitude: number] {
  switch (scaling.kind) {
    case 'none':
      return [plain, 1]
    case 'linear':
      return [plain.map((f) => f / scaling.factor), 1]
    case 'yarn': {
      const { factor, attentionFactor } = scaling
      const [low, high] = yarnBounds(rotaryDim, theta, scaling)
      const blended = plain.map((f, i) => {
        const ramp = Math.min(1, Math.max(0, (i - low) / (high - low))) // 0: keep, 1: interpolate
        return (1 - ramp) * f + (ramp * f) / factor
      })
      return [blended, attentionFactor ?? (factor <= 1 ? 1 : 0.1 * Math.log(factor) + 1)]
    }
    case 'longrope': {
      const factors = long ? scaling.longFactor : scaling.shortFactor
      return [plain.map((f, i) => f / factors[i]!), scaling.attentionFactor]
    }
    case 'llama3': {
      const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings: original } = scaling
      const smoothed = plain.map((f) => {
        const turns = (original * f) / (2 * Math.PI) // rotations within the original context
        if (turns < lowFreqFactor) return f / factor
        if (turns > highFreqFactor) return f
        const smooth = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor)
        return ((1 - smooth) * f) / factor + smooth * f
      })
      return [smoothed, 1]
    }
  }
}

/** The two pair indices between which YaRN blends; real numbers unless `truncate`. */
export function yarnBounds(rotaryDim: number, theta: number, scaling: Extract<RopeScaling, { kind: 'yarn' }>): [number, number] {
  const { originalMaxPositionEmbeddings: original, betaFast, betaSlow, truncate } = scaling
  const pairWithTurns = (turns: number) => (rotaryDim * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(theta))
  let low = pairWithTurns(betaFast)
  let high = pairWithTurns(betaSlow)
  if (truncate) {
    low = Math.floor(low)
    high = Math.ceil(high)
  }
  low = Math.max(low, 0)
  high = Math.min(high, rotaryDim - 1)
  return low === high ? [low, high + 0.001] : [low, high]
}
