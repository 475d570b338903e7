/**
 * What a kernel is: code that emits WebAssembly once, and a few lines of JavaScript that run one worker's share of a command.
 */
import type { KernelModule } from './simd.ts'

export type Exports = Record<string, (...args: number[]) => number>

/** What a kernel sees while it runs a command. */
export interface Context {
  /** This worker of so many. */
  readonly index: number
  readonly count: number
  /** Byte address of this worker's private scratch. */
  readonly scratch: number
  /** The heap as words; kernels read lists of indices and pointers here. */
  readonly words: Int32Array
  readonly floats: Float32Array
  /** The kernels bound to one weight memory; arena 0 is the heap. */
  on(arena: number): Exports
}

/** One op (or one phase of an op): how it emits itself and how a worker runs its share of a command. */
export interface Kernel {
  emit(m: KernelModule): void
  /** About how many multiply-adds' worth of time a command takes; little work is not shared. Without it the workers always share. */
  work?(a: readonly number[]): number
  /** `a` are the command's arguments, `f` the same words as floats. */
  run(c: Context, a: Int32Array, f: Float32Array): void
}

/** This worker's range of `units`, which are handed out in multiples of `step`. Every unit belongs to one worker. */
export function share(c: Context, units: number, step = 1): [from: number, to: number] {
  const groups = Math.ceil(units / step)
  const at = (i: number) => Math.min(units, Math.floor((groups * i) / c.count) * step)
  return [at(c.index), at(c.index + 1)]
}
