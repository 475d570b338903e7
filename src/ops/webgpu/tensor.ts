/** What tensors are to this backend: temporaries of a pass, vectors in one buffer, and weights in pieces of whole rows. */
import type { DType } from '../dtype.ts'
import { size, type Tensor } from '../tensor.ts'
import type { WeightFormat } from './formats.ts'

/** A result of an op. It has a place in memory from the end of its pass on, and only if it outlives the pass. */
export class Temporary implements Tensor {
  readonly shape: readonly number[]
  readonly dtype: DType = 'f32'
  /** Number of values. */
  readonly count: number
  /** Its number in the pass that makes it. */
  readonly id: number
  /** Its scope has not ended: its values may still be asked for. */
  open = true
  /** Where its values lie among the temporaries, in f32, once they are kept beyond their pass. */
  place: number | undefined

  constructor(shape: readonly number[], id: number) {
    this.shape = shape
    this.count = size(shape)
    this.id = id
  }
}

/** Gains, biases, sinks: f32 values in the buffer of all vectors. */
export interface Vector extends Tensor {
  readonly name: string
  /** First value, in f32. */
  readonly at: number
  /** Bytes as published. */
  readonly bytes: number
}

/** Rows of a weight in one buffer. */
export interface Piece {
  readonly buffer: GPUBuffer
  readonly row: number
  readonly rows: number
  /** First word of each plane of the format in the buffer. */
  readonly planes: readonly number[]
}

export interface Weight extends Tensor {
  readonly name: string
  readonly format: WeightFormat
  readonly pieces: readonly Piece[]
  /** A number of its own: passes are compared by it. */
  readonly id: number
}

export function temporary(x: Tensor, what: string): Temporary {
  if (!(x instanceof Temporary)) throw new TypeError(`${what}: expected a result of an op, got ${x.name ?? `a tensor [${x.shape}]`}`)
  return x
}

export function vector(x: Tensor, what: string): Vector {
  if (!('at' in x)) throw new TypeError(`${what}: ${x.name ?? 'a weight'} must be made with use 'vector'`)
  return x as Vector
}

export function weight(x: Tensor, what: string): Weight {
  if (!('pieces' in x)) throw new TypeError(`${what}: ${x.name ?? `the tensor [${x.shape}]`} is no matrix of this backend`)
  return x as Weight
}
