/** Rotary position embedding. Contract in ops.ts. */
import type { Batch, Rotation } from '../ops.ts'
import { columns, type Tensor } from '../tensor.ts'
import { type Allocate, type HostTensor, values } from './values.ts'

/** `direction` -1 rotates back (the gradient). */
export function rope(allocate: Allocate, x: Tensor, rotation: Rotation, batch: Batch, direction: 1 | -1 = 1): HostTensor {
  const { headDim: K, rotaryDim: R, pairing, inverseFrequencies, amplitude } = rotation
  const width = columns(x)
  const [step, apart] = pairing === 'halves' ? [1, R / 2] : [2, 1]
  const y = allocate(x.shape)
  const source = values(x)
  y.data.set(source)
  batch.positions.forEach((position, t) => {
    for (let i = 0; i < R / 2; i++) {
      const angle = position * inverseFrequencies[i]!
      const c = Math.cos(angle) * amplitude
      const s = Math.sin(angle) * amplitude * direction
      for (let at = t * width + i * step; at < (t + 1) * width; at += K) {
        y.data[at] = source[at]! * c - source[at + apart]! * s
        y.data[at + apart] = source[at + apart]! * c + source[at]! * s
      }
    }
  })
  return y
}
