/** The ops that treat every value alone: add, scale, gelu, gated, softcap, clamp, dropout; and join, which moves values. Contracts in ops.ts. */
import type { Gated, Gelu } from '../../architecture/architecture.ts'
import { dropoutKeeps } from '../../random/hash.ts'
import { columns, rowsOf, type Tensor } from '../tensor.ts'
import { type Allocate, type HostTensor, values } from './values.ts'

function each(allocate: Allocate, x: Tensor, f: (value: number, index: number) => number): HostTensor {
  const y = allocate(x.shape)
  values(x).forEach((value, index) => {
    y.data[index] = f(value, index)
  })
  return y
}

export function add(allocate: Allocate, a: Tensor, b: Tensor, factor = 1): HostTensor {
  const other = values(b)
  return each(allocate, a, (value, i) => value + factor * other[i]!)
}

export const scale = (allocate: Allocate, x: Tensor, factor: number): HostTensor => each(allocate, x, (value) => factor * value)

export const gelu = (allocate: Allocate, x: Tensor, activation: Gelu): HostTensor =>
  each(allocate, x, (value) => geluOf(value, activation.approximation))

export function gated(allocate: Allocate, gate: Tensor, up: Tensor, activation: Gated): HostTensor {
  const other = values(up)
  return each(allocate, gate, (value, i) => gatedOf(value, other[i]!, activation))
}

export const softcap = (allocate: Allocate, x: Tensor, cap: number): HostTensor =>
  each(allocate, x, (value) => cap * Math.tanh(value / cap))

export const clamp = (allocate: Allocate, x: Tensor, limit: number): HostTensor =>
  each(allocate, x, (value) => Math.min(Math.max(value, -limit), limit))

export const dropout = (allocate: Allocate, x: Tensor, p: number, seed: number): HostTensor =>
  each(allocate, x, (value, i) => (dropoutKeeps(seed, i, p) ? value / (1 - p) : 0))

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

export function geluOf(x: number, approximation: 'tanh' | 'erf'): number {
  return approximation === 'tanh'
    ? 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
    : 0.5 * x * (1 + erf(x / Math.SQRT2))
}

export function gatedOf(gate: number, up: number, activation: Gated): number {
  switch (activation.kind) {
    case 'swiglu':
      return gate * sigmoid(gate) * up
    case 'clampedSwiglu': {
      const g = Math.min(gate, activation.limit) // no lower bound
      const u = Math.min(activation.limit, Math.max(-activation.limit, up))
      return g * sigmoid(activation.alpha * g) * (u + 1)
    }
    case 'geglu':
      return geluOf(gate, activation.approximation) * up
  }
}

/** Error function to f64 precision: Taylor series near 0, Lentz's continued fraction of erfc beyond 2. Abramowitz & Stegun 7.1.5, 7.1.14. */
export function erf(x: number): number {
  const z = Math.abs(x)
  if (z > 6) return Math.sign(x)
  let result: number
  if (z < 2) {
    let term = z
    result = z
    for (let n = 1; Math.abs(term) > 1e-18; n++) {
      term *= (-z * z) / n
      result += term / (2 * n + 1)
    }
    result *= 2 / Math.sqrt(Math.PI)
  } else {
    let fraction = 0
    for (let n = 60; n > 0; n--) fraction = n / 2 / (z + fraction)
    result = 1 - Math.exp(-z * z) / Math.sqrt(Math.PI) / (z + fraction)
  }
  return x < 0 ? -result : result
}

/** Columns of a and b side by side for each head. */
export function join(allocate: Allocate, a: Tensor, b: Tensor, heads: number): HostTensor {
  const [K, U] = [columns(a) / heads, columns(b) / heads]
  const y = allocate([rowsOf(a), heads * (K + U)])
  const [left, right] = [values(a), values(b)]
  for (let n = 0; n < rowsOf(a) * heads; n++) {
    y.data.set(left.subarray(n * K, (n + 1) * K), n * (K + U))
    y.data.set(right.subarray(n * U, (n + 1) * U), n * (K + U) + K)
  }
  return y
}
