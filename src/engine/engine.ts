/**
 * The engine: ids in, ids out. It runs many generations on one model; each step reads the weights once for
 * all of them. It never sees text, messages or sockets: a driver adds masks, forced ids and stops. Here are
 * the entry points and their checks; the scheduler does the work. Stop 4 of the walk.
 */
import { DEFAULT_CHUNK, engineCacheSpec } from '../model/cache-spec.ts'
import { EmbeddingJob } from './embedding.ts'
import type { Engine, EngineOptions } from './engine-types.ts'
import { BusyError } from './errors.ts'
import { GenerationJob } from './generation.ts'
import { checkSampling } from './sampling-options.ts'
import { savedSlots } from './saved-slots.ts'
import { prefixKey, Scheduler } from './scheduler.ts'
import { ScoringJob } from './scoring.ts'

export { BackendFailedError } from '../ops/backend.ts'
export type * from './engine-types.ts'
export { BusyError, SlotError } from './errors.ts'

/** Reserves the KV cache. Rejects with RangeError on bad options, MemoryError when the cache does not fit. */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const {
    backend,
    architecture,
    weights,
    adapters = {},
    chunk = DEFAULT_CHUNK,
    maxStallMs = 1000,
    maxWaiting = Number.POSITIVE_INFINITY,
    runAhead = true,
  } = options
  const longest = architecture.maxPositionEmbeddings
  const spec = engineCacheSpec(architecture, options)
  const { slots, capacity: context } = spec
  checkCount('context', context, 2, longest, `the longest context of ${architecture.name}`)
  checkCount('slots', slots, 1, 4096)
  checkCount('chunk', chunk, 1, 65536)
  const cache = await backend.cache(spec)
  const scheduler = new Scheduler({ backend, architecture, weights }, new Map(Object.entries(adapters)), cache, maxStallMs, runAhead)
  void backend.failed.then((error) => scheduler.fail(error))

  const checkIds = (name: string, ids: readonly number[], least: number, most: number) => {
    checkCount(`${name}: the number of ids`, ids.length, least, most, `the context of ${context} positions`)
    const wrong = ids.findIndex((id) => !Number.isInteger(id) || id < 0 || id >= architecture.vocabSize)
    if (wrong >= 0) throw new RangeError(`${name}[${wrong}] is ${ids[wrong]}; ids go from 0 to ${architecture.vocabSize - 1}`)
  }
  const checkQueue = () => {
    const { running, waiting } = scheduler
    if (running + waiting < slots + maxWaiting) return
    throw new BusyError(`${running} generations run and ${waiting} wait (at most ${maxWaiting} may); try again later`)
  }

  const withAdapter = (adapter: string | undefined): Engine => ({
    architecture,
    context,
    generate(promptIds, options = {}) {
      checkIds('prompt', promptIds, 1, context - 1)
      checkSampling(options.sampling ?? {})
      if (options.maxTokens !== undefined) checkCount('maxTokens', options.maxTokens, 1, Number.MAX_SAFE_INTEGER)
      if (options.logprobs !== undefined) checkCount('logprobs', options.logprobs, 0, architecture.vocabSize)
      checkQueue()
      const job = new GenerationJob(
        promptIds,
        options,
        { context, stopIds: options.stopIds ?? architecture.eosTokenIds, adapter },
        scheduler.wake,
      )
      scheduler.submit(job)
      return job
    },
    async score(ids, options = {}) {
      checkIds('ids', ids, 2, context + 1) // the last one is only predicted
      if (options.from !== undefined) checkCount('from', options.from, 1, ids.length - 1)
      checkQueue()
      const job = new ScoringJob(ids, options, adapter)
      scheduler.submit(job)
      return job.result
    },
    async embed(ids, options = {}) {
      checkIds('ids', ids, 1, context)
      checkQueue()
      const job = new EmbeddingJob(ids, options, adapter)
      scheduler.submit(job)
      return job.result
    },
    load: () => ({
      slots,
      running: scheduler.running,
      waiting: scheduler.waiting,
      maxWaiting,
      cachePositions: slots * context,
      cachedPositions: scheduler.prefixes.cachedPositions,
      ...scheduler.totals,
      promptTokensPerSecond: 1000 * scheduler.speeds.promptRowsPerMs,
      stepsPerSecond: 1000 * scheduler.speeds.stepsPerMs,
      lastStepAt: scheduler.lastStepAt,
    }),
    slots: savedSlots({
      backend,
      architecture,
      weights: adapter === undefined ? weights : adapters[adapter]!,
      cache,
      scheduler,
      keyOf: (cacheKey) => prefixKey({ adapter, cacheKey }),
    }),
    withAdapter(name) {
      if (Object.hasOwn(adapters, name)) return withAdapter(name)
      throw new RangeError(
        `expected one of the adapters ${Object.keys(adapters).join(', ') || '(none is loaded)'}, got ${JSON.stringify(name)}`,
      )
    },
    close: () => scheduler.close(),
  })
  return withAdapter(undefined)
}

function checkCount(name: string, value: number, least: number, most: number, why?: string): void {
  if (Number.isInteger(value) && value >= least && value <= most) return
  throw new RangeError(`${name} must be an integer from ${least} to ${most}${why ? ` (${why})` : ''}; it is ${value}`)
}
