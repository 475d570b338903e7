/**
 * One thread of machine-limits.ts: runs every probe at the same time as the others and reports the
 * milliseconds of each round.
 */
import { parentPort, workerData } from 'node:worker_threads'

interface Task {
  memory: WebAssembly.Memory
  module: WebAssembly.Module
  barrier: SharedArrayBuffer
  threads: number
  index: number
  share: number
  turns: number
  warmUps: number
  rounds: number
}

const { memory, module, barrier, threads, index, share, turns, warmUps, rounds } = workerData as Task
const { exports } = await WebAssembly.instantiate(module, { memory: { 0: memory } })
const probes = exports as Record<string, ((...args: number[]) => number) | undefined>
const [from, to] = [index * share, (index + 1) * share]
new Uint8Array(memory.buffer, from, share).fill(index + 1)

const state = new Int32Array(barrier) // [threads waiting, generation]

/** A barrier: waits until all threads have called it. */
function meet(): void {
  const generation = Atomics.load(state, 1)
  if (Atomics.add(state, 0, 1) + 1 === threads) {
    Atomics.store(state, 0, 0)
    Atomics.add(state, 1, 1)
    Atomics.notify(state, 1)
  } else while (Atomics.load(state, 1) === generation) Atomics.wait(state, 1, generation)
}

function measure(run: () => void): number[] {
  const times: number[] = []
  for (let round = -warmUps; round < rounds; round++) {
    meet()
    const start = performance.now()
    run()
    if (round >= 0) times.push(performance.now() - start)
  }
  return times
}

parentPort!.postMessage({
  // Two passes: one is so short that the start of the threads would distort it.
  read: measure(() => {
    probes.read!(from, to)
    probes.read!(from, to)
  }),
  f32: measure(() => probes.f32!(turns)),
  int8: probes.int8 ? measure(() => probes.int8!(turns)) : [],
})
