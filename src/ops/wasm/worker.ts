/**
 * One thread of the pool: takes commands from the ring in shared memory, does its share, meets the others at a barrier.
 * It spins for a short while, then sleeps; it returns to its event loop only to receive a further memory.
 */
import { Executor } from './executor.ts'
import { onHostMessage, postToHost } from './host.ts'
import { ARRIVED, COMPLETED, GENERATION, OP_ATTACH, OP_SIGNAL, OP_WRAP, RING, RING_WORDS, SLEEPERS, TAIL } from './layout.ts'

/** From the host: first the module and the heap, then memories as they are made. */
export type ToWorker =
  | { kind: 'start'; module: WebAssembly.Module; heap: WebAssembly.Memory; index: number; count: number }
  | { kind: 'attach'; arena: number; memory: WebAssembly.Memory }
export type FromWorker = { kind: 'ready' } | { kind: 'signal'; id: number } | { kind: 'failed'; message: string }

/** Turns of a spin before sleeping: some tens of microseconds. */
const SPINS = 20_000

async function main(): Promise<void> {
  const memories: WebAssembly.Memory[] = []
  let wake = () => {}
  const started = new Promise<Extract<ToWorker, { kind: 'start' }>>((resolve) => {
    onHostMessage((message: ToWorker) => {
      if (message.kind === 'start') return resolve(message)
      memories[message.arena] = message.memory
      wake()
    })
  })
  const { module, heap, index, count } = await started
  const executor = new Executor(module, heap, index, count)
  const words = executor.words
  const floats = executor.floats

  /** Waits until a word differs from `seen`. */
  const awaitChange = (word: number, seen: number): void => {
    for (let i = 0; i < SPINS; i++) if (Atomics.load(words, word) !== seen) return
    Atomics.add(words, SLEEPERS, 1)
    while (Atomics.load(words, word) === seen) Atomics.wait(words, word, seen, 1000)
    Atomics.sub(words, SLEEPERS, 1)
  }
  /** Everybody has finished the command that ends at `position`. */
  const meet = (position: number): void => {
    const generation = Atomics.load(words, GENERATION)
    if (Atomics.add(words, ARRIVED, 1) === count - 1) {
      Atomics.store(words, ARRIVED, 0)
      Atomics.store(words, COMPLETED, position)
      Atomics.store(words, GENERATION, (generation + 1) | 0)
      if (Atomics.load(words, SLEEPERS) > 0) Atomics.notify(words, GENERATION)
    } else awaitChange(GENERATION, generation)
  }

  postToHost({ kind: 'ready' } satisfies FromWorker)
  let head = 0
  for (;;) {
    const tail = Atomics.load(words, TAIL)
    if (tail === head) {
      awaitChange(TAIL, head)
      continue
    }
    const at = RING + (head & (RING_WORDS - 1))
    const op = words[at]!
    if (op === OP_WRAP) {
      head = ((head | (RING_WORDS - 1)) + 1) | 0
      continue
    }
    const length = words[at + 1]!
    if (op === OP_SIGNAL) {
      if (index === 0) postToHost({ kind: 'signal', id: words[at + 2]! } satisfies FromWorker)
    } else if (op === OP_ATTACH) {
      const arena = words[at + 2]!
      while (!memories[arena]) await new Promise<void>((resolve) => (wake = resolve))
      executor.attach(arena, memories[arena])
    } else executor.run(op, words.subarray(at + 2, at + length), floats.subarray(at + 2, at + length))
    head = (head + length) | 0
    meet(head)
  }
}

main().catch((error: unknown) => {
  const message = error instanceof Error ? `${error.message}\n${error.stack}` : String(error)
  postToHost({ kind: 'failed', message } satisfies FromWorker)
})
