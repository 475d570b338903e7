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
    const range = this.#free[index]!
    const { address } = range
    range.address += wanted
    range.bytes -= wanted
    if (range.bytes === 0) this.#free.splice(index, 1)
    this.used += wanted
    return { address, bytes: wanted, pins: 0, released: false }
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
    const free = this.#free
    let index = 0
    while (index < free.length && free[index]!.address < address) index++
    const [previous, next] = [free[index - 1], free[index]]
    const follows = previous !== undefined && previous.address + previous.bytes === address
    const leads = next !== undefined && address + bytes === next.address
    if (follows) previous.bytes += bytes
    if (follows && leads) {
      previous.bytes += next.bytes
      free.splice(index, 1)
    } else if (leads) {
      next.address = address
      next.bytes += bytes
    } else if (!follows) free.splice(index, 0, { address, bytes })
  }
}
