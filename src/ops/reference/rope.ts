/** Rotary position embedding, half-split pairs. Contract in ops.ts. */
import type { Batch, Rotation } from '../ops.ts'
import { columns, type Tensor } from '../tensor.ts'
import { type Allocate, type HostTensor, values } from './values.ts'

/** `direction` -1 rotates back (the gradient). */
export function rope(allocate: Allocate, x: Tensor, rotation: Rotation, batch: Batch, direction: 1 | -1 = 1): HostTensor {
  const { headDim: K, inverseFrequencies, amplitude } = rotation
  const width = columns(x)
  const half = K / 2
  const y = allocate(x.shape)
  const source = values(x)
  batch.positions.forEach((position, t) => {
    for (let i = 0; i < half; i++) {
      const angle = position * inverseFrequencies[i]!
      const c = Math.cos(angle) * amplitude
      const s = Math.sin(angle) * amplitude * direction
      for (let at = t * width + i; at < (t + 1) * width; at += K) {
        y.data[at] = source[at]! * c - source[at + half]! * s
        y.data[at + half] = source[at + half]! * c + source[at]! * s
      }
    }
  })
  return y
}
