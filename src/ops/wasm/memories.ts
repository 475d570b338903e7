/**
 * The arenas: memories of at most 4 GiB each that hold weights and caches. A further one is made when the others are full; a place lies in
 * one arena. Pages are touched when they are written, so an arena that is not full costs address space only.
 */
import { binary } from '../../numbers/bytes.ts'
import { MemoryError } from '../backend.ts'
import { availableMemory, reportedMemory } from './host.ts'
import { Allocator, type Block } from './memory.ts'

/** The most a 32-bit memory can hold, less one page so that addresses and lengths fit into 32 bits. */
export const LARGEST_MEMORY = 65535 * 65536
export const PAGE = 65536

export interface Place {
  readonly arena: number
  readonly address: number
  readonly block: Block
}

export function createMemory(bytes: number, shared: boolean): WebAssembly.Memory {
  const pages = Math.ceil(bytes / PAGE)
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared })
  } catch (error) {
    throw new MemoryError(
      `cannot reserve address space for a memory of ${binary(bytes)}: WebAssembly reserves up to 10 GiB for each memory, of which only the used part is taken; raise the limit (ulimit -v)`,
      { cause: error },
    )
  }
}

export class Memories {
  readonly list: WebAssembly.Memory[]
  readonly #allocators: Allocator[]
  readonly #arenaBytes: number
  readonly #shared: boolean
  readonly #firstPlace: number
  readonly #separate: boolean
  readonly #attach: (arena: number, memory: WebAssembly.Memory) => void
  /** Most bytes that weights and caches may take together, as the caller said or the browser reports; undefined in Node.js without the option. */
  readonly #limit: number | undefined
  readonly #limitSource: string
  #used = 0
  /** Whether freed places may be given out again, so that commands still pending may touch them. */
  reused = false

  /** Places in the other arenas begin at `firstPlace`. Arena 0 is the heap; it takes everything if the engine has no second memory (`separate` false). */
  constructor(
    heap: { memory: WebAssembly.Memory; allocator: Allocator },
    options: { arenaBytes: number; memoryBytes: number | undefined; shared: boolean; separate: boolean; firstPlace: number },
    attach: (arena: number, memory: WebAssembly.Memory) => void,
  ) {
    this.list = [heap.memory]
    this.#allocators = [heap.allocator]
    this.#arenaBytes = Math.min(LARGEST_MEMORY, options.arenaBytes)
    this.#limit = options.memoryBytes ?? reportedMemory()
    this.#limitSource =
      options.memoryBytes === undefined ? 'as the browser reports; give memoryBytes if the machine has more' : 'memoryBytes'
    this.#shared = options.shared
    this.#firstPlace = options.firstPlace
    this.#separate = options.separate
    this.#attach = attach
  }

  /** The most that one place can hold. */
  get largestPlace(): number {
    return this.#arenaBytes - PAGE
  }

  allocate(bytes: number, what: string): Place {
    for (let arena = this.#separate ? 1 : 0; arena < this.list.length; arena++) {
      const block = this.#allocators[arena]!.allocate(bytes)
      if (!block) continue
      this.#used += block.bytes
      return { arena, address: block.address, block }
    }
    const error = (reason: string) => new MemoryError(`${what}: ${binary(bytes)} wanted, ${reason}`)
    if (!this.#separate) throw error('but this engine has no second WebAssembly memory and the first is full')
    if (bytes > this.largestPlace) {
      const remedy =
        this.#arenaBytes < LARGEST_MEMORY ? `raise arenaBytes (at most ${LARGEST_MEMORY})` : 'a cache needs fewer slots or positions'
      throw error(`but an arena holds ${binary(this.#arenaBytes)}; ${remedy}`)
    }
    let memory: WebAssembly.Memory | undefined
    // Where address space is scarce, smaller arenas may still be had.
    for (let size = this.#arenaBytes; !memory; size = Math.floor(size / 2)) {
      if (size < bytes + PAGE) throw error(`but the engine gives no further memory of that size (it has given ${this.list.length - 1})`)
      try {
        memory = createMemory(size, this.#shared)
      } catch {}
    }
    const arena = this.list.push(memory) - 1
    this.#allocators.push(new Allocator(this.#firstPlace, memory.buffer.byteLength - 4096))
    this.#attach(arena, memory)
    return this.allocate(bytes, what)
  }

  /** @throws MemoryError if the machine cannot hold so many bytes more, or the limit forbids them */
  mustFit(bytes: number, what: string): void {
    const refuse = (rest: number, of: string) => {
      if (bytes > rest) throw new MemoryError(`${what}: ${binary(bytes)} wanted, ${binary(Math.max(0, rest))} ${of}`)
    }
    const limit = this.#limit
    if (limit !== undefined) refuse(limit - this.#used, `are left of the ${binary(limit)} of memory (${this.#limitSource})`)
    refuse(availableMemory() ?? Number.POSITIVE_INFINITY, 'of memory are free')
  }

  release({ arena, block }: Place): void {
    this.reused = true
    this.#used -= block.bytes
    this.#allocators[arena]!.release(block)
  }

  bytes(place: Place, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.list[place.arena]!.buffer as ArrayBuffer, place.address, length)
  }
}
