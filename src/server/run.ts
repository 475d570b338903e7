/** Runs the answers of a request: lends the model, waits for a slot, counts, remembers reasoning for calls, fills the log line. */
import type { Generated } from '../answer/answer.ts'
import type { ChatEvent, FinishEvent, FinishReason, TextToken, ToolCallPart } from '../chat/messages.ts'
import { BusyError } from '../engine/engine.ts'
import { isObject, parsed } from '../json/json.ts'
import type { Scope, ServerContext } from './http/context.ts'
import { overloaded } from './http/errors.ts'
import { linked } from './http/signals.ts'
import type { Lease } from './models/registry.ts'

/**
 * Lends a model to a request until the request is over, its stream included. Throws 404 and 503 like the registry.
 * @param name missing where the request may leave it out: then the first model of the server
 */
export async function withModel<T>(
  ctx: ServerContext,
  scope: Scope,
  name: string | null | undefined,
  use: (lease: Lease) => T | Promise<T>,
): Promise<T> {
  const lease = await ctx.registry.acquire(name ?? ctx.registry.list()[0]?.entry.id ?? '')
  scope.facts.model = lease.entry.id
  scope.atEnd(lease.release)
  return use(lease)
}

/**
 * The events of an answer, in its turn.
 * @param onPosition told how many answers are ahead in the queue, whenever that changes
 * @param isAdmitted the caller has counted this answer already, and holds the model
 * @throws 503 when the queue is full or no slot became free in time, the signal's reason when it aborts in the queue
 */
export async function* runAnswer(
  ctx: ServerContext,
  scope: Scope,
  lease: Lease,
  answer: Generated,
  signal: AbortSignal,
  onPosition?: (ahead: number) => void,
  isAdmitted = false,
): AsyncGenerator<ChatEvent> {
  const asked = performance.now()
  const { entry, model } = lease
  if (!isAdmitted) ctx.admission.check(scope.tenant, lease) // again: others may have come since the request was checked
  const leave = isAdmitted ? () => {} : ctx.admission.begin(scope.tenant, lease)
  const letGo = lease.hold() // the request may end before its answer does
  const work = linked([signal])
  const load = () => model.engine.load()
  const tooLate = () =>
    work.abort(
      overloaded(`No slot became free within ${ctx.limits.queueWaitMs} ms.`, ctx.admission.retryAfterSeconds(load()), 'queue_timeout'),
    )
  const timer = setTimeout(tooLate, ctx.limits.queueWaitMs)
  let phase = 'queue' as 'queue' | 'prefill' | 'decode' | 'end'
  const onQueue = (ahead: number | undefined) => {
    if (ahead !== undefined) return onPosition?.(ahead)
    clearTimeout(timer)
    phase = 'prefill'
  }
  try {
    for await (const event of answer.events(work.signal, onQueue)) {
      if (phase === 'prefill') phase = 'decode'
      if (event.type === 'warning') ctx.metrics.warnings.add({ model_name: entry.id, code: event.code })
      else if (event.type === 'tool-call-end') ctx.reasoning.remember(scope.tenant, event.id, answer.reasoning)
      else if (event.type === 'finish') {
        if (event.reason !== 'abort') phase = 'end'
        else if (phase === 'queue') work.signal.throwIfAborted()
        const took = performance.now() - asked
        ctx.admission.answered(took - event.timings.queuedMs)
        ctx.metrics.answered(entry.id, event, took)
        addFacts(scope, event)
      }
      yield event
    }
  } catch (error) {
    if (error instanceof BusyError)
      throw overloaded('All slots of the model are taken. Try again later.', ctx.admission.retryAfterSeconds(load()))
    throw error
  } finally {
    clearTimeout(timer)
    work.release()
    leave()
    letGo()
    if (phase !== 'end') ctx.metrics.aborted.add({ phase })
  }
}

/** A whole answer: its texts, its calls and how it ended. */
export async function wholeAnswer(events: AsyncIterable<ChatEvent>, onToken?: (token: TextToken) => void) {
  let [reasoning, content] = ['', '']
  let finish!: FinishEvent
  const calls: Omit<ToolCallPart, 'type'>[] = []
  for await (const event of events) {
    if (event.type === 'reasoning-end') reasoning += event.text
    else if (event.type === 'text-end') content += event.text
    else if (event.type === 'text-token') onToken?.(event)
    else if (event.type === 'tool-call-end') calls.push({ id: event.id, name: event.name, arguments: event.arguments })
    else if (event.type === 'finish') finish = event
  }
  return { reasoning, content, calls, finish }
}

/**
 * Runs tasks side by side. When one fails, the others are aborted and no more are started; once all have ended, its error is thrown.
 * @param width how many may run at once
 */
export async function together<T>(
  signal: AbortSignal,
  tasks: readonly ((signal: AbortSignal) => Promise<T>)[],
  width: number,
): Promise<T[]> {
  const shared = linked([signal])
  const results: T[] = []
  let failure: { error: unknown } | undefined
  let next = 0
  const worker = async () => {
    while (next < tasks.length && !failure) {
      const i = next++
      try {
        shared.signal.throwIfAborted()
        results[i] = await tasks[i]!(shared.signal)
      } catch (error) {
        failure ??= { error }
        shared.abort(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, tasks.length) }, worker))
  shared.release()
  if (failure) throw failure.error
  return results
}

function addFacts(scope: Scope, { usage, timings, reason }: FinishEvent): void {
  const { facts } = scope
  facts.finish = reason
  facts.queued_ms = Math.round(timings.queuedMs)
  facts.prompt_tokens = ((facts.prompt_tokens as number) ?? 0) + usage.promptTokens
  facts.cached_tokens = ((facts.cached_tokens as number) ?? 0) + usage.cachedTokens
  facts.completion_tokens = ((facts.completion_tokens as number) ?? 0) + usage.completionTokens
  facts.prefill_per_second = Math.round(timings.promptTokensPerSecond)
  facts.decode_per_second = Math.round(timings.completionTokensPerSecond * 10) / 10
}

/** The arguments of a call where an API wants an object; what is none, such as a list, stays readable. */
export function argumentsObject(text: string): object {
  const args = parsed(text.trim() === '' ? '{}' : text)
  return isObject(args) ? args : { input: text }
}

/** Why an answer ended, in the words of the chat and completion APIs. */
export function openaiFinish(reason: FinishReason): 'stop' | 'length' | 'tool_calls' {
  return reason === 'tool-calls' ? 'tool_calls' : reason === 'stop' ? 'stop' : 'length'
}

/** What cut an answer, where it was not the limit of tokens: the field `stop_reason` beside a finish reason of `length`. */
export function stopReason(reason: FinishReason): 'repetition' | 'context' | undefined {
  return reason === 'repetition' || reason === 'context' ? reason : undefined
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
    prompt_ms: timings.firstTokenMs - timings.queuedMs,
    prompt_per_second: timings.promptTokensPerSecond,
    predicted_n: usage.completionTokens,
    predicted_ms: timings.completionMs,
    predicted_per_second: timings.completionTokensPerSecond,
  }
}
