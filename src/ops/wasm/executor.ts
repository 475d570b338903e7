/**
 * Runs commands: gives the kernel this worker's share, calls the instance that sees the right weight memory.
 * The same code runs in every worker and, without threads, in the caller's thread.
 */
import type { Command, Context, Exports, Kernel, Words } from './kernel.ts'
import { KERNELS } from './kernels/kernels.ts'
import { SCRATCH, SCRATCH_BYTES } from './layout.ts'

export class Executor implements Context {
  readonly index: number
  readonly count: number
  readonly scratch: number
  readonly words: Int32Array
  readonly floats: Float32Array
  readonly #module: WebAssembly.Module
  readonly #heap: WebAssembly.Memory
  readonly #instances: Exports[] = []
  readonly #readers: readonly ReturnType<Kernel['reader']>[]
  /** The same worker as the only one. */
  readonly #whole: Context

  constructor(module: WebAssembly.Module, heap: WebAssembly.Memory, index: number, count: number) {
    this.#module = module
    this.#heap = heap
    this.index = index
    this.count = count
    this.scratch = SCRATCH + index * SCRATCH_BYTES
    this.words = new Int32Array(heap.buffer)
    this.floats = new Float32Array(heap.buffer)
    const unsigned = new Uint32Array(heap.buffer)
    this.#readers = KERNELS.map((kernel) => kernel.reader(unsigned, this.floats))
    this.attach(0, heap)
    const { scratch, words, floats } = this
    this.#whole = { index: 0, count: 1, scratch, words, floats, on: (arena) => this.on(arena) }
  }

  attach(arena: number, memory: WebAssembly.Memory): void {
    const instance = new WebAssembly.Instance(this.#module, { memory: { 0: this.#heap, 1: memory } })
    this.#instances[arena] = instance.exports as unknown as Exports
  }

  on(arena: number): Exports {
    return this.#instances[arena]!
  }

  /** Runs this worker's share of a command, or (`alone`) all of it. */
  run<W extends Words>(kernel: Kernel<W>, command: Command<W>, alone = false): void {
    kernel.run(alone ? this.#whole : this, command)
  }

  /** The same for the command of kernel `number` whose words lie in the heap from word `at` on. */
  runAt(number: number, at: number, alone: boolean): void {
    const reader = this.#readers[number]!
    reader.seek(at)
    this.run(KERNELS[number]!, reader.command, alone)
  }
}
