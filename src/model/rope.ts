/**
 * Rotary frequencies of an architecture, in f64: plain (Su et al. 2021), linear, YaRN (Peng et al. 2023, by parts) and
 * Llama 3's smoothed scaling. Only the frequencies; rotating is an op.
 */
import type { Architecture, RopeScaling } from '../architecture/architecture.ts'
import type { Rotation } from '../ops/ops.ts'

const known = new WeakMap<Architecture, (Rotation | undefined)[]>()

/** One rotation per layer, undefined where the layer has none; layers that agree share one object. */
export function rotations(architecture: Architecture): (Rotation | undefined)[] {
  let found = known.get(architecture)
  if (!found) {
    const shared = new Map<string, Rotation>()
    found = architecture.layers.map(({ attention: { position, headDim } }) => {
      if (position.kind === 'none') return undefined
      const key = JSON.stringify([position, headDim])
      if (!shared.has(key)) shared.set(key, rotation(headDim, position.ropeTheta, position.scaling))
      return shared.get(key)
    })
    known.set(architecture, found)
  }
  return found
}

/** headDim K, base theta -> K/2 inverse frequencies and the factor on cos and sin. */
export function rotation(headDim: number, theta: number, scaling: RopeScaling): Rotation {
  const plain = Float64Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim))
  switch (scaling.kind) {
    case 'none':
      return { headDim, inverseFrequencies: plain, amplitude: 1 }
    case 'linear':
      return { headDim, inverseFrequencies: plain.map((f) => f / scaling.factor), amplitude: 1 }
    case 'yarn': {
      const { factor, attentionFactor } = scaling
      const [low, high] = yarnBounds(headDim, theta, scaling)
      const inverseFrequencies = plain.map((f, i) => {
        const ramp = Math.min(1, Math.max(0, (i - low) / (high - low))) // 0: keep, 1: interpolate
        return (1 - ramp) * f + (ramp * f) / factor
      })
      return { headDim, inverseFrequencies, amplitude: attentionFactor ?? (factor <= 1 ? 1 : 0.1 * Math.log(factor) + 1) }
    }
    case 'llama3': {
      const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings: original } = scaling
      const inverseFrequencies = plain.map((f) => {
        const turns = (original * f) / (2 * Math.PI) // rotations within the original context
        if (turns < lowFreqFactor) return f / factor
        if (turns > highFreqFactor) return f
        const smooth = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor)
        return ((1 - smooth) * f) / factor + smooth * f
      })
      return { headDim, inverseFrequencies, amplitude: 1 }
    }
  }
}

/** The two pair indices between which YaRN blends; real numbers unless `truncate`. */
export function yarnBounds(headDim: number, theta: number, scaling: Extract<RopeScaling, { kind: 'yarn' }>): [number, number] {
  const { originalMaxPositionEmbeddings: original, betaFast, betaSlow, truncate } = scaling
  const pairWithTurns = (turns: number) => (headDim * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(theta))
  let low = pairWithTurns(betaFast)
  let high = pairWithTurns(betaSlow)
  if (truncate) {
    low = Math.floor(low)
    high = Math.ceil(high)
  }
  low = Math.max(low, 0)
  high = Math.min(high, headDim - 1)
  return low === high ? [low, high + 0.001] : [low, high]
}
