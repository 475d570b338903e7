/**
 * What stands behind a tensor while training: an array of values, an array for their gradient, and what the backward op wants to keep.
 * Results are cut from an arena that is emptied once per step, so a step allocates nothing that must be collected.
 */
import type { Tensor } from '../tensor.ts'
import { size } from '../tensor.ts'
import type { ElementKernels } from './element-kernels.ts'
import type { Floats, Matmul } from './matmul.ts'

export class Value implements Tensor {
  readonly shape: readonly number[]
  readonly dtype = 'f32' as const
  readonly name?: string
  readonly data: Floats
  /** Same length as `data`; null for constants and until somebody adds to it. */
  gradient: Floats | null = null
  /** Whether gradients may be asked for. */
  readonly differentiable: boolean
  constructor(shape: readonly number[], data: Floats, differentiable: boolean, name?: string) {
    this.shape = shape
    this.data = data
    this.differentiable = differentiable
    if (name !== undefined) this.name = name
  }
}

/** Where results of one pass live. */
export interface Arena {
  /** Uninitialised values. */
  take(count: number): Floats
  /** Everything taken so far becomes free again. */
  reset(): void
}

/** Arrays of the JavaScript heap in f64: precise, slow, for the judge. */
export class HeapArena implements Arena {
  take(count: number): Floats {
    return new Float64Array(count)
  }
  reset(): void {}
}

/** A region of a WebAssembly memory in f32. */
export class RegionArena implements Arena {
  private readonly values: Float32Array
  private next = 0
  /** Most values ever held, to size the region of the next run. */
  highWater = 0
  constructor(buffer: ArrayBufferLike, byteOffset: number, count: number) {
    this.values = new Float32Array(buffer, byteOffset, count)
  }
  take(count: number): Floats {
    const from = this.next
    this.next = from + ((count + 3) & ~3)
    if (this.next > this.values.length)
      throw new RangeError(
        `the step needs more than ${(this.values.length * 4) / 2 ** 20} MiB for its results: use a smaller batch or more accumulation, or give the trainer more memory`,
      )
    if (this.next > this.highWater) this.highWater = this.next
    return this.values.subarray(from, from + count)
  }
  reset(): void {
    this.next = 0
  }
}

/** What the op functions need: arrays and products. */
export interface Workshop {
  readonly arena: Arena
  readonly matmul: Matmul
  /** SIMD for elementwise work, where values are f32 of a WebAssembly memory. */
  readonly kernels?: ElementKernels
}

/** Byte address of a value for the kernels. */
export const address = (x: Floats, at = 0): number => x.byteOffset + 4 * at

export const value = (x: Tensor): Value => x as Value

/** A result without values yet. */
export const result = (shop: Workshop, shape: readonly number[]): Value => new Value(shape, shop.arena.take(size(shape)), true)

/** The array that collects the gradient of x, zero at first; null when x is a constant. */
export function gradientOf(shop: Workshop, x: Tensor): Floats | null {
  const v = x as Value
  if (v.gradient === null && v.differentiable) v.gradient = shop.arena.take(v.data.length).fill(0)
  return v.gradient
}

/** The gradient that arrived at a result; null when nothing depends on it. */
export const arrived = (y: Tensor): Floats | null => (y as Value).gradient
