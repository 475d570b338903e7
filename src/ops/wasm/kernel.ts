/**
 * What a kernel is: code that emits WebAssembly once, and a few lines of JavaScript that run one worker's share of a command.
 * A kernel names the words of its commands once. Host and workers use the same names: the host gives a record, a worker reads one.
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
  /** The kernels bound to one weight memory; arena 0 is the heap. With a grouped format: its own kernels (product.ts). */
  on(arena: number, format?: number): Exports
}

/** How one word of a command is stored: an address, count or index (unsigned), or a number. */
export type WordKind = 'u32' | 'f32'
export type Words = Readonly<Record<string, WordKind>>
/** The words of one command, by name. */
export type Command<W extends Words> = { readonly [Name in keyof W]: number }

const wordsOf =
  <Kind extends WordKind>(kind: Kind) =>
  <Name extends string>(...names: Name[]) =>
    Object.fromEntries(names.map((name) => [name, kind])) as Record<Name, Kind>
/** Words that hold addresses, counts and indices. A flag is 0 or 1, a choice is an index. */
export const integers = wordsOf('u32')
/** Words that hold numbers. */
export const floats = wordsOf('f32')

interface Parts<W extends Words> {
  emit?(m: KernelModule): void
  work?(command: Command<W>): number
  run(c: Context, command: Command<W>): void
}

/** One op (or one phase of an op): how it emits itself and how a worker runs its share of a command. */
export class Kernel<W extends Words = Words> {
  /** Its number in the queue: the index in KERNELS (kernels/kernels.ts). */
  number = -1
  readonly name: string
  /** Ring words of the arguments. */
  readonly length: number
  readonly #parts: Parts<W>
  readonly #names: readonly string[]
  readonly #kinds: readonly WordKind[]

  constructor(name: string, words: W, parts: Parts<W>) {
    this.name = name
    this.#names = Object.keys(words)
    this.#kinds = Object.values(words)
    this.length = this.#names.length
    this.#parts = parts
  }

  emit(m: KernelModule): void {
    this.#parts.emit?.(m)
  }

  /** About how many multiply-adds' worth of time a command takes. A command with little work is not shared; infinite: the workers always share. */
  work(command: Command<W>): number {
    return this.#parts.work?.(command) ?? Number.POSITIVE_INFINITY
  }

  /** Runs the share of the worker `c`. */
  run(c: Context, command: Command<W>): void {
    this.#parts.run(c, command)
  }

  /** Writes a command's words from index `at` on; both arrays are views of the same memory. */
  write(command: Command<W>, words: Int32Array, floats: Float32Array, at: number): void {
    for (let i = 0; i < this.length; i++) {
      const value = command[this.#names[i]!]!
      if (this.#kinds[i] === 'f32') floats[at + i] = value
      else words[at + i] = value
    }
  }

  /** A command whose words are read where they lie: from index `at` on, after `seek(at)`. One object serves all commands, so that reading allocates nothing. */
  reader(words: Uint32Array, floats: Float32Array): { readonly command: Command<W>; seek(at: number): void } {
    let start = 0
    const command = {}
    this.#names.forEach((name, i) => {
      const get = this.#kinds[i] === 'f32' ? () => floats[start + i] : () => words[start + i]
      Object.defineProperty(command, name, { get })
    })
    return { command: command as Command<W>, seek: (at) => void (start = at) }
  }
}

/** Work of `rows` rows of x times so many weights: one for each weight of a single row. Reading a weight takes about as long as three multiply-adds. */
export const productWork = (rows: number, weights: number): number => (weights * (3 + rows)) / 4

/** This worker's range of `units`, which are handed out in multiples of `step`. Every unit belongs to one worker. */
export function share(c: Context, units: number, step = 1): [from: number, to: number] {
  const groups = Math.ceil(units / step)
  const at = (i: number) => Math.min(units, Math.floor((groups * i) / c.count) * step)
  return [at(c.index), at(c.index + 1)]
}
