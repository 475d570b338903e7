/** A model that writes given texts: the engine's interface (drivers, forced ids, stops, abort) over scripted ids instead of logits. */
import type { ChatModel } from '../../src/answer/answer.ts'
import { harmonyFormat } from '../../src/chat/formats/harmony/harmony.ts'
import type { ChatFormat } from '../../src/chat/messages.ts'
import type { Driver, GeneratedToken, GenerateOptions, Generation, GenerationResult } from '../../src/engine/engine.ts'
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts'
import { byteTokenizer, harmonySpecials } from './byte-tokenizer.ts'

export interface ScriptedModel extends ChatModel {
  /** What was rendered for each answer, as text, and the options the engine was given. */
  prompts: string[]
  asked: GenerateOptions[]
}

/** @param script texts of the answers, in order (markers recognised); the last one is said again and again */
export function scriptedModel(
  script: string[],
  {
    tokenizer = byteTokenizer(harmonySpecials),
    format,
    context = 8192,
    msPerToken = 0,
  }: { tokenizer?: Tokenizer; format?: ChatFormat; context?: number; msPerToken?: number } = {},
): ScriptedModel {
  const prompts: string[] = []
  const asked: GenerateOptions[] = []
  let seen: readonly number[] = []
  const generate = <E = GeneratedToken>(promptIds: readonly number[], options: GenerateOptions<E> = {}): Generation<E> => {
    const text = script[Math.min(prompts.length, script.length - 1)]!
    prompts.push(tokenizer.decode(promptIds))
    asked.push(options as GenerateOptions)
    let cachedTokens = 0
    while (cachedTokens < promptIds.length - 1 && promptIds[cachedTokens] === seen[cachedTokens]) cachedTokens++
    const ids: number[] = []
    const settled = Promise.withResolvers<GenerationResult>()
    settled.promise.catch(() => {})
    const end = (reason: GenerationResult['reason']) => {
      seen = [...promptIds, ...ids]
      settled.resolve({
        reason,
        ids,
        promptTokens: promptIds.length,
        cachedTokens,
        completionTokens: ids.length,
        queuedMs: 0,
        prefillMs: 1,
        decodeMs: ids.length,
        seed: 1,
      })
    }
    const driver: Driver<E> = options.driver ?? { take: (token) => ({ events: [token as E] }) }
    const limit = Math.min(options.maxTokens ?? Infinity, context - promptIds.length)
    async function* run(): AsyncGenerator<E, void> {
      options.onQueue?.(undefined)
      let reason: GenerationResult['reason'] = 'abort'
      try {
        const waiting = tokenizer.encodeTemplate(text)
        for (let at = 0; ; at++) {
          await new Promise((resolve) => (msPerToken > 0 ? setTimeout(resolve, msPerToken) : setImmediate(resolve)))
          if (options.signal?.aborted) return
          const mask = driver.mask?.(limit - ids.length)
          let id = waiting[at] ?? tokenizer.encode('.')[0]!
          // The likeliest allowed id, as far as a script can know it.
          if (mask && !(mask[id >> 5]! & (1 << (id & 31))))
            id = [...Array(tokenizer.vocabSize).keys()].find((other) => mask[other >> 5]! & (1 << (other & 31)))!
          ids.push(id)
          const { events = [], next } = driver.take({ id })
          yield* events
          if (options.stopIds?.includes(id) || next === 'stop') {
            reason = 'stop'
            return
          }
          for (const forced of next ?? []) {
            ids.push(forced)
            yield* driver.take({ id: forced, forced: true }).events ?? []
          }
          reason = promptIds.length + ids.length >= context ? 'context' : ids.length >= (options.maxTokens ?? Infinity) ? 'length' : 'abort'
          if (reason !== 'abort') return
        }
      } catch (error) {
        settled.reject(error)
        throw error
      } finally {
        end(reason)
      }
    }
    return Object.assign(run(), { result: settled.promise })
  }
  return { tokenizer, format: format ?? harmonyFormat(tokenizer), engine: { context, generate }, prompts, asked }
}
