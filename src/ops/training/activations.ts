/**
 * GELU and the gated activations with their derivatives, over arrays whose gate and up values may be interleaved.
 */
import type { Gated, Gelu } from '../../architecture/architecture.ts'
import type { Floats } from './matmul.ts'
import { address, gradientOf, outputGradient, result, type TrainingContext, type Value } from './values.ts'

const ROOT = Math.sqrt(2 / Math.PI)
const CUBE = 0.044715

/** Complementary-error-function based erf, absolute error below 1e-15 by series or continued fraction. */
function erf(x: number): number {
  const a = Math.abs(x)
  if (a > 6) return Math.sign(x)
  if (a < 2.5) {
    let term = a
    let sum = a
    for (let n = 1; n < 80; n++) {
      term *= (-a * a) / n
      const next = term / (2 * n + 1)
      sum += next
      if (Math.abs(next) < 1e-17 * Math.abs(sum)) break
    }
    return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI)
  }
  let fraction = 0
  for (let n = 60; n > 0; n--) fraction = n / 2 / (a + fraction)
  return Math.sign(x) * (1 - Math.exp(-a * a) / ((a + fraction) * Math.sqrt(Math.PI)))
}

const geluValue = (x: number, tanh: boolean): number =>
  tanh ? 0.5 * x * (1 + Math.tanh(ROOT * (x + CUBE * x * x * x))) : 0.5 * x * (1 + erf(x * Math.SQRT1_2))

function geluSlope(x: number, tanh: boolean): number {
  if (!tanh) return 0.5 * (1 + erf(x * Math.SQRT1_2)) + (x * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI)
  const t = Math.tanh(ROOT * (x + CUBE * x * x * x))
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * ROOT * (1 + 3 * CUBE * x * x)
}

export function gelu(context: TrainingContext, x: Value, activation: Gelu): Value {
  const y = result(context, x.shape)
  const { data } = y
  const values = x.data
  const tanh = activation.approximation === 'tanh'
  if (context.kernels && tanh && data.length % 4 === 0) context.kernels.geluTanh(address(values), address(data), data.length)
  else for (let i = 0; i < data.length; i++) data[i] = geluValue(values[i]!, tanh)
  return y
}

export function geluBackward(context: TrainingContext, y: Value, x: Value, activation: Gelu): void {
  const dy = outputGradient(y)
  const dx = gradientOf(context, x)
  if (!dy || !dx) return
  const tanh = activation.approximation === 'tanh'
  const values = x.data
  if (context.kernels && tanh && dy.length % 4 === 0) context.kernels.geluTanhBackward(address(values), address(dy), address(dx), dy.length)
  else for (let i = 0; i < dy.length; i++) dx[i]! += dy[i]! * geluSlope(values[i]!, tanh)
}

/** SwiGLU and its clamped form as one formula: g·σ(alpha·g)·(u + plus). */
const sigmoidForm = (activation: Exclude<Gated, { kind: 'geglu' }>): { alpha: number; limit: number; plus: number } =>
  activation.kind === 'swiglu' ? { alpha: 1, limit: 3e38, plus: 0 } : { alpha: activation.alpha, limit: activation.limit, plus: 1 }

/** out[i] = gated(gate[gateAt + i·step], up[upAt + i·step]); step 2 for interleaved rows. */
export function gatedForward(
  context: TrainingContext,
  activation: Gated,
  gate: Floats,
  gateAt: number,
  up: Floats,
  upAt: number,
  step: 1 | 2,
  out: Floats,
): void {
  if (context.kernels && out.length % 4 === 0 && activation.kind !== 'geglu') {
    const { alpha, limit, plus } = sigmoidForm(activation)
    if (step === 2) context.kernels.gatedInterleaved(address(gate), address(out), out.length, alpha, limit, plus)
    else context.kernels.gatedSplit(address(gate), address(up), address(out), out.length, alpha, limit, plus)
    return
  }
  switch (activation.kind) {
    case 'swiglu':
      for (let i = 0; i < out.length; i++) {
        const g = gate[gateAt + i * step]!
        out[i] = (g / (1 + Math.exp(-g))) * up[upAt + i * step]!
      }
      return
    case 'clampedSwiglu': {
      const { alpha, limit } = activation
      for (let i = 0; i < out.length; i++) {
        const raw = gate[gateAt + i * step]!
        const g = Math.min(raw, limit)
        const rawUp = up[upAt + i * step]!
        const u = rawUp > limit ? limit : Math.max(rawUp, -limit)
        out[i] = (g / (1 + Math.exp(-alpha * g))) * (u + 1)
      }
      return
    }
    case 'geglu': {
      const tanh = activation.approximation === 'tanh'
      for (let i = 0; i < out.length; i++) out[i] = geluValue(gate[gateAt + i * step]!, tanh) * up[upAt + i * step]!
    }
  }
}

/** Step 1: adds to dGate and dUp. Step 2: writes the one array that holds both. */
export function gatedSlopes(
  context: TrainingContext,
  activation: Gated,
  gate: Floats,
  gateAt: number,
  up: Floats,
  upAt: number,
  step: 1 | 2,
  dOut: Floats,
  dGate: Floats,
  dUp: Floats,
): void {
  if (context.kernels && dOut.length % 4 === 0 && activation.kind !== 'geglu') {
    const { alpha, limit, plus } = sigmoidForm(activation)
    if (step === 2) context.kernels.gatedInterleavedBackward(address(gate), address(dOut), address(dGate), dOut.length, alpha, limit, plus)
    else
      context.kernels.gatedSplitBackward(
        address(gate),
        address(up),
        address(dOut),
        address(dGate),
        address(dUp),
        dOut.length,
        alpha,
        limit,
        plus,
      )
    return
  }
  if (step === 2) dGate.fill(0)
  switch (activation.kind) {
    case 'swiglu':
      for (let i = 0; i < dOut.length; i++) {
        const g = gate[gateAt + i * step]!
        const sigma = 1 / (1 + Math.exp(-g))
        const d = dOut[i]!
        dGate[gateAt + i * step]! += d * up[upAt + i * step]! * sigma * (1 + g * (1 - sigma))
        dUp[upAt + i * step]! += d * g * sigma
      }
      return
    case 'clampedSwiglu': {
      const { alpha, limit } = activation
      for (let i = 0; i < dOut.length; i++) {
        const raw = gate[gateAt + i * step]!
        const g = Math.min(raw, limit)
        const rawUp = up[upAt + i * step]!
        const u = rawUp > limit ? limit : Math.max(rawUp, -limit)
        const sigma = 1 / (1 + Math.exp(-alpha * g))
        const d = dOut[i]!
        if (raw <= limit) dGate[gateAt + i * step]! += d * (u + 1) * sigma * (1 + alpha * g * (1 - sigma))
        if (rawUp <= limit && rawUp >= -limit) dUp[upAt + i * step]! += d * g * sigma
      }
      return
    }
    case 'geglu': {
      const tanh = activation.approximation === 'tanh'
      for (let i = 0; i < dOut.length; i++) {
        const g = gate[gateAt + i * step]!
        dGate[gateAt + i * step]! += dOut[i]! * up[upAt + i * step]! * geluSlope(g, tanh)
        dUp[upAt + i * step]! += dOut[i]! * geluValue(g, tanh)
      }
    }
  }
}
