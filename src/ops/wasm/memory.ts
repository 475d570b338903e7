/**
 * A first-fit allocator with 64-byte blocks. Freed memory may be given out again at once, because commands run in the order in which they
 * were enqueued. Only memory that the host itself reads must be kept until then (`pin`).
 */
export interface Block {
  readonly address: number
  readonly bytes: number
  /** Reads in flight; the block is given back when they are done. */
  pins: number
  released: boolean
}

const ALIGNMENT = 64
export const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple

export class Allocator {
  /** Free ranges in ascending order, never touching. */
  #free: { address: number; bytes: number }[]
  used = 0

  constructor(start: number, end: number) {
    const address = roundUp(start, ALIGNMENT)
    this.#free = [{ address, bytes: end - address }]
  }

  /** Undefined when no range is long enough. */
  allocate(bytes: number): Block | undefined {
    const wanted = Math.max(ALIGNMENT, roundUp(bytes, ALIGNMENT))
    const index = this.#free.findIndex((range) => range.bytes >= wanted)
    if (index < 0) return undefined
    return this.#take(index, this.#free[index]!.address, wanted)
  }

  #take(index: number, address: number, bytes: number): Block {
    const range = this.#free[index]!
    const before = address - range.address
    const after = range.bytes - before - bytes
    const rest = []
    if (before > 0) rest.push({ address: range.address, bytes: before })
    if (after > 0) rest.push({ address: address + bytes, bytes: after })
    this.#free.splice(index, 1, ...rest)
    this.used += bytes
    return { address, bytes, pins: 0, released: false }
  }

  /** Frees a block, now or when its last pin is removed. */
  release(block: Block): void {
    if (block.released) return
    block.released = true
    if (block.pins === 0) this.#giveBack(block)
  }

  pin(block: Block): void {
    block.pins++
  }

  unpin(block: Block): void {
    if (--block.pins === 0 && block.released) this.#giveBack(block)
  }

  #giveBack({ address, bytes }: Block): void {
    this.used -= bytes
    let index = this.#free.findIndex((range) => range.address > address)
    if (index < 0) index = this.#free.length
    const range = { address, bytes }
    this.#free.splice(index, 0, range)
    const next = this.#free[index + 1]
    if (next && address + bytes === next.address) {
      range.bytes += next.bytes
      this.#free.splice(index + 1, 1)
    }
    const previous = this.#free[index - 1]
    if (previous && previous.address + previous.bytes === address) {
      previous.bytes += range.bytes
      this.#free.splice(index, 1)
    }
  }
}
