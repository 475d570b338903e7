/** Runs an answer in its turn: waits for a slot, counts, remembers reasoning for the calls it led to, fills the log line. */
import type { FinishEvent, FinishReason } from '../chat/messages.ts'
import type { AnswerEvent, AnswerSource } from './answer-events.ts'
import type { Scope, ServerContext } from './http/context.ts'
import { ApiError, overloaded } from './http/errors.ts'
import { linked } from './http/signals.ts'
import type { Lease } from './models/registry.ts'

export async function* runAnswer(
  ctx: ServerContext,
  scope: Scope,
  lease: Lease,
  answer: AnswerSource,
  signal: AbortSignal,
  onPosition?: (ahead: number) => void,
): AsyncGenerator<AnswerEvent> {
  const asked = performance.now()
  const { entry, model } = lease
  let phase: 'queue' | 'prefill' | 'decode' | 'end' = 'queue'
  let turn: Awaited<ReturnType<typeof ctx.admission.turn>> | undefined
  let reasoning = ''
  try {
    turn = await ctx.admission.turn(entry, model.engine.load().slots, signal, onPosition)
    phase = 'prefill'
    for await (const event of answer.events(signal)) {
      if (phase === 'prefill') phase = 'decode'
      if (event.type === 'warning') ctx.metrics.warnings.add({ model_name: entry.id, code: event.code })
      else if (event.type === 'reasoning-end') reasoning += event.text
      else if (event.type === 'tool-call-end') ctx.reasoning.remember(scope.tenant, event.id, reasoning)
      else if (event.type === 'finish') {
        if (event.reason !== 'abort') phase = 'end'
        ctx.metrics.answered(entry.id, event, turn.queuedMs, performance.now() - asked)
        addFacts(scope, event, turn.queuedMs)
      }
      yield event
    }
  } catch (error) {
    throw engineError(error, ctx)
  } finally {
    turn?.end()
    if (phase !== 'end') ctx.metrics.aborted.add({ phase })
  }
}

/** Runs tasks side by side; when one fails the others are aborted, and only then does it throw. */
export async function together<T>(signal: AbortSignal, tasks: readonly ((signal: AbortSignal) => Promise<T>)[]): Promise<T[]> {
  const shared = linked([signal])
  let failure: { error: unknown } | undefined
  const results = await Promise.allSettled(
    tasks.map((task) =>
      task(shared.signal).catch((error: unknown) => {
        failure ??= { error }
        shared.abort(error)
        throw error
      }),
    ),
  )
  shared.release()
  if (failure) throw failure.error
  return results.map((result) => (result as PromiseFulfilledResult<T>).value)
}

function addFacts(scope: Scope, { usage, timings, reason }: FinishEvent, queuedMs: number): void {
  const { facts } = scope
  facts.finish = reason
  facts.queued_ms = Math.round(queuedMs)
  facts.prompt_tokens = ((facts.prompt_tokens as number) ?? 0) + usage.promptTokens
  facts.cached_tokens = ((facts.cached_tokens as number) ?? 0) + usage.cachedTokens
  facts.completion_tokens = ((facts.completion_tokens as number) ?? 0) + usage.completionTokens
  facts.prefill_per_second = Math.round(timings.promptTokensPerSecond)
  facts.decode_per_second = Math.round(timings.completionTokensPerSecond * 10) / 10
}

function engineError(error: unknown, ctx: ServerContext): unknown {
  if (error instanceof ApiError || !(error instanceof Error)) return error
  if (error.name === 'BusyError') return overloaded('All slots of the model are taken. Try again later.', ctx.admission.retryAfterSeconds())
  if (error.name === 'MemoryError')
    return overloaded('There is not enough memory for this answer now. Try again later or shorten it.', 10, 'out_of_memory')
  if (error.name === 'TimeoutError')
    return overloaded(`The answer took longer than ${ctx.limits.requestMs} ms, the limit of this server.`, 1, 'request_timeout')
  return error
}

/** Why an answer ended, in the words of the chat and completion APIs. */
export function openaiFinish(reason: FinishReason): 'stop' | 'length' | 'tool_calls' {
  return reason === 'tool-calls' ? 'tool_calls' : reason === 'stop' ? 'stop' : 'length'
}

/** Usage as chat completions write it, over one or several answers to one prompt. */
export function chatUsage(finishes: readonly FinishEvent[]) {
  const sum = (read: (finish: FinishEvent) => number) => finishes.reduce((total, finish) => total + read(finish), 0)
  const prompt = finishes[0]?.usage.promptTokens ?? 0
  const completion = sum(({ usage }) => usage.completionTokens)
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: finishes[0]?.usage.cachedTokens ?? 0 },
    completion_tokens_details: { reasoning_tokens: sum(({ usage }) => usage.reasoningTokens) },
  }
}

/** llama.cpp's extra field, which clients accept and some show. */
export function timingsOf({ usage, timings }: FinishEvent) {
  return {
    cache_n: usage.cachedTokens,
    prompt_n: usage.promptTokens - usage.cachedTokens,
    prompt_ms: timings.firstTokenMs,
    prompt_per_second: timings.promptTokensPerSecond,
    predicted_n: usage.completionTokens,
    predicted_ms: timings.completionMs,
    predicted_per_second: timings.completionTokensPerSecond,
  }
}
