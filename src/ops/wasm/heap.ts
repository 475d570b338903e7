/**
 * The heap (memory 0) as the host uses it: temporaries that end with their scope, an area that the host writes and workers only read,
 * and copies between memories. Commands run in the order in which they were enqueued, so a temporary may be given out again at once.
 * What the host itself writes must stay until the commands that read it have run (`retire`).
 */
import { binary } from '../../numbers/bytes.ts'
import { MemoryError } from '../backend.ts'
import { type Draw, drawRows } from '../draw.ts'
import { size, type Tensor, tensorsIn } from '../tensor.ts'
import { FORMAT } from './formats.ts'
import { copyKernel } from './kernels/copy.ts'
import { afterScratch } from './layout.ts'
import { Allocator, type Block } from './memory.ts'
import type { Pool } from './pool.ts'
import { own, type WasmTensor } from './tensor.ts'

/** Bytes of the area the host writes and workers only read: ids, positions, uploads. Untouched pages cost nothing. */
const HOST_BYTES = 512 << 20
/** Kernels may read a vector beyond the end of a temporary. */
const OVERREAD = 64

/** A place in an arena (0: the heap). */
export interface Location {
  readonly arena: number
  readonly address: number
}

export class Heap {
  readonly words: Int32Array
  readonly floats: Float32Array
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly temporaries: Allocator
  /** Bytes of small weights that stay in the heap. */
  kept = 0
  readonly #pool: Pool
  /** Whether weights lie in other memories. */
  readonly #separate: boolean
  readonly #host: Allocator
  readonly #hostBytes: number
  readonly #retired: { position: number; block: Block }[] = []
  readonly #scopes: Block[][] = []

  constructor(memory: WebAssembly.Memory, pool: Pool, separate: boolean) {
    const { buffer } = memory
    this.words = new Int32Array(buffer)
    this.floats = new Float32Array(buffer)
    this.bytes = new Uint8Array(buffer as ArrayBuffer)
    this.#pool = pool
    this.#separate = separate
    const start = afterScratch(pool.threads)
    this.#hostBytes = Math.min(HOST_BYTES, Math.floor(buffer.byteLength / 4))
    this.#host = new Allocator(start, start + this.#hostBytes)
    this.temporaries = new Allocator(start + this.#hostBytes, buffer.byteLength - 65536)
  }

  // Temporaries.

  /** A block that the caller releases. @throws MemoryError when the heap is full */
  temporary(bytes: number, what: string): Block {
    const block = this.temporaries.allocate(bytes)
    if (block) return block
    const [total, used] = [this.bytes.byteLength, this.temporaries.used]
    throw new MemoryError(`${what}: no ${binary(bytes)} left in the heap of ${binary(total)} (${binary(used)} in use)`)
  }

  /** A block that ends with the enclosing scope. */
  scoped(bytes: number, what: string): Block {
    const block = this.temporary(bytes, what)
    this.#scopes.at(-1)?.push(block)
    return block
  }

  /** The result of an op, without values yet. */
  result(shape: readonly number[], what: string): WasmTensor {
    const block = this.scoped(size(shape) * 4 + OVERREAD, what)
    return { shape, dtype: 'f32', arena: 0, address: block.address, format: FORMAT.f32, block }
  }

  /** Runs `body` with blocks of the heap that are free again afterwards. */
  withScratch<T>(sizes: readonly number[], body: (...addresses: number[]) => T): T {
    const blocks = sizes.map((bytes) => this.temporary(bytes, 'scratch'))
    try {
      return body(...blocks.map((block) => block.address))
    } finally {
      for (const block of blocks) this.temporaries.release(block)
    }
  }

  /** Runs `body`; its temporaries end, except those that its result is or holds: these pass to the enclosing scope. */
  scope<R>(body: () => R): R {
    this.#scopes.push([])
    let kept: (Block | undefined)[] = []
    try {
      const result = body()
      kept = tensorsIn(result).map((tensor) => (tensor as WasmTensor).block)
      return result
    } finally {
      for (const block of this.#scopes.pop()!) {
        if (!kept.includes(block)) this.temporaries.release(block)
        else this.#scopes.at(-1)?.push(block)
      }
    }
  }

  // What the host writes.

  /** A block that the host may write; `retire` it after the commands that read it. */
  hostBlock(bytes: number): Block {
    this.reclaim()
    const block = this.#host.allocate(bytes)
    if (block) return block
    throw new MemoryError(
      `upload: no ${binary(bytes)} left of the ${binary(this.#hostBytes)} between host and kernels; read a result first`,
    )
  }

  /** The block is free when everything enqueued so far has run. */
  retire(block: Block): void {
    this.#retired.push({ position: this.#pool.position(), block })
  }

  /** Frees retired blocks whose commands have run. */
  reclaim(): void {
    while (this.#retired.length > 0 && this.#pool.done(this.#retired[0]!.position)) this.#host.release(this.#retired.shift()!.block)
  }

  get hostUsed(): number {
    return this.#host.used
  }

  /** Whether a retired block still waits for its commands. */
  get pending(): boolean {
    return this.#retired.length > 0
  }

  /** A host block with these bytes. */
  stage(data: ArrayBufferView): Block {
    const block = this.hostBlock(data.byteLength)
    this.bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), block.address)
    return block
  }

  // Copies.

  copy(to: Location, from: Location, bytes: number): void {
    this.#pool.enqueue(copyKernel, { toArena: to.arena, to: to.address, fromArena: from.arena, from: from.address, bytes })
  }

  /** Copies data of the host to an address of the heap. */
  put(address: number, data: ArrayBufferView): void {
    const staged = this.stage(data)
    this.copy({ arena: 0, address }, { arena: 0, address: staged.address }, data.byteLength)
    this.retire(staged)
  }

  /** A copy in the heap that stays. */
  keep(data: ArrayBufferView): Block {
    const block = this.temporary(data.byteLength + OVERREAD, 'weights')
    this.kept += block.bytes
    this.put(block.address, data)
    return block
  }

  /** Waits for everything enqueued so far. */
  async settled(): Promise<void> {
    await this.#pool.settled()
  }

  /** Calls `copyOut` when everything enqueued so far has run; the block stays until then, also when it is released meanwhile. */
  async #settled<T>(block: Block | undefined, copyOut: () => T): Promise<T> {
    if (block) this.temporaries.pin(block)
    try {
      await this.#pool.settled()
      return copyOut()
    } finally {
      if (block) this.temporaries.unpin(block)
    }
  }

  /** The bytes of a temporary, which this call releases. */
  download(block: Block, bytes: number): Promise<Uint8Array> {
    const downloaded = this.#settled(block, () => this.bytes.slice(block.address, block.address + bytes))
    this.temporaries.release(block)
    return downloaded
  }

  /** Values as f32: in `into`, where it is long enough, else in a new array. */
  async read(x: Tensor, into?: Float32Array): Promise<Float32Array> {
    const { block, address } = this.tensor(x, 'read')
    const [from, count] = [address / 4, size(x.shape)]
    return this.#settled(block, () => {
      if (!into || into.length < count) return this.floats.slice(from, from + count)
      into.set(this.floats.subarray(from, from + count))
      return into.subarray(0, count)
    })
  }

  /** Chooses one id per row of logits [R, V] where they lie, and overwrites them. */
  async draw(logits: Tensor, draws: readonly Draw[]): Promise<Int32Array> {
    const { block, address } = this.tensor(logits, 'draw')
    return this.#settled(block, () => drawRows(this.floats.subarray(address / 4, address / 4 + size(logits.shape)), draws))
  }

  // Arguments of ops.

  /** A tensor that kernels read as f32 in the heap: a temporary or a vector. */
  tensor(x: Tensor, what: string): WasmTensor {
    const tensor = own(x, what)
    if (tensor.arena !== 0 && this.#separate)
      throw new TypeError(`${what}: ${x.name ?? 'a weight'} must be made with use 'vector' (or be a temporary)`)
    return tensor
  }

  /** The address of such a tensor; 0: none. */
  address(x: Tensor | undefined, what: string): number {
    return x ? this.tensor(x, what).address : 0
  }
}
