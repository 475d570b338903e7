/**
 * One thread of the pool: takes commands from the ring in shared memory, does its share, waits for the others at a barrier.
 * A waiting worker spins for a while, then sleeps. It returns to its event loop only to receive a further memory or module.
 */
import { type Attachment, Executor } from './executor.ts'
import { onHostMessage, postToHost } from './host.ts'
import {
  ALONE,
  ARRIVED,
  COMPLETED,
  CONSUMED,
  GENERATION,
  GENERATION_SLEEPERS,
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

/** From the host: first the module and the heap, then memories and modules of formats as they are made, numbered in order. */
export type ToWorker =
  | { kind: 'start'; module: WebAssembly.Module; heap: WebAssembly.Memory; index: number; count: number }
  | { kind: 'attach'; number: number; what: Attachment }
export type FromWorker = { kind: 'ready' } | { kind: 'signal'; id: number } | { kind: 'failed'; message: string }

/**
 * Iterations of a spin before sleeping: at most a little longer than waking takes (60 µs). On a busy machine, where the other workers
 * wait for a core, spinning only takes it from them. A spin that times out halves the limit, a successful one raises it by 1/16.
 * A worker stops early when the queue is empty: the main thread then needs the core.
 */
const MOST_SPINS = 60_000
const LEAST_SPINS = 5_000

async function main(): Promise<void> {
  const received: Attachment[] = []
  let wake = () => {}
  const started = new Promise<Extract<ToWorker, { kind: 'start' }>>((resolve) => {
    onHostMessage((message: ToWorker) => {
      if (message.kind === 'start') return resolve(message)
      received[message.number] = message.what
      wake()
    })
  })
  const { module, heap, index, count } = await started
  const executor = new Executor(module, heap, index, count)
  const words = executor.words

  let limit = MOST_SPINS
  /** Waits until a word differs from `seen`. */
  const awaitChange = (word: number, seen: number, sleepers: number): void => {
    let spins = 0
    for (; spins < limit; spins++) {
      if (Atomics.load(words, word) !== seen) {
        limit = Math.min(MOST_SPINS, limit + MOST_SPINS / 16)
        return
      }
      if (spins > LEAST_SPINS && Atomics.load(words, COMPLETED) === Atomics.load(words, TAIL)) break
    }
    if (spins === limit) limit = Math.max(LEAST_SPINS, limit / 2)
    Atomics.add(words, sleepers, 1)
    while (Atomics.load(words, word) === seen) Atomics.wait(words, word, seen, 1000)
    Atomics.sub(words, sleepers, 1)
  }
  /** The barrier: waits until all workers have come as far as `position`. */
  const meet = (position: number): void => {
    const generation = Atomics.load(words, GENERATION)
    if (Atomics.add(words, ARRIVED, 1) === count - 1) {
      Atomics.store(words, ARRIVED, 0)
      Atomics.store(words, COMPLETED, position)
      Atomics.store(words, CONSUMED, position)
      Atomics.store(words, GENERATION, (generation + 1) | 0)
      if (Atomics.load(words, GENERATION_SLEEPERS) > 0) Atomics.notify(words, GENERATION)
    } else awaitChange(GENERATION, generation, GENERATION_SLEEPERS)
  }

  postToHost({ kind: 'ready' } satisfies FromWorker)
  // Worker 0 follows every command, the others wake only for those they take part in.
  const [end, sleepers] = index === 0 ? [TAIL, TAIL_SLEEPERS] : [PARALLEL, PARALLEL_SLEEPERS]
  let head = 0
  /** Whether worker 0 has run commands alone since the last barrier. */
  let apart = false
  for (;;) {
    if (Atomics.load(words, end) === head) {
      awaitChange(end, head, sleepers)
      continue
    }
    const at = RING + (head & (RING_WORDS - 1))
    const op = words[at]!
    if (op === OP_WRAP) {
      head = ((head | (RING_WORDS - 1)) + 1) | 0
      continue
    }
    const length = words[at + 1]!
    const next = (head + length) | 0
    if (op === OP_SIGNAL || (op > 0 && op & ALONE)) {
      head = next
      if (op !== OP_SIGNAL) apart = true
      if (index > 0) continue
      if (op !== OP_SIGNAL) executor.runAt(op & ~ALONE, at + 2, true)
      Atomics.store(words, COMPLETED, next)
      if (op === OP_SIGNAL) postToHost({ kind: 'signal', id: words[at + 2]! } satisfies FromWorker)
      continue
    }
    if (apart) meet(head)
    apart = false
    if (op === OP_ATTACH) {
      const number = words[at + 2]!
      while (!received[number]) await new Promise<void>((resolve) => (wake = resolve))
      executor.attach(received[number])
    } else executor.runAt(op, at + 2, false)
    head = next
    meet(next)
  }
}

main().catch((error: unknown) => {
  const message = error instanceof Error ? `${error.message}\n${error.stack}` : String(error)
  postToHost({ kind: 'failed', message } satisfies FromWorker)
})
