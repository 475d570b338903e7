/**
 * A crew whose shards have a worker thread each (Node.js).
 */
import { Worker } from 'node:worker_threads'
import type { Architecture } from '../architecture/architecture.ts'
import { Crew, type CrewOptions, crewMemory, type Send } from './crew.ts'

export function threadCrew(architecture: Architecture, options: CrewOptions): Crew {
  const { memory, plan, modules } = crewMemory(architecture, options)
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  let next = 0
  const workers = Array.from({ length: options.shards }, (_, index) => {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    const worker = new Worker(new URL(`./worker-node.${extension}`, import.meta.url), {
      workerData: { architecture, memory, plan, index, modules },
    })
    worker.on('message', ({ id, answer, error }: { id: number; answer: unknown; error?: string }) => {
      const call = waiting.get(id)!
      waiting.delete(id)
      if (error === undefined) call.resolve(answer)
      else call.reject(new Error(error))
    })
    worker.on('error', (error) => {
      for (const call of waiting.values()) call.reject(error as Error)
      waiting.clear()
    })
    return worker
  })
  const send: Send = (shard, order) =>
    new Promise((resolve, reject) => {
      const id = next++
      waiting.set(id, { resolve, reject })
      workers[shard]!.postMessage({ id, order })
    })
  const close = async () => {
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
  return new Crew(architecture, memory, plan, send, close)
}
