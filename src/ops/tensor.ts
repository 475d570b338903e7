/**
 * The handle that passes between the model and a backend: a shape, a dtype, a name. What is behind it (an array, an
 * offset in a shared memory, a GPU buffer, a count) is the backend's own affair.
 */
import type { DType } from './dtype.ts'

export interface Tensor {
  readonly shape: readonly number[]
  readonly dtype: DType
  /** Inner name of a weight ('layers.3.attention.q'); undefined for temporaries. */
  readonly name?: string
}

/** Number of values. */
export const size = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1)

/** Length of the last axis. */
export const columns = (x: Tensor): number => x.shape.at(-1)!

/** Product of all axes but the last. */
export const rowsOf = (x: Tensor): number => size(x.shape.slice(0, -1))
