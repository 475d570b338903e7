/**
 * A tensor of the training backend: an array of values and an array for their gradient.
 * Results are taken from an arena that is emptied once per step, so that a step leaves no garbage to collect.
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
  /** Same length as `data`; null for constants and until a backward op adds to it. */
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
  /** Values that it can hold. */
  readonly capacity: number
  /** Uninitialised values. */
  take(count: number): Floats
  /** Everything taken so far becomes free again. */
  reset(): void
  /** What is taken after `mark` becomes free again with `release`. */
  mark(): number
  release(mark: number): void
}

/** A pass needs more values than the arena of its thread has. */
export class ArenaFullError extends RangeError {
  constructor(capacity: number) {
    super(
      `one sequence needs more than ${Math.round((capacity * 4) / 2 ** 20)} MiB for the results of a pass: give the trainer shorter sequences (--block) or more memory (--memory)`,
    )
  }
}

/** Arrays of the JavaScript heap in f64: precise, slow, for the reference. */
export class HeapArena implements Arena {
  readonly capacity = Number.POSITIVE_INFINITY
  take(count: number): Floats {
    return new Float64Array(count)
  }
  reset(): void {}
  mark(): number {
    return 0
  }
  release(): void {}
}

/** A region of a WebAssembly memory in f32. */
export class RegionArena implements Arena {
  readonly #values: Float32Array
  #next = 0
  readonly capacity: number
  constructor(buffer: ArrayBufferLike, byteOffset: number, count: number) {
    this.#values = new Float32Array(buffer, byteOffset, count)
    this.capacity = count
  }
  take(count: number): Floats {
    const from = this.#next
    this.#next = from + ((count + 3) & ~3)
    if (this.#next > this.capacity) throw new ArenaFullError(this.capacity)
    return this.#values.subarray(from, from + count)
  }
  reset(): void {
    this.#next = 0
  }
  mark(): number {
    return this.#next
  }
  release(mark: number): void {
    this.#next = mark
  }
}

/** What the op functions need: arrays and products. */
export interface TrainingContext {
  readonly arena: Arena
  readonly matmul: Matmul
  /** SIMD for elementwise work, where values are f32 of a WebAssembly memory. */
  readonly kernels?: ElementKernels
}

/** Byte address of a value for the kernels. */
export const address = (x: Floats, at = 0): number => x.byteOffset + 4 * at

export const value = (x: Tensor): Value => x as Value

/** A result without values yet. */
export const result = (context: TrainingContext, shape: readonly number[]): Value => new Value(shape, context.arena.take(size(shape)), true)

/** The array that collects the gradient of x, zero at first; null when x is a constant. */
export function gradientOf(context: TrainingContext, x: Tensor): Floats | null {
  const v = x as Value
  if (v.gradient === null && v.differentiable) v.gradient = context.arena.take(v.data.length).fill(0)
  return v.gradient
}

/** The gradient of a result, complete when its backward op runs; null when nothing depends on the result. */
export const outputGradient = (y: Tensor): Floats | null => (y as Value).gradient
