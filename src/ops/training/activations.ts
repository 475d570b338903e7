/**
 * GELU and the gated activations with their derivatives, over arrays whose gate and up values may be interleaved.
 */
import type { Gated, Gelu } from '../../architecture/architecture.ts'
import type { GatedForm } from './element-kernels.ts'
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

/** SwiGLU and its clamped form as one formula: g·σ(alpha·g)·(u + plus), with g at most and u within ±limit. */
const sigmoidForm = (activation: Exclude<Gated, { kind: 'geglu' }>): GatedForm =>
  activation.kind === 'swiglu' ? [1, Number.POSITIVE_INFINITY, 0] : [activation.alpha, activation.limit, 1]

const clamp = (x: number, limit: number): number => (x > limit ? limit : Math.max(x, -limit))

/** out[i] = gated(gate[i], up[i]). Step 2: one array, given twice, has gate i at 2i and up i at 2i + 1. */
export function gatedForward(context: TrainingContext, activation: Gated, gate: Floats, up: Floats, step: 1 | 2, out: Floats): void {
  if (activation.kind === 'geglu') {
    const tanh = activation.approximation === 'tanh'
    for (let i = 0; i < out.length; i++) out[i] = geluValue(gate[i * step]!, tanh) * up[(i + 1) * step - 1]!
    return
  }
  const form = sigmoidForm(activation)
  if (context.kernels && out.length % 4 === 0) {
    context.kernels[step === 2 ? 'gatedInterleaved' : 'gatedSplit'](address(gate), address(up), address(out), out.length, ...form)
    return
  }
  const [alpha, limit, plus] = form
  for (let i = 0; i < out.length; i++) {
    const g = Math.min(gate[i * step]!, limit)
    out[i] = (g / (1 + Math.exp(-alpha * g))) * (clamp(up[(i + 1) * step - 1]!, limit) + plus)
  }
}

/** Step 1: adds to dGate and dUp. Step 2: writes the one array that holds both. */
export function gatedSlopes(
  context: TrainingContext,
  activation: Gated,
  gate: Floats,
  up: Floats,
  step: 1 | 2,
  dOut: Floats,
  dGate: Floats,
  dUp: Floats,
): void {
  const form = activation.kind === 'geglu' ? null : sigmoidForm(activation)
  if (context.kernels && form && dOut.length % 4 === 0) {
    const backward = context.kernels[step === 2 ? 'gatedInterleavedBackward' : 'gatedSplitBackward']
    backward(address(gate), address(up), address(dOut), address(dGate), address(dUp), dOut.length, ...form)
    return
  }
  if (step === 2) dGate.fill(0)
  for (let i = 0; i < dOut.length; i++) {
    const gateAt = i * step
    const upAt = (i + 1) * step - 1
    const [raw, rawUp, d] = [gate[gateAt]!, up[upAt]!, dOut[i]!]
    if (activation.kind === 'geglu') {
      const tanh = activation.approximation === 'tanh'
      dGate[gateAt]! += d * rawUp * geluSlope(raw, tanh)
      dUp[upAt]! += d * geluValue(raw, tanh)
      continue
    }
    const [alpha, limit, plus] = form!
    const g = Math.min(raw, limit)
    const u = clamp(rawUp, limit)
    const sigma = 1 / (1 + Math.exp(-alpha * g))
    if (raw <= limit) dGate[gateAt]! += d * (u + plus) * sigma * (1 + alpha * g * (1 - sigma))
    if (u === rawUp) dUp[upAt]! += d * g * sigma
  }
}
