/** What happens while an answer is made: the chat's events, and the ids of the final text for those who asked for log-probabilities. */
import type { ChatEvent, FinishEvent, FinishReason } from '../chat/messages.ts'
import type { GenerationResult, TokenLogprob } from '../engine/engine.ts'

/** A drawn id of the final text, told before the text it belongs to. */
export interface TextToken {
  type: 'text-token'
  id: number
  bytes: Uint8Array
  logprob: number
  top: readonly TokenLogprob[]
}

export type AnswerEvent = ChatEvent | TextToken

/** What can be run in a slot. */
export interface AnswerSource {
  /** The last event is `finish`; leaving the iteration or aborting the signal stops within one token. */
  events(signal: AbortSignal): AsyncGenerator<AnswerEvent>
}

/** The last event of an answer from what the engine counted. */
export function finishEvent(result: GenerationResult, reason: FinishReason, firstTokenMs: number, reasoningTokens: number): FinishEvent {
  const { promptTokens, cachedTokens, completionTokens, prefillMs, decodeMs } = result
  return {
    type: 'finish',
    reason,
    usage: { promptTokens, cachedTokens, completionTokens, reasoningTokens },
    timings: {
      firstTokenMs,
      completionMs: decodeMs,
      promptTokensPerSecond: prefillMs > 0 ? ((promptTokens - cachedTokens) / prefillMs) * 1000 : 0,
      completionTokensPerSecond: decodeMs > 0 ? (Math.max(0, completionTokens - 1) / decodeMs) * 1000 : 0,
    },
  }
}
