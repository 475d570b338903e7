/**
 * The handle that passes between the model and a backend: a shape, a dtype, a name. What is behind it (an array, an
 * offset in a shared memory, a GPU buffer, a count) is the backend's own matter.
 */
import type { DType } from './dtype.ts'

export interface Tensor {
  readonly shape: readonly number[]
  readonly dtype: DType
  /** Inner name of a weight ('layers.3.attention.q'); undefined for temporaries. */
  readonly name?: string
}

export const isTensor = (value: unknown): value is Tensor =>
  typeof value === 'object' && value !== null && 'shape' in value && 'dtype' in value

/** The tensors that a value is or holds: in arrays and plain objects, at any depth. */
export function tensorsIn(value: unknown): Tensor[] {
  if (isTensor(value)) return [value]
  if (Array.isArray(value)) return value.flatMap(tensorsIn)
  const plain = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  return plain ? Object.values(value).flatMap(tensorsIn) : []
}

/** Number of values. */
export const size = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1)

/** Length of the last axis. */
export const columns = (x: Tensor): number => x.shape.at(-1)!

/** Product of all axes but the last. */
export const rowsOf = (x: Tensor): number => size(x.shape.slice(0, -1))

/** How many matrices a weight [O, I] or [n, O, I] holds, and their rows and columns. */
export const matricesOf = ({ shape }: Tensor): [count: number, rows: number, columns: number] =>
  (shape.length === 2 ? [1, ...shape] : shape) as [number, number, number]
