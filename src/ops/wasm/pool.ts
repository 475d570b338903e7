/**
 * The host's side of the command queue: `enqueue` returns at once, only `settled` waits. With workers the commands go into a ring in shared
 * memory. Without workers a command runs in the caller's thread, while it is enqueued.
 */
import { BackendFailedError } from '../backend.ts'
import { type Attachment, Executor } from './executor.ts'
import { startWorker, type WorkerHandle } from './host.ts'
import type { Command, Kernel, Words } from './kernel.ts'
import {
  ALONE,
  COMPLETED,
  CONSUMED,
  OP_ATTACH,
  OP_SIGNAL,
  OP_WRAP,
  PARALLEL,
  PARALLEL_SLEEPERS,
  RING,
  RING_WORDS,
  TAIL,
  TAIL_SLEEPERS,
} from './layout.ts'
import type { FromWorker, ToWorker } from './worker.ts'

export interface Pool {
  readonly threads: number
  /** Adds a command behind all others. */
  enqueue<W extends Words>(kernel: Kernel<W>, command: Command<W>): void
  /** A number that grows with every command; `done(position())` becomes true when everything enqueued so far has run. */
  position(): number
  done(position: number): boolean
  /** Makes a weight memory or the kernels of a format known before any later command. */
  attach(what: Attachment): void
  /** When everything enqueued so far has run. */
  settled(): Promise<void>
  /** Resolves when a thread has failed or ended by itself. */
  readonly failed: Promise<BackendFailedError>
  dispose(): Promise<void>
}

/** Without threads: every command runs before `enqueue` returns. */
export class InlinePool implements Pool {
  readonly threads = 1
  readonly #executor: Executor

  constructor(module: WebAssembly.Module, heap: WebAssembly.Memory) {
    this.#executor = new Executor(module, heap, 0, 1)
  }
  enqueue<W extends Words>(kernel: Kernel<W>, command: Command<W>): void {
    this.#executor.run(kernel, command)
  }
  position(): number {
    return 0
  }
  done(): boolean {
    return true
  }
  attach(what: Attachment): void {
    this.#executor.attach(what)
  }
  async settled(): Promise<void> {}
  readonly failed = new Promise<BackendFailedError>(() => {})
  async dispose(): Promise<void> {}
}

/** With less work than so many multiply-adds (some ten microseconds) one worker is faster alone. */
const SHARED_WORK = 1 << 18

/** How long workers may take to answer after their start before they are replaced. */
const START_TIMEOUT_MS = 10_000

export class ThreadPool implements Pool {
  readonly threads: number
  readonly #words: Int32Array
  readonly #floats: Float32Array
  readonly #workers: WorkerHandle[]
  readonly #waiting = new Map<number, { resolve: () => void; reject: (error: Error) => void }>()
  #failure: Error | undefined
  readonly #failing = Promise.withResolvers<BackendFailedError>()
  readonly failed = this.#failing.promise
  #nextSignal = 1
  #attached = 0
  #tail = 0
  /** Where the last command for all workers ends. */
  #parallel = 0

  constructor(heap: WebAssembly.Memory, workers: WorkerHandle[]) {
    this.#words = new Int32Array(heap.buffer)
    this.#floats = new Float32Array(heap.buffer)
    this.#workers = workers
    this.threads = workers.length
    for (const worker of workers) {
      worker.onMessage((message: FromWorker) => {
        if (message.kind === 'signal') {
          this.#waiting.get(message.id)?.resolve()
          this.#waiting.delete(message.id)
          if (this.#waiting.size === 0) this.#keepAlive(false)
        } else if (message.kind === 'failed') this.#fail(new Error(`a compute thread failed: ${message.message}`))
      })
      worker.onError((error) => this.#fail(error))
    }
    this.#keepAlive(false)
  }

  /** `build` makes the module while the threads start. */
  static async start(build: () => Promise<WebAssembly.Module>, heap: WebAssembly.Memory, count: number): Promise<ThreadPool> {
    let built: Promise<WebAssembly.Module> | undefined
    for (let attempt = 1; ; attempt++) {
      const workers = Array.from({ length: count }, startWorker)
      built ??= build()
      const module = built
      const ready = Promise.all(
        workers.map(
          (worker, index) =>
            new Promise<void>((resolve, reject) => {
              worker.onMessage((message: FromWorker) => {
                if (message.kind === 'ready') resolve()
                if (message.kind === 'failed') reject(new Error(`a compute thread did not start: ${message.message}`))
              })
              worker.onError(reject)
              module.then((module) => worker.post({ kind: 'start', module, heap, index, count } satisfies ToWorker), reject)
            }),
        ),
      )
      const timer = Promise.withResolvers<'late'>()
      const handle = setTimeout(() => timer.resolve('late'), START_TIMEOUT_MS)
      try {
        if ((await Promise.race([ready, timer.promise])) !== 'late') return new ThreadPool(heap, workers)
      } catch (error) {
        await Promise.all(workers.map((worker) => worker.terminate()))
        throw error
      } finally {
        clearTimeout(handle)
      }
      // Seen about once in 300 starts: a worker that never runs. Nothing was enqueued yet, so a new set may try.
      await Promise.all(workers.map((worker) => worker.terminate()))
      if (attempt === 3) throw new Error(`${count} compute threads did not start within ${START_TIMEOUT_MS} ms, three times`)
    }
  }

  enqueue<W extends Words>(kernel: Kernel<W>, command: Command<W>): void {
    if (this.#failure) throw this.#failure
    // At least one command per quarter of the ring must be for all workers: only those advance CONSUMED.
    const overdue = ((this.#tail - this.#parallel) | 0) > RING_WORDS / 4
    const alone = !overdue && kernel.work(command) < SHARED_WORK
    const at = this.#reserve(kernel.length + 2)
    this.#words[at] = alone ? kernel.number | ALONE : kernel.number
    this.#words[at + 1] = kernel.length + 2
    kernel.write(command, this.#words, this.#floats, at + 2)
    this.#publish(kernel.length + 2, !alone)
  }

  /** An entry that is no kernel: one word of argument. */
  #control(op: typeof OP_SIGNAL | typeof OP_ATTACH, word: number): void {
    if (this.#failure) throw this.#failure
    const at = this.#reserve(3)
    this.#words[at] = op
    this.#words[at + 1] = 3
    this.#words[at + 2] = word
    this.#publish(3, op === OP_ATTACH)
  }

  /** Index of the first of `length` free words in a row, at the tail of the ring. */
  #reserve(length: number): number {
    const rest = RING_WORDS - (this.#tail & (RING_WORDS - 1))
    const skipped = rest < length ? rest : 0
    // Full only if the caller enqueues some hundred forward passes without reading; then it has to wait here.
    while (((this.#tail + skipped + length - Atomics.load(this.#words, CONSUMED)) | 0) > RING_WORDS - 2);
    if (skipped) this.#words[RING + (this.#tail & (RING_WORDS - 1))] = OP_WRAP // the reader knows where the ring ends
    this.#tail = (this.#tail + skipped) | 0
    return RING + (this.#tail & (RING_WORDS - 1))
  }

  /** Shows the workers what was written: to worker 0, and to all workers where they share the work. */
  #publish(length: number, shared: boolean): void {
    this.#tail = (this.#tail + length) | 0
    Atomics.store(this.#words, TAIL, this.#tail)
    if (Atomics.load(this.#words, TAIL_SLEEPERS) > 0) Atomics.notify(this.#words, TAIL)
    if (!shared) return
    this.#parallel = this.#tail
    Atomics.store(this.#words, PARALLEL, this.#tail)
    if (Atomics.load(this.#words, PARALLEL_SLEEPERS) > 0) Atomics.notify(this.#words, PARALLEL)
  }

  position(): number {
    return this.#tail
  }

  done(position: number): boolean {
    return ((Atomics.load(this.#words, COMPLETED) - position) | 0) >= 0
  }

  attach(what: Attachment): void {
    const number = this.#attached++
    for (const worker of this.#workers) worker.post({ kind: 'attach', number, what } satisfies ToWorker)
    this.#control(OP_ATTACH, number)
  }

  settled(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure)
    const id = this.#nextSignal++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#keepAlive(true)
      this.#control(OP_SIGNAL, id)
    })
  }

  #keepAlive(alive: boolean): void {
    for (const worker of this.#workers) worker.keepAlive(alive)
  }

  #fail(error: Error): void {
    if (this.#failure) return // the first reason counts; after `dispose` every thread ends
    const failure = new BackendFailedError('wasm', error)
    this.#failure = failure
    this.#failing.resolve(failure) // before the pending reads reject
    for (const { reject } of this.#waiting.values()) reject(failure)
    this.#waiting.clear()
    for (const worker of this.#workers) void worker.terminate()
  }

  async dispose(): Promise<void> {
    this.#failure ??= new Error('the wasm backend was disposed')
    for (const { reject } of this.#waiting.values()) reject(this.#failure)
    this.#waiting.clear()
    await Promise.all(this.#workers.map((worker) => worker.terminate()))
  }
}
