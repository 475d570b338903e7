/** A model that says what a test wants: the engine's contract (callbacks, forced ids, stops, abort) over scripted ids instead of logits. */
import type { ChatModel } from '../../src/chat/answer.ts'
import { harmonyFormat } from '../../src/chat/formats/harmony/harmony.ts'
import type { ChatFormat } from '../../src/chat/messages.ts'
import type { GeneratedToken, GenerateOptions, Generation, GenerationResult } from '../../src/engine/engine.ts'
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
  const generate = (promptIds: readonly number[], options: GenerateOptions = {}): Generation => {
    const text = script[Math.min(prompts.length, script.length - 1)]!
    prompts.push(tokenizer.decode(promptIds))
    asked.push(options)
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
    async function* run(): AsyncGenerator<GeneratedToken, void> {
      let reason: GenerationResult['reason'] = 'abort'
      try {
        const waiting = tokenizer.encodeTemplate(text)
        for (let at = 0; ; at++) {
          await new Promise((resolve) => (msPerToken > 0 ? setTimeout(resolve, msPerToken) : setImmediate(resolve)))
          if (options.signal?.aborted) return
          const state = { promptIds, ids }
          const mask = options.logitMask?.(state)
          let id = waiting[at] ?? tokenizer.encode('.')[0]!
          // The likeliest allowed id, as far as a script can know it.
          if (mask && !(mask[id >> 5]! & (1 << (id & 31))))
            id = [...Array(tokenizer.vocabSize).keys()].find((other) => mask[other >> 5]! & (1 << (other & 31)))!
          ids.push(id)
          const wish = options.onToken?.({ id }, state)
          yield { id }
          if (options.stopIds?.includes(id) || wish === 'stop') {
            reason = 'stop'
            return
          }
          for (const forced of wish ?? []) {
            ids.push(forced)
            options.onToken?.({ id: forced, forced: true }, state)
            yield { id: forced, forced: true }
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
