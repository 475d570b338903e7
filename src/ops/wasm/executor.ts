/**
 * Runs commands: finds the kernel, gives it this worker's share, calls the instance that sees the right weight memory.
 * The same code runs in every worker and, without threads, in the caller's thread.
 */
import type { Context, Exports } from './kernel.ts'
import { KERNELS } from './kernels/kernels.ts'
import { SCRATCH, SCRATCH_BYTES } from './layout.ts'

export class Executor implements Context {
  readonly index: number
  readonly count: number
  readonly scratch: number
  readonly words: Int32Array
  readonly floats: Float32Array
  private readonly module: WebAssembly.Module
  private readonly heap: WebAssembly.Memory
  private readonly instances: Exports[] = []
  /** The same worker as the only one. */
  private readonly whole: Context

  constructor(module: WebAssembly.Module, heap: WebAssembly.Memory, index: number, count: number) {
    this.module = module
    this.heap = heap
    this.index = index
    this.count = count
    this.scratch = SCRATCH + index * SCRATCH_BYTES
    this.words = new Int32Array(heap.buffer)
    this.floats = new Float32Array(heap.buffer)
    this.attach(0, heap)
    const { scratch, words, floats } = this
    this.whole = { index: 0, count: 1, scratch, words, floats, on: (arena) => this.on(arena) }
  }

  attach(arena: number, memory: WebAssembly.Memory): void {
    const instance = new WebAssembly.Instance(this.module, { memory: { 0: this.heap, 1: memory } })
    this.instances[arena] = instance.exports as unknown as Exports
  }

  has(arena: number): boolean {
    return this.instances[arena] !== undefined
  }

  on(arena: number): Exports {
    return this.instances[arena]!
  }

  /** Runs this worker's share of a command, or all of it. */
  run(op: number, args: Int32Array, floats: Float32Array, alone = false): void {
    KERNELS[op]!.run(alone ? this.whole : this, args, floats)
  }
}
