/**
 * AdamW with decoupled decay: Kingma & Ba 2015, Loshchilov & Hutter 2019. One call updates a slice of the flat arrays.
 * Whether weights decay is decided per tensor.
 */
import type { ElementKernels } from '../ops/training/element-kernels.ts'
import type { ParameterLayout } from './parameters.ts'

export interface AdamStep {
  /** 1 for the first step: the bias correction depends on it. */
  step: number
  learningRate: number
  beta1: number
  beta2: number
  eps: number
  weightDecay: number
  /** Factor on the gradient, from clipping. */
  gradientFactor: number
}

/** Updates values[from…to) from gradients; clears the gradients. `kernels` do the same in SIMD where the arrays lie in their memory. */
export function adamw(
  layout: ParameterLayout,
  from: number,
  to: number,
  values: Float32Array,
  gradients: Float32Array,
  first: Float32Array,
  second: Float32Array,
  options: AdamStep,
  kernels?: Pick<ElementKernels, 'adamw'>,
): void {
  const { step, learningRate, beta1, beta2, eps, weightDecay, gradientFactor } = options
  const correction1 = 1 - beta1 ** step
  const correction2 = 1 - beta2 ** step
  const rate = learningRate / correction1
  for (const { at, count, decays } of layout.parameters) {
    const keep = decays ? 1 - learningRate * weightDecay : 1
    const end = Math.min(at + count, to)
    if (kernels) {
      // Tensors begin at multiples of 32 and the padding behind them stays zero, so whole vectors are safe.
      const begin = Math.max(at, from)
      const length = (Math.max(0, end - begin) + 3) & ~3
      const place = (array: Float32Array) => array.byteOffset + 4 * begin
      const [v, g, m1, m2] = [place(values), place(gradients), place(first), place(second)]
      kernels.adamw(v, g, m1, m2, length, keep, rate, beta1, beta2, correction2, eps, gradientFactor)
      continue
    }
    for (let i = Math.max(at, from); i < end; i++) {
      const g = gradients[i]! * gradientFactor
      const m = beta1 * first[i]! + (1 - beta1) * g
      const v = beta2 * second[i]! + (1 - beta2) * g * g
      first[i] = m
      second[i] = v
      values[i] = values[i]! * keep - (rate * m) / (Math.sqrt(v / correction2) + eps)
      gradients[i] = 0
    }
  }
}

/** Linear warm-up to `peak`, then a cosine down to `floor` at `steps`. Step counts from 1. */
export function cosineSchedule(step: number, steps: number, warmup: number, peak: number, floor: number): number {
  if (step <= warmup) return (peak * step) / warmup
  const progress = Math.min(1, (step - warmup) / Math.max(1, steps - warmup))
  return floor + 0.5 * (peak - floor) * (1 + Math.cos(Math.PI * progress))
}
