/**
 * An engine that plays texts instead of computing them: masks, forced ids, stop ids, limits, logprobs and aborts behave as the real
 * engine's contract says. Where the script asks for a forbidden id, a fixed order of closing characters decides.
 */
import type { Driver, Engine, GeneratedToken, GenerateOptions, Generation, GenerationResult } from '../../src/engine/engine.ts'
import { checkSampling } from '../../src/engine/sampling-options.ts'
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts'

/** The model's side: prompt text -> what it writes, markers spelled out. */
export type Script = (prompt: string, call: number) => string

export interface ScriptedOptions {
  context?: number
  slots?: number
  /** Pause before each id, in ms. 0: none. */
  delayMs?: number
  /** Where the script has ended, draw any allowed id instead of closing what is open: a model of random weights. */
  random?: () => number
}

export interface ScriptedEngine extends Pick<Engine, 'context' | 'generate' | 'score' | 'load' | 'close'> {
  /** Prompts in the order in which they came. */
  readonly prompts: string[]
  readonly options: GenerateOptions[]
  /** Generations that were started and have not ended. */
  readonly running: number
  /** Ids generated over all. */
  readonly generated: number
}

export function scriptedEngine(
  tokenizer: Tokenizer,
  script: Script,
  { context = 65536, slots = 4, delayMs = 0, random }: ScriptedOptions = {},
): ScriptedEngine {
  const prompts: string[] = []
  const options: GenerateOptions[] = []
  let running = 0
  let generated = 0
  let lastStepAt = 0

  let waiting: { start(): void; place: GenerateOptions['onQueue'] }[] = []
  const places = () => {
    waiting.forEach(({ place }, ahead) => {
      place?.(ahead)
    })
  }

  function generate<E = GeneratedToken>(promptIds: readonly number[], given: GenerateOptions<E> = {}): Generation<E> {
    if (promptIds.length === 0 || promptIds.length >= context) throw new RangeError('prompt length')
    checkSampling(given.sampling ?? {})
    const settled = Promise.withResolvers<GenerationResult>()
    settled.promise.catch(() => {})
    const asked = performance.now()
    let started = 0
    let slot = Promise.withResolvers<void>()
    let hasSlot = false
    const start = () => {
      running++
      hasSlot = true
      started ||= performance.now()
      given.onQueue?.(undefined)
      slot.resolve()
    }
    const giveSlot = () => {
      if (hasSlot) running--
      hasSlot = false
      while (running < slots && waiting.length > 0) waiting.shift()!.start()
      places()
    }
    const waiter = { start, place: given.onQueue }
    const leave = () => {
      waiting = waiting.filter((other) => other !== waiter)
      slot.resolve()
    }
    if (running < slots && waiting.length === 0) start()
    else waiting.push(waiter)
    places()
    given.signal?.addEventListener('abort', leave, { once: true })
    const end = (reason: GenerationResult['reason'], ids: number[]) => {
      given.signal?.removeEventListener('abort', leave)
      giveSlot()
      settled.resolve({
        reason,
        ids,
        promptTokens: promptIds.length,
        cachedTokens: 0,
        completionTokens: ids.length,
        queuedMs: (started || performance.now()) - asked,
        prefillMs: 1,
        decodeMs: ids.length,
        seed: given.sampling?.seed ?? 0,
      })
    }
    /** A consumer that does not come back for more loses the slot, and waits for one when it does. */
    async function* say(events: readonly E[]): AsyncGenerator<E> {
      const timer = setTimeout(giveSlot, 50)
      yield* events
      clearTimeout(timer)
      if (hasSlot) return
      slot = Promise.withResolvers()
      if (running < slots) start()
      else waiting.push(waiter)
      await slot.promise
    }
    async function* play(): AsyncGenerator<E> {
      const ids: number[] = []
      await slot.promise
      if (started === 0) return end('abort', ids)
      const text = tokenizer.decode(promptIds)
      prompts.push(text)
      options.push(given as GenerateOptions)
      const wish = tokenizer.encodeTemplate(script(text, prompts.length - 1))
      const driver: Driver<E> = given.driver ?? { take: (token) => ({ events: [token as E] }) }
      const limit = Math.min(given.maxTokens ?? Number.POSITIVE_INFINITY, context - promptIds.length)
      let at = 0
      let done = false
      try {
        for (;;) {
          if (given.signal?.aborted) return end('abort', ids)
          if (ids.length >= limit) return end('length', ids)
          if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs))
          else if (ids.length % 64 === 0) await new Promise((resolve) => setImmediate(resolve))
          if (given.signal?.aborted) return end('abort', ids)
          const mask = driver.mask?.(limit - ids.length)
          const id = pick(wish[at], mask)
          if (id === wish[at]) at++
          const token: GeneratedToken = { id, ...(given.logprobs === undefined ? {} : guess(id, given.logprobs)) }
          ids.push(id)
          generated++
          lastStepAt = Date.now()
          const { events = [], next } = driver.take(token)
          const stops = next === 'stop' || given.stopIds?.includes(id)
          if (stops) {
            done = true
            end('stop', ids)
          }
          if (stops) {
            yield* events
            return
          }
          yield* say(events)
          for (const forced of next ?? []) {
            if (ids.length >= limit) break
            ids.push(forced)
            if (wish[at] === forced) at++
            yield* driver.take({ id: forced, forced: true }).events ?? []
          }
          done = false
        }
      } catch (error) {
        done = true
        settled.reject(error)
        end('abort', ids)
        throw error
      } finally {
        // The consumer left.
        if (!done) {
          const pending = Symbol()
          if ((await Promise.race([settled.promise, Promise.resolve(pending)])) === pending) end('abort', ids)
        }
      }
    }
    const stream = play()
    return { result: settled.promise, [Symbol.asyncIterator]: () => stream }
  }

  /** The wanted id if it is allowed, else what ends things soonest. */
  function pick(wanted: number | undefined, mask: Uint32Array | undefined): number {
    const allowed = (id: number) => mask === undefined || ((mask[id >> 5] ?? 0) & (1 << (id & 31))) !== 0
    if (wanted !== undefined && allowed(wanted)) return wanted
    if (random) {
      const all = Array.from({ length: tokenizer.vocabSize }, (_, id) => id).filter(allowed)
      if (all.length > 0) return all[Math.floor(random() * all.length)]!
    }
    const stops = ['<|return|>', '<|im_end|>', '<|eot_id|>'].flatMap((text) => tokenizer.specials.get(text) ?? [])
    const order = [
      ...stops,
      ...tokenizer.encode('"}]0:,{[tfnul'),
      ...tokenizer.encode('asre'),
      ...Array.from({ length: tokenizer.vocabSize }, (_, id) => id),
    ]
    const found = order.find(allowed)
    if (found === undefined) throw new RangeError('the mask allows nothing')
    return found
  }

  const guess = (id: number, count: number) => ({
    logprob: -0.25,
    top: Array.from({ length: count }, (_, i) => ({ id: (id + i) % 256, logprob: -0.25 - i })),
  })

  return {
    context,
    prompts,
    options,
    get running() {
      return running
    },
    get generated() {
      return generated
    },
    generate,
    async score(ids, { top = 0 } = {}) {
      return ids.slice(1).map((id) => ({ id, ...guess(id, top) }))
    },
    load: () => ({
      slots,
      running,
      waiting: waiting.length,
      maxWaiting: 0,
      cachePositions: slots * context,
      cachedPositions: 0,
      promptTokens: 0,
      cachedTokens: 0,
      completionTokens: generated,
      steps: generated,
      promptTokensPerSecond: 0,
      stepsPerSecond: 0,
      lastStepAt,
    }),
    async close() {},
  }
}
