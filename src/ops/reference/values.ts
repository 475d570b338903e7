/**
 * What a tensor is to the reference backend: an array of numbers in row-major order. Temporaries are f32, or f64 where a
 * gradient check asks for it; weights are decoded once, exactly.
 */
import type { DType } from '../dtype.ts'
import { size, type Tensor } from '../tensor.ts'

export type Values = Float32Array | Float64Array

export interface HostTensor extends Tensor {
  readonly data: Values
}

/** Makes zeroed results; the choice of the array type is the choice of precision. */
export type Allocate = (shape: readonly number[]) => HostTensor

export const allocator =
  (precision: 'f32' | 'f64'): Allocate =>
  (shape) => ({
    shape,
    dtype: 'f32' satisfies DType,
    data: precision === 'f64' ? new Float64Array(size(shape)) : new Float32Array(size(shape)),
  })

/** The array behind a tensor this backend made. */
export function values(x: Tensor): Values {
  const data = (x as HostTensor).data
  if (!data) throw new TypeError(`tensor ${x.name ?? `[${x.shape}]`} belongs to another backend`)
  return data
}
