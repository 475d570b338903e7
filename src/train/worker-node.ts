/**
 * The thread of one shard: obeys the orders of `crew-node.ts`.
 */
import { parentPort, workerData } from 'node:worker_threads'
import type { Architecture } from '../architecture/architecture.ts'
import type { TrainingModules } from '../ops/training/backend.ts'
import { type Order, obey } from './crew.ts'
import { type MemoryPlan, Shard } from './shard.ts'

const { architecture, memory, plan, index, modules } = workerData as {
  architecture: Architecture
  memory: WebAssembly.Memory
  plan: MemoryPlan
  index: number
  modules: TrainingModules
}
const shard = new Shard(architecture, memory, plan, index, modules)
parentPort!.on('message', ({ id, order }: { id: number; order: Order }) => {
  try {
    parentPort!.postMessage({ id, answer: obey(shard, order) })
  } catch (error) {
    parentPort!.postMessage({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  }
})
