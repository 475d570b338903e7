/** A thread of `workers-node.ts`: trains one small model, or runs one run of an experiment, and sends the result, or handles the requests to one shard. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Architecture } from '../architecture/architecture.ts'
import type { TrainingModules } from '../ops/training/backend.ts'
import type { LiveRun } from './experiments/live.ts'
import type { LowRankTraining } from './low-rank.ts'
import { type MemoryPlan, Shard } from './shard.ts'
import { type SmallRun, trainSmallRun } from './small-run.ts'
import { handle, type ShardRequest } from './workers.ts'

export type ThreadData =
  | { kind: 'run'; run: SmallRun }
  | { kind: 'live'; run: LiveRun }
  | {
      kind: 'shard'
      architecture: Architecture
      memory: WebAssembly.Memory
      plan: MemoryPlan
      index: number
      modules: TrainingModules
      lowRank?: LowRankTraining
    }

const port = parentPort!
const data = workerData as ThreadData
if (data.kind === 'run') port.postMessage(await trainSmallRun(data.run))
else if (data.kind === 'live') {
  const { liveRun } = await import('./live-run-node.ts')
  port.postMessage(await liveRun(data.run))
  // The sampler may have threads of its own.
  process.exit(0)
} else {
  const shard = new Shard(data.architecture, data.memory, data.plan, data.index, data.modules, data.lowRank)
  port.on('message', ({ id, request }: { id: number; request: ShardRequest }) => {
    try {
      port.postMessage({ id, answer: handle(shard, request) })
    } catch (error) {
      port.postMessage({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    }
  })
}
