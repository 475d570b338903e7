/**
 * From recorded nodes to results: encodes the plan of a pass, submits it, and waits. One write of words, one submission and one readback per
 * pass. Errors of the device are kept and come out of the next operation that waits.
 */
import { BackendFailedError } from '../backend.ts'
import type { Buffers } from './buffers.ts'
import type { Device } from './device.ts'
import { encode, FIRST_PLACE, type Plans } from './plan.ts'
import type { Recorder } from './record.ts'
import type { Temporary } from './tensor.ts'

export class Queue {
  readonly #device: GPUDevice
  readonly #buffers: Buffers
  readonly #recorder: Recorder
  readonly #plans: Plans
  /** Temporaries that ended while nodes that may read them were recorded. */
  readonly #ended: Temporary[] = []
  #error: Error | undefined
  /** Resolves when the device is lost, or reports an error that nobody expected. */
  readonly failed: Promise<BackendFailedError>

  constructor({ device, failed }: Device, buffers: Buffers, recorder: Recorder, plans: Plans) {
    this.#device = device
    this.#buffers = buffers
    this.#recorder = recorder
    this.#plans = plans
    // Results after an error of the device are not to be trusted.
    const reported = new Promise<BackendFailedError>((resolve) => {
      device.onuncapturederror = ({ error }) => resolve(new BackendFailedError('webgpu', new Error(`the device reports: ${error.message}`)))
    })
    this.failed = Promise.race([failed, reported])
    void this.failed.then((error) => {
      this.#error = error
    })
  }

  /** @throws the error by which the backend has failed */
  mustWork(): void {
    if (this.#error) throw this.#error
  }

  /** Frees a temporary's place once what is recorded has been submitted; those of drawn ids at once, as only later draws take them. */
  end(temporary: Temporary): void {
    if (this.#recorder.nodes.length && temporary.place! >= FIRST_PLACE) this.#ended.push(temporary)
    else this.#buffers.free(temporary)
  }

  /** Submits what is recorded, and `after` behind it. */
  flush(after?: (encoder: GPUCommandEncoder) => void): void {
    this.mustWork()
    const recorder = this.#recorder
    if (!recorder.nodes.length && !after) return
    try {
      const encoder = this.#device.createCommandEncoder()
      if (recorder.nodes.length) {
        const plan = this.#plans.of(recorder)
        this.#buffers.writeWords(recorder.data)
        encode(encoder, plan)
      }
      after?.(encoder)
      this.#device.queue.submit([encoder.finish()])
    } finally {
      recorder.clear()
      for (const temporary of this.#ended.splice(0)) this.#buffers.free(temporary)
    }
  }

  flushIfWorking(): void {
    if (!this.#error) this.flush()
  }

  /** Submits what is recorded and brings some bytes of a buffer to the host. */
  async #download<T>(bytes: number, from: () => readonly [GPUBuffer, number], take: (data: ArrayBuffer) => T): Promise<T> {
    const buffer = this.#buffers.readback(bytes)
    this.flush((encoder) => {
      const [source, at] = from()
      encoder.copyBufferToBuffer(source, at, buffer, 0, bytes)
    })
    return this.#waited(this.#buffers.mapped(buffer, bytes, take))
  }

  /** A failure of the device comes before what waiting for it throws. */
  async #waited<T>(result: Promise<T>): Promise<T> {
    try {
      const value = await result
      this.mustWork()
      return value
    } catch (error) {
      // The loss of the device is told a moment after the operations that it ends.
      const lost = this.#error ?? (await Promise.race([this.failed, new Promise<undefined>((resolve) => setTimeout(resolve, 200))]))
      throw lost ?? error
    }
  }

  /** The values of a temporary; its place must be known after the pass. */
  async read(x: Temporary, into?: Float32Array): Promise<Float32Array> {
    if (x.count === 0) {
      this.flush()
      return new Float32Array(0)
    }
    return this.#download(
      x.count * 4,
      () => [this.#buffers.temporaries, x.place! * 4],
      (data) => {
        const values = new Float32Array(data, 0, x.count)
        if (!into || into.length < x.count) return values.slice()
        into.set(values)
        return into.subarray(0, x.count)
      },
    )
  }

  /** Bytes of any buffer. */
  download(source: GPUBuffer, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.#download(
      bytes,
      () => [source, 0],
      (data) => new Uint8Array(data.slice(0)),
    )
  }

  async settled(): Promise<void> {
    this.flush()
    await this.#waited(this.#device.queue.onSubmittedWorkDone())
  }
}
