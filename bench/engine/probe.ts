/**
 * Measurements of one loaded model that `lineage bench` does not make: the speed of parallel answers, the cost of a long context per
 * step, and the delay of a timer in the calling thread. Started by run.ts; prints one line of JSON.
 *   node bench/engine/probe.ts CHECKPOINT PRECISION
 */
import { once } from '../../src/cli/bench.ts'
import { readLogits } from '../../src/engine/read-logits.ts'
import { loadIds } from '../../src/load-model-node.ts'
import { cacheSpec } from '../../src/model/cache-spec.ts'
import { median } from '../peers/visit.ts'

export interface Probe {
  /** Tokens per second of one answer and of eight at once, in alternation. */
  batch: Record<'1' | '8', number[]>
  /** Milliseconds of a decode step by the number of positions it sees. */
  stepMs: Record<string, number>
  /** Milliseconds by which a 5 ms interval fires late: median, 99th percentile, largest. */
  timer: { prefill: Lateness; decode: Lateness }
}
interface Lateness {
  median: number
  p99: number
  max: number
}

const [directory, precision] = process.argv.slice(2) as [string, 'faithful' | 'fast']
const model = await loadIds(directory, { precision, context: 512, slots: 8, maxStallMs: 1e9 })
const { backend, architecture, engine } = model

const batch: Probe['batch'] = { 1: [], 8: [] }
for (const [n, size] of ([8, 1, 8, 8, 1] as const).entries()) {
  const { decodeMs } = await once(model, { prompt: 24, generate: n === 0 ? 2 : 16, batch: size }, n)
  if (n > 0) batch[size].push((1000 * size) / decodeMs)
}

// Speed does not depend on what the cache holds: the long context is the cache as it was reserved.
const contexts = [128, 8192].filter((context) => context <= architecture.maxPositionEmbeddings)
const cache = await backend.cache(cacheSpec(architecture, 1, contexts.at(-1)!, 1))
const times: Record<string, number[]> = {}
for (let round = -2; round < 12; round++) {
  for (const context of contexts) {
    const batch = { ids: Int32Array.of(7), slots: Int32Array.of(0), positions: Int32Array.of(context - 1) }
    const start = performance.now()
    await readLogits(model, batch, { cache })
    if (round >= 0) (times[context] ??= []).push(performance.now() - start)
  }
}
cache.dispose()

const ids = Array.from({ length: 300 }, (_, i) => (i * 7919) % architecture.vocabSize)
const late: Record<'prefill' | 'decode', number[]> = { prefill: [], decode: [] }
let phase: 'prefill' | 'decode' = 'prefill'
let due = performance.now() + 5
const timer = setInterval(() => {
  const now = performance.now()
  late[phase].push(Math.max(0, now - due))
  due = now + 5
}, 5)
const driver = {
  take() {
    phase = 'decode'
    return {}
  },
}
await engine.generate(ids, { maxTokens: 24, stopIds: [], driver }).result
clearInterval(timer)
const lateness = (values: number[]): Lateness => {
  const sorted = values.toSorted((a, b) => a - b)
  return { median: median(sorted), p99: sorted[Math.floor(0.99 * sorted.length)]!, max: sorted.at(-1)! }
}
const probe: Probe = {
  batch,
  stepMs: Object.fromEntries(Object.entries(times).map(([context, all]) => [context, median(all)])),
  timer: { prefill: lateness(late.prefill), decode: lateness(late.decode) },
}
process.stdout.write(`${JSON.stringify(probe)}\n`)
await model.dispose()
