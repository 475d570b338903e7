/** The threads of training in Node.js: one for each shard of a run, or one for each of many small runs. */
import { Worker } from 'node:worker_threads'
import type { Architecture } from '../architecture/architecture.ts'
import type { LiveResult, LiveRun } from './experiments/live.ts'
import type { SmallRun, SmallRunResult } from './small-run.ts'
import type { ThreadData } from './worker-node.ts'
import { type Send, TrainingWorkers, type WorkerOptions, workerMemory } from './workers.ts'

function startThread(workerData: ThreadData): Worker {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return new Worker(new URL(`./worker-node.${extension}`, import.meta.url), { workerData })
}

/** Shards with a thread each. */
export function threadWorkers(architecture: Architecture, options: WorkerOptions): TrainingWorkers {
  const { memory, plan, modules } = workerMemory(architecture, options)
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  let next = 0
  let failure: Error | undefined
  const threads = Array.from({ length: options.shards }, (_, index) => {
    const thread = startThread({ kind: 'shard', architecture, memory, plan, index, modules, lowRank: options.lowRank })
    thread.on('message', ({ id, answer, error }: { id: number; answer: unknown; error?: string }) => {
      const call = waiting.get(id)!
      waiting.delete(id)
      if (error === undefined) call.resolve(answer)
      else call.reject(new Error(error))
    })
    const failed = (error: Error) => {
      failure ??= error
      for (const call of waiting.values()) call.reject(error)
      waiting.clear()
    }
    thread.on('error', (error) => failed(error as Error))
    thread.on('exit', () => failed(new Error('a training thread has ended; the last saved state can be resumed')))
    return thread
  })
  const send: Send = (shard, request) =>
    new Promise((resolve, reject) => {
      if (failure) return reject(failure)
      const id = next++
      waiting.set(id, { resolve, reject })
      threads[shard]!.postMessage({ id, request })
    })
  const close = async () => {
    await Promise.all(threads.map((thread) => thread.terminate()))
  }
  return new TrainingWorkers(architecture, { memory, plan, modules }, send, close, options.lowRank)
}

export interface SmallRunsOptions<R = SmallRunResult> {
  threads: number
  onResult?: (result: R, done: number, of: number) => void
  signal?: AbortSignal
}

/** Trains small models on a few threads, each model whole on one of them. Returns results in the order of `runs`. */
export const trainSmallRuns = (runs: readonly SmallRun[], options: SmallRunsOptions): Promise<SmallRunResult[]> =>
  onThreads(
    runs.map((run) => ({ kind: 'run', run })),
    options,
  )

/** The same for the runs of experiments/live.ts. */
export const trainLiveRuns = (runs: readonly LiveRun[], options: SmallRunsOptions<LiveResult>): Promise<LiveResult[]> =>
  onThreads(
    runs.map((run) => ({ kind: 'live', run })),
    options,
  )

async function onThreads<R>(
  runs: readonly Extract<ThreadData, { run: unknown }>[],
  { threads, onResult, signal }: SmallRunsOptions<R>,
): Promise<R[]> {
  const results: R[] = new Array(runs.length)
  let next = 0
  let done = 0
  const lane = async () => {
    while (next < runs.length && !signal?.aborted) {
      const index = next++
      const data = runs[index]!
      const thread = startThread(data)
      const abort = () => void thread.terminate()
      signal?.addEventListener('abort', abort, { once: true })
      results[index] = await new Promise<R>((resolve, reject) => {
        thread.on('message', resolve)
        thread.on('error', reject)
        thread.on('exit', () => reject(signal?.reason ?? new Error(`the thread that trained ${data.run.label} ended without a result`)))
      })
      signal?.removeEventListener('abort', abort)
      onResult?.(results[index]!, ++done, runs.length)
    }
  }
  await Promise.all(Array.from({ length: Math.min(threads, runs.length) }, lane))
  signal?.throwIfAborted()
  return results
}
