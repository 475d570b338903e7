/**
 * Runs commands: gives the kernel this worker's share, calls the instance that sees the right weight memory.
 * The same code runs in every worker and, without threads, in the caller's thread.
 */
import { FORMAT } from './formats.ts'
import type { Command, Context, Exports, Kernel, Words } from './kernel.ts'
import { KERNELS } from './kernels/kernels.ts'
import { SCRATCH, SCRATCH_BYTES } from './layout.ts'

/** Some kernels of a format; `weightsFirst`: the memory of the weights is imported as the first one, and the heap as the second. */
export interface FormatModule {
  readonly module: WebAssembly.Module
  readonly weightsFirst: boolean
}

/** What a pool gets later: a further memory, or the kernels of a format. */
export type Attachment =
  | { readonly arena: number; readonly memory: WebAssembly.Memory }
  | { readonly format: number; readonly modules: readonly FormatModule[] }

/** The number of a format whose weights are not grouped: these kernels need no module of their own. */
const ALL_FORMATS = FORMAT.f32

export class Executor implements Context {
  readonly index: number
  readonly count: number
  readonly scratch: number
  readonly words: Int32Array
  readonly floats: Float32Array
  readonly #heap: WebAssembly.Memory
  /** By arena: the memories, and the instances of the modules in it. */
  readonly #memories: WebAssembly.Memory[] = []
  readonly #instances: Exports[][] = []
  /** By format; the module of all other kernels is at ALL_FORMATS. */
  readonly #modules: (readonly FormatModule[])[] = []
  readonly #readers: readonly ReturnType<Kernel['reader']>[]
  /** The same worker as the only one. */
  readonly #whole: Context

  constructor(module: WebAssembly.Module, heap: WebAssembly.Memory, index: number, count: number) {
    this.#modules[ALL_FORMATS] = [{ module, weightsFirst: false }]
    this.#heap = heap
    this.index = index
    this.count = count
    this.scratch = SCRATCH + index * SCRATCH_BYTES
    this.words = new Int32Array(heap.buffer)
    this.floats = new Float32Array(heap.buffer)
    const unsigned = new Uint32Array(heap.buffer)
    this.#readers = KERNELS.map((kernel) => kernel.reader(unsigned, this.floats))
    this.attach({ arena: 0, memory: heap })
    const { scratch, words, floats } = this
    this.#whole = { index: 0, count: 1, scratch, words, floats, on: (arena, format) => this.on(arena, format) }
  }

  attach(what: Attachment): void {
    if ('modules' in what) this.#modules[what.format] = what.modules
    else {
      this.#memories[what.arena] = what.memory
      this.#instances[what.arena] = []
    }
  }

  on(arena: number, format = ALL_FORMATS): Exports {
    return (this.#instances[arena]![format] ??= this.#instantiate(arena, format))
  }

  /** The kernels of all modules of a format, by name. */
  #instantiate(arena: number, format: number): Exports {
    const [heap, weights] = [this.#heap, this.#memories[arena]!]
    const each = this.#modules[format]!.map(({ module, weightsFirst }) => {
      const memory = weightsFirst ? { 0: weights, 1: heap } : { 0: heap, 1: weights }
      return new WebAssembly.Instance(module, { memory }).exports
    })
    return Object.assign({}, ...each) as Exports
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
