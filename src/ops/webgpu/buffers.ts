/**
 * Everything that is made on the device: the memory of temporaries, the vectors, the words of a pass, buffers of weights and caches,
 * pipelines and bind groups. Counts bytes. Growing a shared buffer makes bind groups void, so plans are made anew after it.
 */
import { MemoryError } from '../backend.ts'
import type { Device } from './device.ts'
import { type Block, FIRST_PLACE, MOST_DRAWN, roundUp } from './plan.ts'
import type { Temporary } from './tensor.ts'
import { PARAMETER_BYTES, type Shader, type Variants } from './wgsl.ts'

/** Bits of GPUBufferUsage, which Node.js has no global for. */
export const USAGE = { mapRead: 1, copySource: 4, copyTarget: 8, uniform: 64, storage: 128 } as const
const COMPUTE_STAGE = 4
const MAP_READ = 1

/** A buffer that is too small becomes so many times as large: little memory stays unused. */
const GROWTH = 1.25

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`

export class Buffers {
  readonly device: GPUDevice
  readonly variants: Variants
  readonly largestBinding: number
  /** Called when bind groups are void. */
  onReplaced: () => void = () => {}
  #temporaries: GPUBuffer
  #vectors: GPUBuffer
  #vectorsUsed = 0
  #host: GPUBuffer
  #counters: GPUBuffer | undefined
  readonly #occupied = new Map<Temporary, Block>()
  readonly #layouts = new Map<string, GPUBindGroupLayout>()
  readonly #pipelines = new Map<string, GPUComputePipeline>()
  readonly #readbacks: GPUBuffer[] = []
  readonly #owned = new Set<GPUBuffer>()

  constructor({ device, variants, largestBinding }: Device) {
    this.device = device
    this.variants = variants
    this.largestBinding = largestBinding
    this.#temporaries = this.#storage('temporaries', 1 << 16)
    this.#vectors = this.#storage('vectors', 1 << 16)
    this.#host = this.#storage('words of a pass', 1 << 14)
  }

  #storage(label: string, size: number): GPUBuffer {
    return this.device.createBuffer({ label, size, usage: USAGE.storage | USAGE.copySource | USAGE.copyTarget })
  }

  /** A larger buffer with the same contents. */
  #grow(buffer: GPUBuffer, bytes: number): GPUBuffer {
    const roomy = Math.ceil(Math.max(bytes, GROWTH * buffer.size) / 256) * 256
    const size = Math.min(roomy, Math.max(bytes, this.largestBinding))
    if (size > this.largestBinding)
      throw new MemoryError(
        `${buffer.label}: ${megabytes(bytes)} wanted, but a binding of this device has at most ${megabytes(this.largestBinding)}; use fewer rows at a time`,
      )
    const grown = this.#storage(buffer.label, size)
    const encoder = this.device.createCommandEncoder()
    encoder.copyBufferToBuffer(buffer, 0, grown, 0, buffer.size)
    this.device.queue.submit([encoder.finish()])
    buffer.destroy()
    this.onReplaced()
    return grown
  }

  // Temporaries.

  get temporaries(): GPUBuffer {
    return this.#temporaries
  }

  needTemporaries(count: number): void {
    if (count * 4 > this.#temporaries.size) this.#temporaries = this.#grow(this.#temporaries, count * 4)
  }

  occupy(temporary: Temporary): void {
    this.#occupied.set(temporary, { at: temporary.place!, count: roundUp(temporary.count) })
  }

  /** Gives drawn ids a place before they are computed. Without a free one they are placed like other temporaries. */
  keepDrawn(ids: Temporary): void {
    const taken = new Set(this.blocks().map(({ at }) => at))
    for (let at = 0; at < FIRST_PLACE && ids.place === undefined; at += MOST_DRAWN)
      if (ids.count <= MOST_DRAWN && !taken.has(at)) ids.place = at
    if (ids.place !== undefined) this.occupy(ids)
  }

  free(temporary: Temporary): void {
    this.#occupied.delete(temporary)
  }

  blocks(): Block[] {
    return [...this.#occupied.values()]
  }

  // Vectors and words of a pass.

  /** Adds f32 values that stay. Returns the first one's number. */
  vector(values: Float32Array<ArrayBuffer>): number {
    const at = this.#vectorsUsed
    const end = at + roundUp(values.length)
    if (end * 4 > this.#vectors.size) this.#vectors = this.#grow(this.#vectors, end * 4)
    this.#vectorsUsed = end
    this.device.queue.writeBuffer(this.#vectors, at * 4, values)
    return at
  }

  needWords(count: number): void {
    if (count * 4 <= this.#host.size) return
    this.#host = this.#grow(this.#host, count * 4)
  }

  writeWords(words: Int32Array<ArrayBuffer>): void {
    if (words.length) this.device.queue.writeBuffer(this.#host, 0, words)
  }

  /** Whole numbers that shaders count in. Growing does not keep them. */
  needCounters(bytes: number): void {
    if (this.#counters && bytes <= this.#counters.size) return
    this.#counters?.destroy()
    this.#counters = this.#storage('counters', 2 ** Math.ceil(Math.log2(bytes)))
    this.onReplaced()
  }

  get counters(): GPUBuffer {
    return this.#counters!
  }

  uniforms(words: Uint32Array<ArrayBuffer>): GPUBuffer {
    const buffer = this.device.createBuffer({ label: 'parameters', size: words.byteLength, usage: USAGE.uniform | USAGE.copyTarget })
    this.device.queue.writeBuffer(buffer, 0, words)
    return buffer
  }

  // Weights and caches.

  /**
   * A storage buffer of its own.
   * @throws MemoryError that names it and the bytes wanted
   */
  async allocate(label: string, bytes: number): Promise<GPUBuffer> {
    const size = Math.max(16, Math.ceil(bytes / 4) * 4)
    if (size > this.largestBinding)
      throw new MemoryError(
        `${label}: ${megabytes(size)} wanted, but a binding of this device has at most ${megabytes(this.largestBinding)}`,
      )
    const { device } = this
    device.pushErrorScope('out-of-memory')
    device.pushErrorScope('validation')
    const buffer = this.#storage(label, size)
    const [invalid, full] = await Promise.all([device.popErrorScope(), device.popErrorScope()])
    if (full ?? invalid)
      throw new MemoryError(`${label}: the device has no ${megabytes(size)} left (${(full ?? invalid)!.message.split('\n')[0]})`)
    this.#owned.add(buffer)
    return buffer
  }

  /** A buffer for copies, which the caller destroys. */
  staging(size: number): GPUBuffer {
    return this.device.createBuffer({ label: 'copies', size, usage: USAGE.copySource | USAGE.copyTarget })
  }

  release(buffer: GPUBuffer): void {
    if (this.#owned.delete(buffer)) buffer.destroy()
  }

  // Pipelines.

  #layout(access: string): GPUBindGroupLayout {
    let layout = this.#layouts.get(access)
    if (!layout) {
      const types: GPUBufferBindingType[] = ['uniform', 'storage', 'read-only-storage', 'read-only-storage']
      for (const a of access) types.push(a === 'r' ? 'read-only-storage' : 'storage')
      layout = this.device.createBindGroupLayout({
        label: `layout ${access}`,
        entries: types.map((type, binding) => ({ binding, visibility: COMPUTE_STAGE, buffer: { type } })),
      })
      this.#layouts.set(access, layout)
    }
    return layout
  }

  #descriptor({ key, code, access }: Shader): GPUComputePipelineDescriptor {
    return {
      label: key,
      layout: this.device.createPipelineLayout({ bindGroupLayouts: [this.#layout(access)] }),
      compute: { module: this.device.createShaderModule({ label: key, code }), entryPoint: 'main' },
    }
  }

  pipeline(shader: Shader): GPUComputePipeline {
    let pipeline = this.#pipelines.get(shader.key)
    if (!pipeline) {
      pipeline = this.device.createComputePipeline(this.#descriptor(shader))
      this.#pipelines.set(shader.key, pipeline)
    }
    return pipeline
  }

  group({ key, access }: Shader, parameters: GPUBuffer, offset: number, further: readonly GPUBuffer[]): GPUBindGroup {
    const buffers = [this.#temporaries, this.#vectors, this.#host, ...further]
    return this.device.createBindGroup({
      label: key,
      layout: this.#layout(access),
      entries: [
        { binding: 0, resource: { buffer: parameters, offset, size: PARAMETER_BYTES } },
        ...buffers.map((buffer, n) => ({ binding: n + 1, resource: { buffer } })),
      ],
    })
  }

  // Reading.

  /** A buffer that the host can map, of at least so many bytes; `restore` gives it back. */
  readback(bytes: number): GPUBuffer {
    const at = this.#readbacks.findIndex((buffer) => buffer.size >= bytes)
    if (at >= 0) return this.#readbacks.splice(at, 1)[0]!
    const size = Math.max(256, 2 ** Math.ceil(Math.log2(bytes)))
    return this.device.createBuffer({ label: 'readback', size, usage: USAGE.mapRead | USAGE.copyTarget })
  }

  /** The first bytes of a readback buffer that was copied to, when the device has come so far. */
  async mapped<T>(buffer: GPUBuffer, bytes: number, take: (data: ArrayBuffer) => T): Promise<T> {
    await buffer.mapAsync(MAP_READ, 0, bytes)
    const result = take(buffer.getMappedRange(0, bytes))
    buffer.unmap()
    this.#readbacks.push(buffer)
    this.#readbacks.sort((a, b) => a.size - b.size)
    for (const large of this.#readbacks.splice(8)) large.destroy()
    return result
  }

  /** Bytes of the shared buffers that hold no weights. */
  get temporaryBytes(): number {
    return this.#temporaries.size + this.#host.size + (this.#counters?.size ?? 0)
  }
}
