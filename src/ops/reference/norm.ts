/** LayerNorm and RMSNorm. Contracts in ops.ts. */
import { columns, size, type Tensor } from '../tensor.ts'
import { type Allocate, type HostTensor, values } from './values.ts'

export function layerNorm(allocate: Allocate, x: Tensor, gain: Tensor | undefined, bias: Tensor | undefined, eps: number): HostTensor {
  const D = columns(x)
  const y = allocate(x.shape)
  const [source, g, b] = [values(x), gain && values(gain), bias && values(bias)]
  for (let at = 0; at < source.length; at += D) {
    let mean = 0
    for (let d = 0; d < D; d++) mean += source[at + d]! / D
    let variance = 0
    for (let d = 0; d < D; d++) variance += (source[at + d]! - mean) ** 2 / D
    const r = 1 / Math.sqrt(variance + eps)
    for (let d = 0; d < D; d++) y.data[at + d] = (source[at + d]! - mean) * r * (g?.[d] ?? 1) + (b?.[d] ?? 0)
  }
  return y
}

export function rmsNorm(allocate: Allocate, x: Tensor, gain: Tensor, eps: number, unitOffset: 0 | 1): HostTensor {
  const N = size(gain.shape) // group: the row, or one head of it
  const y = allocate(x.shape)
  const [source, g] = [values(x), values(gain)]
  for (let at = 0; at < source.length; at += N) {
    let squares = 0
    for (let n = 0; n < N; n++) squares += source[at + n]! ** 2
    const r = 1 / Math.sqrt(squares / N + eps)
    for (let n = 0; n < N; n++) y.data[at + n] = source[at + n]! * r * (g[n]! + unitOffset)
  }
  return y
}
